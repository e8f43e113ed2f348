"""``lexport errors``: what a run could not read, by kind."""

from __future__ import annotations

import csv
import json

import pytest

from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def denied(name):
    return Fault(operation="GetFunction", function_name=name, qualifier="$LATEST", kind="denied", times=None)


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=3, versions=1))


async def test_refused_and_published_run(simulator, run_lexport, flags, fleet, look, tmp_path):
    """The errors of a refused run are shown by kind, and after it is published those of the table ``errors``."""
    dest = tmp_path / "fleet"
    async with simulator(denied(fleet.name(0)), denied(fleet.name(1)), fleet=fleet) as aws:
        refused = await run_lexport("snapshot", dest, *flags(aws.url))
        table = await run_lexport("errors", dest)
        lines = await run_lexport("errors", dest, "--output", "jsonl")
        partial = await run_lexport("snapshot", dest, *flags(aws.url, "--allow-partial"))
        published = await run_lexport("errors", dest, "--output", "csv")
    (staged,) = dest.glob("_staging/*")
    earlier = await run_lexport("errors", dest, "--run", staged.name[:12], "--output", "json")

    assert (refused.code, partial.code) == (1, 3)
    assert (table.code, lines.code, published.code, earlier.code) == (0, 0, 0, 0)
    (row,) = map(json.loads, lines.out.splitlines())
    assert row["account_id"], row["region"] == (look.account, look.region)
    assert (row["operation"], row["error_code"], row["is_gap"]) == ("GetFunction", "AccessDeniedException", True)
    assert (row["errors"], row["function_name"]) == (2, min(fleet.name(0), fleet.name(1)))
    assert "is not authorized to perform: lambda:GetFunction" in row["message"]
    assert "AccessDeniedException" in table.out
    assert f"lexport: run {staged.name} (refused because of gaps, not published): 2 errors, 2 gaps" in table.err
    assert json.loads(earlier.out) == [row]
    (from_table,) = csv.DictReader(published.out.splitlines())
    assert (from_table["errors"], from_table["message"]) == ("2", row["message"])
    assert "(published with gaps): 2 errors, 2 gaps" in published.err
    query = published.err.partition(f'lexport sql {dest} "')[2].partition('"')[0]
    asked = await run_lexport("sql", dest, query, "--output", "jsonl")
    assert len(asked.out.splitlines()) == 2


async def test_endings(run_lexport, write_dataset, tmp_path):
    """A run without errors exits with 0 and says so; one that does not exist with 2; an unreadable one with 1."""
    dest = tmp_path / "fleet"
    (commit,) = write_dataset(dest, [{}])
    empty = await run_lexport("errors", dest, "--output", "jsonl")
    absent = await run_lexport("errors", dest, "--run", "01ABC")
    (dest / commit.entries("errors")[0].path).unlink()
    damaged = await run_lexport("errors", dest)

    assert (empty.code, empty.out) == (0, "")
    assert empty.last == f"lexport: run {commit.snapshot_id} (published, complete): no errors"
    assert absent.code == 2
    assert f"--run 01ABC is no run of this dataset; the newest are {commit.snapshot_id}" in absent.last
    assert (damaged.code, damaged.out) == (1, "")
    assert "it is missing" in damaged.last


async def test_text_of_a_stranger(run_lexport, write_dataset, tmp_path):
    """Control characters in a message and in a name reach no terminal, and --csv-safe neutralizes formulas."""
    dest = tmp_path / "fleet"
    row = {"stage": "fetch", "error_code": "=x()", "function_name": "a\x1b[2Jb\u202e", "message": "\x1b]0;t\x07 \r\n"}
    write_dataset(dest, [{"errors": [{**row, "is_gap": False}]}])
    table = await run_lexport("errors", dest)
    safe = await run_lexport("errors", dest, "--output", "csv", "--csv-safe")

    assert r"a\x1b[2Jb\u202e" in table.out
    assert all(character.isprintable() or character == "\n" for character in table.out)
    assert ",'=x()," in safe.out
