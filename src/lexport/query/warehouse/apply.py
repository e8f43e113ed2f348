"""Load a feed into a database: what it holds is read, a feed from there on is written and loaded in one transaction."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.scratch import open_temporary, remove_folder
from lexport.errors import PublishError, RunError, SettingsError
from lexport.model import new_ulid
from lexport.query.passwords import refuse_password
from lexport.query.warehouse.dialects import TABLES
from lexport.query.warehouse.existing import Existing, check_rows, tables_without_rows
from lexport.query.warehouse.load import DELETES, Load, LoadScope
from lexport.tables.registry import SCHEMA_VERSION
from lexport.tables.text import plural

if TYPE_CHECKING:
    from lexport.query.feed import FeedResult, WriteMode

PASSWORD_GOES = "PGPASSWORD, PGPASSFILE, ~/.pgpass or a service file"  # noqa: S105 - says where it belongs
_REPLACED = ("whole", "gone")
"""The modes of account-regions whose rows are deleted before others are loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What the newest row of ``lexport_loads`` says, and the greatest ``schema_version`` of all rows."""

    next_since: str
    write_mode: str
    schema_version: str


class Warehouse(Protocol):
    """A connection to a database. ``name`` says in messages which one it is, without a secret."""

    name: str

    def existing(self) -> Existing:
        """Return what is there. Raises RunError where a name that lexport needs is another's."""

    def loaded(self, existing: Existing) -> Loaded | None:
        """Return what was loaded last, None before the first load."""

    def load(self, folder: Path, load: Load) -> list[str]:
        """Load a feed in one transaction; return sentences for the user. Raises PublishError if the cursor moved."""

    def mend(self, write_mode: WriteMode) -> list[str]:
        """Create what is missing, or of another version, beside rows; return sentences, none if nothing is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A feed that was loaded, ``feed``, and whether it had anything to load. ``notes`` are sentences for the user.

    ``upserts`` are the rows that were loaded: those of the feed, and all of a table that was missing.
    """

    feed: FeedResult
    warehouse: str
    is_news: bool
    upserts: int
    notes: list[str]


OPENERS: Mapping[str, str] = {
    "postgres": "lexport.query.warehouse.apply_postgres:open_postgres",
    "duckdb": "lexport.query.warehouse.apply_duckdb:open_duckdb",
}
"""The databases that feeds can be loaded into, and what connects to them."""


def apply_feed(
    dest: str | os.PathLike[str], database: str, url: str, *, since: str | None, write_mode: WriteMode
) -> Applied:
    """Bring a database up to date with a dataset. Blocking.

    Without ``since`` the feed begins where the database stands. Raises SettingsError, CredentialsError, RunError, and
    PublishError where another load moved the cursor meanwhile; then, and on any other error, nothing was changed.
    """
    from lexport.query.feed import write_feed

    refuse_password(url, option="--to", instead=f"put it into {PASSWORD_GOES}")
    with _opener(database)(url) as warehouse:
        existing = warehouse.existing()
        loaded = warehouse.loaded(existing)
        check_loaded(loaded, write_mode, warehouse.name)
        stands = loaded.next_since if loaded else None
        lacking = tables_without_rows(existing, write_mode) if loaded else []
        start = since if since is not None else stands
        with _private_folder() as private:
            folder = private / "feed"
            with _explained(since, warehouse.name):
                feed = write_feed(dest, folder, start, write_mode=write_mode)
            check_cursor(stands, start, warehouse.name)
            load = read_load(folder)
            if lacking:
                write_feed(dest, private / "whole", None, write_mode=write_mode)
                load = add_whole(load, folder, private / "whole", lacking)
            is_news = start is None or feed.next_since != start or bool(lacking)
            notes = warehouse.load(folder, load) if is_news else warehouse.mend(write_mode)
    notes += _of_whole(load, warehouse.name)
    return Applied(feed=feed, warehouse=warehouse.name, is_news=is_news, upserts=load.upserts, notes=notes)


