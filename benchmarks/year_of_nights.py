"""Make a dataset of a year of nights: every table, in four account-regions, as that many runs would have left it.

    python benchmarks/year_of_nights.py DEST [--nights 365] [--functions 10000]

One function in a hundred changes each night: code and versions, configuration, variables, tags, aliases; some go, some
are new. The rows are the simulator's oracle's; files, comparison with the night before, and commit are lexport's own.
What did not change is not made anew: the rows of the others are those of the night before. It all comes from one seed.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.changes import find_changes
from lexport.dataset.commit import commit, prepare_destination
from lexport.dataset.commits import newest_first
from lexport.dataset.compare import SnapshotFiles
from lexport.dataset.layout import RUNS
from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import Manifest, ScopeEntry
from lexport.dataset.parquet import TableFolder, TableWriter
from lexport.dataset.runs import RunWriter, Section
from lexport.dataset.snapshot import Files, RunFacts, stage_commit
from lexport.model import Scope, __version__
from lexport.simulator import Change, Fleet, FleetSpec
from lexport.tables import run
from lexport.tables.account_settings import ACCOUNT_SETTINGS
from lexport.tables.aliases import ALIASES
from lexport.tables.arrow import table_schema
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import state_tables
from lexport.tables.run import CHANGES, ERRORS
from lexport.tables.table import Table

LAST_NIGHT = datetime(2026, 11, 22, 2, tzinfo=UTC)
PUBLISHED = 4  # versions of a function besides $LATEST
SCOPES = [
    Scope(account_id=account, region=region)
    for account in ("111122223333", "111122223334")
    for region in ("eu-west-1", "us-east-1")
]
SPARE = 0.04  # functions that do not live at first: their names are those of new ones
OPTIONS = {"env": "keys", "qualifiers": "all", "aliases": True}
PLACE = ["account_id", "region", "function_name"]
OF_FUNCTIONS = tuple(table for table in state_tables() if "function_name" in table.key)
Place = tuple[str, str, str]
Night = dict[Table, pa.Table]


def some_hash(value: str) -> str:
    """Return 32 hexadecimal digits."""
    return hashlib.sha256(value.encode()).hexdigest()[:32]


class Year:
    """The fleet on its way through the nights: what lives, and the rows of all tables as they are now."""

    def __init__(self, functions: int) -> None:
        self.living = max(1, functions // len(SCOPES))
        spare = max(2, int(self.living * SPARE))
        self.fleet = Fleet(
            FleetSpec(
                functions=self.living + spare,
                versions=PUBLISHED,
                accounts=tuple(sorted({scope.account_id for scope in SCOPES})),
                regions=tuple(sorted({scope.region for scope in SCOPES})),
            )
        )
        self._dice = random.Random(functions)
        self._gone: dict[Scope, list[int]] = {}
        for scope in SCOPES:
            self._gone[scope] = self._dice.sample(range(self.living + spare), spare)
            for index in self._gone[scope]:
                self._apply("delete_function", scope, index)
        self._versions = {scope: self.fleet.counts(scope).versions for scope in SCOPES}
        self._wanted_versions = dict(self._versions)
        everything = ((scope, index) for scope in SCOPES for index in self.fleet.indexes(scope))
        self.rows = self._rows_of(everything)

    def _rows_of(self, functions: Iterable[tuple[Scope, int]]) -> Night:
        """Ask the oracle for all rows of some functions, sorted."""
        found = defaultdict(list)
        for scope, index in functions:
            for name, row in self.fleet.expected_of(scope, index, value_hmac=some_hash, hash_key_id="k"):
                found[name].append(row)
        return {table: _sorted(table, found[table.name]) for table in OF_FUNCTIONS}

    def settings(self) -> pa.Table:
        """Return the limits and the use of each account-region."""
        rows = [
            {"account_id": scope.account_id, "region": scope.region, **self.fleet.account_settings(scope)}
            for scope in SCOPES
        ]
        return _sorted(ACCOUNT_SETTINGS, rows)

    def sleep(self) -> tuple[Night, Night]:
        """Let a night pass; return the rows, before and now, of the functions that it touched."""
        touched = {scope: sorted(self._change(scope)) for scope in SCOPES}
        alive = [
            (scope, index) for scope, indexes in touched.items() for index in indexes if index not in self._gone[scope]
        ]
        new = self._rows_of(alive)
        places = sorted(
            (scope.account_id, scope.region, self.fleet.name(index)) for scope in touched for index in touched[scope]
        )
        before = {}
        for table, old in self.rows.items():
            spans = [_span(old, place) for place in places]
            before[table] = pa.concat_tables([old.slice(0, 0), *(old.slice(at, end - at) for at, end in spans)])
            pieces, done = [], 0
            for place, (at, end) in zip(places, spans, strict=True):
                first, last = _span(new[table], place)
                pieces += [old.slice(done, at - done), new[table].slice(first, last - first)]
                done = end
            self.rows[table] = pa.concat_tables([*pieces, old.slice(done)]).combine_chunks()
        return before, new

    # --- what happens in a night -------------------------------------------------------------------------------------

    def _apply(self, kind: str, scope: Scope, index: int, **values) -> None:
        self.fleet.apply(Change(kind=kind, scope=scope, function_name=self.fleet.name(index), **values))

    def _change(self, scope: Scope) -> set[int]:
        """Change one function in a hundred; return those that were touched."""
        dice, touched = self._dice, set()
        alive = list(self.fleet.indexes(scope))
        for index in dice.sample(alive, max(3, len(alive) // 100)):
            touched.add(index)
            what = dice.random()
            if what < 0.5:
                self._release(scope, index)
            elif what < 0.7:
                memory_mb = dice.choice((128, 256, 512, 1024, 2048))
                variables = {f"SETTING_{number}": str(dice.random()) for number in range(dice.randint(1, 9))}
                self._apply("update_config", scope, index, memory_mb=memory_mb, environment=variables)
            elif what < 0.8:
                self._apply("set_tags", scope, index, tags={"team": f"team-{dice.randint(1, 20)}", "stage": "prod"})
            elif what < 0.85:
                self._apply("set_reserved_concurrency", scope, index, reserved_concurrency=dice.choice((None, 0, 5)))
            elif what < 0.92:
                for alias in self.fleet.aliases(scope, index):
                    self._apply("move_alias", scope, index, alias=alias.name, version="$LATEST")
            else:
                back = self._gone[scope].pop(dice.randrange(len(self._gone[scope])))
                touched.add(back)
                self._versions[scope] -= len(list(self.fleet.published(scope, index)))
                self._apply("delete_function", scope, index)
                self._apply("recreate_function", scope, back)
                self._gone[scope].append(index)
        return touched

    def _release(self, scope: Scope, index: int) -> None:
        """Update the code and publish it; where there are versions enough, the oldest that no alias wants goes."""
        self._apply("update_code", scope, index)
        self._apply("publish_version", scope, index)
        self._versions[scope] += 1
        for number in list(self.fleet.published(scope, index))[:-2]:
            if self._versions[scope] <= self._wanted_versions[scope]:
                return
            with suppress(ValueError):  # an alias sends traffic there
                self._apply("delete_version", scope, index, version=str(number))
                self._versions[scope] -= 1


def _sorted(table: Table, rows: list[dict[str, object]]) -> pa.Table:
    found = pa.Table.from_pylist(rows, table_schema(table))
    return found.sort_by([(name, "ascending") for name in table.key]).combine_chunks()


def _span(rows: pa.Table, place: Place) -> tuple[int, int]:
    """Return where the rows of a function begin and end."""
    chunks = [rows.column(name) for name in PLACE]

    def key(row: int) -> Place:
        return tuple(chunk[row].as_py() for chunk in chunks)

    at = bisect_left(range(len(rows)), place, key=key)
    return at, bisect_right(range(len(rows)), place, lo=at, key=key)


# --- one night on disk -----------------------------------------------------------------------------------------------


class Writer:
    """Publishes nights, one after the other, with the project's own means."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._threads = ThreadPoolExecutor(2)
        self._last: Manifest | None = None

    def publish(self, number: int, at: datetime, rows: Night, touched: tuple[Night, Night] | None) -> None:
        """Write and commit one night; ``touched`` are the rows, before and now, of all that may have changed."""
        snapshot = {"snapshot_id": f"01K0{number:022d}", "snapshot_at": at}
        folder = self._store.open_scratch(snapshot["snapshot_id"])
        functions = rows[FUNCTIONS]
        position = functions.schema.get_field_index("fetched_at")
        field = functions.schema.field(position)
        read_at = pa.repeat(pa.scalar(at, field.type), len(functions))
        entries = [_entry(scope, rows) for scope in SCOPES]
        rows = rows | {
            FUNCTIONS: functions.set_column(position, field, read_at),
            run.SCOPES: _sorted(run.SCOPES, [_scope_row(entry, at) for entry in entries]),
            ERRORS: _sorted(ERRORS, [_error_row(scope, at) for scope in SCOPES]),
        }

        tables = TableFolder(path=folder, **snapshot)

        def write(table: Table) -> tuple[Table, Files]:
            with TableWriter(table, tables) as writer:
                writer.write(rows[table])
                return table, writer.close()

        writing = self._threads.map(write, sorted(rows, key=lambda table: -len(rows[table])))
        runs = list(self._changes(folder, touched, rows)) if touched else []
        written = {CHANGES: tables.write(CHANGES, runs)}
        written |= dict(writing)
        draft = stage_commit(written, tables, RunFacts(hash_key_id="k", options=OPTIONS), entries, gaps=0)
        self._last = commit(self._store, draft.manifest, draft.files, note=print)
        self._store.remove_folder(f"_staging/{snapshot['snapshot_id']}")

    def _changes(self, folder: Path, touched: tuple[Night, Night], rows: Night) -> Iterator[Section]:
        """Compare what was touched, as publishing compares everything: the rest is equal."""
        sides = []
        for name, found in zip((self._last.snapshot_id, "now"), touched, strict=True):
            compared = [table for table in state_tables() if table in rows]
            files = {table.name: [folder / f"{name}-{table.name}.parquet"] for table in compared}
            for table in compared:
                pq.write_table(found.get(table, rows[table]), *files[table.name], compression="none")
            common = {"options": OPTIONS, "hash_key_id": "k", "lexport_version": __version__}
            sides.append(SnapshotFiles(snapshot_id=name, files=files, **common))
        found = [batch for part in find_changes(SCOPES, before=sides[0], now=sides[1]) for batch in part.to_batches()]
        writer = RunWriter(folder)
        for batch in found:
            writer.collect(CHANGES, batch)
        writer.flush()
        yield from writer.runs[CHANGES.name]


