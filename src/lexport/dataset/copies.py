"""Copies of a bucket's files on this machine: in the cache, or in a private folder that is removed at the end."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lexport.dataset.cache import Cache, CachedFile, cache_folder
from lexport.dataset.store import Moved, NamedFile, UnavailableError
from lexport.errors import WriteError

DOWNLOADS = 8  # at once; each keeps one chunk in memory

_LOOKS_EVERY_S = 0.1

Chunks = Callable[[str, int], Iterable[bytes]]
"""Yields the bytes of a file, given its path and its size. Raises OSError where it has another size."""


@dataclass(frozen=True, slots=True)
class AskedFile:
    """One file that is to be copied; see ``NamedFile``."""

    path: str
    size_bytes: int
    sha256: str


class Copies:
    """What one store holds of the cache; it is let go when the store is no longer referenced."""

    def __init__(self, cache_size_bytes: int, moved: Moved) -> None:
        self._cache_size_bytes = cache_size_bytes
        self._moved = moved
        self._caches: dict[bool, Cache] = {}
        self._lock = threading.Lock()
        self._has_ended = threading.Event()

    def paths(self, files: Sequence[NamedFile], chunks: Chunks, *, is_private: bool) -> list[Path]:
        """Download what is missing, several files at once, and return the paths of all.

        Raises OSError where a file is absent or differs from its size or hash, after the others were downloaded. Raises
        RunError where there is no room for all.
        """
        with self._lock:  # a second thread would wait for nothing else
            cache = self._cache(is_private=is_private)
            new = {file.sha256 for file in files if not cache.holds(file.sha256)}
            missing = {file.sha256 for file in cache.hold(CachedFile(file.sha256, file.size_bytes) for file in files)}
            self._moved.add(cached_files=len(new - missing))
            self._download([*{file.sha256: file for file in files if file.sha256 in missing}.values()], cache, chunks)
            return [cache.link(file.sha256, file.path) for file in files]

    def root(self, *, is_private: bool) -> Path:
        """Return the folder below which the paths of files are."""
        with self._lock:
            return self._cache(is_private=is_private).links

    def interrupt(self) -> None:
        """End the downloads after the chunk that each waits for; nothing is downloaded any more."""
        self._has_ended.set()

    def close(self) -> None:
        """Let the files be evicted, and remove private copies; paths that were returned are gone.

        It does not wait for downloads, which end with their chunk.
        """
        self.interrupt()
        for cache in [*self._caches.values()]:
            cache.close()

    def _cache(self, *, is_private: bool) -> Cache:
        if is_private not in self._caches:
            folder = None if is_private else cache_folder()
            self._caches[is_private] = Cache(folder, size_bytes=self._cache_size_bytes)
        return self._caches[is_private]

    def _download(self, files: Sequence[NamedFile], cache: Cache, chunks: Chunks) -> None:
        failure: OSError | None = None
        pool = ThreadPoolExecutor(DOWNLOADS, thread_name_prefix="lexport-download")
        has_failed = threading.Event()
        try:
            downloads = [pool.submit(self._download_one, file, cache, chunks, has_failed) for file in files]
            for download in downloads:
                while not wait([download], _LOOKS_EVERY_S).done:  # a request may take minutes
                    self._check()
                try:
                    download.result()
                except UnavailableError:  # the others will get the same answer
                    raise
                except OSError as error:  # of this file alone
                    failure = failure or error
        except BaseException:  # also KeyboardInterrupt: the other downloads end after their chunk
            has_failed.set()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        if failure is not None:
            raise failure

    def _check(self, *more: threading.Event) -> None:
        """Raise UnavailableError after an interrupt."""
        if any(event.is_set() for event in (self._has_ended, *more)):
            raise UnavailableError(errno.EINTR, os.strerror(errno.EINTR))

    def _download_one(self, file: NamedFile, cache: Cache, chunks: Chunks, has_failed: threading.Event) -> None:
        draft, hasher = cache.draft(file.sha256), hashlib.sha256()
        self._check(has_failed)
        try:
            with _written(draft) as out:
                for chunk in chunks(file.path, file.size_bytes):
                    self._check(has_failed)
                    hasher.update(chunk)
                    out(chunk)
            self._moved.add(copied_bytes=file.size_bytes)
            if hasher.hexdigest() != file.sha256:
                why = f"its SHA-256 is {hasher.hexdigest()}, the manifest says {file.sha256}"
                raise OSError(errno.EIO, why, file.path)
            cache.admit(draft, file.sha256)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def _written(draft: Path) -> Iterator[Callable[[bytes], None]]:
    """Yield a function that writes a draft, which is synced at the end.

    Raises WriteError: a disk of this machine that fails says nothing about the file.
    """

    def refuse(error: OSError) -> WriteError:
        return WriteError(f"cannot write {draft}: {error.strerror}", path=str(draft))

    def write(chunk: bytes) -> None:
        view = memoryview(chunk)
        try:
            while view:  # a write may be short
                view = view[file.write(view) :]
        except OSError as error:
            raise refuse(error) from error

    try:
        file = os.fdopen(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb", 0
        )
    except OSError as error:
        raise refuse(error) from error
    with file:
        yield write
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise refuse(error) from error
