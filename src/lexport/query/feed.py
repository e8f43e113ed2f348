"""Rows that bring a copy of the dataset in a warehouse from a loaded snapshot to the latest one. Blocking.

A feed is a difference of two states, not a log: rows to upsert and keys to delete, however many snapshots lie between.
The files of both states are compared, so a feed does not depend on earlier feeds.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import anyio.to_thread
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.compare import NEW_IN_EVERY_RUN, match_rows, range_ends
from lexport.dataset.data_files import fetch_files
from lexport.dataset.local import sync_file, sync_folder
from lexport.dataset.manifest import Manifest
from lexport.dataset.scan import Scan
from lexport.dataset.store import Store
from lexport.errors import SettingsError, WriteError
from lexport.model import Scope
from lexport.query.as_of import parse_moment
from lexport.query.catalog import Catalog, read_dataset
from lexport.query.lost_snapshots import LostSnapshots, check_not_pruned, find_lost
from lexport.tables.arrow import differs, table_schema
from lexport.tables.registry import state_tables
from lexport.tables.run import CHANGES
from lexport.tables.table import Table

FORMAT = "lexport-feed/1"
Action = Literal["delete", "upsert", "change"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedScope:
    """What a feed does for one account-region.

    ``whole``: delete all its rows, then apply the upserts; also where the loaded snapshot is gone. ``delta``: deletes
    and upserts lead from ``since_snapshot_id`` to ``snapshot_id``. ``none``: nothing, for the given ``reason``.
    """

    account_id: str
    region: str
    mode: Literal["whole", "delta", "none"]
    snapshot_id: str | None
    since_snapshot_id: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPart:
    """Rows of one table to upsert or, of ``changes``, to append; or the keys of rows to delete."""

    action: Action
    table: Table
    rows: pa.Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A feed whose parts are read on demand. ``next_since`` is the ``since`` of the next feed, once this is loaded.

    ``damage`` has a line for each snapshot that cannot be read and is skipped, and one where some are pruned.
    """

    since: str | None
    next_since: str
    scopes: tuple[FeedScope, ...]
    parts: Iterator[FeedPart]
    damage: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedResult:
    """What a written feed holds: the account-regions, and the rows to upsert, to delete and of ``changes``.

    ``next_since`` is the ``since`` of the next feed, once this one is loaded. ``damage`` has a line for each snapshot
    that cannot be read and is skipped, and one where some are pruned.
    """

    since: str | None
    next_since: str
    scopes: tuple[FeedScope, ...]
    upserts: int
    deletes: int
    changes: int
    damage: tuple[str, ...]


async def feed(dest: str | os.PathLike[str], folder: str | os.PathLike[str], *, since: str | None = None) -> FeedResult:
    """Write what changed since a snapshot into a new folder of Parquet files, all of them or none.

    A file per table with the rows to upsert, ``deletes.parquet`` with the keys of rows to delete, ``changes.parquet``
    with the rows to append, ``feed.json`` with the scopes and ``next_since``. Raises SettingsError where the folder
    exists or the snapshot does not, ReadError, WriteError.
    """
    return await anyio.to_thread.run_sync(write_feed, dest, folder, since)


def open_feed(dest: str | os.PathLike[str], since: str | None = None) -> Feed:
    """Prepare a feed; its rows are read while ``parts`` is iterated. Raises ReadError."""
    return read_dataset(dest, lambda catalog: _prepare(catalog, since))


def _prepare(catalog: Catalog, since: str | None) -> Feed:
    order = sorted(catalog.snapshots, key=_commit_order)
    loaded: list[Manifest] = []
    if since is not None:
        check_not_pruned(catalog, since, order, option="--since")
        moment = parse_moment(since, catalog.snapshots, option="--since")
        last = next((commit for commit in order if commit.snapshot_id == moment.snapshot_id), None)
        if last is None:
            raise SettingsError(f"--since {since}: the id of a snapshot is wanted", option="--since")
        # Runs overlap: one that began earlier may have been committed later, and was not loaded then.
        loaded = [commit for commit in order if _commit_order(commit) <= _commit_order(last)]
        since = last.snapshot_id
    before = Catalog(
        store=catalog.store, manifests=tuple(sorted(loaded, key=lambda commit: commit.snapshot_id, reverse=True))
    ).latest()
    lost = find_lost(catalog, loaded[-1], before.values()) if loaded else LostSnapshots()
    scopes = tuple(_scopes(catalog, before, lost))
    fresh = order[len(loaded) :]
    _fetch(catalog, scopes, fresh)
    return Feed(
        since=since,
        next_since=order[-1].snapshot_id,
        scopes=scopes,
        parts=_parts(tuple(_sides(catalog, scopes)), tuple(_change_files(catalog, fresh)), catalog.store),
        damage=(*catalog.damage(), *lost.notices()),
    )


