"""``docs/guides/read-the-files.md`` is true: each example gives the committed rows, in the engine that it is for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lexport.query.sql import open_result
from lexport.tables.arrow import table_schema
from lexport.tables.functions import FUNCTIONS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guides" / "read-the-files.md"
FOLDERS = {"frames": "make build/frames/.ready", "readers": "make readers"}
NEEDS = {
    "DuckDB": (),
    "polars": ("frames",),
    "pandas": ("frames",),
    "ClickHouse": ("readers", "frames"),
    "DataFusion": ("readers",),
    "Delta Lake": ("readers", "frames"),
}
SECTIONS = {
    section.partition("\n")[0]: re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
}
A, B = {"region": "eu-west-1"}, {"region": "us-east-1"}
# The page's code, then every variable that a test compares, as a Parquet file.
RUN = """
import sys
import pyarrow as pa, pyarrow.parquet as pq
names = {"__name__": "__main__"}
exec(sys.stdin.read(), names)
for name in sys.argv[1:]:
    pq.write_table(pa.table(names[name]), f"{name}.parquet")
"""


def night(day, *scopes, **given):
    return {"at": datetime(2026, 11, day, 2, tzinfo=UTC), "scopes": scopes, **given}


def function(name, scope, **columns):
    return {"function_name": name, "version": "$LATEST", **scope, **columns}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, write_dataset):
    """A dataset of an older release's night, a whole one, one of which a Region failed, and one never committed."""
    dest = tmp_path_factory.mktemp("readers") / "fleet"
    read = datetime(2026, 11, 21, 2, tzinfo=UTC)
    rows = [
        function("a", A, memory_size=512, runtime="python3.12", description="", fetched_at=read, carried_forward=False),
        function("zürich", A, reserved_concurrent_executions=0),
        function("b", B, code_size=2**40, vpc_config_ipv6_allowed_for_dual_stack=True),
    ]
    lacks = ("runtime", "reserved_concurrent_executions")
    old = [function("old", A, memory_size=128), function("left", B)]
    write_dataset(
        dest,
        [
            night(20, A, B, version="0.0.9", without=lacks, functions=old),
            night(21, A, B, functions=rows),
            night(22, A, {**B, "status": "denied"}, status="partial", functions=[function("a", A, memory_size=1024)]),
            night(23, A, B, commit=False, heal=False, functions=[function("never", A), function("never", B)]),
        ],
    )
    return dest


def rows_of(table):
    """Return the rows of a table of functions as values that are equal in all engines."""
    columns = [table.column(field.name).cast(field.type).to_pylist() for field in table_schema(FUNCTIONS)]
    return sorted(zip(*columns, strict=True), key=repr)


def of_lexport(fleet, query):
    with open_result(fleet, query) as result:
        return rows_of(result.reader.read_all())


def run(fleet, engine, code, *names):
    """Run code beside a dataset; return the rows of some of its variables."""
    missing = [folder for folder in NEEDS[engine] if not (ROOT / "build" / folder / ".ready").exists()]
    if missing:
        is_required = "readers" not in missing and os.environ.get("LEXPORT_REQUIRE_ALL") == "1"
        is_required |= os.environ.get("LEXPORT_READERS") == "all"
        (pytest.fail if is_required else pytest.skip)(f"run: {FOLDERS[missing[0]]}")
    folders = [str(ROOT / "build" / folder) for folder in NEEDS[engine]]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *names],
        input=code,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "TZ": "America/New_York"},
        cwd=fleet.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [rows_of(pq.ParquetFile(fleet.parent / f"{name}.parquet").read()) for name in names]


@pytest.mark.parametrize("engine", NEEDS)
def test_committed_rows(fleet, engine):
    """The example of an engine gives the rows of ``lexport sql``, whatever release wrote them, and no others."""
    expected = of_lexport(fleet, "FROM history.functions")
    (found,) = run(fleet, engine, SECTIONS[engine][0], "functions")

    assert len(expected) == 6
    assert found == expected


def test_latest_rows(fleet):
    """The example for the latest reading gives what plain names show."""
    (found,) = run(fleet, "DuckDB", "\n".join(SECTIONS["DuckDB"]), "latest")

    assert found == of_lexport(fleet, "FROM functions")
    assert {row[FUNCTIONS.names().index("function_name")] for row in found} == {"a", "b"}


def test_a_delta_table_is_loaded_twice(fleet):
    """A second run of the example for Delta appends what was committed since, and nothing twice."""
    code = "\n".join([SECTIONS["Delta Lake"][0]] * 2)
    (found,) = run(fleet, "Delta Lake", code, "functions")

    assert found == of_lexport(fleet, "FROM history.functions")


def test_every_example_is_run():
    """The page has no example that no test runs."""
    assert {engine: len(code) for engine, code in SECTIONS.items()} == dict.fromkeys(NEEDS, 1) | {"DuckDB": 2}
