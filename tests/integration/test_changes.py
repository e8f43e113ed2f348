"""A history of five snapshots: `changes` holds exactly what the script changed in the fleet."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from runpy import run_path

import pyarrow.parquet as pq
import pytest

import lexport
from lexport.model import Scope
from lexport.query.shipped_views import shipped_views
from lexport.query.sql import open_query_session
from lexport.simulator import Change, Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]

SCOPE = Scope(account_id="111122223333", region="us-east-1")
OTHER = Scope(account_id="111122223333", region="eu-west-1")
SHOWN = ("account_id", "region", "kind", "table_name", "key", "column_name", "old_value", "new_value")
KEYS = {
    "functions": ("function_name", "version"),
    "aliases": ("function_name", "alias"),
    "alias_routes": ("function_name", "alias", "version"),
    "tags": ("function_name", "key"),
    "env_vars": ("function_name", "version", "name"),
    "layers": ("function_name", "version", "layer"),
    "subnets": ("function_name", "version", "subnet_id"),
    "security_groups": ("function_name", "version", "security_group_id"),
    "file_systems": ("function_name", "version", "position"),
    "code_signing_configs": ("code_signing_config_arn",),
    "function_code_signing": ("function_name", "code_signing_config_arn"),
    "event_source_mappings": ("uuid",),
}
OF_NO_FUNCTION = ("code_signing_configs", "event_source_mappings")
OF_NO_VERSION = ("tags", "aliases", "alias_routes", "function_code_signing")
PARENTS = {
    "aliases": (1,),
    "tags": (1,),
    "function_code_signing": (1,),
    "alias_routes": (1, 2),
}  # how much of a key names a function, an alias
LATEST_VIEWS = [
    view.name
    for view in shipped_views()
    if 20 <= int(view.path.name[:2]) < 60 and view.name not in ("lambda_runtimes", "snapshot_cost")  # data; all nights
]
UNSEEN = {"account_id", "region", "hash_key_id", "carried_forward", "layer"}
MOVING = {"last_processing_result", "state_transition_reason", "last_modified_at"}  # of a mapping: work, no setting


def instants(*days):
    return [datetime(2026, 11, day, 2, tzinfo=UTC) for day in days]


def as_text(value):
    """Return a value as ``changes`` writes it, by an independent rule."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def by_key(look, fleet, scope):
    """The oracle's rows, table -> key -> row."""
    tables = {}
    for table, rows in look.expected_rows(fleet, scope).items():
        if table in KEYS:
            for row in rows:
                if table == "layers":
                    row["layer"] = re.sub(r":\d+$", "", row["layer_arn"])
            tables[table] = {tuple(str(row[name]) for name in KEYS[table]): row for row in rows}
    return tables


def expected_changes(before, now, scope):
    """Return the changes between two oracles, row by row in plain Python."""
    there = [{key[:1] for key in side["functions"]} for side in (before, now)]
    found = []

    def is_told(table, key):
        """Return whether the parent of the row exists before and now, and was not denied."""
        if table == "functions" or table in OF_NO_FUNCTION:
            return True
        if table in PARENTS:
            parents = [all(key[:1] in side for side in there)]
            if table == "alias_routes":
                parents.append(all(key[:2] in side["aliases"] for side in (before, now)))
            latest = (key[0], "$LATEST")
            denied = table == "tags" and any(
                side["functions"].get(latest, {}).get("tags_error_code") for side in (before, now)
            )
            return all(parents) and not denied
        versions = [side["functions"].get(key[:2]) for side in (before, now)]
        if None in versions:
            return False
        return table != "env_vars" or not any(version["environment_error_code"] for version in versions)

    for table, identity in KEYS.items():
        hidden = {"env_vars": {"value"}, "event_source_mappings": MOVING}.get(table, set())
        for key in before[table].keys() | now[table].keys():
            if not is_told(table, key):
                continue
            old, new = before[table].get(key), now[table].get(key)
            place = (scope.account_id, scope.region)
            told = (table, "/".join(key))
            if old is None or new is None:
                found.append((*place, "added" if old is None else "removed", *told, None, None, None))
                continue
            found += [
                (*place, "changed", *told, name, as_text(old[name]), as_text(new[name]))
                for name in new.keys() - UNSEEN - hidden - set(identity)
                if old[name] != new[name]
            ]
    return found


