"""The package store of a destination: packages named by their content. Blocking.

_packages/sha256/ab/ab12….zip          complete and verified, never changed
_staging/packages/ab12….part           a partial download into a folder; the next run continues it

Partial downloads into a bucket, and copies of its packages, are in the scratch folder of the run, on this machine.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from lexport.artifacts.partial_download import PartialDownload, disk_error, open_partial, remove_linked
from lexport.dataset.layout import FORMER_STORED_PACKAGES, STAGING, package_path, package_places
from lexport.dataset.local import FULL, LocalStore, hash_file
from lexport.dataset.store import Store, StoredFile, UnexpectedFileError
from lexport.errors import PackageError, PublishError, WriteDeniedError, WriteError

PARTIAL_DOWNLOADS = f"{STAGING}/packages"
_RANGE_BYTES = 8 * 2**20
_MOST_LISTED = 4
"""Listed folders that are kept. Packages are planned in the order of AWS's base64, in which the folders of four
consecutive hex prefixes take turns."""
_ATTEMPTS = 3


@dataclass(slots=True)
class PackageStore:
    """The packages of one destination. ``scratch`` is a folder of the run on this machine."""

    destination: Store
    scratch: Path
    _has_former: bool | None = None
    _listed: dict[str, dict[str, StoredFile]] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether packages are files of this machine."""
        return isinstance(self.destination, LocalStore)

    @property
    def disk(self) -> Path:
        """A folder on the disk that receives the downloads."""
        return self.destination.root if isinstance(self.destination, LocalStore) else self.scratch

    def open_partial(self, sha256_hex: str) -> PartialDownload:
        """Open and lock the partial download of an earlier run, or an empty one; the caller closes it."""
        try:
            folder = self._make_spool()
        except OSError as error:
            raise disk_error(Path(error.filename or self.scratch), error) from error
        return open_partial(folder, sha256_hex, file_mode=self.destination.file_mode)

    def is_known(self, sha256_hex: str) -> bool:
        """Return whether a package has a file of its name, as far as this is known without a request."""
        if not isinstance(self.destination, LocalStore):
            return False
        root = self.destination.root
        return any((root / path).exists() for path in package_places(sha256_hex))

    def find(self, sha256_hex: str, size_bytes: int | None, *, is_listed: bool = False) -> StoredFile | None:
        """Return a package that is stored complete, None where it has to be downloaded.

        The size is always compared. Where it differs or is unknown, the hash decides; a file with a wrong hash is
        damaged and is removed. With ``is_listed``, a bucket is asked for the packages of a folder at once, and what was
        stored since then is not found. Raises PackageError where a damaged file cannot be removed, else WriteError.
        """
        for path in self._places(sha256_hex):
            try:
                found = self._checked(path, sha256_hex, size_bytes, is_listed=is_listed)
            except OSError as error:
                raise self._error(path, error) from error
            if found is not None:
                if isinstance(self.destination, LocalStore):
                    remove_linked(self.destination.root / PARTIAL_DOWNLOADS, self.destination.root / path)
                return found
        return None

    def keep(self, partial: PartialDownload) -> str:
        """Store a complete download under its own hash, and remove the partial one; return the path.

        A stored file of the same size stays as it is. In a bucket, the caller need not wait for the end: what is sent
        then is the file of this name, and ``partial`` may be closed and removed meanwhile.
        """
        with partial.in_use if self.is_local else nullcontext():
            partial.sync()
            path = self._place(partial)
            partial.remove()
        return path

    @contextmanager
    def local_file(self, path: str) -> Iterator[Path]:
        """Yield a stored package as a file of this machine; that of a bucket is a copy, which is removed afterwards.

        Raises OSError.
        """
        if isinstance(self.destination, LocalStore):
            yield self.destination.root / path
            return
        with TemporaryDirectory(dir=self._make_spool(), prefix=".copy-") as folder:
            size_bytes = self.destination.stat(path).size_bytes
            copy = self.destination.fetch(path, Path(folder), size_bytes=size_bytes)
            if (digest := hash_file(copy)) != PurePosixPath(path).stem:
                raise OSError(errno.EIO, f"its bytes have the SHA-256 {digest}", path)
            yield copy

    def _make_spool(self) -> Path:
        if isinstance(self.destination, LocalStore):
            return self.destination.make_folder(PARTIAL_DOWNLOADS)
        folder = self.scratch / "packages"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _places(self, sha256_hex: str) -> tuple[str, ...]:
        """Return the paths under which a package may be stored. Most datasets have none of a former release."""
        if self._has_former is None:
            try:
                self._has_former = bool(self.destination.names(FORMER_STORED_PACKAGES))
            except OSError as error:
                raise self._error(FORMER_STORED_PACKAGES, error) from error
        return package_places(sha256_hex) if self._has_former else (package_path(sha256_hex),)

    def _checked(self, path: str, sha256_hex: str, size_bytes: int | None, *, is_listed: bool) -> StoredFile | None:
        try:
            found = self._listed_file(path) if is_listed and not self.is_local else self.destination.stat(path)
            if found is None or found.size_bytes == size_bytes or self._hash(found) == sha256_hex:
                return found
        except FileNotFoundError:
            return None
        except UnexpectedFileError:
            pass
        try:
            self.destination.remove(path)
        except PermissionError as error:
            message = f"the stored package {self._name(path)} is damaged and cannot be removed: {_reason(error)}"
            raise PackageError(message, code="damaged") from error
        return None

    def _listed_file(self, path: str) -> StoredFile | None:
        folder = str(PurePosixPath(path).parent)
        if folder not in self._listed:
            while len(self._listed) >= _MOST_LISTED:
                del self._listed[next(iter(self._listed))]
            self._listed[folder] = {file.path: file for file in self.destination.files(folder)}
        return self._listed[folder].get(path)

    def _hash(self, found: StoredFile) -> str:
        digest = hashlib.sha256()
        for part in self._parts(found):
            digest.update(part)
        return digest.hexdigest()

    def _parts(self, found: StoredFile) -> Iterator[bytes]:
        for start in range(0, found.size_bytes, _RANGE_BYTES):
            yield self.destination.read_range(found.path, start, min(_RANGE_BYTES, found.size_bytes - start))

    def _place(self, partial: PartialDownload) -> str:
        sha256_hex, path = partial.sha256_hex, package_path(partial.sha256_hex)
        for _ in range(_ATTEMPTS):
            try:
                self.destination.place(partial.path, path, sha256=sha256_hex)
                self.destination.sync_folder(str(PurePosixPath(path).parent))
            except PublishError:  # another run was faster, or the file there is damaged
                if found := self.find(sha256_hex, partial.size_bytes):
                    return found.path
            except WriteError as error:
                raise self._write_error(path, error) from error.__cause__
            else:
                return path
        raise PackageError(f"others change {self._name(path)} at the same time", code="busy")

    def _write_error(self, path: str, error: WriteError) -> PackageError | WriteError:
        """Return a PackageError where the next package may be stored all the same."""
        cause = error.__cause__
        if self.is_local:
            return self._error(path, cause) if isinstance(cause, OSError) and cause.errno in FULL else error
        return error if isinstance(error, WriteDeniedError) else PackageError(str(error), code="not_written")

    def _error(self, path: str, error: OSError) -> PackageError | WriteError:
        if isinstance(self.destination, LocalStore):
            return disk_error(self.destination.root / path, error)
        return WriteError(f"cannot read {self._name(path)}: {_reason(error)}", path=self._name(path))

    def _name(self, path: str) -> str:
        return f"{self.destination.url}/{path}"


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
