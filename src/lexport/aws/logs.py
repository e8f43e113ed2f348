"""Log lines of one process: what a command says, lexport's own loggers and those of libraries, all of them redacted.

``set_up`` is for a process that belongs to lexport. A program that imports lexport sets up logging itself.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from lexport.aws.redact import clean_argument, clean_foreign_line, clean_line, remember_secret
from lexport.errors import LexportError, SettingsError
from lexport.tables.text import visible

LogFormat = Literal["text", "json"]

COMMAND = logging.getLogger("lexport.command")
"""What a command says to its user: notes, its summary, its errors. Only these lines may have the level ERROR."""
PROGRESS = logging.getLogger("lexport.progress")
"""How far a run is, as lines."""

_OWN = "lexport"
_WORKER_VARIABLE = "_LEXPORT_WORKER_LOG"
_SILENT = ("distributed", "tornado", "bokeh")
"""Libraries whose warnings are shown on request alone: what goes wrong there is an error or a note of the run."""
_PREFIX = "lexport: "
_MOST_CHARACTERS = 300  # of the message of a library's exception, which may quote a response
_STANDARD = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime"))
_SECRET_VARIABLE = re.compile(r"SECRET|TOKEN|PASSW|_KEY(?:_ID)?\Z|_KEY_|SAS|NOTIFY_URL")
_OF_PATHS = ("_FILE", "_PATH", "_DIR")
"""Ends of the names of variables that say where a secret is. A secret in base64 may look like a path itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """How a process logs. ``level`` is None by default: what the command says, and warnings of lexport itself.

    ``quiet`` leaves errors alone on standard error. With a ``file``, the lines of the level are written there, and
    standard error shows what it does by default.
    """

    level: int | None = None
    quiet: bool = False
    format: LogFormat = "text"
    file: str | None = None
    worker: str | None = None

    @property
    def shows_progress(self) -> bool:
        """Whether standard error shows how far a run is."""
        return not self.quiet and (self.file is not None or self.level is None or self.level <= logging.INFO)


_settings = LogSettings()


def settings() -> LogSettings:
    """Return how this process logs."""
    return _settings


def set_up(new: LogSettings) -> None:
    """Log in this way from now on. Raises SettingsError for a file that cannot be appended to."""
    global _settings  # noqa: PLW0603 - the logging of a process is one
    remember_secret(*(value for name, value in os.environ.items() if _is_secret(name.upper())))
    shown = LogSettings(quiet=new.quiet) if new.file is not None else new
    handlers: list[logging.Handler] = [_Stderr(shown, new)]
    if new.file is not None:
        handlers.append(_File(_open(new.file), new))
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, _Redacted):
            handler.close()
    root.handlers[:] = [*(each for each in root.handlers if not isinstance(each, _Redacted)), *handlers]
    level = logging.WARNING if new.level is None else new.level
    root.setLevel(logging.DEBUG if level <= logging.DEBUG else logging.WARNING)
    logging.getLogger(_OWN).setLevel(min(level, logging.WARNING))
    for own in (COMMAND, PROGRESS):
        own.setLevel(min(level, logging.INFO) if new.level is None or new.file is not None else level)
    logging.captureWarnings(capture=True)
    _settings = new


def is_set_up() -> bool:
    """Return whether this process logs as lexport does."""
    return any(isinstance(handler, _Redacted) for handler in logging.getLogger().handlers)


def is_redacted() -> bool:
    """Return whether all log lines of this process are redacted, those of libraries too."""
    handlers = logging.getLogger().handlers
    return bool(handlers) and all(isinstance(handler, _Redacted) for handler in handlers)


def adopt(*names: str) -> None:
    """Let the lines of libraries that bring handlers of their own pass those of this process, if it has any."""
    if not is_redacted():
        return
    for name in [*names, *(each for each in logging.root.manager.loggerDict if each.partition(".")[0] in names)]:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


def worker_variables() -> dict[str, str]:
    """Return the variables that let worker processes of this machine log what was asked for by this process.

    Workers write into the log file, or without one on the same standard error, unless that shows bars. Without a level
    they write nothing: what goes wrong in them is an error or a note of the run.
    """
    own = settings()
    if own.level is None or (own.file is None and (own.quiet or (own.format == "text" and sys.stderr.isatty()))):
        return {}
    return {_WORKER_VARIABLE: json.dumps({"level": own.level, "format": own.format, "file": own.file})}


def set_up_worker(name: str) -> None:
    """Log as the process asks for that started this worker, once, with the worker's name on each line."""
    text = os.environ.get(_WORKER_VARIABLE)
    if text is None or is_set_up():
        return
    asked = LogSettings(**json.loads(text), worker=name)
    with suppress(SettingsError):  # the file could be opened before; its loss stops no run
        set_up(replace(asked, quiet=asked.file is not None))


def say(line: str, level: int = logging.INFO, **fields: object) -> None:
    """Say one line to the user of a command; "warning: " and "missing: " at its beginning make it a warning."""
    if level == logging.INFO and line.removeprefix(_PREFIX).startswith(("warning: ", "missing: ")):
        level = logging.WARNING
    if not is_set_up():
        with suppress(OSError, ValueError):
            print(visible(clean_line(line)), file=sys.stderr, flush=True)  # noqa: T201 - standard error is for messages
        return
    COMMAND.log(level, "%s", line, extra=fields)


def _is_secret(name: str) -> bool:
    return _SECRET_VARIABLE.search(name) is not None and not name.endswith(_OF_PATHS)


