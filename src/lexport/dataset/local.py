"""The store in a local folder; see store.py. Written files are synced to disk.

An error after a file got its name never removes the file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from lexport.dataset import layout
from lexport.dataset.address import parse_address
from lexport.dataset.linking import link_new
from lexport.dataset.store import MOST_READ_BYTES, NamedFile, StoredFile, UnexpectedFileError
from lexport.errors import PublishError, RunError, SettingsError, UnknownCommitError, WriteError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a full disk or quota. EFBIG: the file system or a limit of the process allows no file of this size."""
_REFUSALS = FULL | {errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV, errno.ENAMETOOLONG, errno.ENOTDIR}
"""Errors after which a file surely does not have its name. After any other error it may have it nevertheless."""
_SYNC_NOT_SUPPORTED = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A local folder. Files get mode 0600 and folders 0700, or 0640 and 0750 with ``group_readable``."""

    root: Path
    group_readable: bool = False

    @property
    def url(self) -> str:
        """The path of the folder."""
        return str(self.root)

    @property
    def file_mode(self) -> int:
        """The mode of new files."""
        return 0o640 if self.group_readable else 0o600

    @property
    def moved(self) -> None:
        """Nothing is moved."""
        return

    @property
    def caches_values(self) -> bool:
        """Nothing is copied."""
        return True

    def interrupt(self) -> None:
        """Do nothing."""

    def make_folder(self, path: str) -> Path:
        """Create a folder and its parents below the root; return its path.

        Raises OSError, also where the path is no folder or a link that leads out of the root, which no reader follows.
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
                    with suppress(OSError):  # the next run would assume that the folder is on disk
                        part.rmdir()
                    raise
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        resolved = folder.resolve()
        if not resolved.is_relative_to(self.root.resolve()):
            raise OSError(f"{folder} is a link to {resolved}, outside of DEST; make it a folder")
        return folder

    def names(self, path: str) -> list[str]:
        """List the names in a folder, sorted; an absent folder is empty."""
        try:
            return sorted(entry.name for entry in (self.root / path).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def files(self, folder: str) -> Iterator[StoredFile]:
        """Yield every file below a folder, sorted by path."""
        for where, folders, names in os.walk(self.root / folder, onerror=_raise_unless_absent):
            folders.sort()
            for name in sorted(names):
                path = Path(where, name)
                with suppress(FileNotFoundError):  # it was removed meanwhile
                    yield self._stored(path.relative_to(self.root).as_posix(), path.lstat())

    def stat(self, path: str) -> StoredFile:
        """Return size and time of a regular file within the root."""
        return self._stored(path, stat_file(self.root, path))

    def _stored(self, path: str, status: os.stat_result) -> StoredFile:
        modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
        return StoredFile(path=path, size_bytes=status.st_size, modified_at=modified_at)

    def read(self, path: str, *, most_bytes: int = MOST_READ_BYTES) -> bytes:
        """Read a whole file; never a pipe, which might not end."""
        size_bytes = stat_file(self.root, path).st_size
        if size_bytes > most_bytes:
            raise UnexpectedFileError(f"it has {size_bytes:,} bytes, more than {most_bytes:,}")
        with (self.root / path).open("rb") as file:
            return file.read(most_bytes)

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """Read a part of a file."""
        stat_file(self.root, path)
        with (self.root / path).open("rb") as file:
            return os.pread(file.fileno(), length, start)

    def local_copy(self, path: str, *, size_bytes: int, sha256: str) -> Path:  # noqa: ARG002 - verify reads the bytes
        """Return the path of the file itself, whose size is compared."""
        found = stat_file(self.root, path).st_size
        if found != size_bytes:
            raise OSError(errno.EIO, f"it has {found:,} bytes, the manifest says {size_bytes:,}", str(self.root / path))
        return self.root / path

    def local_copies(self, files: Iterable[NamedFile], *, has_values: bool = False) -> list[Path]:  # noqa: ARG002
        """Return the paths of the files themselves."""
        return [self.local_copy(file.path, size_bytes=file.size_bytes, sha256=file.sha256) for file in files]

    def local_root(self, *, has_values: bool = False) -> Path:  # noqa: ARG002
        """Return the folder itself."""
        return self.root

    def fetch(self, path: str, folder: Path, *, size_bytes: int) -> Path:  # noqa: ARG002 - it is here already
        """Return the path of the file itself, whose size is compared."""
        return self.local_copy(path, size_bytes=size_bytes, sha256="")

    def open_scratch(self, run: str) -> Path:
        """Create a folder of its own below the staging folder of the run: links do not cross file systems."""
        folder = f"{layout.STAGING}/{run}/.work-{os.getpid()}-{os.urandom(4).hex()}"
        try:
            return self.make_folder(folder)
        except OSError as error:
            raise write_error(self.root / folder, error) from error

    def create(self, path: str, body: bytes) -> OSError | None:
        """Create a file that must not exist yet, completely or not at all, also with concurrent writers.

        Return None, or the error that came after the file got its name: the file exists, but may not survive a loss of
        power. Raises PublishError when the name is taken, WriteError when the file was not written, and
        UnknownCommitError where neither can be determined.
        """
        target = self.root / path
        draft = self._write_draft(target, body)
        try:
            link_new(draft, target)
        except OSError as error:
            if failure := self._read_back(target, body, error):
                clear(draft)
                raise failure from error
        after: OSError | None = None
        for finish in (partial(draft.unlink, missing_ok=True), partial(sync_folder, target.parent)):
            try:
                finish()
            except OSError as error:
                after = after or error
        return after

    def replace(self, path: str, body: bytes) -> None:
        """Replace a file; readers see the complete old or the complete new one."""
        target = self.root / path
        draft = self._write_draft(target, body)
        try:
            draft.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            clear(draft)
            raise write_error(target, error) from error

    def swap(self, path: str, body: bytes, *, expected: bytes | None) -> bool:
        """Replace a file that has the expected content; a writer in between is possible, so callers look again."""
        try:
            before: bytes | None = (self.root / path).read_bytes()
        except FileNotFoundError:
            before = None
        except OSError as error:
            raise write_error(self.root / path, error) from error
        if before == expected:
            self.replace(path, body)
        return before == expected

    def place(self, source: Path, path: str, *, sha256: str | None = None) -> None:  # noqa: ARG002 - no bytes move
        """Link a finished file to its final name, which must be free."""
        target, placed = self.root / path, None
        try:
            source.chmod(self.file_mode)  # the umask may have removed permissions
            placed = source.stat()
            self.make_folder(str(Path(path).parent))
            link_new(source, target)
        except OSError as error:
            with suppress(OSError):  # it may have the name in spite of the error; equal bytes may be another run's
                if placed is not None and os.path.samestat(placed, target.lstat()):
                    return
            if isinstance(error, FileExistsError):
                raise PublishError(f"{target} exists already", destination=str(self.root)) from error
            raise write_error(source if placed is None else target, error) from error

    def sync_folder(self, path: str) -> None:
        """Sync the names in a folder to disk."""
        folder = self.root / path
        try:
            sync_folder(folder)
        except OSError as error:
            raise write_error(folder, error) from error

    def remove(self, path: str) -> None:
        """Remove a file."""
        (self.root / path).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with all that is below it, as far as that is possible."""
        shutil.rmtree(self.root / folder, ignore_errors=True)

    def _read_back(self, target: Path, body: bytes, error: OSError) -> RunError | None:
        """Check whether the file has its name in spite of an error: on a network, a response can get lost.

        Return None if it has, else the error to raise.
        """
        try:
            is_there = stat.S_ISREG(target.lstat().st_mode) and target.read_bytes() == body
        except OSError as read_failure:
            if not isinstance(read_failure, FileNotFoundError) and error.errno not in _REFUSALS:
                return UnknownCommitError(
                    f"it is not known whether {target} was written: {error.strerror}, and it cannot be read back:"
                    f" {read_failure.strerror}",
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
            clear(draft)
            raise write_error(target, error, size_bytes=len(body)) from error
        return draft


def _raise_unless_absent(error: OSError) -> None:
    """Pass on that a folder may not be listed: it is not empty."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def stat_file(root: Path, path: str) -> os.stat_result:
    """Return the size, mode and times of a file below the root, which may itself be a link. Raises OSError.

    Raises UnexpectedFileError for a link that leads out of the root and for a pipe, which would block its reader.
    """
    at = os.fspath(root)
    for part in path.split("/"):
        at = f"{at}/{part}"
        status = os.lstat(at)
        if stat.S_ISLNK(status.st_mode):
            top = os.path.realpath(root)
            if os.path.commonpath([top, os.path.realpath(at)]) != top:
                raise UnexpectedFileError(f"{os.path.relpath(at, root)} is a link that leads out of the dataset")
            status = Path(at).stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnexpectedFileError("it is no file")
    return status


def local_folder(dest: str | os.PathLike[str]) -> Path:
    """Return the path of a destination; raises SettingsError for the URL of an object store."""
    if (address := parse_address(dest)) is not None:
        raise SettingsError(f"DEST {address.url}: only local folders can be read and written here", option="DEST")
    return Path(dest)


def write_error(path: Path, error: Exception, *, size_bytes: int | None = None) -> WriteError:
    """Make the error of a file that could not be written, with the free space where the disk is full.

    ``size_bytes`` is the size of the file, where it is known.
    """
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number else " ".join(str(error).split())
    space = free_space(path, size_bytes) if number in FULL else ""
    return WriteError(f"cannot write {path}: {reason}{space}", path=str(path))


def free_space(path: Path, size_bytes: int | None = None) -> str:
    """Describe the free space of a path's file system, as the end of an error message."""
    try:
        disk = os.statvfs(next(folder for folder in path.absolute().parents if folder.is_dir()))
    except OSError:
        return ""
    if disk.f_files and not disk.f_favail:
        return "; no inode is free there, so no file can be added"
    needed = f", {size_bytes:,} are needed" if size_bytes else ""
    return f"; {disk.f_bavail * disk.f_frsize:,} bytes are free there{needed}"


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Sync a file's bytes to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Sync the names in a folder to disk, where the file system supports it; network file systems may not."""
    try:
        sync_file(path)
    except OSError as error:
        if error.errno not in _SYNC_NOT_SUPPORTED:
            raise


def clear(path: Path) -> None:
    """Remove a file; an error here must not hide the error before it."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
