"""Turn the exception that ended a command into one line of text and an exit code."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import click
from click.core import ParameterSource

from lexport.aws.redact import remove_presigned_urls
from lexport.cli._help import in_plain_words
from lexport.cli._signals import Interrupted
from lexport.errors import LexportError, RunError
from lexport.tables.text import did_you_mean

_PACKAGE = Path(__file__).parents[1]
_HALF_A_LINE = 4_000
_NO_FILES = (errno.EMFILE, errno.ENFILE)
_TOO_MANY_FILES = "too many files are open at once; allow more of them with `ulimit -n`"
_NO_ROOM = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory")
"""Parts of the messages of the dynamic loader when it lacks memory."""


def ending(error: BaseException, command: str) -> tuple[list[str], int]:
    """Return the lines to print and the exit code. Only help has more than one line."""
    leaves = list(_leaves(error))
    error = next((leaf for leaf in leaves if isinstance(leaf, RunError)), leaves[0])
    match error:
        case click.exceptions.Exit():
            return [], error.exit_code
        case click.exceptions.NoArgsIsHelpError():
            return error.format_message().splitlines(), 2
        case click.NoSuchOption():
            where = error.ctx.command_path if error.ctx else "lexport"
            options = [name for parameter in error.ctx.command.params for name in parameter.opts] if error.ctx else []
            hint = did_you_mean(error.option_name, options)
            return [f"{where}: there is no option {error.option_name}{hint} (see {where} --help)"], 2
        case click.UsageError():
            where = error.ctx.command_path if error.ctx else "lexport"
            return [f"{where}: {in_plain_words(error.format_message())}{_variable(error)} (see {where} --help)"], 2
        case BrokenPipeError():
            return [], 0  # the reader closed the pipe, as `| head` does
    message, code = _describe(error, command)
    return [f"lexport: {_shorten(message)}"], code


def without_advice(error: BaseException, command: str) -> str:
    """Return what went wrong as one line, without what is kept of the run and the command that goes on with it."""
    leaves = list(_leaves(error))
    error = next((leaf for leaf in leaves if isinstance(leaf, RunError)), leaves[0])
    match error:
        case Interrupted():
            error = Interrupted(error.number)
        case RunError():
            return _shorten(str(error))
    lines, _ = ending(error, command)
    return lines[0].removeprefix("lexport: ") if lines else ""


def _describe(error: BaseException, command: str) -> tuple[str, int]:  # noqa: PLR0911, C901 - one return for each kind of error
    match error:
        case Interrupted():
            left = f"; {error.left}" if error.left else ""
            return f"{command} was interrupted by {error.number.name}{left}", error.exit_code
        case KeyboardInterrupt():
            return f"{command} was interrupted by SIGINT", 130
        case click.ClickException():
            return error.format_message(), 2
        case RunError():
            return "".join((str(error), *getattr(error, "__notes__", ()))), error.exit_code
        case LexportError():
            return str(error), 1
        case OSError():
            return _system(error), 1
        case MemoryError():
            return "there is not enough memory for this", 1
        case RuntimeError() if "start new thread" in str(error):
            return "no more threads can be started: there is too little memory, or `ulimit -u` is too low", 1
        case RuntimeError() if "Symlink loop" in str(error):  # of Path.resolve()
            return str(error), 2
        case ImportError() if any(text in str(error) for text in _NO_ROOM):
            return "there is not enough memory for this", 1
        case RecursionError():
            return f"what was read is nested too deeply{_place(error)}", 1
    if any(isinstance(earlier, OSError) and earlier.errno in _NO_FILES for earlier in _before(error)):
        return _TOO_MANY_FILES, 1  # closing what could not be opened raised another error
    return (
        f"internal error: {type(error).__name__}: {remove_presigned_urls(str(error))}{_place(error)}; please report it",
        1,
    )


def _variable(error: click.UsageError) -> str:
    parameter = error.param if isinstance(error, click.BadParameter) else None
    if parameter is None or error.ctx is None or parameter.name is None:
        return ""
    is_variable = error.ctx.get_parameter_source(parameter.name) is ParameterSource.ENVIRONMENT
    return f" (set by {parameter.envvar})" if is_variable else ""


def _shorten(message: str) -> str:
    """Cut the middle out of a message with a huge value: its end says what is wrong and what to do."""
    left_out = len(message) - 2 * _HALF_A_LINE
    if left_out <= 0:
        return message
    return f"{message[:_HALF_A_LINE]} [… {left_out:,} characters …] {message[-_HALF_A_LINE:]}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for part in error.exceptions:
        yield from _leaves(part)


def _before(error: BaseException) -> Iterator[BaseException]:
    earlier = error.__context__
    while earlier is not None:
        yield earlier
        earlier = earlier.__context__


def _system(error: OSError) -> str:
    if error.errno in _NO_FILES:
        return _TOO_MANY_FILES
    if error.strerror is None or error.filename is None:
        return f"{error.strerror or remove_presigned_urls(str(error)) or type(error).__name__}{_place(error)}"
    return f"{os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename}: {error.strerror}"


def _place(error: BaseException) -> str:
    place, at = "", error.__traceback__
    while at is not None:
        path = Path(at.tb_frame.f_code.co_filename)
        if path.is_relative_to(_PACKAGE):
            place = f" (in {path.relative_to(_PACKAGE)}, line {at.tb_lineno})"
        at = at.tb_next
    return place
