"""Arguments -> exit code. Every exception becomes one line and a code here, and nowhere else.

Little is imported before the streams and signals of the process are in order, so that nothing goes past them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from lexport.cli._signals import Interrupted, received, watch_signals
from lexport.cli._streams import open_standard_streams
from lexport.errors import SettingsError
from lexport.tables.text import visible


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = "lexport"
    try:
        _check_text(given)
        import lexport.cli._ending  # noqa: F401 - an end for want of files could not import it
        from lexport.cli._commands import cli

        # Not cli.main(): it would answer a closed pipe with exit code 1.
        with cli.make_context("lexport", given) as context:
            try:
                code = cli.invoke(context)
            finally:
                command = context.invoked_subcommand or command
        with suppress(BrokenPipeError):  # the reader has gone; what the command found counts all the same
            sys.stdout.flush()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - no traceback reaches a user
        return _end(error, command)
    return code if isinstance(code, int) else 0


def _check_text(arguments: Sequence[str]) -> None:
    """Refuse an argument that no library below us can take as text or as a path."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise SettingsError(f"the argument {argument!r} is not UTF-8 text") from None


def _end(error: BaseException, command: str) -> int:
    """Say how the command ended, in one line; help is the one thing that has more."""
    try:
        from lexport.cli._ending import ending

        lines, code = ending(error, command)
    except (OSError, ImportError, MemoryError):  # there are too few files, or there is too little memory, to import it
        lines, code = [f"lexport: {error}"], 1
    number = received()
    if number is not None and code != 128 + number:  # what a library makes of it, as DuckDB's "Query interrupted"
        lines, code = ending(Interrupted(number), command)
    with suppress(OSError):  # nobody reads it, and the exit code says it too
        for line in lines:
            print(visible(line), file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints errors
    return code


def _say_stray(stray: sys.UnraisableHookArgs | threading.ExceptHookArgs) -> None:
    """Say what went wrong where nobody could catch it: in a finalizer or a thread."""
    if stray.exc_value is not None:
        _end(stray.exc_value, "lexport")


def main() -> NoReturn:
    """Run the command line of this process, and end the process with its exit code.

    The interpreter is not torn down: all files are closed by then, and duckdb 2.0 may print leak notices after the last
    line while that happens.
    """
    open_standard_streams()
    try:
        sys.unraisablehook = threading.excepthook = _say_stray
        watch_signals()
        code = run()
        if received() is None:  # else its reader may stand still
            with suppress(OSError):  # its reader has gone, or it was said already
                sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - a signal between two lines of ours
        code = _end(error, "lexport")
    os._exit(code)
