"""The files of a store as ``verify`` reads them: sizes, hashes, and copies on this machine. Blocking.

A folder is read in place. A bucket is listed once, and each object is read once, from the bucket and not from the
cache: into a private temporary folder where its rows are checked, and through memory alone where its hash is enough.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, Self

from lexport.dataset.local import LocalStore, hash_file
from lexport.dataset.store import Store, UnavailableError

_CHUNK_BYTES = 8 * 2**20


class LocalFiles:
    """The files below some folders of a store."""

    def __init__(self, store: Store, folders: Iterable[str]) -> None:
        self.store = store
        self._resources = ExitStack()
        self._copies: Path | None = None
        self._has_ended = False
        self._sizes: dict[str, int] = {}
        if not isinstance(store, LocalStore):
            self._sizes = {file.path: file.size_bytes for folder in folders for file in store.files(folder)}

    def __enter__(self) -> Self:
        if not isinstance(self.store, LocalStore):
            create = tempfile.TemporaryDirectory(prefix="lexport-verify-", ignore_cleanup_errors=True)
            self._copies = Path(self._resources.enter_context(create))
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def below(self, *folders: str) -> Iterator[str]:
        """Yield the paths of all files below some of the folders, sorted within each."""
        for folder in folders:
            if self._copies is None:
                yield from (file.path for file in self.store.files(folder))
            else:
                yield from sorted(path for path in self._sizes if path.startswith(f"{folder}/"))

    def size_of(self, path: str) -> int:
        """Return the size of a file; raises OSError as ``Store.stat``."""
        if self._copies is None:
            return self.store.stat(path).size_bytes
        if path not in self._sizes:
            raise FileNotFoundError(path)
        return self._sizes[path]

    def exists(self, path: str) -> bool:
        """Return whether there is something of this name."""
        try:
            self.size_of(path)
        except FileNotFoundError:
            return False
        except OSError:  # a pipe, for example, which is reported elsewhere
            pass
        return True

    def hash(self, path: str, *, is_kept: bool) -> str:
        """Return the SHA-256 of a file in hex; with ``is_kept``, ``path_of`` has it until ``drop``. Raises OSError."""
        if self._copies is None:
            return hash_file(self.path_of(path))
        hasher = hashlib.sha256()
        copy = self.path_of(path)
        if is_kept and not self._has_ended:
            copy.parent.mkdir(parents=True, exist_ok=True)
        with copy.open("wb") if is_kept else nullcontext() as out:
            for chunk in self._chunks(path):
                hasher.update(chunk)
                _write(out, chunk)
        return hasher.hexdigest()

    def path_of(self, path: str) -> Path:
        """Return the path on this machine of a file that was kept."""
        return Path(self.store.url, path) if self._copies is None else self._copies / path

    def drop(self, paths: Iterable[str]) -> None:
        """Remove the copies of files that are not needed any more."""
        if self._copies is not None:
            for path in paths:
                with suppress(OSError):
                    self.path_of(path).unlink()

    def interrupt(self) -> None:
        """End what other threads read of a bucket after the chunk that each waits for."""
        self._has_ended = True

    def _chunks(self, path: str) -> Iterator[bytes]:
        size_bytes, start = self.size_of(path), 0
        while start < size_bytes:
            chunk = self.store.read_range(path, start, min(_CHUNK_BYTES, size_bytes - start))
            if self._has_ended:
                raise UnavailableError(errno.EINTR, os.strerror(errno.EINTR), path)
            if not chunk:
                return  # it became shorter since it was listed, which shows in its hash
            if self.store.moved is not None:
                self.store.moved.add(copied_bytes=len(chunk))
            yield chunk
            start += len(chunk)


def _write(out: BinaryIO | None, chunk: bytes) -> None:
    if out is not None:
        out.write(chunk)
