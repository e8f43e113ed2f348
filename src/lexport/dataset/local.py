"""A destination that is a local folder. Paths are relative and use ``/``; what is written is on disk when it returns.

A file that has its name is never taken away again because of an error that comes after it. Blocking: callers run it in
a worker thread.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lexport.dataset.linking import link_new
from lexport.errors import PublishError, RunError, SettingsError, UnknownCommitError, WriteError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a disk that has no room for this; EFBIG: for no file of this size, or the process may not write one."""
_REFUSALS = FULL | {errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV, errno.ENAMETOOLONG, errno.ENOTDIR}
"""Answers that mean for sure that nothing was done; after any other a file may have its name nevertheless."""
_NO_SUCH_SYNC = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
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
        """Create a folder and those above it down from the root; return where it is.

        Raises OSError, also for what is no folder and for a link that leads out of the root: no reader would follow it.
        """
        folder = self.root / path
        missing = [part for part in (folder, *folder.parents) if not part.exists()]
        for part in reversed(missing):
            with suppress(FileExistsError):
                part.mkdir()
                try:
                    part.chmod(0o750 if self.group_readable else 0o700)
                    sync_folder(part.parent)
                except OSError:
                    with suppress(OSError):  # or the next run takes it for a folder that is on disk
                        part.rmdir()
                    raise
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        where = folder.resolve()
        if not where.is_relative_to(self.root.resolve()):
            raise OSError(f"{folder} is a link to {where}, outside of DEST; make it a folder")
        return folder

    def names(self, path: str) -> list[str]:
        """List the names in a folder, sorted; an absent folder is empty."""
        try:
            return sorted(entry.name for entry in (self.root / path).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, path: str) -> bytes:
        """Read one whole file; what is none, a pipe that would never end for one, is an OSError."""
        file = self.root / path
        if not stat.S_ISREG(file.stat().st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(file))
        return file.read_bytes()

    def create(self, path: str, body: bytes) -> OSError | None:
        """Write a file that must not exist yet: whole or not at all, whoever else writes at the same time.

        Return None, or the error that came once the file had its name: it is there, whether it outlives a loss of power
        is not known. Raises PublishError when the name is taken, WriteError when the file was not written, and
        UnknownCommitError where even that cannot be found out.
        """
        target = self.root / path
        draft = self._write_draft(target, body)
        try:
            link_new(draft, target)
        except OSError as error:
            if failure := self._read_back(target, body, error):
                _clear(draft)
                raise failure from error
        after: OSError | None = None
        for finish in (partial(draft.unlink, missing_ok=True), partial(sync_folder, target.parent)):
            try:
                finish()
            except OSError as error:
                after = after or error
        return after

    def replace(self, path: str, body: bytes) -> None:
        """Write a file over an old one; readers see the old or the new one, whole."""
        target = self.root / path
        draft = self._write_draft(target, body)
        try:
            draft.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            _clear(draft)
            raise write_error(target, error) from error

    def place(self, source: Path, path: str) -> None:
        """Give a finished, synced file its name, which must be free; ``sync_folder`` puts the name on disk.

        The old name may stay: it goes with the folder of the run's work.
        """
        target, placed = self.root / path, None
        try:
            placed = source.stat()
            self.make_folder(str(Path(path).parent))
            link_new(source, target)
        except OSError as error:
            if placed is not None and _is_same(placed, target):
                return
            if isinstance(error, FileExistsError):
                raise PublishError(f"{target} exists already", destination=str(self.root)) from error
            raise write_error(target, error) from error

    def sync_folder(self, path: str) -> None:
        """Wait until the names in a folder are on disk."""
        folder = self.root / path
        try:
            sync_folder(folder)
        except OSError as error:
            raise write_error(folder, error) from error

    def remove(self, path: str) -> None:
        """Remove a file as far as that is possible; absent is fine."""
        _clear(self.root / path)

    def _read_back(self, target: Path, body: bytes, error: OSError) -> RunError | None:
        """Find out if a file that was refused its name has it nevertheless: an answer can get lost on its way.

        Return None if so, else what there is to tell.
        """
        try:
            is_there = stat.S_ISREG(target.lstat().st_mode) and target.read_bytes() == body
        except OSError as unread:
            if not isinstance(unread, FileNotFoundError) and error.errno not in _REFUSALS:
                return UnknownCommitError(
                    f"it is not known whether {target} was written: {error.strerror}, and it cannot be read back:"
                    f" {unread.strerror}",
                    path=str(target),
                )
            is_there = False
        if is_there:
            return None
        if isinstance(error, FileExistsError):
            return PublishError(f"{target} exists already", destination=str(self.root))
        return write_error(target, error)

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
            _clear(draft)
            raise write_error(target, error, size_bytes=len(body)) from error
        return draft


def local_folder(dest: str | os.PathLike[str]) -> Path:
    """Return the path of a destination; raises SettingsError for an object store's address."""
    text = os.fspath(dest)
    if not text:
        raise SettingsError("DEST is empty; name a folder (`.` is the working folder)", option="DEST")
    if _ADDRESS.match(text):
        raise SettingsError(f"DEST {text}: only local folders can be read and written", option="DEST")
    return Path(text)


def write_error(path: Path, error: Exception, *, size_bytes: int | None = None) -> WriteError:
    """Make the error of a file that could not be written: which one, why, and how much room there is if that is why.

    ``size_bytes`` is what was to be written, where that is known.
    """
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number else " ".join(str(error).split())
    room = room_left(path, size_bytes) if number in FULL else ""
    return WriteError(f"cannot write {path}: {reason}{room}", path=str(path))


def room_left(path: Path, size_bytes: int | None = None) -> str:
    """Say how much room the file system of ``path`` has left, as the end of a sentence about a full disk or quota."""
    try:
        disk = os.statvfs(next(folder for folder in path.absolute().parents if folder.is_dir()))
    except OSError:
        return ""
    if disk.f_files and not disk.f_favail:
        return "; no inode is free there, so no file can be added"
    needed = f", {size_bytes:,} are needed" if size_bytes else ""
    return f"; {disk.f_bavail * disk.f_frsize:,} bytes are free there{needed}"


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until a folder's names are on disk, where the file system can be asked for that: a network's may not."""
    try:
        sync_file(path)
    except OSError as error:
        if error.errno not in _NO_SUCH_SYNC:
            raise


def _is_same(source: os.stat_result, target: Path) -> bool:
    """Find out if a file that was refused its name has it nevertheless.

    The same bytes would not do: two runs of one id write the same, and one of them is going to remove its own.
    """
    try:
        return os.path.samestat(source, target.lstat())
    except OSError:
        return False


def _clear(path: Path) -> None:
    """Remove a file; what fails now must not hide why."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