def _of_whole(load: Load, name: str) -> list[str]:
    if not load.whole:
        return []
    rows = plural(sum(load.rows.get(table, 0) for table in load.whole), "row")
    tables = ", ".join(f"{TABLES}.{table}" for table in load.whole)
    return [f"{name} lacked a table or a column, so all rows of {tables} were loaded: {rows}"]


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Make a folder for a feed, which may have secrets; the next load removes it where this process is killed."""
    from lexport.query.feed.target import errors_of_writing

    with errors_of_writing("a private temporary folder"):
        folder = open_temporary(new_ulid(datetime.now(UTC)))
    try:
        yield folder
    finally:
        remove_folder(folder)


def _opener(database: str) -> Callable[[str], AbstractContextManager[Warehouse]]:
    from importlib import import_module

    module, _, name = OPENERS[database].partition(":")
    opener: Callable[[str], AbstractContextManager[Warehouse]] = getattr(import_module(module), name)
    return opener


@contextmanager
def _explained(since: str | None, name: str) -> Iterator[None]:
    """Say of a cursor that was read from the database, and that the dataset no longer has, what to do."""
    try:
        yield
    except SettingsError as error:
        if since is not None or error.option != "--since":
            raise
        raise SettingsError(
            f"{name} was loaded up to a commit that the dataset does not have ({error});"
            " delete all rows of lexport_tables.lexport_loads and run again: that load replaces everything",
            option="--to",
        ) from error


def check_loaded(loaded: Loaded | None, write_mode: str, name: str) -> None:
    """Raise SettingsError where a database was loaded in another write mode, RunError where by a newer lexport."""
    if loaded is None:
        return
    if loaded.write_mode != write_mode:
        before = f"without --{write_mode}" if loaded.write_mode == "hard-delete" else f"with --{loaded.write_mode}"
        raise SettingsError(
            f"{name} is loaded with --{loaded.write_mode}, so it cannot be without it: give it with each load, or load"
            " a new database"
            if write_mode == "hard-delete"
            else f"{name} is loaded {before}; only a new database can be loaded with --{write_mode}",
            option=f"--{loaded.write_mode if write_mode == 'hard-delete' else write_mode}",
        )
    if _number(loaded.schema_version) > _number(SCHEMA_VERSION):
        raise RunError(
            f"{name} was loaded by a newer lexport (schema version {loaded.schema_version}, here {SCHEMA_VERSION});"
            " upgrade this one"
        )


def _number(version: str) -> int:
    return int(version) if version.isascii() and version.isdigit() else 0


def check_load(existing: Existing, loaded: Loaded | None, load: Load, name: str) -> None:
    """Raise what ``check_loaded`` raises, and PublishError where a feed does not lead on from what a database has."""
    check_loaded(loaded, load.write_mode, name)
    check_cursor(loaded.next_since if loaded else None, load.since, name)
    if load.since is not None:
        check_rows(existing, load.write_mode, load.whole, name)


def check_cursor(cursor: str | None, since: str | None, name: str) -> None:
    """Raise PublishError where a database does not stand where a feed begins."""
    if cursor == since:
        return
    stands = f"is loaded up to {cursor}" if cursor else "is empty"
    raise PublishError(
        f"{name} {stands}, but this feed leads on from {since or 'nothing'}: another load was first, or --since is"
        " not its cursor; nothing was changed, run it again without --since",
        destination=name,
    )


# --- a folder of a feed -----------------------------------------------------------------------------------------------


def read_load(folder: Path) -> Load:
    """Read what a feed folder says of itself, and of which tables it has delete keys."""
    return load_of(json.loads((folder / "feed.json").read_bytes()), folder)


def load_of(feed: Mapping[str, Any], folder: Path) -> Load:
    """Read a feed from what its ``feed.json`` says, or will say, and from its delete keys."""
    return Load(
        **{name: feed[name] for name in ("load_id", "since", "next_since", "schema_version", "lexport_version")},
        write_mode=feed["write_mode"],
        scopes=[
            LoadScope(
                account_id=scope["account_id"],
                region=scope["region"],
                snapshot_at=datetime.fromisoformat(scope["snapshot_at"]),
                replaced=scope["mode"] in _REPLACED,
            )
            for scope in feed["scopes"]
            if scope["mode"] != "none"
        ],
        rows={part["table"]: part["rows"] for part in feed["parts"] if part["table"] is not None},
        deleting=set(_deleted(folder)),
        upserts=feed["totals"]["upserts"],
        deletes=feed["totals"]["deletes"],
    )


def add_whole(load: Load, folder: Path, whole: Path, tables: Sequence[str]) -> Load:
    """Move all rows of some tables from a feed without ``since`` into another feed's folder; return what that has then.

    All account-regions are in it then: rows of a mode that keeps former ones take their time from them.
    """
    complete = read_load(whole)
    for table in tables:
        (whole / f"{table}.parquet").replace(folder / f"{table}.parquet")
    rows = {**load.rows, **{table: complete.rows.get(table, 0) for table in tables}}
    known = {(scope.account_id, scope.region) for scope in load.scopes}
    others = [scope for scope in complete.scopes if (scope.account_id, scope.region) not in known]
    return replace(
        load,
        rows=rows,
        scopes=[*load.scopes, *(replace(scope, replaced=False) for scope in others)],
        upserts=sum(rows.values()),
        whole=tuple(tables),
    )


def _deleted(folder: Path) -> Counter[str]:
    """Count the delete keys of each table."""
    path = next((path for path in (folder / f"{DELETES}.parquet",) if path.exists()), None)
    if path is None:
        return _deleted_in_csv(folder / f"{DELETES}.csv")
    counts: Counter[str] = Counter()
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["table_name"]):
            for value in pc.value_counts(batch.column(0)).to_pylist():
                counts[value["values"]] += value["counts"]
    return counts


def _deleted_in_csv(path: Path) -> Counter[str]:
    import csv

    with path.open(newline="", encoding="utf-8") as file:
        return Counter(row["table_name"] for row in csv.DictReader(file))