def _open(path: str) -> int:
    """Open a log file to append to it."""
    try:
        opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"--log-file {path}: cannot be opened: {reason}", option="--log-file") from error
    mode = os.fstat(opened).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):  # a pipe without a reader would stop the run
        os.close(opened)
        raise SettingsError(f"--log-file {path}: is not a file", option="--log-file")
    return opened


# --- handlers ---------------------------------------------------------------------------------------------------------


class _Redacted(logging.Handler):
    """Formats records as redacted lines. An error while a line is written never reaches the code that logs."""

    def __init__(self, settings: LogSettings, *, is_short: bool) -> None:
        super().__init__()
        self._settings, self._is_short = settings, is_short

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what this handler does not show."""
        is_of_command = record.name in (COMMAND.name, PROGRESS.name)
        level, chosen = _level(record), self._settings.level
        if self._settings.quiet:
            return is_of_command and level >= logging.ERROR
        package = record.name.partition(".")[0]
        if chosen is None:  # a failed command says in one line what a library warned of
            return level >= (logging.INFO if is_of_command else logging.WARNING) and package == _OWN
        if package in _SILENT and chosen > logging.DEBUG:
            return False
        return level >= (min(chosen, logging.INFO) if is_of_command and self._settings.file is not None else chosen)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the lines of a record."""
        with suppress(Exception):
            lines = [_as_json(record, self._settings)] if self._settings.format == "json" else self._as_text(record)
            for line in lines:
                self.write(line)

    def _as_text(self, record: logging.LogRecord) -> list[str]:
        text = _text(record)
        if self._is_short and record.name in (COMMAND.name, PROGRESS.name):
            return [text, *_exception(record)]
        own = self._settings.worker
        worker = f" [{own}]" if own else ""
        name = f"{_time(record)} {logging.getLevelName(_level(record))} {record.name}{worker}: "
        return [name + " ".join(text.removeprefix(_PREFIX).splitlines()), *_exception(record)]

    def write(self, line: str) -> None:
        """Write one line."""
        raise NotImplementedError


class _Stderr(_Redacted):
    """Standard error as it is at that moment: live bars replace it while they are shown."""

    def __init__(self, shown: LogSettings, settings: LogSettings) -> None:
        made = LogSettings(level=shown.level, quiet=shown.quiet, format=settings.format, worker=settings.worker)
        super().__init__(made, is_short=True)

    def write(self, line: str) -> None:
        print(visible(line), file=sys.stderr, flush=True)  # noqa: T201 - standard error is for messages


class _File(_Redacted):
    """A log file. Each line is one write, so that several processes can append to the file."""

    def __init__(self, opened: int, settings: LogSettings) -> None:
        made = LogSettings(level=settings.level, format=settings.format, file=settings.file, worker=settings.worker)
        super().__init__(made, is_short=False)
        self._opened = opened

    def write(self, line: str) -> None:
        os.write(self._opened, (visible(line) + "\n").encode(errors="backslashreplace"))

    def close(self) -> None:
        with suppress(OSError):
            os.close(self._opened)
        super().close()


# --- lines ------------------------------------------------------------------------------------------------------------


def _is_own(record: logging.LogRecord) -> bool:
    return record.name == _OWN or record.name.startswith(f"{_OWN}.")


def _level(record: logging.LogRecord) -> int:
    """Return the level of a line: only what a command says is an error, for then the command fails."""
    return record.levelno if record.name == COMMAND.name else min(record.levelno, logging.WARNING)


def _text(record: logging.LogRecord) -> str:
    """Return the redacted message."""
    if _is_own(record):
        return clean_line(record.getMessage())
    if record.levelno > logging.DEBUG:
        return clean_foreign_line(record.getMessage())
    arguments = record.args
    try:
        if isinstance(arguments, Mapping):
            return clean_foreign_line(record.msg % {name: clean_argument(value) for name, value in arguments.items()})
        return clean_foreign_line(str(record.msg) % tuple(map(clean_argument, arguments or ())))
    except (TypeError, ValueError, KeyError):  # the line has a % of its own, or formats a number
        return clean_foreign_line(str(record.msg).partition("%")[0])


def _exception(record: logging.LogRecord) -> list[str]:
    """Return the lines of a traceback: calls and source, and of each exception its kind and its redacted message."""
    if not record.exc_info or record.exc_info[1] is None:
        return []
    lines: list[str] = []
    error: BaseException | None = record.exc_info[1]
    for _ in range(10):
        if error is None:
            break
        lines += ["  " + part.strip() for part in traceback.format_tb(error.__traceback__)]
        message = str(error) if isinstance(error, LexportError) else _first_line(error)
        lines.append(f"  {type(error).__qualname__}: {clean_foreign_line(message)}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return [line for part in lines for line in part.splitlines()]


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:_MOST_CHARACTERS]


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _as_json(record: logging.LogRecord, settings: LogSettings) -> str:
    fields: dict[str, Any] = {
        "time": _time(record),
        "level": logging.getLevelName(_level(record)),
        "logger": record.name,
        "message": _text(record).removeprefix(_PREFIX),
    }
    if settings.worker:
        fields["worker"] = settings.worker
    if _is_own(record):
        given = {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}
        fields |= {
            name: value if isinstance(value, bool | int | float) else clean_line(str(value))
            for name, value in given.items()
        }
    if exception := _exception(record):
        fields["exception"] = "\n".join(exception)
    return json.dumps(fields)