def told(dest, result, table="changes"):
    """The rows of a table of one snapshot, in the order of the file."""
    (path,) = (dest / table).rglob(f"{result.snapshot_id}-*.parquet")
    return pq.ParquetFile(path).read().to_pylist()


def of(found):
    """The rows of a diff, as they are compared here."""
    return [tuple(row[name] for name in SHOWN) for row in found.changes.to_pylist()]


def in_order(rows):
    """Rows in the order of the table: account, region, table, key, kind, column."""
    return sorted(rows, key=lambda row: tuple(part or "" for part in (*row[:2], row[3], row[4], row[2], row[5])))


@dataclass(frozen=True)
class Night:
    """One snapshot: its expected rows by table and key, and its expected changes."""

    id: str
    at: datetime
    holds: dict
    changes: list

    def versions(self):
        """How many versions each function has."""
        return Counter(name for name, _ in self.holds["functions"])


def by_text(rows):
    return sorted(rows, key=lambda row: str(sorted(row.items())))


def expected_history(nights):
    for before, night in pairwise(nights):
        for account_id, region, kind, table, key, column, old, new in night.changes:
            if table in OF_NO_FUNCTION:
                continue
            name, rest = key.split("/", 1)
            yield {
                "account_id": account_id,
                "region": region,
                "function_name": name,
                "version": None if table in OF_NO_VERSION else rest.split("/")[0],
                "previous_snapshot_at": before.at,
                "snapshot_at": night.at,
                "kind": kind,
                "table_name": table,
                "key": key,
                "column_name": column,
                "old_value": old,
                "new_value": new,
                "snapshot_id": night.id,
            }


def history_order(row):
    names = ("account_id", "region", "function_name", "snapshot_id", "table_name", "key", "kind", "column_name")
    return tuple(row[name] or "" for name in names)


def expected_history_views(nights):
    """Return the expected rows of the other views of history, counted from the oracle."""
    place = {"account_id": SCOPE.account_id, "region": SCOPE.region}
    last = nights[-1].versions()
    lifetimes, deleted, by_night = [], [], []
    for name in {name for night in nights for name in night.versions()}:
        seen = [night for night in nights if name in night.versions()]
        lifetimes.append(
            place
            | {
                "function_name": name,
                "versions": last[name],
                "first_seen_at": seen[0].at,
                "is_older": seen[0] is nights[0],
                "last_seen_at": seen[-1].at,
                "is_deleted": not last[name],
                "first_snapshot_id": seen[0].id,
                "last_snapshot_id": seen[-1].id,
            }
        )
    for before, night in pairwise(nights):
        deleted += [
            place
            | {
                "function_name": name,
                "versions": count,
                "last_seen_at": before.at,
                "missed_at": night.at,
                "is_back": last[name] > 0,
                "snapshot_id": night.id,
            }
            for name, count in before.versions().items()
            if name not in night.versions()
        ]
        for table, kind in {(change[3], change[2]) for change in night.changes}:
            keys = [change[4] for change in night.changes if (change[3], change[2]) == (table, kind)]
            by_night.append(
                place
                | {
                    "snapshot_at": night.at,
                    "table_name": table,
                    "kind": kind,
                    "functions": 0 if table in OF_NO_FUNCTION else len({key.split("/")[0] for key in keys}),
                    "things": len(set(keys)),
                    "changes": len(keys),
                    "snapshot_id": night.id,
                    "previous_snapshot_id": before.id,
                }
            )
    return {"function_lifetimes": lifetimes, "deleted_functions": deleted, "changes_by_night": by_night}


