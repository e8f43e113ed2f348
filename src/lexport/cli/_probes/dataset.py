"""Probes of DEST and of the key of the HMACs. Blocking; nothing stays in DEST."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from lexport.cli._probes.findings import Add, Finding, of_error
from lexport.dataset import layout
from lexport.dataset.commits import newest_first
from lexport.dataset.destination import other_content
from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import Manifest
from lexport.dataset.open_store import open_store
from lexport.dataset.store import Store
from lexport.errors import LexportError, PublishError
from lexport.extract.hash_key import KEY_VARIABLE, existing_key
from lexport.model import new_ulid
from lexport.query.unfinished import describe_unfinished
from lexport.settings import Destination, SnapshotSettings
from lexport.tables.text import plural
from lexport.tables.units import format_age, format_bytes

REQUEST_S = 4.0
"""A request to a bucket; it is repeated."""
LOOKED_AT = 10
"""Snapshots, the newest first, among which the newest complete one is looked for."""
LITTLE_BYTES = 10**9
OLD = timedelta(hours=26)


def probe_dest(dest: Destination, profile: str | None, add: Add) -> Manifest | None:
    """Look at what is there, write and remove a file; return the newest snapshot. Nothing is raised."""
    bounded = replace(dest, timeout_s=min(dest.timeout_s, REQUEST_S))
    try:
        return _probe(open_store(bounded, profile=profile), add)
    except (LexportError, OSError) as error:
        add(of_error(error, "DEST"))
    return None


def _probe(store: Store, add: Add) -> Manifest | None:
    root = store.root if isinstance(store, LocalStore) else None
    if root is not None and root.is_symlink() and not root.is_dir():
        add(
            Finding(level="error", subject="DEST", outcome="wrong", message=f"{root} is a link that leads to no folder")
        )
        return None
    if root is not None and not root.exists():
        add(_absent(root))
        _probe_disk(_nearest(root), "disk", add)
        return None
    if root is not None and not root.is_dir():
        add(Finding(level="error", subject="DEST", outcome="wrong", message=f"{root} is a file, not a folder"))
        return None
    if (other := other_content(store)) is not None:
        message = f"{store.url} holds something else ({other}); choose another place, or a lexport dataset"
        add(Finding(level="error", subject="DEST", outcome="wrong", message=message))
        return None
    add(_probe_writing(store))
    _probe_disk(root or Path(tempfile.gettempdir()), "disk" if root is not None else "scratch", add)
    last = _probe_snapshots(store, add)
    for finding in _unfinished(store):
        add(finding)
    return last


def _absent(root: Path) -> Finding:
    """Create a folder beside the one that is absent, and remove it."""
    parent = _nearest(root)
    probe = parent / f".probe-{new_ulid(datetime.now(UTC))}"
    try:
        probe.mkdir(mode=0o700)
        probe.rmdir()
    except OSError as error:
        message = f"{root} cannot be created: {parent}: {error.strerror}"
        return Finding(level="error", subject="DEST", outcome="wrong", message=message)
    return Finding(level="ok", subject="DEST", outcome="absent", message=f"{root} is created by the first snapshot")


def _nearest(root: Path) -> Path:
    return next((parent for parent in root.parents if parent.exists()), Path("/"))


def _probe_writing(store: Store) -> Finding:
    """Create a file, see that it cannot be created again, and remove it; a run relies on all three."""
    has_staging = layout.STAGING in store.names("") or store.moved is not None
    path = f"{f'{layout.STAGING}/' if has_staging else ''}.probe-{new_ulid(datetime.now(UTC))}"
    subject = "DEST"
    try:
        if (unsure := store.create(path, b"1")) is not None:
            raise unsure
    except (LexportError, OSError) as error:
        return of_error(error, subject)
    try:
        store.create(path, b"2")
    except PublishError:
        finding = Finding(level="ok", subject=subject, outcome="ok", message=f"{store.url} can be written")
    except (LexportError, OSError) as error:
        finding = of_error(error, subject)
    else:
        message = f"{store.url}: a file that is there was created again, so two runs could replace each other's files"
        finding = Finding(level="error", subject=subject, outcome="failed", message=message)
    try:
        store.remove(path)
    except OSError as error:
        message = f"{store.url}/{path} cannot be removed: {error.strerror or error}"
        finding = of_error(type(error)(message), subject)
    return finding


def _probe_disk(folder: Path, subject: str, add: Add) -> None:
    with suppress(OSError):
        usage = shutil.disk_usage(folder)
        message = f"{format_bytes(usage.free)} are free at {folder}"
        if usage.free >= LITTLE_BYTES:
            add(Finding(level="ok", subject=subject, outcome="ok", message=message))
        else:
            add(Finding(level="warning", subject=subject, outcome="failed", message=f"only {message}"))


def _probe_snapshots(store: Store, add: Add) -> Manifest | None:
    subject, damaged = "last snapshot", list[str]()
    newest = list(islice(newest_first(store, lambda commit: damaged.append(str(commit))), LOOKED_AT))
    for text in damaged:
        message = f"{text}; lexport verify {store.url} says how to go on"
        add(Finding(level="warning", subject=subject, outcome="failed", message=message))
    if not newest:
        add(Finding(level="ok", subject=subject, outcome="absent", message="there is none yet"))
        return None
    complete = next((snapshot for snapshot in newest if snapshot.status == "complete"), None)
    if complete is None:
        message = f"none of the last {len(newest):,} is complete; see lexport errors {store.url}"
        add(Finding(level="warning", subject=subject, outcome="failed", message=message))
    else:
        age = datetime.now(UTC) - complete.snapshot_at
        message = f"{complete.snapshot_id} is complete and {format_age(age)} old"
        if age > OLD:
            message += f", more than {format_age(OLD)}"
            add(Finding(level="warning", subject=subject, outcome="failed", message=message))
        else:
            add(Finding(level="ok", subject=subject, outcome="ok", message=message))
    return newest[0]


def _unfinished(store: Store) -> Iterator[Finding]:
    subject = "unfinished"
    try:
        runs = describe_unfinished(store)
    except OSError as error:
        yield of_error(error, subject, level="warning")
        return
    ended = [run for run in runs if run.state != "running"]
    if ended:
        message = f"{plural(len(ended), 'run')} not published, the newest {ended[0].snapshot_id} ({ended[0].state});"
        message += f" lexport status {store.url} says how to go on"
        yield Finding(level="warning", subject=subject, outcome="failed", message=message)
    else:
        running = f"{plural(len(runs), 'run')} still running" if runs else "no run was left unfinished"
        yield Finding(level="ok", subject=subject, outcome="ok", message=running)


def probe_key(settings: SnapshotSettings, last: Manifest | None, add: Add) -> None:
    """Compare the key here with that of the last snapshot; no key is made."""
    subject = "hash key"
    if settings.env == "none":
        add(Finding(level="ok", subject=subject, outcome="ok", message="not needed with --env none"))
        return
    try:
        key = existing_key(settings.hash_key_file)
    except LexportError as error:
        add(of_error(error, subject))
        return
    last_id = last.hash_key_id if last is not None else None
    full = f"so the next incremental run reads everything; set {KEY_VARIABLE} or --hash-key-file to the former key"
    if key is None and last_id is None:
        message = "there is none; the first snapshot makes one, which later runs on other machines need too"
        add(Finding(level="ok", subject=subject, outcome="absent", message=message))
    elif key is None:
        message = f"there is none here, and the last snapshot was written with {last_id}, {full}"
        add(Finding(level="warning", subject=subject, outcome="absent", message=message))
    elif last_id in (None, key.key_id):
        same = ", that of the last snapshot" if last_id else ""
        add(Finding(level="ok", subject=subject, outcome="ok", message=f"{key.key_id}{same}"))
    else:
        message = f"{key.key_id} is not the {last_id} of the last snapshot, {full}"
        add(Finding(level="warning", subject=subject, outcome="wrong", message=message))