def _entry(scope: Scope, rows: Night) -> ScopeEntry:
    functions, aliases = (
        rows[table]
        .select(PLACE)
        .filter((pc.field("account_id") == scope.account_id) & (pc.field("region") == scope.region))
        for table in (FUNCTIONS, ALIASES)
    )
    count = pc.count_distinct(functions.column("function_name")).as_py()
    return ScopeEntry(
        account_id=scope.account_id,
        region=scope.region,
        coverage="fleet",
        status="complete",
        functions=count,
        versions=len(functions),
        aliases=len(aliases),
        get_function_calls=len(functions),
        list_calls=len(functions) // 50 + count,
        throttles=0,
    )


def _scope_row(entry: ScopeEntry, at: datetime) -> dict[str, object]:
    counted = {"function_count_reported": entry.functions, "carried_rows": 0, "started_at": at, "ended_at": at}
    return asdict(entry) | counted | {"account_name": f"account-{entry.account_id[-4:]}"}


def _error_row(scope: Scope, at: datetime) -> dict[str, object]:
    return {
        "account_id": scope.account_id,
        "region": scope.region,
        "stage": "fetch",
        "operation": "GetFunction",
        "function_name": "short-lived",
        "error_code": "gone",
        "http_status": 404,
        "message": "the function was deleted between list and get",
        "is_gap": False,
        "attempts": 1,
        "occurred_at": at,
    }


