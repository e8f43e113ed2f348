"""Copies of a bucket's files on this machine: in the cache, or in a private folder that is removed at the end."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from lexport.dataset.cache import Cache, CachedFile, cache_folder
from lexport.dataset.store import Moved, NamedFile, UnavailableError
from lexport.errors import WriteError

DOWNLOADS = 8  # at once; each keeps one chunk in memory

Chunks = Callable[[str, int], Iterable[bytes]]
"""Yields the bytes of a file, given its path and its size. Raises OSError where it has another size."""


class Copies:
    """What one store holds of the cache; it is let go when the store is no longer referenced."""

    def __init__(self, cache_size_bytes: int, moved: Moved) -> None:
        self._cache_size_bytes = cache_size_bytes
        self._moved = moved
        self._caches: dict[bool, Cache] = {}
        self._lock = threading.Lock()

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
            _download(
                [*{file.sha256: file for file in files if file.sha256 in missing}.values()], cache, chunks, self._moved
            )
            return [cache.link(file.sha256, file.path) for file in files]

    def root(self, *, is_private: bool) -> Path:
        """Return the folder below which the paths of files are."""
        with self._lock:
            return self._cache(is_private=is_private).links

    def close(self) -> None:
        """Let the files be evicted, and remove private copies; paths that were returned are gone."""
        with self._lock:
            for cache in self._caches.values():
                cache.close()
            self._caches.clear()

    def _cache(self, *, is_private: bool) -> Cache:
        if is_private not in self._caches:
            folder = None if is_private else cache_folder()
            self._caches[is_private] = Cache(folder, size_bytes=self._cache_size_bytes)
        return self._caches[is_private]


def _download(files: Sequence[NamedFile], cache: Cache, chunks: Chunks, moved: Moved) -> None:
    if not files:
        return
    has_ended = threading.Event()
    failure: OSError | None = None
    with ThreadPoolExecutor(min(DOWNLOADS, len(files)), thread_name_prefix="lexport-download") as pool:
        downloads = [pool.submit(_download_one, file, cache, chunks, has_ended, moved) for file in files]
        try:
            for download in downloads:
                try:
                    download.result()
                except UnavailableError:  # the others will get the same answer
                    raise
                except OSError as error:  # of this file alone
                    failure = failure or error
        except BaseException:  # also KeyboardInterrupt: the other downloads end after their chunk
            has_ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failure is not None:
        raise failure


def _download_one(file: NamedFile, cache: Cache, chunks: Chunks, has_ended: threading.Event, moved: Moved) -> None:
    draft, hasher = cache.draft(file.sha256), hashlib.sha256()
    try:
        with _written(draft) as out:
            for chunk in chunks(file.path, file.size_bytes):
                if has_ended.is_set():
                    return
                hasher.update(chunk)
                out(chunk)
        moved.add(copied_bytes=file.size_bytes)
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
