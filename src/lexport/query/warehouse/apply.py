"""Load a feed into a database: what it holds is read, a feed from there on is written and loaded in one transaction."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.scratch import open_temporary, remove_folder
from lexport.errors import PublishError, RunError, SettingsError
from lexport.model import new_ulid
from lexport.query.passwords import refuse_password
from lexport.query.warehouse.load import DELETES, Load, LoadScope
from lexport.tables.registry import SCHEMA_VERSION

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

    def loaded(self) -> Loaded | None:
        """Return what was loaded last, None before the first load."""

    def load(self, folder: Path, load: Load) -> list[str]:
        """Load a feed in one transaction; return sentences for the user. Raises PublishError if the cursor moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A feed that was loaded, ``feed``, and whether it had anything to load. ``notes`` are sentences for the user."""

    feed: FeedResult
    warehouse: str
    is_news: bool
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
        loaded = warehouse.loaded()
        check_loaded(loaded, write_mode, warehouse.name)
        start = since if since is not None or loaded is None else loaded.next_since
        with _private_folder() as private:
            folder = private / "feed"
            with _explained(since, warehouse.name):
                feed = write_feed(dest, folder, start, write_mode=write_mode)
            is_news = start is None or feed.next_since != start
            notes = warehouse.load(folder, read_load(folder)) if is_news else []
    return Applied(feed=feed, warehouse=warehouse.name, is_news=is_news, notes=notes)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Make a folder for a feed, which may have secrets; the next load removes it where this process is killed."""
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
        raise SettingsError(
            f"{name} is loaded with --{loaded.write_mode}, so it cannot be with --{write_mode}; a new database can"
            if loaded.write_mode != "hard-delete"
            else f"{name} is loaded without --{write_mode}, so it cannot be with it; a new database can",
            option=f"--{write_mode}",
        )
    if _number(loaded.schema_version) > _number(SCHEMA_VERSION):
        raise RunError(
            f"{name} was loaded by a newer lexport (schema version {loaded.schema_version}, here {SCHEMA_VERSION});"
            " upgrade this one"
        )


def _number(version: str) -> int:
    return int(version) if version.isascii() and version.isdigit() else 0


def check_cursor(cursor: str | None, load: Load, name: str) -> None:
    """Raise PublishError where a database does not stand where a feed begins."""
    if cursor == load.since:
        return
    stands = f"is loaded up to {cursor}" if cursor else "is empty"
    raise PublishError(
        f"{name} {stands}, but this feed leads on from {load.since or 'nothing'}: another load was first, or --since is"
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
