"""The cache of files of a bucket: a folder of this user, bounded in size.

Files are named by their SHA-256, which is checked when they come in. A reader has hard links to those that it uses in a
folder of its own, with the paths that they have in the dataset, so that it reads no others. Each reader has a file in
``in-use`` that it keeps locked and that lists what it uses; such files are not evicted. The system drops the lock when
the process ends, however it ends. What is decided and listed is decided under the lock of the folder; downloads run
without it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lexport.errors import RunError

IN_USE = "in-use"
LINKS = "links"
LOCK = "lock"
_PART = ".part-"


def cache_folder() -> Path:
    """Return where the cache lies: ``$XDG_CACHE_HOME/lexport``, else ``~/.cache/lexport``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not Path(base).is_absolute():  # as the XDG specification says
        base = str(Path("~/.cache").expanduser())
    return Path(base) / "lexport"


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file as a manifest names it."""

    sha256: str
    size_bytes: int


class Cache:
    """One reader of a cache folder: it holds what it was given until ``close``, or until it is no longer referenced.

    ``folder`` None makes a private temporary folder, which is removed at the end.
    """

    def __init__(self, folder: Path | None, *, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.is_temporary = folder is None or not _make_private(folder)
        if folder is None or self.is_temporary:
            folder = Path(tempfile.mkdtemp(prefix="lexport-"))
            self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.folder = folder
        for name in (IN_USE, LINKS):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        with self._locked():  # another reader takes a list without a lock for that of a dead one
            descriptor, name = tempfile.mkstemp(dir=folder / IN_USE)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._list = Path(name)
        self._descriptor = descriptor
        self._mine: dict[str, int] = {}
        self.links = folder / LINKS / self._list.name
        """The folder of this reader, where its files have the paths that the dataset has for them."""
        self.links.mkdir(mode=0o700)
        self._end = weakref.finalize(self, _release, descriptor, self._list, self.links)

    def close(self) -> None:
        """Let the files be evicted, and remove a temporary folder."""
        self._end()
        if self.is_temporary:
            self._remove()

    def hold(self, files: Iterable[CachedFile]) -> list[CachedFile]:
        """Keep these files from being evicted, make room for those that are missing, and return the missing ones.

        Raises RunError where they, together with what this reader holds already, are larger than the cache, or where
        other readers hold so much that there is no room.
        """
        asked = {file.sha256: file for file in files}
        needed = sum({**self._mine, **{file.sha256: file.size_bytes for file in asked.values()}}.values())
        if needed > self.size_bytes:
            raise RunError(
                f"the files that are needed have {needed:,} bytes, and the cache may have {self.size_bytes:,}; give a"
                " larger --cache-size, or ask for less"
            )
        with self._locked():
            present = self._present()
            held = self._held_by_others()
            new = [file for file in asked.values() if file.sha256 not in self._mine]
            self._mine |= {file.sha256: file.size_bytes for file in new}
            self._write_list()
            try:
                self._evict(present, {**held, **self._mine})
            except (OSError, RunError):
                for file in new:
                    del self._mine[file.sha256]
                self._write_list()
                raise
            missing = []
            for file in asked.values():
                if present.get(file.sha256, (None,))[0] == file.size_bytes:
                    os.utime(self.path(file.sha256))  # used just now, so evicted last
                else:
                    missing.append(file)
        return missing

    def holds(self, sha256: str) -> bool:
        """Return whether this reader has asked for a file before."""
        return sha256 in self._mine

    def path(self, sha256: str) -> Path:
        """Return the path that a file has in the cache."""
        return self.folder / sha256

    def link(self, sha256: str, path: str) -> Path:
        """Give a file that is held and present its path in ``links``, which no other reader uses.

        Raises FileNotFoundError where it is not present.
        """
        link = self.links / path
        if not link.exists():
            link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                link.hardlink_to(self.path(sha256))
            except FileNotFoundError:
                raise
            except OSError:  # the file system has no hard links
                shutil.copyfile(self.path(sha256), link)
        return link

    def draft(self, sha256: str) -> Path:
        """Return the path of a draft; the name says which reader writes it, so that it is removed with it."""
        return self.folder / f"{_PART}{self._list.name}-{sha256}"

    def admit(self, draft: Path, sha256: str) -> Path:
        """Give a draft that was verified its name."""
        draft.replace(self.path(sha256))
        return self.path(sha256)

    # --- under the lock -----------------------------------------------------------------------------------------------

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _present(self) -> dict[str, tuple[int, float]]:
        """Return size and last use of every file of the cache."""
        found = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if _is_hash(entry.name):
                    with suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):
                            found[entry.name] = (status.st_size, status.st_mtime)
        return found

    def _held_by_others(self) -> dict[str, int]:
        """Return what living readers hold, with sizes; remove what dead ones left."""
        held: dict[str, int] = {}
        alive = {self._list.name}
        for path in (self.folder / IN_USE).iterdir():
            if path == self._list:
                continue
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:  # it is alive
                alive.add(path.name)
                text = path.read_text(encoding="ascii", errors="replace")
                for line in text.splitlines():
                    name, _, size = line.partition(" ")
                    if size.isdigit():
                        held[name] = int(size)
            else:
                path.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
        self._remove_others(alive)
        return held

    def _remove_others(self, alive: Collection[str]) -> None:
        """Remove drafts and links of readers that are dead."""
        for part in self.folder.glob(f"{_PART}*"):
            if part.name.removeprefix(_PART).rpartition("-")[0] not in alive:
                part.unlink(missing_ok=True)
        for links in (self.folder / LINKS).iterdir():
            if links.name not in alive:
                shutil.rmtree(links, ignore_errors=True)

    def _evict(self, present: dict[str, tuple[int, float]], held: Mapping[str, int]) -> None:
        """Remove the files that were used least recently, until all that is held and the rest have room."""
        total = sum(held.values()) + sum(size for name, (size, _) in present.items() if name not in held)
        oldest_first = sorted((used, name) for name, (_, used) in present.items() if name not in held)
        for _, name in oldest_first:
            if total <= self.size_bytes:
                return
            self.path(name).unlink(missing_ok=True)
            total -= present.pop(name)[0]
        if total > self.size_bytes:
            raise RunError(
                f"the cache {self.folder} may have {self.size_bytes:,} bytes, and {total:,} are needed together with"
                " what other commands are reading; wait for them, or give a larger --cache-size"
            )

    def _write_list(self) -> None:
        text = "".join(f"{name} {size}\n" for name, size in self._mine.items()).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)


def _release(descriptor: int, path: Path, links: Path) -> None:
    shutil.rmtree(links, ignore_errors=True)
    for part in path.parent.parent.glob(f"{_PART}{path.name}-*"):  # of downloads that were interrupted
        part.unlink(missing_ok=True)
    with suppress(OSError):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        os.close(descriptor)


def _is_hash(name: str) -> bool:
    return len(name) == 64 and all(char in "0123456789abcdef" for char in name)  # noqa: PLR2004 - SHA-256 in hex


def _make_private(folder: Path) -> bool:
    """Make the folder for this user alone; return whether it is: no link, ours, and closed to others."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        return status.st_uid == os.getuid() and not status.st_mode & 0o077 and os.access(folder, os.W_OK)
    except OSError:
        return False
