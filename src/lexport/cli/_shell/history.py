"""The statements that were typed into the SQL shell, kept in a file that only the user can read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from lexport.cli._output import open_replacement

_KEPT = 1_000
_MOST_BYTES = 2**20
_MOST_ENTRY_BYTES = 2**16


def open_history() -> tuple[History, str]:
    """Return the history, and why it is not kept in a file, if it is not."""
    base = os.environ.get("XDG_STATE_HOME", "")
    try:
        folder = (Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "state") / "lexport"
    except RuntimeError:  # a container whose user has no home
        return InMemoryHistory(), "there is no home folder"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        history = PrivateHistory(folder / "sql_history")
        history.shorten()
    except OSError as error:
        return InMemoryHistory(), f"{error.filename or folder}: {error.strerror}"
    return history, ""


class PrivateHistory(FileHistory):
    """A file with the newest statements, 0600. Statements that begin with a blank and ``.param`` lines are not kept."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path
        os.close(self._open(os.O_RDWR))

    def store_string(self, string: str) -> None:
        """Append a statement to the file."""
        entry = self._entry(string)
        if string[:1].isspace() or string.startswith(".param") or len(entry) > _MOST_ENTRY_BYTES:
            return
        with suppress(OSError), os.fdopen(self._open(os.O_WRONLY | os.O_APPEND), "ab") as file:
            file.write(entry)

    def shorten(self) -> None:
        """Leave only the newest statements if the file has grown long."""
        strings = [*self.load_history_strings()]  # the newest first
        if len(strings) <= 2 * _KEPT and self._path.stat().st_size <= _MOST_BYTES:
            return
        with open_replacement(self._path) as file:
            file.writelines(reversed([*self._newest(strings[:_KEPT])]))

    def _newest(self, strings: Iterable[str]) -> Iterable[bytes]:
        left = _MOST_BYTES // 2
        for string in strings:
            entry = self._entry(string)
            left -= len(entry)
            if left < 0:
                return
            yield entry

    def _open(self, flags: int) -> int:
        number = os.open(self._path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.fchmod(number, 0o600)
        return number

    @staticmethod
    def _entry(string: str) -> bytes:
        lines = "".join(f"+{line}\n" for line in string.split("\n"))
        return f"\n# {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n{lines}".encode(errors="replace")
