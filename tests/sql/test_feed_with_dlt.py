"""``docs/guides/feed-with-dlt.md`` is true: its loader makes a database equal to the dataset."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

import lexport
from lexport.query.sql import open_result

ROOT = Path(__file__).parents[2]
READERS = ROOT / "build" / "readers"
(CODE,) = re.findall(
    r"^```python\n(.*?)^```$",
    (ROOT / "docs" / "guides" / "feed-with-dlt.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
A, B, C = ({"region": region} for region in ("ap-south-1", "eu-west-1", "us-east-1"))


def function(name, scope, **columns):
    return {"function_name": name, "version": "$LATEST", **scope, **columns}


def night(day, scopes, functions, **given):
    return {"at": datetime(2026, 11, day, 2, tzinfo=UTC), "scopes": scopes, "functions": functions, **given}


NIGHTS = [
    night(
        20,
        [B, C],
        [function("changed", B, memory_size=128), function("deleted", B, code_sha256="c1"), function("same", C)],
        tags=[{"function_name": "changed", **B, "key": "k", "value": "v"}],
        packages=[{"code_sha256": "c1", "sha256_hex": "ab", "status": "stored"}],
    ),
    night(
        21,
        [A, B, C],
        [function("new", A, code_sha256="c1"), function("changed", B, memory_size=256), function("same", C)],
        errors=[{**B, "operation": "GetPolicy", "error_code": None, "is_gap": False}],
    ),
]
QUERIES = {
    "functions": "SELECT account_id, region, function_name, version, memory_size, code_sha256 FROM {}functions",
    "tags": "SELECT region, function_name, key, value FROM {}tags",
    "packages": "SELECT code_sha256, sha256_hex, status FROM {}packages",
    "scopes": "SELECT snapshot_id, region, coverage, status FROM {}scopes",
    "errors": "SELECT snapshot_id, region, operation, error_code FROM {}errors",
}


@pytest.mark.slow
@pytest.mark.asyncio
async def test_loads(tmp_path, write_dataset):
    """After a whole feed, and after the next one loaded once and twice, every table is equal to the dataset's."""
    if not (READERS / "dlt").exists():
        (pytest.fail if os.environ.get("LEXPORT_READERS") == "all" else pytest.skip)("run: make readers")
    dest, since = tmp_path / "fleet", None
    for number, loads in ((1, 1), (2, 2)):
        *_, commit = write_dataset(dest, NIGHTS[:number])
        (tmp_path / "feed.jsonl").unlink(missing_ok=True)
        await lexport.feed(dest, tmp_path / "feed.jsonl", output="jsonl", since=since)
        since = commit.snapshot_id
        for _ in range(loads):
            load(tmp_path)
            with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as warehouse:
                for table, query in QUERIES.items():
                    space = "history." if table in ("scopes", "errors") else ""
                    with open_result(dest, query.format(space)) as result:
                        expected = [tuple(row.values()) for row in result.reader.read_all().to_pylist()]
                    if expected:
                        found = warehouse.execute(query.format("fleet.")).fetchall()
                        assert sorted(found, key=repr) == sorted(expected, key=repr), (number, table)


def load(folder):
    subprocess.run(
        [sys.executable, "-c", CODE],
        env={
            **os.environ,
            "PYTHONPATH": str(READERS),
            "DLT_DATA_DIR": str(folder / "dlt"),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        },
        cwd=folder,
        check=True,
        timeout=120,
    )
