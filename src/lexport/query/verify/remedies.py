"""How to go on after each kind of damage. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath
from shlex import quote

from lexport.dataset.layout import RUNS
from lexport.dataset.manifest import NewerFormatError
from lexport.model import ULID_LENGTH
from lexport.query.verify.rows import Damage
from lexport.tables.run import SNAPSHOTS


def remedy(damage: Damage, url: str) -> str:
    """Return what to do about damage in the dataset at ``url``; nothing about a note."""
    dest, folder = quote(url), damage.path.partition("/")[0]
    snapshot_id = PurePosixPath(damage.path).name[:ULID_LENGTH]
    prune = f"to go on without that snapshot: lexport prune {dest} --snapshot {snapshot_id}"
    if damage.is_note:
        return ""
    if damage.kind == NewerFormatError.kind:
        return "upgrade lexport"
    if damage.path.endswith(".zip"):
        remove = "" if damage.kind == "missing" else "remove it; "
        return f"{remove}lexport packages {dest} fetches it again"
    if folder == SNAPSHOTS.name:
        remove = "" if damage.kind == "missing" else "remove it; "
        return f"{remove}the next lexport snapshot {dest} writes it again"
    if folder == RUNS:
        return f"bring the file back; {prune}"
    return f"bring the file back, or read the fleet again: lexport snapshot {dest}; {prune}"
