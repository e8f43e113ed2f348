"""The user's list -> account ids, each once, in order. Pure but for reading the file."""

from __future__ import annotations

from lexport.errors import SettingsError
from lexport.extract.list_file import read_lines

_OPTION = "--accounts"
_LENGTH = 12  # digits of an AWS account


def split_accounts(text: str) -> tuple[tuple[str, ...], str | None]:
    """Tell the ids of ``--accounts ID,…`` from the path of ``--accounts FILE``: a list begins with digits alone."""
    parts = tuple(part.strip() for part in text.split(","))
    return (parts, None) if parts[0].isdigit() else ((), text)


def read_accounts(ids: tuple[str, ...], path: str | None) -> tuple[str, ...]:
    """Return the ids and those of the file: one a line, blank lines and what follows ``#`` do not count.

    Raises SettingsError with file, line and reason for the first line that is no account.
    """
    found = dict.fromkeys(ids)
    if path is not None:
        shown, lines = read_lines(path, option=_OPTION)
        for number, line in enumerate(lines, start=1):
            text = line.partition("#")[0].strip()
            if text and not (len(text) == _LENGTH and text.isascii() and text.isdigit()):
                raise SettingsError(f"{shown}:{number}: {text!r} is no account: 12 digits, one a line", option=_OPTION)
            if text:
                found[text] = None
        if not found:
            raise SettingsError(f"{_OPTION} {shown}: names no account", option=_OPTION)
    return tuple(found)
