"""Copies of a bucket's files on this machine: in the cache, or in a private folder that is removed at the end."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lexport.dataset.cache import Cache, CachedFile, cache_folder
from lexport.dataset.store import Moved, NamedFile

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

        Raises OSError where a file is absent, differs from its size or hash, or where there is no room for all.
        """
        with self._lock:  # a second thread would wait for nothing else
            if is_private not in self._caches:
                self._caches[is_private] = Cache(
                    None if is_private else cache_folder(), size_bytes=self._cache_size_bytes
                )
            cache = self._caches[is_private]
            missing = {file.sha256 for file in cache.hold(CachedFile(file.sha256, file.size_bytes) for file in files)}
            self._moved.add(cached_files=len({file.sha256 for file in files} - missing))
            _download([*{file.sha256: file for file in files if file.sha256 in missing}.values()], cache, chunks)
        return [cache.path(file.sha256) for file in files]


def _download(files: Sequence[NamedFile], cache: Cache, chunks: Chunks) -> None:
    if not files:
        return
    has_ended = threading.Event()
    with ThreadPoolExecutor(min(DOWNLOADS, len(files)), thread_name_prefix="lexport-download") as pool:
        downloads = [pool.submit(_download_one, file, cache, chunks, has_ended) for file in files]
        try:
            for download in downloads:
                download.result()
        except BaseException:  # also KeyboardInterrupt: the other downloads end after their chunk
            has_ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _download_one(file: NamedFile, cache: Cache, chunks: Chunks, has_ended: threading.Event) -> None:
    draft, hasher = cache.draft(file.sha256), hashlib.sha256()
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            for chunk in chunks(file.path, file.size_bytes):
                if has_ended.is_set():
                    return
                hasher.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(descriptor)
        if hasher.hexdigest() != file.sha256:
            why = f"its SHA-256 is {hasher.hexdigest()}, the manifest says {file.sha256}"
            raise OSError(errno.EIO, why, file.path)
        cache.admit(draft, file.sha256)
    finally:
        draft.unlink(missing_ok=True)
