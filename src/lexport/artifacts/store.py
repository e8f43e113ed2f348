"""The package store of a destination: packages named by their content, and partial downloads. Blocking.

_packages/sha256/ab/ab12….zip          complete and verified, never changed
_staging/packages/ab12….part           a partial download; the process that holds its lock writes it
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from lexport.dataset.data_files import hash_file
from lexport.dataset.layout import STAGING, package_path, package_places
from lexport.dataset.local import FULL, LocalStore, UnexpectedFileError, free_space, sync_folder, write_error
from lexport.dataset.store import StoredFile
from lexport.errors import PackageError, WriteError

PARTIAL_DOWNLOADS = f"{STAGING}/packages"
MAX_PARTIAL_DOWNLOADS = 16
"""Partial downloads of one package: this many runs at once may fetch it into one destination, each its own copy."""
READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PackageStore:
    """The packages of one destination."""

    destination: LocalStore

    def find(self, sha256_hex: str, size_bytes: int | None) -> StoredFile | None:
        """Return a package that is stored complete, None where it has to be downloaded.

        The size is always compared. Where it differs or is unknown, the hash decides; a file with a wrong hash is
        damaged and is removed.
        """
        for path in package_places(sha256_hex):
            try:
                if found := self._checked(path, sha256_hex, size_bytes):
                    return found
            except OSError as error:
                raise _disk_error(self.destination.root / path, error) from error
        return None

    def _checked(self, path: str, sha256_hex: str, size_bytes: int | None) -> StoredFile | None:
        try:
            found = self.destination.stat(path)
            if found.size_bytes == size_bytes or hash_file(self.destination.root / path) == sha256_hex:
                return found
        except FileNotFoundError:
            return None
        except UnexpectedFileError:
            pass
        self.destination.remove(path)
        return None

    def open_partial(self, sha256_hex: str) -> PartialDownload:
        """Open and lock the partial download of an earlier run, or an empty one; the caller closes it.

        If another run holds the lock, the next file name is taken.
        """
        folder = self.destination.root / PARTIAL_DOWNLOADS
        try:
            self.destination.make_folder(PARTIAL_DOWNLOADS)
            for number in range(MAX_PARTIAL_DOWNLOADS):
                path = folder / (f"{sha256_hex}.{number}.part" if number else f"{sha256_hex}.part")
                descriptor = _lock(path, self.destination.file_mode)
                if descriptor is not None:
                    return _reread(PartialDownload(self, path, descriptor))
        except OSError as error:
            raise _disk_error(folder, error) from error
        raise PackageError(
            f"{MAX_PARTIAL_DOWNLOADS} runs fetch this package into {self.destination.root} already; wait for them",
            code="busy",
        )


@dataclass(slots=True)
class PartialDownload:
    """One package that is being downloaded; ``size_bytes`` of it are on disk and hashed.

    Only one thread at a time uses the file: a task that is cancelled leaves its thread running, and ``close`` waits for
    that thread, so that nothing is written to a descriptor that another file may have taken.
    """

    package_store: PackageStore
    path: Path
    descriptor: int
    size_bytes: int = 0
    is_kept: bool = False
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    _in_use: AbstractContextManager[object] = field(default_factory=RLock)

    @property
    def sha256_hex(self) -> str:
        """The hash of the bytes on disk."""
        return self._hash.hexdigest()

    def write(self, parts: Iterable[bytes]) -> None:
        """Hash and append. If the disk is full, truncate the file to free its space and raise PackageError."""
        with self._in_use:
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
                raise _disk_error(self.path, error) from error

    def restart(self) -> None:
        """Drop the bytes received so far."""
        with self._in_use:
            try:
                os.ftruncate(self.descriptor, 0)
                os.lseek(self.descriptor, 0, os.SEEK_SET)
            except OSError as error:
                raise _disk_error(self.path, error) from error
            self._hash, self.size_bytes = hashlib.sha256(), 0

    def keep(self) -> str:
        """Move the file into the store under its own hash, synced to disk; return the path.

        A stored file of the same size stays as it is. The move is one rename, so a killed run leaves a partial download
        or a package, never both; two runs at once replace a package by the same bytes.
        """
        with self._in_use:
            path = package_path(self.sha256_hex)
            target = self.package_store.destination.root / path
            try:
                os.fsync(self.descriptor)
                self.package_store.destination.make_folder(str(Path(path).parent))
                try:
                    is_stored = target.lstat().st_size == self.size_bytes
                except FileNotFoundError:
                    is_stored = False
                if is_stored:
                    with suppress(OSError):  # the next run finds the file and removes it
                        self.path.unlink()
                else:
                    self.path.replace(target)
                self.is_kept = True
                sync_folder(target.parent)
            except OSError as error:
                raise _disk_error(target, error) from error
            return path

    def close(self) -> None:
        """Release the lock. The bytes stay for the next run; an empty file is removed."""
        with self._in_use:
            if not self.size_bytes and not self.is_kept:
                with suppress(OSError):
                    self.path.unlink(missing_ok=True)
            with suppress(OSError):  # a kept file was synced before
                os.close(self.descriptor)
            self.descriptor = -1


def _lock(path: Path, mode: int) -> int | None:
    """Open and lock a partial download; return None if another process or another download holds the lock."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            opened, on_disk = os.fstat(descriptor), path.stat()
            if (opened.st_dev, opened.st_ino) == (on_disk.st_dev, on_disk.st_ino):
                os.fchmod(descriptor, mode)
                return descriptor
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
    while part := os.read(partial.descriptor, READ_BYTES):
        partial._hash.update(part)  # noqa: SLF001 - of this file
        partial.size_bytes += len(part)
    return partial


def _disk_error(path: Path, error: OSError) -> PackageError | WriteError:
    """Return a PackageError for a full disk, since the next package may be smaller; a WriteError ends the run."""
    if error.errno in FULL:
        return PackageError(
            f"no disk space for the package at {path.parent} ({error.strerror}{free_space(path)}); free some, or"
            " give --max-package-size",
            code="disk_full",
        )
    return write_error(path, error)
