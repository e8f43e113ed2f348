"""The store in a bucket, on obstore; see store.py.

An object is written with one PUT, also a large one: it comes from a file that is mapped into memory, has its length and
a checksum with it, and can be made conditional. So there are no parts of uploads that could be left behind.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
import obstore.exceptions

from lexport.dataset.answers import Answer, Outcome, is_out_of_range
from lexport.dataset.copies import AskedFile, Copies
from lexport.dataset.pages import Pages, list_folder, whole
from lexport.dataset.requests import Requests, StillFailingError
from lexport.dataset.scratch import open_temporary
from lexport.dataset.store import MOST_READ_BYTES, Moved, NamedFile, StoredFile, UnexpectedFileError, announce
from lexport.errors import PublishError, UnknownCommitError, WriteDeniedError, WriteError

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta, PutMode
    from obstore.store import ObjectStore

T = TypeVar("T")

CHUNK_BYTES = 8 * 2**20
FIRST_BYTES = 2**20
MOST_OBJECT_BYTES = 5 * 10**9
"""The longest object of one PUT. Source: S3, GCS and Azure allow 5 GB and more."""


class CloudStore:
    """A prefix of a bucket. Made by ``open_store``."""

    def __init__(
        self, url: str, prefix: str, requests: Requests, *, cache_size_bytes: int, caches_values: bool = False
    ) -> None:
        self._url = url
        self._prefix = prefix
        self._requests = requests
        self._caches_values = caches_values
        self._moved = Moved()
        self._copies = Copies(cache_size_bytes, self._moved)
        announce(self)

    def __repr__(self) -> str:
        return f"CloudStore({self._url!r})"

    def interrupt(self) -> None:
        """End downloads after the chunk that each waits for."""
        self._copies.interrupt()

    def close(self) -> None:
        """Let files in the cache be evicted, and remove private copies."""
        self._copies.close()

    @property
    def url(self) -> str:
        """The URL of the prefix."""
        return self._url

    @property
    def file_mode(self) -> int:
        """The mode of files that are written on this machine for it."""
        return 0o600

    @property
    def moved(self) -> Moved:
        """The bytes of objects that were received and sent."""
        return self._moved

    @property
    def caches_values(self) -> bool:
        """Whether copies of files with environment values may stay on this machine."""
        return self._caches_values

    # --- reading ------------------------------------------------------------------------------------------------------

    def names(self, folder: str) -> list[str]:
        """List the names in a folder with one listing by delimiter."""
        key = self._key(folder)
        found = self._requests.repeat(self._target(folder), lambda client: list_folder(client, key, self._requests))
        skipped = len(key) + 1 if key else 0
        return sorted(name for path in found if (name := path[skipped:]))

    def files(self, folder: str) -> Iterator[StoredFile]:
        """Yield every object below a folder; a listing that breaks off goes on after the last object it named."""
        key, target = self._key(folder), self._target(folder)
        pages = Pages(key, self._requests)
        while (page := self._requests.repeat(target, pages.next_page)) is not None:
            yield from map(self._stored, page)

    def stat(self, path: str) -> StoredFile:
        """Return what a HEAD request says."""
        return self._stored(self._of_object(path, lambda client: obstore.head(client, self._key(path))))

    def _of_object(self, path: str, request: Callable[[ObjectStore], T], *, size_bytes: int = 0) -> T:
        """Make a request about an object.

        S3 answers 403 for an absent object to who may not list the bucket, or only below the prefix; a listing of its
        folder tells.
        """
        try:
            return self._requests.repeat(self._target(path), request, size_bytes=size_bytes)
        except PermissionError:
            folder, _, name = path.rpartition("/")
            try:
                is_absent = name not in self.names(folder)
            except OSError:
                is_absent = False
            if not is_absent:
                raise
        raise FileNotFoundError(errno.ENOENT, "it does not exist", self._target(path))

    def read(self, path: str, *, most_bytes: int = MOST_READ_BYTES) -> bytes:
        """Read an object. Its length comes with its first bytes: they are all there is of nearly every one."""

        def get_first(client: ObjectStore) -> tuple[bytes, int, str | None]:
            try:
                result = obstore.get(client, self._key(path), options={"range": (0, FIRST_BYTES)})
            except obstore.exceptions.GenericError as error:
                if is_out_of_range(error):  # an empty object has no range
                    return b"", 0, None
                raise
            size_bytes = result.meta["size"]
            if size_bytes > most_bytes:
                raise UnexpectedFileError(f"it has {size_bytes:,} bytes, more than {most_bytes:,}")
            return whole(bytes(result.bytes()), min(size_bytes, FIRST_BYTES)), size_bytes, result.meta["e_tag"]

        def get_rest(client: ObjectStore) -> bytes:
            options: GetOptions = {"range": (len(body), size_bytes)}
            if e_tag is not None:
                options["if_match"] = e_tag
            part = bytes(obstore.get(client, self._key(path), options=options).bytes())
            return whole(part, size_bytes - len(body))

        body, size_bytes, e_tag = self._of_object(path, get_first)
        if len(body) < size_bytes:
            body += self._of_object(path, get_rest, size_bytes=size_bytes)
        self._moved.add(received_bytes=len(body))
        return body

    def read_range(self, path: str, start: int, length: int) -> bytes:
        """Read a part of an object."""
        return self._range(path, start, length) if length > 0 else b""

    def _range(self, path: str, start: int, length: int, *, is_exact: bool = False) -> bytes:
        """Read a part; where it has to be ``is_exact``, an answer that is shorter is another failed attempt."""

        def get(client: ObjectStore) -> bytes:
            try:
                part = bytes(obstore.get_range(client, self._key(path), start=start, length=length))
            except obstore.exceptions.GenericError as error:
                if is_out_of_range(error) and not is_exact:
                    return b""
                raise
            return whole(part, length) if is_exact else part

        body = self._of_object(path, get, size_bytes=length)
        self._moved.add(received_bytes=len(body))
        return body

    def local_copy(self, path: str, *, size_bytes: int, sha256: str) -> Path:
        """Return the path of the file in the cache."""
        return self.local_copies([AskedFile(path, size_bytes, sha256)])[0]

    def local_copies(self, files: Iterable[NamedFile], *, has_values: bool = False) -> list[Path]:
        """Download what the cache does not have, and return the paths of all."""
        return self._copies.paths([*files], self._chunks, is_private=has_values and not self._caches_values)

    def local_root(self, *, has_values: bool = False) -> Path:
        """Return the folder of what this store holds of the cache."""
        return self._copies.root(is_private=has_values and not self._caches_values)

    def _chunks(self, path: str, size_bytes: int) -> Iterator[bytes]:
        """Yield the bytes of an object that should have this size. Raises OSError where it has another."""
        target = self._target(path)
        found = self.stat(path).size_bytes
        if found != size_bytes:
            raise OSError(errno.EIO, f"it has {found:,} bytes, the manifest says {size_bytes:,}", target)
        for start in range(0, size_bytes, CHUNK_BYTES):
            length = min(CHUNK_BYTES, size_bytes - start)
            yield self._range(path, start, length, is_exact=True)

    # --- writing ------------------------------------------------------------------------------------------------------

    def fetch(self, path: str, folder: Path, *, size_bytes: int) -> Path:
        """Download a file into a folder."""
        target = folder / f"{os.urandom(8).hex()}-{path.rpartition('/')[2]}"
        with target.open("xb") as file:
            for chunk in self._chunks(path, size_bytes):
                file.write(chunk)
        return target

    def open_scratch(self, run: str) -> Path:
        """Create a temporary folder for the drafts of a run."""
        try:
            return open_temporary(run)
        except OSError as error:
            folder = error.filename or tempfile.gettempdir()
            raise WriteError(f"cannot write {folder}: {error.strerror}", path=str(folder)) from error

    def place(self, source: Path, path: str, *, sha256: str | None = None) -> None:
        """Send a file with one PUT that is refused where the name is taken."""
        try:
            body = _mapped(source)
        except OSError as error:
            raise WriteError(f"cannot read {source}: {error.strerror}", path=str(source)) from error
        found = hashlib.sha256(body).hexdigest()
        if sha256 is not None and found != sha256:
            raise WriteError(
                f"{source} was changed before it was sent: its SHA-256 is {found}, not {sha256}", path=str(source)
            )
        try:
            self._create(path, body, found)
        except UnknownCommitError as error:
            raise WriteError(str(error), path=error.path) from error

    def sync_folder(self, folder: str) -> None:
        """Do nothing: an object is there when the answer to its PUT has come."""

    def create(self, path: str, body: bytes) -> OSError | None:
        """Create an object with If-None-Match."""
        self._create(path, body, hashlib.sha256(body).hexdigest())
        return None

    def _create(self, path: str, body: Any, sha256: str) -> None:
        """Create an object. After a lost answer the object is read back before anything is called a conflict."""
        target, size_bytes = self._target(path), len(body)
        if size_bytes > MOST_OBJECT_BYTES:
            raise WriteError(f"cannot write {target}: it has {size_bytes:,} bytes, more than 5 GB", path=target)
        was_lost = may_come_later = False
        try:
            for answer in self._requests.failures(lambda: self._put(path, body, "create")):
                was_lost |= answer.outcome in _LOST
                may_come_later |= answer.outcome is Outcome.LOST
                if answer.outcome is Outcome.TAKEN and not was_lost:
                    raise self._taken(target)
                if answer.outcome in _READ_BACK and self._is_there(path, size_bytes, sha256, answer):
                    if was_lost:
                        return
                    raise self._taken(target)
        except StillFailingError as failing:
            answer = failing.answer
        else:
            return
        if may_come_later:
            raise _unknown(target, answer, "it is not there yet, and a request that was lost may still be carried out")
        raise _write_error(target, answer) from answer.error(target)

    def _is_there(self, path: str, size_bytes: int, sha256: str, answer: Answer) -> bool:
        """Return whether the object has these bytes; False where it is absent. Raises PublishError for other bytes."""
        target = self._target(path)
        try:
            hasher = hashlib.sha256()
            is_equal = self.stat(path).size_bytes == size_bytes
            for chunk in self._chunks(path, size_bytes) if is_equal else ():
                hasher.update(chunk)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unknown(target, answer, error.strerror or str(error)) from error
        if is_equal and hasher.hexdigest() == sha256:
            return True
        raise self._taken(target)

    def _put(self, path: str, body: Any, mode: PutMode) -> None:
        client = self._requests.client(len(body))
        obstore.put(client, self._key(path), body, mode=mode, use_multipart=False)
        self._moved.add(sent_bytes=len(body))

    def _taken(self, target: str) -> PublishError:
        return PublishError(f"{target} exists already", destination=self.url)

    def replace(self, path: str, body: bytes) -> None:
        """Write an object over the one before."""
        try:
            for _ in self._requests.failures(lambda: self._put(path, body, "overwrite")):
                pass
        except StillFailingError as failing:
            target = self._target(path)
            raise _write_error(target, failing.answer) from failing.answer.error(target)

    def swap(self, path: str, body: bytes, *, expected: bytes | None) -> bool:
        """Write an object with If-Match of the ETag that the expected content has."""
        target = self._target(path)
        if expected is None:
            try:
                self.create(path, body)
            except PublishError:
                return False
            return True
        was_lost = False

        def send() -> None:
            result = obstore.get(self._requests.client(), self._key(path))
            found = b"" if result.meta["size"] > most_bytes else bytes(result.bytes())
            if found != expected:
                raise _ChangedError(is_ours=was_lost and found == body)
            held = {"e_tag": result.meta["e_tag"], "version": result.meta["version"]}
            mode: Any = {name: value for name, value in held.items() if value is not None}
            self._put(path, body, mode)

        most_bytes = max(len(expected), len(body))
        try:
            for answer in self._requests.failures(send):
                was_lost |= answer.outcome in _LOST
                if answer.outcome is Outcome.ABSENT or (answer.outcome is Outcome.TAKEN and not was_lost):
                    return False
        except _ChangedError as changed:
            return changed.is_ours
        except StillFailingError as failing:
            raise _write_error(target, failing.answer) from failing.answer.error(target)
        return True

    def remove(self, path: str) -> None:
        """Delete an object."""
        with suppress(FileNotFoundError):
            self._requests.repeat(self._target(path), lambda client: obstore.delete(client, self._key(path)))

    def remove_folder(self, folder: str) -> None:
        """Delete every object below a folder."""
        with suppress(OSError):
            for file in self.files(folder):
                with suppress(OSError):
                    self.remove(file.path)

    # --- names --------------------------------------------------------------------------------------------------------

    def _key(self, path: str) -> str:
        """Return the key of a path; a path that could leave the prefix is refused."""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts or path.startswith("/"):
            raise OSError(errno.EINVAL, "the path leads out of the destination", path)
        return "/".join([*([self._prefix] if self._prefix else []), *parts])

    def _target(self, path: str) -> str:
        return f"{self._url}/{path}" if path else self._url

    def _stored(self, meta: ObjectMeta) -> StoredFile:
        skipped = len(self._prefix) + 1 if self._prefix else 0
        return StoredFile(
            path=meta["path"][skipped:], size_bytes=meta["size"], modified_at=meta["last_modified"].astimezone(UTC)
        )


_LOST = {Outcome.BROKEN, Outcome.LOST}
_READ_BACK = {Outcome.TAKEN, Outcome.CONFLICT, *_LOST}


class _ChangedError(Exception):
    def __init__(self, *, is_ours: bool) -> None:
        super().__init__()
        self.is_ours = is_ours


def _write_error(target: str, answer: Answer) -> WriteError:
    is_denied = answer.outcome in (Outcome.DENIED, Outcome.EXPIRED)
    return (WriteDeniedError if is_denied else WriteError)(f"cannot write {target}: {answer.text}", path=target)


def _unknown(target: str, answer: Answer, why: str) -> UnknownCommitError:
    return UnknownCommitError(
        f"it is not known whether {target} was written: {answer.text}, and it cannot be read back: {why}", path=target
    )


def _mapped(source: Path) -> Any:
    """Map a file into memory, so that a large one is sent without a copy of it. An empty one is ``b""``.

    The mapping ends when nobody refers to it: obstore may do so for a moment after a request that was given up.
    """
    with source.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
