"""A store: what lexport needs of the place where a dataset lies, a folder or a bucket.

Paths are relative to the destination and use ``/``. Every method is blocking, so callers run it in a worker thread.
A store raises OSError for every failure, also that of a bucket: FileNotFoundError, PermissionError, UnavailableError,
or another OSError whose ``strerror`` says what came back. No message has a credential or a presigned URL. Methods that
write raise the RunErrors that are named with them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

MOST_READ_BYTES = 64 * 2**20
"""The longest file that is read whole; a manifest of 150,000 account-regions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of a store; ``modified_at`` is the store's own time in UTC."""

    path: str
    size_bytes: int
    modified_at: datetime


class NamedFile(Protocol):
    """A file as a manifest names it."""

    @property
    def path(self) -> str:
        """The path, relative to the destination."""

    @property
    def size_bytes(self) -> int:
        """The size."""

    @property
    def sha256(self) -> str:
        """The SHA-256 in hexadecimal."""


class Moved:
    """What a bucket cost: bytes received and sent, those of data files among them, and files that were cached."""

    def __init__(self) -> None:
        self.received_bytes = self.sent_bytes = self.copied_bytes = self.cached_files = 0
        self._lock = threading.Lock()

    def add(
        self, *, received_bytes: int = 0, sent_bytes: int = 0, copied_bytes: int = 0, cached_files: int = 0
    ) -> None:
        """Count."""
        with self._lock:
            self.received_bytes += received_bytes
            self.sent_bytes += sent_bytes
            self.copied_bytes += copied_bytes
            self.cached_files += cached_files


class Bucket(Protocol):
    """The part of a bucket's store that its process ends it by."""

    @property
    def url(self) -> str:
        """What messages call it."""

    @property
    def moved(self) -> Moved:
        """What was moved so far."""

    def close(self) -> None:
        """Let its files in the cache be evicted, and remove private copies."""


_LISTENERS: list[Callable[[Bucket], object]] = []


def announce(bucket: Bucket) -> None:
    """Name a store of a bucket that was opened to the blocks of ``close_buckets`` that are running."""
    for listener in _LISTENERS:
        listener(bucket)


@contextmanager
def close_buckets() -> Iterator[list[Bucket]]:
    """Collect the stores of buckets that are opened within the block, in any thread, and close them at its end."""
    buckets: list[Bucket] = []
    _LISTENERS.append(buckets.append)
    try:
        yield buckets
    finally:
        _LISTENERS.remove(buckets.append)
        for bucket in buckets:
            bucket.close()


class UnavailableError(OSError):
    """A bucket did not answer a request, after all attempts, or refused it for a reason that is not the file's.

    It says nothing about a file: it is neither absent nor damaged.
    """


class UnexpectedFileError(OSError):
    """lexport cannot have written this file: a pipe, a folder, a link that leads out, or far too long."""


class Store(Protocol):
    """One destination. Two objects may stand for the same one, in different processes and on different machines."""

    @property
    def url(self) -> str:
        """What messages call the destination: the absolute path of a folder, or ``s3://bucket/prefix``."""

    @property
    def file_mode(self) -> int:
        """The mode of files that are written on this machine for it."""

    @property
    def moved(self) -> Moved | None:
        """What was moved to and from a bucket; None for a folder."""

    @property
    def caches_values(self) -> bool:
        """Whether copies of files with environment values may stay on this machine."""

    def interrupt(self) -> None:
        """End downloads of other threads soon; nothing is read with this store any more."""

    # --- reading ------------------------------------------------------------------------------------------------------

    def names(self, folder: str) -> list[str]:
        """List the names of files and folders in a folder, sorted; an absent folder is empty.

        A listing shows every file that was created before it began.
        """

    def files(self, folder: str) -> Iterator[StoredFile]:
        """Yield every file below a folder, however deep, sorted by path; an absent folder is empty."""

    def stat(self, path: str) -> StoredFile:
        """Return what is known of a file. Raises FileNotFoundError where it is absent, OSError where it is no file.

        In a folder, a link that leads out of the destination and a pipe are no files of it.
        """

    def read(self, path: str, *, most_bytes: int = MOST_READ_BYTES) -> bytes:
        """Read a whole file of at most ``most_bytes``; raises UnexpectedFileError for a longer one, and as ``stat``."""

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """Read at most ``length`` bytes from ``start``; fewer only at the end of the file."""

    def local_copy(self, path: str, *, size_bytes: int, sha256: str) -> Path:
        """Return the path of a file on this machine that has these bytes; the caller only reads it.

        A folder returns the file itself and compares its size alone. A bucket downloads it into the cache, where it is
        not there yet, and compares size and SHA-256. Raises FileNotFoundError where it is absent, and OSError where its
        size or hash differs.
        """

    def local_copies(self, files: Iterable[NamedFile], *, has_values: bool = False) -> list[Path]:
        """Return the paths of ``local_copy`` of several files, which a bucket downloads several at once.

        ``has_values`` says that they have environment values in the clear, which are not cached by default. Raises
        OSError after all that can be downloaded were, and RunError where this machine has no room for them.
        """

    def local_root(self, *, has_values: bool = False) -> Path:
        """Return the folder of this machine in which local copies have the paths of their files."""

    def fetch(self, path: str, folder: Path, *, size_bytes: int) -> Path:
        """Return the path of a file on this machine that has the bytes of a file of this size, to be read at once.

        A folder returns the file itself, a bucket downloads it into ``folder``, which the caller removes. Raises as
        ``local_copy``; the caller compares the hash.
        """

    # --- writing ------------------------------------------------------------------------------------------------------

    def open_scratch(self, run: str) -> Path:
        """Create a private folder on this machine for the drafts of a run, from which ``place`` takes files.

        The caller removes it. It is not part of the dataset; in a folder, it is below ``_staging/<run>``.
        """

    def place(self, source: Path, path: str, *, sha256: str | None = None) -> None:
        """Give a finished, synced file of this machine its final name, which must be free. ``source`` may remain.

        The file appears whole or not at all. It survives a loss of power after ``sync_folder`` of its folder.
        Raises PublishError where the name is taken, WriteError where it was not written. A store that sends the file
        sends its SHA-256 along, where it is given.
        """

    def sync_folder(self, folder: str) -> None:
        """Make the names in a folder survive a loss of power. Raises WriteError."""

    def create(self, path: str, body: bytes) -> OSError | None:
        """Create a file only if it is absent, whole or not at all, whatever other writers do at the same time.

        Return None, or the error that came after the file got its name: it is there, but may not survive a loss of
        power. Raises PublishError where the name is taken, WriteError where the file was not written, and
        UnknownCommitError where neither can be determined. After an answer that was lost, the file is read back: equal
        bytes are taken for this writer's own, so what two writers may create must differ by a name or a random text.
        """

    def replace(self, path: str, body: bytes) -> None:
        """Write a file that this process alone writes; readers see the old or the new one, whole. Raises WriteError."""

    def swap(self, path: str, body: bytes, *, expected: bytes | None) -> bool:
        """Write a file if its content is still ``expected`` (None: absent); return whether it was written.

        In a bucket the comparison and the write are one step. Raises WriteError.
        """

    def remove(self, path: str) -> None:
        """Remove a file; an absent file is no error. Raises OSError."""

    def remove_folder(self, folder: str) -> None:
        """Remove everything below a folder, as far as that is possible; errors are ignored."""
