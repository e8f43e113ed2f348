"""Where the output of a command goes: notices to standard error, a result to stdout or into a file that it replaces."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lexport.aws.logs import say
from lexport.errors import SettingsError, WriteError


def notify(*lines: str, level: int = logging.INFO) -> None:
    """Print notices on standard error, each with the name of the program before it."""
    for line in lines:
        say(f"lexport: {line}", level)


@contextmanager
def open_output(path: str | None) -> Iterator[BinaryIO]:
    """Open stdout, or a temporary file that replaces the file at ``path`` when it is complete.

    None, ``-`` and other names of stdout such as /dev/stdout are stdout. If the block raises, the old file is
    unchanged and the temporary file is removed.
    """
    if path is None or (target := check_output(path)) is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with open_replacement(target) as file:  # readable by the user alone: a result can hold what the dataset holds
            yield file
    except OSError as error:
        raise WriteError(f"cannot write {path}: {error.strerror or error}", path=path) from error


def check_output(path: str) -> Path | None:
    """Return the file that ``-o`` names, or None for stdout. Raises SettingsError if no file can be placed there."""
    return None if path == "-" or _is_stdout(path) else check_target(path, "-o")


def check_target(path: str | Path, option: str) -> Path:
    """Return the path without links. Raises SettingsError if no file can be placed there."""
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise SettingsError(f"{option} {path}: there is no folder {target.parent}", option=option)
    if target.exists() and not target.is_file():
        raise SettingsError(f"{option} {path} is not a file", option=option)
    return target


@contextmanager
def open_replacement(path: Path, *, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces the file at ``path`` at the end of the block, unless the block raises."""
    draft = path.with_name(f".{path.name[:50]}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            yield file
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _is_stdout(path: str) -> bool:
    """Return whether a path is the file that stdout writes to: replacing it would lose earlier output of a script."""
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return False