def _commit_order(commit: Manifest) -> tuple[Any, str]:
    return commit.committed_at, commit.snapshot_id


def _scopes(catalog: Catalog, before: Mapping[Scope, Manifest], lost: LostSnapshots) -> Iterator[FeedScope]:
    latest, attempts = catalog.latest(), catalog.last_attempts()
    for scope in sorted({*latest, *attempts}):
        now, then = latest.get(scope), before.get(scope)
        if then is not None and lost.replaced(scope, then):
            then = None  # a reading that is gone was loaded instead
        last, entry = attempts.get(scope, (None, None))
        is_whole = entry is None or entry.status == "complete" or (now is None and entry.status == "unavailable")
        is_news = now is not None and (then is None or then.snapshot_id != now.snapshot_id)
        if is_news or not is_whole:
            yield FeedScope(
                **asdict(scope),
                mode="none" if not is_news else "whole" if then is None else "delta",
                snapshot_id=now.snapshot_id if now else None,
                since_snapshot_id=then.snapshot_id if then else None,
                reason=None if is_whole or last is None or entry is None else f"{entry.status} in {last.snapshot_id}",
            )


Side = tuple[Table, list[Scope], tuple[Path, ...], tuple[Path, ...]]
"""A table, the account-regions to compare, and its files in the new and in the old snapshot."""


def _fetch(catalog: Catalog, scopes: Iterable[FeedScope], fresh: Iterable[Manifest]) -> None:
    """Download together what a feed reads from a bucket."""
    ids = {name for item in scopes if item.mode != "none" for name in (item.snapshot_id, item.since_snapshot_id)}
    needed = [(commit, table) for commit in catalog.snapshots if commit.snapshot_id in ids for table in state_tables()]
    fetch_files(catalog.store, [*needed, *((commit, CHANGES) for commit in fresh)])


def _sides(catalog: Catalog, scopes: Collection[FeedScope]) -> Iterator[Side]:
    """Yield what is to be compared; neighbouring account-regions of the same two snapshots are compared together."""
    commits = {commit.snapshot_id: commit for commit in catalog.snapshots}
    for (now, then), group in groupby(
        (scope for scope in scopes if scope.mode != "none"),
        key=lambda scope: (scope.snapshot_id, scope.since_snapshot_id),
    ):
        members = [Scope(account_id=scope.account_id, region=scope.region) for scope in group]
        assert now is not None
        for table in state_tables():
            new = catalog.files(table.name, [commits[now]])
            yield table, members, new, catalog.files(table.name, [commits[then]]) if then is not None else ()


def _change_files(catalog: Catalog, fresh: Collection[Manifest]) -> Iterator[tuple[set[Scope], tuple[Path, ...]]]:
    for commit in fresh:
        if files := catalog.files(CHANGES.name, [commit]):
            yield commit.whole_scopes(), files


def _parts(
    sides: Iterable[Side],
    changes: Iterable[tuple[set[Scope], tuple[Path, ...]]],
    _store: Store,  # which keeps the copies of a bucket's files as long as it is referenced
) -> Iterator[FeedPart]:
    """Yield the parts table by table, then the rows of ``changes``."""
    for table, members, new, old in sides:
        yield from _compare(table, members, new, old)
    for scopes, files in changes:
        with Scan(files, CHANGES, scopes, CHANGES.names()) as scan:
            while len(rows := scan.next_rows()):
                yield FeedPart(action="change", table=CHANGES, rows=_aligned(rows, table_schema(CHANGES)))


