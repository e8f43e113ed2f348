"""The commits of a destination, read: what is in them, or why they cannot be used. Blocking."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import MOST_BYTES, RUNS, Manifest, ManifestError, NewerFormatError, run_path
from lexport.model import is_ulid


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedCommit:
    """A commit whose manifest cannot be used, and why; ``kind`` is that of ``verify``."""

    snapshot_id: str
    path: str
    kind: str
    reason: str

    @property
    def is_newer(self) -> bool:
        """Whether nothing is wrong with it but that a newer lexport wrote it."""
        return self.kind == NewerFormatError.kind

    @property
    def note(self) -> str:
        """Say what a run does that finds it: nothing with it."""
        advice = "" if self.is_newer else "; lexport verify lists all damage"
        return f"{self}; nothing is built on it, and it stays as it is{advice}"

    def __str__(self) -> str:
        """Say which snapshot cannot be read, and why."""
        state = "cannot be read" if self.is_newer else "is damaged"
        return f"snapshot {self.snapshot_id} {state} ({self.path}: {self.reason})"


class StrangeFileError(OSError):
    """What lies there is nothing that lexport can have put there: a pipe, a folder, a link that leads elsewhere."""


def newest_first(
    store: LocalStore, passed_over: Callable[[DamagedCommit], object] = lambda _: None
) -> Iterator[Manifest]:
    """Yield every snapshot of the fleet that can be read, the newest first; ``passed_over`` is called with each other.

    A commit without scopes, of packages alone, is no snapshot.
    """
    for commit in all_commits(store):
        if isinstance(commit, DamagedCommit):
            passed_over(commit)
        elif commit.is_snapshot:
            yield commit


def all_commits(store: LocalStore) -> Iterator[Manifest | DamagedCommit]:
    """Yield every commit, the newest first."""
    for name in reversed(store.names(RUNS)):
        snapshot_id = name.removesuffix(".json")
        if name != snapshot_id and is_ulid(snapshot_id):
            yield read_commit(store.root, snapshot_id)


def read_commit(root: Path, snapshot_id: str) -> Manifest | DamagedCommit:
    """Read the manifest of one commit, whatever lies there under its name."""
    path = run_path(snapshot_id)
    try:
        return Manifest.from_json(_read(root, path), snapshot_id=snapshot_id)
    except OSError as error:
        kind, reason = "unreadable", error.strerror or str(error)
    except ManifestError as error:
        kind, reason = error.kind, str(error)
    return DamagedCommit(snapshot_id=snapshot_id, path=path, kind=kind, reason=reason)


def stat_file(root: Path, path: str) -> os.stat_result:
    """Return what is known of a file below the root, which may be a link itself. Raises OSError.

    Links are followed, but never out of the root; a pipe would keep its reader waiting: raises StrangeFileError.
    """
    at = os.fspath(root)
    for part in path.split("/"):
        at = f"{at}/{part}"
        found = os.lstat(at)
        if stat.S_ISLNK(found.st_mode):
            top = os.path.realpath(root)
            if os.path.commonpath([top, os.path.realpath(at)]) != top:
                raise StrangeFileError(f"{os.path.relpath(at, root)} is a link that leads out of the dataset")
            found = Path(at).stat()
    if not stat.S_ISREG(found.st_mode):
        raise StrangeFileError("it is no file")
    return found


def _read(root: Path, path: str) -> bytes:
    """Read a manifest; raises ManifestError for what no run can have written, OSError."""
    found = stat_file(root, path)
    if found.st_size > MOST_BYTES:
        raise ManifestError(f"it has {found.st_size:,} bytes, more than a manifest can have")
    with (root / path).open("rb") as file:
        return file.read(MOST_BYTES + 1)
