"""The hint ``_latest.json``: the id of the newest snapshot. The truth is the greatest id in ``_runs``. Blocking."""

from __future__ import annotations

import json

from lexport.dataset.commits import DamagedCommit, is_committed, newest_first
from lexport.dataset.layout import LATEST_HINT
from lexport.dataset.store import Store
from lexport.model import is_ulid

MOST_HINT_BYTES = 1024


def move_hint(store: Store, *, leaving_out: str | None = None) -> None:
    """Let the hint name the newest snapshot; check again afterwards, since another process may have moved it.

    It moves back only from a snapshot that is no longer there or that is left out, because it is about to be removed.
    Leave it alone where a newer lexport wrote a newer commit. Raises WriteError, and OSError where it is removed.
    """
    while True:
        skipped: list[DamagedCommit] = []
        others = (commit.snapshot_id for commit in newest_first(store, skipped.append))
        newest = next((snapshot_id for snapshot_id in others if snapshot_id != leaving_out), None)
        body, hinted = _read(store)
        # The commit is looked for after the hint was read: a hint is written after its commit.
        is_right = hinted is not None and hinted != leaving_out and is_committed(store, hinted)
        if hinted == newest or (is_right and hinted is not None and hinted > (newest or "")):
            return
        if any(damaged.is_newer for damaged in skipped) and (hinted is None or is_right):
            return
        if newest is None:
            store.remove(LATEST_HINT)
            return
        text = json.dumps({"snapshot_id": newest}).encode() + b"\n"
        if isinstance(body, OSError):
            store.replace(LATEST_HINT, text)
        else:
            store.swap(LATEST_HINT, text, expected=body)


def _read(store: Store) -> tuple[bytes | OSError | None, str | None]:
    """Return the content of the hint, or why it cannot be read, and the id that it names; None where it names none."""
    try:
        body = store.read(LATEST_HINT, most_bytes=MOST_HINT_BYTES)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        return error, None
    try:
        hinted = str(json.loads(body)["snapshot_id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return body, None
    return body, hinted if is_ulid(hinted) else None
