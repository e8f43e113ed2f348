"""Run the command line. Every exception becomes one line and an exit code here, and nowhere else.

Most imports are late: the standard streams and the signal handlers of the process are set up first.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from lexport.cli._signals import Interrupted, received, watch_signals
from lexport.cli._streams import open_standard_streams
from lexport.errors import SettingsError
from lexport.tables.text import visible

if TYPE_CHECKING:
    from lexport.cli._outputs.record import RunRecord

YOUNG_OBJECTS = 10_000
"""Containers that are made before Python looks for cycles among them. The default, 700, costs 3 % of the CPU of a run:
modules and batches of rows are many containers that live on."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    texts = list(sys.argv[1:] if arguments is None else arguments)
    command = "lexport"
    record: RunRecord | None = None
    code: object
    try:
        import lexport.cli._ending  # noqa: F401 - importing it later fails if no more files can be opened
        from lexport.cli._commands import cli

        _check_text(texts)
        if instruction := os.environ.get("_LEXPORT_COMPLETE"):
            from lexport.cli._completion import complete

            return complete(cli, instruction)
        from lexport.cli._outputs.record import open_record

        # cli.main() would exit with 1 when stdout is closed.
        with cli.make_context("lexport", [*texts], obj=tuple(texts)) as context:
            record = open_record(context, texts)
            try:
                code = cli.invoke(context)
            finally:
                command = context.invoked_subcommand or command
        with suppress(BrokenPipeError):  # the reader closed the pipe; the exit code stays
            sys.stdout.flush()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - no traceback reaches a user
        code, text = _end(error, command, texts)
        if record is None and code:
            record = _unparsed(texts)
        if record is not None:
            record.finish(code, error, text)
        return code
    code = code if isinstance(code, int) else 0
    record.finish(code, None)
    return code


def _unparsed(arguments: Sequence[str]) -> RunRecord | None:
    """Return the record of a command line that ended before its first option was read."""
    with suppress(Exception):  # such as too little memory to import it
        from click import Context

        from lexport.cli._commands import cli
        from lexport.cli._outputs.record import RunRecord

        return RunRecord(arguments, Context(cli, info_name="lexport"))
    return None


def _check_text(arguments: Sequence[str]) -> None:
    """Raise SettingsError for an argument that is not UTF-8: libraries cannot use it as text or as a path."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise SettingsError(f"the argument {argument!r} is not UTF-8 text") from None


def _end(error: BaseException, command: str, texts: Sequence[str] | None = None) -> tuple[int, str]:
    """Print how the command ended; return the exit code, and the error without advice."""
    text = str(error)
    try:
        from lexport.cli._ending import ending, without_advice

        lines, code = ending(error, command)
        text = without_advice(error, command)
    except (OSError, ImportError, MemoryError):  # importing it failed: too many open files, or too little memory
        lines, code = [f"lexport: {error}"], 1
    number = received()
    if number is not None and code != 128 + number:  # a library turned the signal into its own error, such as DuckDB's
        lines, code = ending(Interrupted(number), command)
        text = without_advice(Interrupted(number), command)
    with suppress(OSError):  # stderr is closed; the exit code still reports the outcome
        for line in lines:
            _print_error(line, code, texts)
    return code, text


def _print_error(line: str, code: int, texts: Sequence[str] | None) -> None:
    try:
        from lexport.cli._log_options import say_early

        say_early(line, "error", arguments=texts, exit_code=code)
    except (OSError, ImportError, MemoryError):
        print(visible(line), file=sys.stderr, flush=True)  # noqa: T201 - standard error is for messages


def _print_uncaught(stray: sys.UnraisableHookArgs | threading.ExceptHookArgs) -> None:
    """Print an error that cannot be caught because it was raised in a finalizer or a thread."""
    if stray.exc_value is not None:
        _end(stray.exc_value, "lexport")


def main() -> NoReturn:
    """Run the command line of this process, and end the process with its exit code.

    The interpreter is not shut down: all files are closed, and duckdb 2.0 may print leak notices during a shutdown.
    """
    open_standard_streams()
    gc.set_threshold(YOUNG_OBJECTS)
    try:
        sys.unraisablehook = threading.excepthook = _print_uncaught
        watch_signals()
        code = run()
        if received() is None:  # otherwise the reader of stdout may be blocked
            with suppress(OSError):  # the reader closed the pipe, or the error is printed already
                sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - a signal can be received anywhere
        code, _ = _end(error, "lexport")
    os._exit(code)
