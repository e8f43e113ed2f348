"""A dataset that grows by commits of every kind: whole, partial, of a selection, incremental, late, of packages."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import anyio

from lexport.dataset import layout
from lexport.dataset.retire import retire
from lexport.model import Scope
from lexport.simulator import Fleet, FleetSpec
from lexport.tables.registry import BY_NAME, resource_tables

AT = datetime(2026, 11, 20, 2, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
OURS, CLOSED = "111122223333", "111122223334"
EAST, WEST = "us-east-1", "eu-west-1"
READ = ("event-sources", "invoke-configs", "policies", "urls", "provisioned-concurrency", "runtime-management")
ODD = 'say "hi", \\.\n\\.\n\\N\ttab, é, 日本, \U0001f600,\r\nend'
"""A text that is hard to write as CSV."""
LONG = "".join(chr(0x4E00 + number % 20_000) for number in range(4_000))
"""A text of 12,000 bytes, which an index of PostgreSQL does not take, and which does not compress well."""
SPEC = FleetSpec(functions=8, versions=2, seed=7, accounts=(OURS, CLOSED), regions=(EAST, WEST))


def identify(number):
    """Return the id of a commit."""
    return f"01KB{number:022d}"


def moment(number):
    """Return when a commit's run began."""
    return AT + number * DAY


def fleet_rows(number, *places, carried=False, text=ODD):
    """Return the rows of some account-regions by table: function 3 differs each night, function N is gone in night N.

    ``carried``: rows of all functions but 3 are carried forward from the night before.
    """
    rows = {table.name: [] for table in resource_tables()}
    fleet = Fleet(SPEC)
    for account, region in places:
        scope = Scope(account_id=account, region=region)
        for table, row in fleet.expected(scope, value_hmac=str.upper, hash_key_id="k", with_resources=READ):
            index = (row.get("function_name") or "")[-1:]
            if index == str(number):
                continue
            if table == "functions" and index == "3":
                row |= {"memory_size": 128 + number, "description": text}
            if table == "functions" and index == "4":
                row |= {"description": "", "role": None}
            if table == "policy_conditions" and index in ("2", "3", "5"):
                row |= {"value": LONG}
            if {"fetched_at", "carried_forward"} <= {*BY_NAME[table].names()}:
                is_old = carried and index != "3"
                row |= {"carried_forward": is_old, "fetched_at": moment(number - is_old)}
            rows[table].append(row)
        rows["usage_windows"].append({"account_id": account, "region": region})
        rows["function_usage"] += [
            {"account_id": account, "region": region, "function_name": "f", "day": moment(day).date()}
            for day in range(3)
        ]
    for name, of_table in rows.items():
        of_table.sort(key=lambda row, key=BY_NAME[name].key: [(row.get(k) is not None, row.get(k)) for k in key])
    return rows


def scopes(*places):
    """Return rows of ``scopes`` and of ``scope_resources``: places are (account, Region, status)."""
    read = [
        {"account_id": account, "region": region, "resource": name, "status": "complete"}
        for account, region, _ in places
        for name in sorted(("functions", "aliases", *READ))
    ]
    names = ("account_id", "region", "status")
    return {"scopes": [dict(zip(names, place, strict=True)) for place in places], "scope_resources": read}


def change(kind, function, **more):
    """Return a row of ``changes`` about $LATEST of a function of ours in the east."""
    row = {"account_id": OURS, "region": EAST, "kind": kind, "table_name": "functions", "key": f"{function}/$LATEST"}
    return row | {"previous_snapshot_id": identify(1)} | more


def error(message, **more):
    """Return a row of ``errors``."""
    row = {"account_id": OURS, "region": WEST, "stage": "fetch", "operation": "GetFunction", "error_code": "denied"}
    return row | {"message": message, "is_gap": True, "attempts": 1, "occurred_at": AT} | more


def _packages(rows, status):
    codes = sorted({row["code_sha256"] for row in rows["functions"] if row["code_sha256"]})[:6]
    return [{"code_sha256": code, "sha256_hex": code.lower(), "status": status} for code in codes]


def write_stages(dest, write_dataset, text=ODD):
    """Yield after each stage: the dataset has grown, and a feed is due. The first commit of a stage is given first."""
    first = fleet_rows(1, (OURS, EAST), (OURS, WEST), (CLOSED, EAST), text=text)
    some = _packages(first, "stored")

    def write(number, **commit):
        (manifest,) = write_dataset(dest, [{"id": identify(number), "at": moment(number), **commit}])
        return manifest

    whole = scopes((OURS, EAST, "complete"), (OURS, WEST, "complete"), (CLOSED, EAST, "complete"))
    write(1, **whole, **first, packages=[some[0] | {"dependencies_status": "complete"}, *some[1:]])
    yield

    write(
        2,
        **scopes((OURS, EAST, "complete"), (OURS, WEST, "partial")),
        **fleet_rows(2, (OURS, EAST), text=text),
        status="partial",
        changes=[change("changed", "g-3", column_name="memory_size", old_value="129", new_value=text)],
        errors=[error(LONG), error(LONG + "!"), error("", function_name=None, http_status=None)],
    )
    selection = scopes((OURS, EAST, "complete"))
    selection["scopes"][0]["coverage"] = "selection"
    write(3, **selection, **fleet_rows(3, (OURS, EAST), text=text))
    yield

    write(
        5,
        **scopes((OURS, EAST, "complete"), (OURS, WEST, "complete")),
        **fleet_rows(5, (OURS, EAST), (OURS, WEST), carried=True, text=text),
        changes=[change("removed", "f-5"), change("added", "f-2")],
    )
    yield

    late = write(
        4, **scopes((OURS, WEST, "complete")), **fleet_rows(4, (OURS, WEST), text=text), errors=[error("late")]
    )
    late = dataclasses.replace(late, committed_at=moment(5) + DAY / 2)
    (dest / layout.run_path(identify(4))).write_bytes(late.to_json())
    of_files = [{"sha256_hex": some[0]["sha256_hex"], "path": path} for path in ("a", LONG, "z")]
    write(
        6,
        scopes=[],
        packages=[some[0] | {"status": "present"}, some[2] | {"secrets_status": "complete"}],
        package_files=of_files,
        package_dependencies=[
            {"sha256_hex": some[0]["sha256_hex"], "ecosystem": "pypi", "name": "anyio", "version": version}
            for version in (None, "4.12")
        ],
        layer_versions=[
            {"layer_arn": arn, "code_sha256": f"{arn}="}
            for arn in sorted({row["layer_arn"] for row in first["layers"]})
        ],
    )
    yield

    write(
        7,
        scopes=[],
        package_files=of_files[:1],
        packages=[some[0] | {"status": "present", "reason": json.dumps(text)}],
    )
    write(8, **scopes((OURS, EAST, "complete")), **fleet_rows(8, (OURS, EAST), text=text))
    anyio.run(retire, dest, CLOSED)
    yield