def make_year(dest: Path, *, nights: int, functions: int) -> None:
    """Make the dataset, or find that it is there; one that is something else is taken away, if it is ours."""
    made = _made(dest)
    if made is not None and len(made) == nights and sum(entry.functions for entry in made[0].scopes) == functions:
        return
    if made:
        shutil.rmtree(dest)
    year = Year(functions)
    store = prepare_destination(dest, group_readable=False)
    writer, touched = Writer(store), None
    with ThreadPoolExecutor(1) as publisher:  # a night is written while the next one passes
        writing = []
        for number in range(1, nights + 1):
            if number > 1:
                touched = year.sleep()
            night = {**year.rows, ACCOUNT_SETTINGS: year.settings()}
            for done in writing:
                done.result()
            at = LAST_NIGHT - timedelta(days=nights - number)
            writing = [publisher.submit(writer.publish, number, at, night, touched)]
        writing[0].result()


def _made(dest: Path) -> list[Manifest] | None:
    """Return the commits of a dataset that this program made, newest first; None where there is none."""
    if not (dest / RUNS).is_dir():
        return None
    found = list(newest_first(LocalStore(dest.absolute())))
    if not all(commit.snapshot_id.startswith("01K0000000000") for commit in found):
        raise SystemExit(f"{dest} holds a dataset that this program did not make; give another folder")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dest", type=Path)
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--functions", type=int, default=10_000)
    given = parser.parse_args()
    started_s = time.perf_counter()
    make_year(given.dest, nights=given.nights, functions=given.functions)
    print(f"{given.dest}: {given.nights} nights, {time.perf_counter() - started_s:.0f} s")


if __name__ == "__main__":
    main()
