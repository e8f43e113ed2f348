"""A destination that is a local folder. Paths are relative and use ``/``; every write is on disk when it returns.

Blocking: callers run it in a worker thread.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lexport.errors import PublishError, SettingsError, WriteError

_ADDRESS = re.compile("[a-z][a-z0-9+.-]+://|(?:s3a?|gs|az|abfss?|https?):/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A folder. Files get mode 0600 and folders 0700, or 0640 and 0750 with ``group_readable``."""

    root: Path
    group_readable: bool = False

    @property
    def file_mode(self) -> int:
        """Mode of new files."""
        return 0o640 if self.group_readable else 0o600

    def make_folder(self, path: str) -> Path:
        """Create a folder and those above it down from the root; return where it is."""
        folder = self.root / path
        missing = [part for part in (folder, *folder.parents) if not part.exists()]
        for part in reversed(missing):
            with suppress(FileExistsError):
                part.mkdir()
                part.chmod(0o750 if self.group_readable else 0o700)
                _sync_folder(part.parent)
        return folder

    def names(self, path: str) -> list[str]:
        """List the names in a folder, sorted; an absent folder is empty."""
        try:
            return sorted(entry.name for entry in (self.root / path).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, path: str) -> bytes:
        """Read one whole file."""
        return (self.root / path).read_bytes()

    def create(self, path: str, body: bytes) -> None:
        """Write a file that must not exist yet: whole or not at all, whoever else writes at the same time.

        Raises PublishError when the name is taken.
        """
        target = self.root / path
        draft = self._write_draft(target, body)
        try:
            os.link(draft, target)  # the one step that is atomic and refuses to overwrite
        except FileExistsError as error:
            raise PublishError(f"{target} exists already", destination=str(self.root)) from error
        except OSError as error:
            raise _write_error(target, error) from error
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(target.parent)

    def replace(self, path: str, body: bytes) -> None:
        """Write a file over an old one; readers see the old or the new one, whole."""
        target = self.root / path
        self._write_draft(target, body).replace(target)
        _sync_folder(target.parent)

    def place(self, source: Path, path: str) -> None:
        """Move a finished, synced file from staging to its name, which must be free."""
        target = self.root / path
        try:
            self.make_folder(str(Path(path).parent))
            os.link(source, target)
        except FileExistsError as error:
            raise PublishError(f"{target} exists already", destination=str(self.root)) from error
        except OSError as error:
            raise _write_error(target, error) from error
        source.unlink()
        _sync_folder(target.parent)

    def remove(self, path: str) -> None:
        """Remove a file or a folder with all in it; absent is fine."""
        target = self.root / path
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)

    def _write_draft(self, target: Path, body: bytes) -> Path:
        draft = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            self.make_folder(str(target.parent.relative_to(self.root)))
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self.file_mode)
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, self.file_mode)
                file.write(body)
                file.flush()
                os.fsync(descriptor)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise _write_error(target, error) from error
        return draft


def local_folder(dest: str | os.PathLike[str]) -> Path:
    """Return the path of a destination; raises SettingsError for an object store's address."""
    text = os.fspath(dest)
    if _ADDRESS.match(text):
        raise SettingsError(f"DEST {text}: only local folders can be read and written", option="DEST")
    return Path(text)


def _write_error(target: Path, error: OSError) -> WriteError:
    return WriteError(f"cannot write {target}: {error.strerror}", path=str(target))


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    sync_file(path)
