"""Rows that bring a copy of the dataset in a warehouse from a loaded commit to the latest one. Blocking.

A feed is a difference of two states, not a log, however many commits lie between: the files of both are compared, so a
feed does not depend on earlier feeds. What commits say of themselves is fed once for each commit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from lexport.dataset.data_files import fetch_files
from lexport.dataset.manifest import Manifest
from lexport.errors import SettingsError
from lexport.model import new_ulid
from lexport.query.as_of import parse_moment
from lexport.query.catalog import Catalog, read_dataset
from lexport.query.feed.content_rows import ContentFiles, commits_with, content_rows
from lexport.query.feed.part import FeedPart, with_deleted_at
from lexport.query.feed.run_rows import run_rows, snapshot_rows
from lexport.query.feed.scopes import FeedScope, feed_scopes
from lexport.query.feed.state_rows import Side, compare
from lexport.query.lost_snapshots import LostSnapshots, check_not_lost, find_lost
from lexport.tables.fed import FedTable, fed_tables
from lexport.tables.run import SNAPSHOTS

WriteMode = Literal["hard-delete", "soft-delete", "scd2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A feed whose parts are read on demand, table by table, deletes of a table before its upserts.

    ``next_since`` is the ``since`` of the next feed, once this is loaded. ``damage`` has a line for each snapshot that
    cannot be read and is skipped, and one where some are pruned.
    """

    load_id: str
    since: str | None
    next_since: str
    write_mode: WriteMode
    scopes: tuple[FeedScope, ...]
    parts: Iterator[FeedPart]
    damage: tuple[str, ...]


def open_feed(dest: str | os.PathLike[str], since: str | None = None, *, write_mode: WriteMode = "hard-delete") -> Feed:
    """Prepare a feed; its rows are read while ``parts`` is iterated. Raises ReadError."""
    return read_dataset(dest, lambda catalog: _prepare(catalog, since, write_mode))


def _prepare(catalog: Catalog, since: str | None, write_mode: WriteMode) -> Feed:
    order = sorted(catalog.manifests, key=_commit_order)
    loaded = [] if since is None else _loaded(catalog, order, since)
    before = Catalog(
        store=catalog.store, manifests=tuple(sorted(loaded, key=lambda commit: commit.snapshot_id, reverse=True))
    ).latest()
    lost = find_lost(catalog, loaded[-1], before.values()) if loaded else LostSnapshots()
    fresh = order[len(loaded) :]
    scopes = tuple(feed_scopes(catalog, before, fresh, lost))
    plan = _plan(catalog, scopes, fresh, lost)
    return Feed(
        load_id=new_ulid(datetime.now(UTC)),
        since=loaded[-1].snapshot_id if loaded else None,
        next_since=order[-1].snapshot_id,
        write_mode=write_mode,
        scopes=scopes,
        parts=_parts(plan, is_first=not loaded),
        damage=(*catalog.damage(), *lost.notices()),
    )


def _commit_order(commit: Manifest) -> tuple[Any, str]:
    return commit.committed_at, commit.snapshot_id


def _loaded(catalog: Catalog, order: Sequence[Manifest], since: str) -> list[Manifest]:
    """Return the commits up to ``since``. Raises SettingsError where it is no commit, with what to do."""
    check_not_lost(catalog, since, option="--since")
    moment = parse_moment(since, catalog.manifests, option="--since")
    last = next((commit for commit in order if commit.snapshot_id == moment.snapshot_id), None)
    if last is None:
        raise SettingsError(f"--since {since}: the id of a snapshot is wanted", option="--since")
    # Runs overlap: one that began earlier may have been committed later, and was not loaded then.
    return [commit for commit in order if _commit_order(commit) <= _commit_order(last)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What a feed reads; all files are on this machine, found and checked.

    ``catalog`` keeps the copies of a bucket's files as long as it is referenced. ``hiding`` are ids of loaded commits
    that are gone and would hide what counts now.
    """

    catalog: Catalog
    fresh: Sequence[Manifest]
    sides: Mapping[FedTable, Sequence[Side]]
    run_files: Mapping[FedTable, Sequence[Path]]
    content: Mapping[FedTable, Sequence[ContentFiles]]
    hiding: Sequence[str]


def _plan(catalog: Catalog, scopes: Sequence[FeedScope], fresh: Sequence[Manifest], lost: LostSnapshots) -> _Plan:
    by_kind = {kind: [fed for fed in fed_tables() if fed.kind == kind] for kind in ("state", "run", "content")}
    compared = [scope for scope in scopes if scope.mode in ("whole", "delta")]
    ids = {name for scope in compared for name in (scope.snapshot_id, scope.since_snapshot_id)}
    commits = {commit.snapshot_id: commit for commit in catalog.manifests if commit.snapshot_id in ids}
    content = {fed: commits_with(fed, catalog, fresh) for fed in by_kind["content"]}
    run_tables = [fed for fed in by_kind["run"] if fed.table is not SNAPSHOTS]
    fetch_files(
        catalog.store,
        [
            *((commit, fed.table) for commit in commits.values() for fed in by_kind["state"]),
            *((commit, fed.table) for commit in fresh for fed in run_tables),
            *((commit, fed.table) for fed, members in content.items() for commit in members),
        ],
    )
    fresh_ids = {commit.snapshot_id for commit in fresh}
    return _Plan(
        catalog=catalog,
        fresh=fresh,
        sides={fed: tuple(_sides(fed, catalog, compared, commits)) for fed in by_kind["state"]},
        run_files={fed: catalog.files(fed.name, fresh) for fed in run_tables},
        content={
            fed: [
                ContentFiles(
                    commit=commit,
                    files=catalog.files(fed.name, [commit]),
                    is_fresh=commit.snapshot_id in fresh_ids,
                )
                for commit in members
            ]
            for fed, members in content.items()
        },
        hiding=lost.hiding({scope: commit.snapshot_id for scope, commit in catalog.settled().items()}),
    )


def _sides(
    fed: FedTable, catalog: Catalog, scopes: Sequence[FeedScope], commits: Mapping[str, Manifest]
) -> Iterator[Side]:
    """Yield what is to be compared; neighbouring account-regions of the same two snapshots are compared together."""
    for (now, then), group in groupby(scopes, key=lambda scope: (scope.snapshot_id, scope.since_snapshot_id)):
        assert now is not None
        yield Side(
            table=fed,
            scopes=[scope.scope for scope in group],
            new=catalog.files(fed.name, [commits[now]]),
            old=catalog.files(fed.name, [commits[then]]) if then is not None else (),
            snapshot_at=commits[now].snapshot_at,
        )


def _parts(plan: _Plan, *, is_first: bool) -> Iterator[FeedPart]:
    """Yield the parts of each table. A first feed replaces all rows of the warehouse, so that it has no deletes."""
    for fed in fed_tables():
        if fed.kind == "state":
            for side in plan.sides[fed]:
                yield from compare(side)
        elif fed.kind == "content":
            if plan.content[fed]:
                yield from content_rows(fed, plan.content[fed], deletes=not is_first)
        else:
            yield from _run_parts(fed, plan)


def _run_parts(fed: FedTable, plan: _Plan) -> Iterator[FeedPart]:
    if plan.hiding:
        keys = pa.table({name: pa.array(plan.hiding, pa.string()) for name in fed.delete_by})
        rows = with_deleted_at(keys, plan.catalog.manifests[0].snapshot_at)
        yield FeedPart(action="delete", table=fed, rows=rows)
    yield from snapshot_rows(fed, plan.fresh) if fed.table is SNAPSHOTS else run_rows(fed, plan.run_files[fed])
