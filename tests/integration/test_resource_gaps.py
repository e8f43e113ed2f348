"""What one resource cannot read is shown everywhere, and is a gap only where --require names it."""

from __future__ import annotations

import json

import pytest

from lexport.simulator import Fault
from lexport.tables.registry import fleet_resources
from lexport.tables.text import plural

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

NAME, TABLE, OPERATION = "event-sources", "event_source_mappings", "ListEventSourceMappings"
DENIED, NOT_OFFERED, READ = "us-east-1", "eu-west-1", "us-west-2"
FAULTS = (
    Fault(operation=OPERATION, kind="denied", region=DENIED, times=None),
    Fault(
        operation=OPERATION,
        kind="error",
        status=403,
        code="AccessDeniedException",
        message="Unable to determine service/operation name to be authorized",
        region=NOT_OFFERED,
        times=None,
    ),
)


async def test_what_one_resource_cannot_read(simulator, run_lexport, flags, tmp_path):
    """Denied, not offered, none and not requested are told apart in rows, on stderr and by the exit code."""
    dest, regions = tmp_path / "fleet", ("--region", f"{DENIED},{NOT_OFFERED},{READ}")
    named = ("--with", NAME)
    async with simulator(*FAULTS, functions=4, versions=1) as aws:
        done = await run_lexport("snapshot", dest, *flags(aws.url, *regions, *named))
        refused = await run_lexport("snapshot", tmp_path / "no", *flags(aws.url, *regions, *named, "--require", NAME))
        partial = await run_lexport(
            "snapshot", tmp_path / "part", *flags(aws.url, *regions, *named, "--require", NAME, "--allow-partial")
        )
        left_out = await run_lexport("snapshot", tmp_path / "out", *flags(aws.url, *regions, "--without", NAME))
        requests = [call.operation for call in aws.requests][-30:]
        again = await run_lexport("snapshot", dest, *flags(aws.url, *regions, *named))
        differences = await run_lexport("diff", dest)

    assert (done.code, refused.code, partial.code, left_out.code) == (0, 1, 3, 0), done.err
    (line,) = [line for line in done.err.splitlines() if OPERATION in line]
    assert line.startswith(("noted: 1 x AccessDenied", "warning: 1 x AccessDenied"))
    assert f"111122223333 {DENIED}, e.g." in line
    assert f"missing: 1 x AccessDeniedException in {OPERATION}" in partial.err
    assert OPERATION not in requests
    assert (again.code, differences.code) == (0, 0)
    assert f"not compared: event sources were denied in 1 account-region (111122223333 {DENIED})" in differences.err

    async def ask(query, dest=dest):
        return await run_lexport("sql", dest, query, "--output", "json")

    rows = json.loads((await ask(f"SELECT region, status, items FROM scope_resources WHERE resource = '{NAME}'")).out)
    status = {row["region"]: row["status"] for row in rows}
    assert status == {DENIED: "denied", NOT_OFFERED: "unavailable", READ: "complete"}
    rows = json.loads((await ask("SELECT region, operation, is_gap FROM errors")).out)
    assert rows == [{"region": DENIED, "operation": OPERATION, "is_gap": False}]
    answer = await ask(f"SELECT count(*) FROM {TABLE}")
    assert f"event sources were denied in 1 account-region (111122223333 {DENIED}): they are missing" in answer.err
    assert f"event sources are not offered in 1 account-region (111122223333 {NOT_OFFERED})" in answer.err
    assert (await ask("SELECT count(*) FROM functions")).err == ""
    answer = await ask(f"SELECT count(*) FROM {TABLE}", tmp_path / "out")
    assert "event sources were left out (" in answer.err
    rows = json.loads((await ask("SELECT DISTINCT status FROM scope_resources WHERE items IS NULL")).out)
    assert rows == [{"status": "not_requested"}]

    shown = await run_lexport("status", dest, "--resources", "--output", "json")
    names = {resource.option for resource in fleet_resources()}
    assert len(json.loads(shown.out)) == 3 * len(names)
    assert f"event sources were denied in {plural(1, 'account-region')}" in shown.err
