"""Resources around functions are read again only where something changed: by revision, and by the event history."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lexport.model import Scope
from lexport.simulator import Change, Fault, Fleet, FleetSpec, Simulator, open_simulator
from lexport.tables.registry import state_tables

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

SCOPE = Scope(account_id="111122223333", region="us-east-1")
WAITS = {"LEXPORT_TEST_WAITS": "0.1"}  # twenty look-ups a second
FLAGS = ("--region", SCOPE.region, "--list-rate", "1000000", "--get-function-rate", "1000000", "--with", "all")
CLOUDTRAIL = ("--incremental", "--changes-from", "cloudtrail")
NEW = ("snapshot_id", "snapshot_at")
OWN = {"snapshot_id", "snapshot_at", "fetched_at", "carried_forward", "occurred_at"}
CARRIED = {
    "ListAliases": "aliases",
    "GetPolicy": "policies",
    "ListFunctionUrlConfigs": "urls",
    "ListFunctionEventInvokeConfigs": "invoke-configs",
    "ListProvisionedConcurrencyConfigs": "provisioned-concurrency",
    "GetRuntimeManagementConfig": "runtime-management",
}
"""Operation -> name of the resource, of those that can be carried over."""
FORMS = ("name", "arn", "partial", "qualified")
CALLERS = ("user", "cloudformation", "codedeploy")


def files(dest: Path, table: str) -> list[Path]:
    """Return the files of a table in the newest snapshot, in the order of their rows."""
    newest = max(path.stem for path in (dest / "_runs").iterdir())
    return sorted((dest / table).rglob(f"{newest}-*.parquet"))


def rows(dest: Path, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table in the newest snapshot."""
    return [row for path in files(dest, table) for row in pq.ParquetFile(path).read().to_pylist()]