def load_expectations():
    """Return the functions that count the rows of each view, by view."""
    folder = Path(__file__).parents[1] / "sql"
    return run_path(str(folder / "expectations_code.py")) | run_path(str(folder / "expectations_settings.py"))


def script(fleet, names, night):
    """Change the fleet, a little of everything, other functions every night."""
    first = 7 * night
    aliased = [
        index
        for index in range(len(names))
        if fleet.index(SCOPE, names[index]) is not None and fleet.aliases(SCOPE, index)
    ]
    index = aliased[night]
    todo = [
        Change(
            kind="update_config", scope=SCOPE, function_name=names[first], memory_mb=3008 + night, description="é/ü"
        ),
        Change(kind="update_config", scope=SCOPE, function_name=names[first + 1], environment={"A": "1", "N": "2"}),
        Change(kind="update_code", scope=SCOPE, function_name=names[first + 2]),
        Change(kind="publish_version", scope=SCOPE, function_name=names[first + 2]),
        Change(kind="set_tags", scope=SCOPE, function_name=names[first + 3], tags={"team": f"t{night}", "a/b": ""}),
        Change(kind="delete_function", scope=SCOPE, function_name=names[first + 4]),
        Change(
            kind="set_reserved_concurrency", scope=SCOPE, function_name=names[first + 5], reserved_concurrency=night
        ),
        Change(
            kind="move_alias",
            scope=SCOPE,
            function_name=names[index],
            alias=fleet.aliases(SCOPE, index)[0].name,
            version="$LATEST",
        ),
    ]
    if night > 1:  # what was deleted the night before comes back under its name
        todo.append(Change(kind="recreate_function", scope=SCOPE, function_name=names[first - 3]))
    for change in todo:
        fleet.apply(change)


async def test_changes_are_what_the_script_did(aws, simulator, settings, look, tmp_path):
    """Over five nights, `changes` holds exactly the expected changes, in order; the first night has none.

    An incremental run tells the same as a full one. `diff` says the same of two nights, and of the first and the last;
    the views of history add up to it, and the views of the latest show the last night and nothing of those before.
    """
    fleet = Fleet(FleetSpec(functions=80, versions=3))
    names = list(fleet.names(SCOPE))
    nights = []
    async with simulator(fleet=fleet) as server:
        for night, at in enumerate(instants(18, 19, 20, 21, 22)):
            if night:
                script(fleet, names, night)
            oracle = look.expected_rows(fleet, SCOPE)
            now = by_key(look, fleet, SCOPE)
            result = await lexport.snapshot(tmp_path, settings(server.url, snapshot_at=at, incremental=bool(night % 2)))
            rows = told(tmp_path, result)
            expected = expected_changes(nights[-1].holds, now, SCOPE) if nights else []

            assert [tuple(row[name] for name in SHOWN) for row in rows] == in_order(expected)
            assert {row["previous_snapshot_id"] for row in rows} == ({nights[-1].id} if night else set())
            assert len(rows) == sum(entry.rows for entry in result.manifest.files if entry.table == "changes")
            nights.append(Night(result.snapshot_id, at, now, in_order(expected)))
    nightly, whole = await lexport.diff(tmp_path), await lexport.diff(tmp_path, nights[0].id)

    assert in_order(of(nightly)) == in_order(tuple(row[name] for name in SHOWN) for row in rows)
    assert in_order(of(whole)) == in_order(expected_changes(nights[0].holds, now, SCOPE))

    with open_query_session(tmp_path) as session:
        shown = {view.name: session.read(f"FROM {view.name}").read_all().to_pylist() for view in shipped_views()}
        scopes = session.read("FROM scopes").read_all().to_pylist()

    assert shown["function_history"] == sorted(expected_history(nights), key=history_order)
    for view, wanted in expected_history_views(nights).items():
        assert by_text(shown[view]) == by_text(wanted), view
    expectations = load_expectations()
    oracle["functions"] = [row | {"fetched_at": at} for row in oracle["functions"]]  # the last run was a full one
    for view in LATEST_VIEWS:
        assert by_text(shown[view]) == by_text(expectations[view](oracle | {"scopes": scopes})), view


