"""A partial download: a file on this machine that one process at a time writes and hashes. Blocking."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from lexport.dataset.local import FULL, free_space, write_error
from lexport.errors import PackageError, WriteError

MAX_PARTIAL_DOWNLOADS = 16
"""Partial downloads of one package: this many runs at once may fetch it into one folder, each its own copy."""
READ_BYTES = 1024 * 1024


@dataclass(slots=True)
class PartialDownload:
    """One package that is being downloaded; ``size_bytes`` of it are on disk and hashed.

    Only one thread at a time uses the file, and holds ``in_use``: a task that is cancelled leaves its thread running,
    and ``close`` waits for that thread, so that nothing is written to a descriptor that another file may have taken.
    """

    path: Path
    descriptor: int
    size_bytes: int = 0
    in_use: AbstractContextManager[object] = field(default_factory=RLock)
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def sha256_hex(self) -> str:
        """The hash of the bytes on disk."""
        return self._hash.hexdigest()

    def write(self, parts: Iterable[bytes]) -> None:
        """Hash and append. If the disk is full, truncate the file to free its space and raise PackageError."""
        with self.in_use:
            try:
                for part in parts:
                    self._hash.update(part)
                    view = memoryview(part)
                    while view:
                        view = view[os.write(self.descriptor, view) :]
                    self.size_bytes += len(part)
            except OSError as error:
                if error.errno in FULL:
                    self.restart()
                raise disk_error(self.path, error) from error

    def restart(self) -> None:
        """Drop the bytes received so far."""
        with self.in_use:
            try:
                os.ftruncate(self.descriptor, 0)
                os.lseek(self.descriptor, 0, os.SEEK_SET)
            except OSError as error:
                raise disk_error(self.path, error) from error
            self._hash, self.size_bytes = hashlib.sha256(), 0

    def sync(self) -> None:
        """Sync the bytes to disk."""
        with self.in_use:
            try:
                os.fsync(self.descriptor)
            except OSError as error:
                raise disk_error(self.path, error) from error

    def remove(self) -> None:
        """Remove the file, whose bytes are stored; where that fails, the next run that opens it removes it."""
        with self.in_use, suppress(OSError):
            if os.path.samestat(os.fstat(self.descriptor), self.path.lstat()):  # another run may have taken the name
                self.path.unlink()

    def close(self) -> None:
        """Release the lock. The bytes stay for the next run; an empty file is removed."""
        with self.in_use:
            if not self.size_bytes:
                self.remove()
            with suppress(OSError):  # what was stored was synced before
                os.close(self.descriptor)
            self.descriptor = -1


def open_partial(folder: Path, sha256_hex: str, *, file_mode: int) -> PartialDownload:
    """Open and lock the partial download of an earlier run, or an empty one; the caller closes it.

    If another run holds the lock, the next file name is taken.
    """
    try:
        for number in range(MAX_PARTIAL_DOWNLOADS):
            path = folder / (f"{sha256_hex}.{number}.part" if number else f"{sha256_hex}.part")
            descriptor = _lock(path, file_mode)
            if descriptor is not None:
                return _reread(PartialDownload(path, descriptor))
    except OSError as error:
        raise disk_error(folder, error) from error
    raise PackageError(
        f"{MAX_PARTIAL_DOWNLOADS} runs fetch this package into {folder} already; wait for them", code="busy"
    )


def remove_linked(folder: Path, stored: Path) -> None:
    """Remove partial downloads that are the stored file too: a run was killed between storing and removing them."""
    with suppress(OSError):
        status = stored.lstat()
        if status.st_nlink > 1:
            for path in folder.glob(f"{stored.stem}*.part"):
                if os.path.samestat(status, path.lstat()):
                    path.unlink()


def _lock(path: Path, mode: int) -> int | None:
    """Open and lock a partial download; return None if another process or another download holds the lock."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            opened, on_disk = os.fstat(descriptor), path.stat()
            if (opened.st_dev, opened.st_ino) == (on_disk.st_dev, on_disk.st_ino):
                if opened.st_nlink == 1:
                    os.fchmod(descriptor, mode)
                    return descriptor
                path.unlink()  # a run was killed after it linked the file into the store, where it must not change
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the previous holder moved this file into the store, so the name is free: try again


def _reread(partial: PartialDownload) -> PartialDownload:
    """Hash the bytes of an earlier run: they count only as far as they can be read back."""
    while os.fstat(partial.descriptor).st_size > partial.size_bytes and (
        part := os.read(partial.descriptor, READ_BYTES)
    ):
        partial._hash.update(part)  # noqa: SLF001 - of this file
        partial.size_bytes += len(part)
    return partial


def disk_error(path: Path, error: OSError) -> PackageError | WriteError:
    """Return a PackageError for a full disk, since the next package may be smaller; a WriteError ends the run."""
    if error.errno in FULL:
        return PackageError(
            f"no disk space for the package at {path.parent} ({error.strerror}{free_space(path)}); free some, or"
            " give --max-package-size",
            code="disk_full",
        )
    return write_error(path, error)
