"""A list that the user gives as a file, or on standard input -> its lines."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

from lexport.errors import SettingsError

MOST_BYTES = 64 * 2**20  # half a million functions by their ARNs; a device or a pipe may have no end


def read_lines(path: str, *, option: str) -> tuple[str, list[str]]:
    """Read a UTF-8 file, ``-`` for standard input; return the name to show for it, and its lines.

    Raises SettingsError that names the option, the file and the reason.
    """
    shown = "<stdin>" if path == "-" else path
    try:
        with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise SettingsError(f"{option} {shown}: is larger than {MOST_BYTES // 2**20} MiB", option=option)
        return shown, raw.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise SettingsError(f"{option} {shown}: {error.strerror or error}", option=option) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{option} {shown}: is not UTF-8 text", option=option) from error