async def test_a_partial_reading_never_looks_like_a_deletion(aws, simulator, settings, tmp_path):
    """A scope that was not read whole has no changes, and the next whole one is compared with the last whole one."""
    fleet = Fleet(FleetSpec(functions=6, versions=1, regions=(SCOPE.region, OTHER.region)))
    names = list(fleet.names(SCOPE))
    both = {"regions": (SCOPE.region, OTHER.region)}
    async with simulator(fleet=fleet) as server:
        first = await lexport.snapshot(tmp_path, settings(server.url, **both))
        for scope in (SCOPE, OTHER):
            fleet.apply(Change(kind="set_tags", scope=scope, function_name=names[0], tags={"night": "2"}))
        server.inject(Fault(operation="GetFunction", kind="denied", region=OTHER.region, function_name=names[1]))
        second = await lexport.snapshot(tmp_path, settings(server.url, **both, allow_partial=True))
        selected = await lexport.snapshot(tmp_path, settings(server.url, functions=(names[0],)))
        third = await lexport.snapshot(tmp_path, settings(server.url, **both))

    assert {(row["region"], row["previous_snapshot_id"]) for row in told(tmp_path, second)} == {
        (SCOPE.region, first.snapshot_id)
    }
    assert told(tmp_path, selected) == []
    assert {(row["region"], row["previous_snapshot_id"]) for row in told(tmp_path, third)} == {
        (OTHER.region, first.snapshot_id)
    }


@pytest.mark.parametrize("damage", ["cut", "gone", "flipped"])
async def test_a_damaged_snapshot_before_is_no_reason_to_fail(aws, simulator, settings, tmp_path, damage):
    """The night is published without changes; its note and a row of errors say which snapshot could not be read."""
    async with simulator(functions=6, versions=1) as server:
        first = await lexport.snapshot(tmp_path, settings(server.url))
        (path,) = (tmp_path / "functions").rglob(f"{first.snapshot_id}-*")
        body = bytearray(path.read_bytes())
        if damage == "gone":
            path.unlink()
        else:
            body[200] ^= 0xFF
            path.write_bytes(body[:-10] if damage == "cut" else body)
        second = await lexport.snapshot(tmp_path, settings(server.url))

    assert told(tmp_path, second) == []
    (note,) = second.notes
    (row,) = told(tmp_path, second, "errors")
    assert (row["account_id"], row["region"], row["stage"], row["error_code"]) == (
        "111122223333",
        "us-east-1",
        "changes",
        "damaged",
    )
    assert (row["is_gap"], row["message"]) == (
        False,
        f"changes since {first.snapshot_id} are not recorded: its files are damaged; see lexport verify",
    )
    assert second.manifest.status == "complete"
    assert note.startswith(
        f"changes of 111122223333 us-east-1 are not recorded: the snapshot before, {first.snapshot_id}, is damaged: "
    )
    assert str(path.relative_to(tmp_path)) in note


async def test_equal_fleets_give_equal_bytes(aws, simulator, settings, tmp_path):
    """Two runs of the same id over the same fleets write the same bytes of `changes`."""
    bodies = []
    for name in ("a", "b"):
        fleet = Fleet(FleetSpec(functions=16, versions=1))
        async with simulator(fleet=fleet) as server:
            first, second = instants(1, 2)
            more = {"snapshot_id": "01K00000000000000000000001", "snapshot_at": first}
            await lexport.snapshot(tmp_path / name, settings(server.url, **more))
            script(fleet, list(fleet.names(SCOPE)), 1)
            more = {"snapshot_id": "01K00000000000000000000002", "snapshot_at": second}
            result = await lexport.snapshot(tmp_path / name, settings(server.url, **more))
        (path,) = (tmp_path / name / "changes").rglob(f"{result.snapshot_id}-*")
        bodies.append(path.read_bytes())

    assert bodies[0] == bodies[1]
    assert len(told(tmp_path / "a", result)) > 10