def _compare(table: Table, scopes: Collection[Scope], new: Sequence[Path], old: Sequence[Path]) -> Iterator[FeedPart]:
    """Yield the deletes and upserts that lead from one state of a table to another, some functions at a time."""
    schema = table_schema(table)
    with ExitStack() as stack:
        scans = [
            stack.enter_context(Scan(files, table, scopes, table.names())) if files else None for files in (new, old)
        ]
        for end in range_ends([scan for scan in scans if scan is not None]):
            new_rows, old_rows = (
                schema.empty_table() if scan is None else _aligned(scan.take(end), schema) for scan in scans
            )
            indices, is_removed = match_rows(new_rows, old_rows, table.key)
            is_changed = _is_changed(new_rows, old_rows.take(indices), table)
            upserts = new_rows.filter(pc.or_(pc.is_null(indices), is_changed))
            deletes = old_rows.filter(is_removed).select(list(table.key))
            if len(deletes):
                yield FeedPart(action="delete", table=table, rows=deletes)
            if len(upserts):
                yield FeedPart(action="upsert", table=table, rows=upserts)


def _is_changed(new: pa.Table, old: pa.Table, table: Table) -> pa.ChunkedArray:
    is_changed = pa.chunked_array([pa.repeat(pa.scalar(value=False), len(new))])
    for name in table.names():
        new_values, old_values = new.column(name), old.column(name)
        if name not in NEW_IN_EVERY_RUN and not new_values.equals(old_values):
            is_changed = pc.or_(is_changed, differs(new_values, old_values))
    return is_changed


def _aligned(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_arrays(
        [
            rows.column(field.name).cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(len(rows), field.type)
            for field in schema
        ],
        schema=schema,
    )


def deletes_schema() -> pa.Schema:
    """Return the columns of ``deletes.parquet``: the keys of all tables. A column that is no key of a table is NULL."""
    types = {
        field.name: field.type for table in state_tables() for field in table_schema(table) if field.name in table.key
    }
    return pa.schema([("table_name", pa.string()), *types.items()])


def write_feed(dest: str | os.PathLike[str], folder: str | os.PathLike[str], since: str | None = None) -> FeedResult:
    """Write a feed as ``feed`` does. Blocking."""
    target = Path(folder).absolute()
    if target.exists():
        raise SettingsError(f"-o {folder} is there already; a new folder is wanted", option="-o")
    opened = open_feed(dest, since)
    draft = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        draft.mkdir(mode=0o700)
        counts = _write_tables(opened, draft)
        result = FeedResult(
            since=opened.since,
            next_since=opened.next_since,
            scopes=opened.scopes,
            upserts=counts["upsert"],
            deletes=counts["delete"],
            changes=counts["change"],
            damage=opened.damage,
        )
        description = json.dumps({"format": FORMAT, **asdict(result)}, indent=1)
        (draft / "feed.json").write_text(description + "\n", encoding="utf-8")
        for path in draft.iterdir():
            path.chmod(0o600)
            sync_file(path)
        sync_folder(draft)
        draft.rename(target)  # refuses a folder that is not empty by now
        with suppress(OSError):  # the feed is complete; should a loss of power undo the rename, it is written again
            sync_folder(target.parent)
    except OSError as error:
        raise WriteError(f"cannot write {folder}: {error.strerror or error}", path=str(folder)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return result


def _write_tables(feed: Feed, draft: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    with ExitStack() as opened:

        def writer(name: str, schema: pa.Schema) -> pq.ParquetWriter:
            return opened.enter_context(pq.ParquetWriter(draft / f"{name}.parquet", schema, compression="zstd"))

        tables = {table.name: writer(table.name, table_schema(table)) for table in (*state_tables(), CHANGES)}
        schema = deletes_schema()
        deletes = writer("deletes", schema)
        for part in feed.parts:
            counts[part.action] += len(part.rows)
            if part.action == "delete":
                rows = part.rows.append_column("table_name", pa.repeat(pa.scalar(part.table.name), len(part.rows)))
                deletes.write_table(_aligned(rows, schema))
            else:
                tables[part.table.name].write_table(part.rows)
    return counts
