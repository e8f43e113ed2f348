"""A list that the user gives as a file, or on standard input -> its lines."""

from __future__ import annotations

import sys
from pathlib import Path

from lexport.errors import SettingsError


def read_lines(path: str, *, option: str) -> tuple[str, list[str]]:
    """Read a UTF-8 file, ``-`` for standard input; return the name to show for it, and its lines.

    Raises SettingsError that names the option, the file and the reason.
    """
    shown = "<stdin>" if path == "-" else path
    try:
        raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return shown, raw.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise SettingsError(f"{option} {shown}: {error.strerror}", option=option) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{option} {shown}: is not UTF-8 text", option=option) from error
