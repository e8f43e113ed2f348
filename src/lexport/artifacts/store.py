"""Where packages lie below a destination: the store, named by content, and the drafts of those still on their way.

    packages/sha256/ab/ab12….zip           whole and verified, never changed
    _staging/packages/ab12….part           what came so far; whoever holds its lock writes it

Blocking: callers run it in a worker thread.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lexport.dataset.data_files import hash_file
from lexport.dataset.local import FULL, LocalStore, room_left, sync_folder, write_error
from lexport.dataset.manifest import PACKAGES, STAGING, package_path
from lexport.errors import PackageError, WriteError

DRAFTS = f"{STAGING}/{PACKAGES}"
MOST_DRAFTS = 16
"""Of one package: as many runs at once may fetch it into one destination, each into a draft of its own."""
READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PackagePlaces:
    """The packages of one destination."""

    store: LocalStore

    def find(self, sha256_hex: str, size_bytes: int | None) -> int | None:
        """Return the size of a package that is stored and whole, None where it has to be fetched.

        The size is compared always. Where it is off or not known, the hash decides: a file that does not hold what its
        name says is damaged, and is removed.
        """
        path = self.store.root / package_path(sha256_hex)
        try:
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_size == size_bytes:
                return size_bytes
            if stat.S_ISREG(found.st_mode) and hash_file(path) == sha256_hex:
                return found.st_size
            path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _refusal(path, error) from error
        return None

    def open_draft(self, sha256_hex: str) -> Draft:
        """Open what an earlier run left of a package, or an empty draft; close it with ``close``.

        The draft is locked. One that another run holds is left to it, and the next name is taken.
        """
        folder = self.store.root / DRAFTS
        try:
            self.store.make_folder(DRAFTS)
            for number in range(MOST_DRAFTS):
                path = folder / (f"{sha256_hex}.{number}.part" if number else f"{sha256_hex}.part")
                descriptor = _lock(path, self.store.file_mode)
                if descriptor is not None:
                    return _reread(Draft(self, path, descriptor))
        except OSError as error:
            raise _refusal(folder, error) from error
        raise PackageError(
            f"{MOST_DRAFTS} runs fetch this package into {self.store.root} already; wait for them", code="busy"
        )


@dataclass(slots=True)
class Draft:
    """One package on its way: ``size_bytes`` are on disk and hashed."""

    places: PackagePlaces
    path: Path
    descriptor: int
    size_bytes: int = 0
    is_kept: bool = False
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def sha256_hex(self) -> str:
        """The hash of what is on disk."""
        return self._hash.hexdigest()

    def write(self, parts: Iterable[bytes]) -> None:
        """Hash and append. Where the disk is full, the draft gives back what it took and PackageError is raised."""
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
            raise _refusal(self.path, error) from error

    def restart(self) -> None:
        """Forget what came so far."""
        try:
            os.ftruncate(self.descriptor, 0)
            os.lseek(self.descriptor, 0, os.SEEK_SET)
        except OSError as error:
            raise _refusal(self.path, error) from error
        self._hash, self.size_bytes = hashlib.sha256(), 0

    def keep(self) -> str:
        """Move the draft into the store under its own hash, on disk when it returns; return the path.

        Where a file of the same size has the name already, that one stays. One step, so that a run that is killed
        leaves a draft or a package, not both; two at once replace a package by itself.
        """
        path = package_path(self.sha256_hex)
        target = self.places.store.root / path
        try:
            os.fsync(self.descriptor)
            self.places.store.make_folder(str(Path(path).parent))
            try:
                is_there = target.lstat().st_size == self.size_bytes
            except FileNotFoundError:
                is_there = False
            if is_there:
                with suppress(OSError):  # a draft more, which the next run finds
                    self.path.unlink()
            else:
                self.path.replace(target)
            self.is_kept = True
            sync_folder(target.parent)
        except OSError as error:
            raise _refusal(target, error) from error
        return path

    def close(self) -> None:
        """Let go of the draft. What is in it stays for the next run, an empty one goes."""
        if not self.size_bytes and not self.is_kept:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
        with suppress(OSError):  # what counts was synced
            os.close(self.descriptor)


def _lock(path: Path, mode: int) -> int | None:
    """Open a draft and lock it; None where another process, or another download of this one, holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            here, there = os.fstat(descriptor), path.stat()
            if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
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
        os.close(descriptor)  # who held it before has stored it meanwhile: this file has no name any more


def _reread(draft: Draft) -> Draft:
    """Hash what an earlier run left: its bytes count only as far as they can be read again."""
    while part := os.read(draft.descriptor, READ_BYTES):
        draft._hash.update(part)  # noqa: SLF001 - of this file
        draft.size_bytes += len(part)
    return draft


def _refusal(path: Path, error: OSError) -> PackageError | WriteError:
    """Make our error: a full disk loses one package, and the next may be smaller; anything else ends the run."""
    if error.errno in FULL:
        return PackageError(
            f"there is no room for the package at {path.parent} ({error.strerror}{room_left(path)}); free some, or"
            " give --max-package-size",
            code="disk_full",
        )
    return write_error(path, error)
