"""The commits of a destination, read. Blocking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lexport.manifest import RUNS, Manifest, is_ulid
from lexport.store.local import LocalStore


def newest_first(store: LocalStore) -> Iterator[Manifest]:
    """Yield every snapshot of the fleet that can be read, the newest first; a damaged one is `status`'s to tell.

    A commit without scopes, of packages alone, is no snapshot.
    """
    return (commit for commit in _commits(store) if commit.is_snapshot)


def newest_file(store: LocalStore, table: str) -> Path | None:
    """Return the file of a table in the newest commit that holds it, be it a snapshot or not."""
    files = (entry.path for commit in _commits(store) for entry in commit.files if entry.table == table)
    found = next(files, None)
    return None if found is None else store.root / found


def _commits(store: LocalStore) -> Iterator[Manifest]:
    for name in reversed(store.names(RUNS)):
        if is_ulid(name.removesuffix(".json")):
            with suppress(OSError, ValueError):
                yield Manifest.from_json(store.read(f"{RUNS}/{name}"))
