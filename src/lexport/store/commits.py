"""The commits of a destination, read. Blocking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from lexport.manifest import RUNS, Manifest, is_ulid
from lexport.store.local import LocalStore


def newest_first(store: LocalStore) -> Iterator[Manifest]:
    """Yield every snapshot of the fleet that can be read, the newest first; a damaged one is `status`'s to tell.

    A commit without scopes, of packages alone, is no snapshot.
    """
    for name in reversed(store.names(RUNS)):
        if is_ulid(name.removesuffix(".json")):
            with suppress(OSError, ValueError):
                found = Manifest.from_json(store.read(f"{RUNS}/{name}"))
                if found.is_snapshot:
                    yield found