def of_function(found: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the rows of one function."""
    return [row for row in found if row["function_name"] == name]


def differences(one: Path, other: Path) -> set[tuple[str, str]]:
    """Return the tables and the functions whose rows differ between the newest snapshots of two datasets."""
    found = set()
    for table in (*(table.name for table in state_tables()), "errors"):
        kept = [
            Counter(
                (row.get("function_name"), repr([(name, value) for name, value in row.items() if name not in OWN]))
                for row in rows(dest, table)
            )
            for dest in (one, other)
        ]
        found |= {(table, str(name)) for name, _ in (kept[0] - kept[1]) + (kept[1] - kept[0])}
    return found


def readings(dest: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of ``scope_resources`` of the newest snapshot, by resource."""
    return {row["resource"]: row for row in rows(dest, "scope_resources")}


def changes_of_every_kind(fleet: Fleet) -> list[Change]:
    """Return one change of each kind, each of another function; names and callers take turns, and some are refused."""
    names = [fleet.name(index) for index in fleet.indexes(SCOPE) if fleet.aliases(SCOPE, index)]
    taken = iter(names)

    def change(kind: Any, **more: Any) -> Change:
        return Change(kind=kind, scope=SCOPE, function_name=next(taken), **more)

    def alias_of(made: Change) -> str:
        index = fleet.index(SCOPE, made.function_name)
        assert index is not None
        return fleet.aliases(SCOPE, index)[0].name

    made = [
        change("publish_version"),
        change("update_code"),
        change("update_config", memory_mb=3008),
        change("set_tags", tags={"team": "blue"}),
        change("set_reserved_concurrency", reserved_concurrency=0),
        change("delete_function"),
        change("recreate_function"),
        change("create_alias", alias="added", version="$LATEST"),
        *(replace(each, alias=alias_of(each)) for each in (change("delete_alias"),)),
        *(replace(each, alias=alias_of(each)) for each in (change("move_alias", version="$LATEST"),)),
        *(change("change_resource", resource=name) for name in CARRIED.values() if name != "aliases"),
    ]
    made = [
        replace(each, named_as=FORMS[number % len(FORMS)], caller=CALLERS[number % len(CALLERS)])
        for number, each in enumerate(made)
    ]
    created = Change(kind="create_function", scope=SCOPE, function_name=fleet.name(fleet.size(SCOPE)))
    refused = change("change_resource", resource="urls", error_code="AccessDenied", named_as="arn")
    return [*made, created, refused, replace(refused, error_code="ResourceConflictException")]


class Nights:
    """Nights of one fleet with the installed command, and what each of them asked for."""

    def __init__(self, server: Simulator, run_lexport: Any, dest: Path) -> None:
        self._server, self._run, self._dest = server, run_lexport, dest

    async def snapshot(self, *flags: str, dest: Path | None = None) -> tuple[dict[str, set[str]], str]:
        """Take a snapshot; return the functions that each operation asked about, and what the run said."""
        self._server.requests.clear()
        flags = ("--endpoint-url", self._server.url, *FLAGS, *flags)
        ended = await self._run("snapshot", dest or self._dest, *flags, **WAITS)
        assert ended.code == 0, ended.err
        asked: dict[str, set[str]] = defaultdict(set)
        for call in self._server.requests:
            asked[call.operation].add(call.function_name or "")
        return asked, ended.err

    async def plan(self, *flags: str) -> dict[str, Any]:
        """Return the plan of the next night."""
        flags = ("--endpoint-url", self._server.url, *FLAGS, *flags, "--output", "json")
        ended = await self._run("plan", self._dest, *flags, **WAITS)
        assert ended.code == 0, ended.err
        planned: dict[str, Any] = json.loads(ended.out)[0]
        return planned


async def test_a_night_with_carry_over_equals_a_full_one(run_lexport, tmp_path):
    """After changes of every kind, a night that carries over has the rows of a full one taken at the same moment, and
    asks only about what changed. A change whose event is late shows the following night, and ``changes_until`` says
    so. Without a readable history, and with a damaged last snapshot, everything is read and the run says why."""
    fleet, dest, full = Fleet(FleetSpec(functions=50, versions=2)), tmp_path / "fleet", tmp_path / "full"
    *_, late = (fleet.name(index) for index in fleet.indexes(SCOPE))
    late_change = Change(
        kind="change_resource",
        resource="invoke-configs",
        scope=SCOPE,
        function_name=late,
        event_delay=timedelta(hours=1),
    )
    async with open_simulator(fleet, quotas=False) as server:
        nights = Nights(server, run_lexport, dest)
        first, _ = await nights.snapshot()
        before = of_function(rows(dest, "event_invoke_configs"), late)
        configs = rows(dest, "provisioned_concurrency_configs")
        moving = {config["function_name"] for config in configs if config["status"] != "READY"}
        changes = changes_of_every_kind(fleet)
        for change in (*changes, late_change):
            fleet.apply(change)
        made_at = datetime.now(UTC)
        planned = await nights.plan("--changes-from", "cloudtrail")
        second, _ = await nights.snapshot(*CLOUDTRAIL)
        others = rows(dest, "scopes")[0]["list_calls"]
        assert planned["incremental_list_calls"] <= others <= planned["incremental_list_calls_at_most"]
        assert others < planned["list_calls"] / 2
        await nights.snapshot(dest=full)

        changed = {change.function_name for change in changes if change.error_code is None}
        for operation in CARRIED:
            assert len(first[operation]) > 30, operation
            assert second[operation] <= changed | moving, operation
            assert operation == "ListProvisionedConcurrencyConfigs" or second[operation] <= changed, operation
        assert len(second["LookupEvents"]) == 1
        assert differences(dest, full) == {("event_invoke_configs", late)}
        assert of_function(rows(dest, "event_invoke_configs"), late) == [
            {**row, **{name: rows(dest, "scopes")[0][name] for name in NEW}, "carried_forward": True} for row in before
        ]
        for name in CARRIED.values():
            reading = readings(dest)[name]
            assert 0 < reading["carried_items"] < reading["items"], name
            assert reading["oldest_read_at"] < reading["read_at"]
            assert reading["changes_until"] < made_at - timedelta(hours=1), name

        fleet.history(SCOPE).catch_up()
        third, _ = await nights.snapshot(*CLOUDTRAIL)
        operation = "ListFunctionEventInvokeConfigs"
        assert third[operation] == second[operation] | {late}
        assert differences(dest, full) == set()

        server.inject(Fault(operation="LookupEvents", kind="denied"))
        denied, said = await nights.snapshot(*CLOUDTRAIL)
        assert "what has changed cannot be looked up" in said
        assert "so every resource is read" in said
        assert all(len(denied[operation]) >= len(first[operation]) - 3 for operation in CARRIED)
        assert readings(dest)["urls"]["changes_until"] is None

        plain, _ = await nights.snapshot("--incremental")
        assert not plain["GetPolicy"]
        assert len(plain["ListAliases"]) == len(denied["ListAliases"])

        files(dest, "policy_statements")[0].write_bytes(b"damaged")
        damaged, said = await nights.snapshot("--incremental")
        assert "is damaged" in said
        assert damaged["GetPolicy"] == denied["GetPolicy"]
        assert differences(dest, full) == {("errors", "None")}  # what changed since the damaged snapshot is not known
