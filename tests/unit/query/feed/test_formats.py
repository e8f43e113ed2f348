"""Each format of a feed holds the same rows, in a folder and in a bucket."""

import json
import random
from datetime import UTC, date, datetime
from pathlib import Path
from runpy import run_path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lexport
from lexport.errors import SettingsError
from lexport.query.feed import write_feed
from lexport.tables.fed import fed_tables
from lexport.tables.types import DUCKDB_TYPES

NIGHTS = run_path(str(Path(__file__).with_name("nights.py")))
AT, DAY = NIGHTS["AT"], NIGHTS["DAY"]

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, write_dataset):
    """Two nights and a commit of packages, with NULL, empty texts, quotes and line breaks."""
    dest, dice, rows = tmp_path_factory.mktemp("formats") / "fleet", random.Random(7), {}
    nights = []
    for number in range(2):
        night = NIGHTS["a_night"](dice, AT + number * DAY, rows)
        rows = {name: [dict(row) for row in found] for name, found in night.items() if isinstance(found, list)}
        nights.append(night)
    write_dataset(dest, [*nights, NIGHTS["a_package_commit"](dice, AT + 2 * DAY)])
    return dest


def plain(value):
    """A value as JSON and CSV write it: instants as text."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def rows_of_parquet(folder, name):
    rows = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return [{column: plain(value) for column, value in row.items() if value is not None} for row in rows]


async def test_json_lines_are_the_rows_of_parquet(fleet, tmp_path):
    """JSON lines have the rows of the folder, without NULLs; `end` has what is needed to find out a cut."""
    folder, lines = tmp_path / "folder", tmp_path / "lines.jsonl.zst"
    whole = write_feed(fleet, folder, "01K00000000000000000000001")
    result = await lexport.feed(
        fleet, lines, since="01K00000000000000000000001", output="jsonl", compress="zstd", write_mode="scd2"
    )
    body = pa.CompressedInputStream(str(lines), "zstd").read()
    records = [json.loads(line) for line in body.splitlines()]
    rows = {}
    for record in records:
        if record["type"] == "upsert":
            rows.setdefault(record["table"], []).append(record["row"])
        if record["type"] == "delete":
            rows.setdefault("deletes", []).append({"table_name": record["table"], **record["key"]})

    assert records[0]["write_mode"] == "scd2"
    assert (result.upserts, result.deletes) == (whole.upserts, whole.deletes)
    assert result.deletes > 0
    for name in (*(fed.name for fed in fed_tables()), "deletes"):
        assert rows.get(name, []) == rows_of_parquet(folder, name), name
    assert sum(part["rows"] for part in records[-1]["parts"]) == result.upserts + result.deletes
    assert b"null" not in b"".join(line for line in body.splitlines() if line.startswith(b'{"type": "upsert"'))


@pytest.mark.parametrize("compress", [None, "zstd"])
async def test_csv_is_read_back(fleet, tmp_path, compress):
    """DuckDB reads from CSV the rows of the Parquet files: NULL is not the empty text, line breaks and quotes stay."""
    write_feed(fleet, tmp_path / "parquet")
    write_feed(fleet, tmp_path / "csv", output="csv", compress=compress)
    end = "csv" if compress is None else "csv.zst"
    with duckdb.connect() as connection:
        for fed in fed_tables():
            columns = ", ".join(f"'{column.name}': '{DUCKDB_TYPES[column.type]}'" for column in fed.columns)
            parquet = connection.sql(f"FROM '{tmp_path / 'parquet' / fed.name}.parquet'").to_arrow_table().to_pylist()
            read = (
                connection.sql(
                    f"FROM read_csv('{tmp_path / 'csv' / fed.name}.{end}', header = true, columns = {{{columns}}},"
                    " quote = '\"', escape = '\"', allow_quoted_nulls = false)"
                )
                .to_arrow_table()
                .to_pylist()
            )
            assert read == parquet, fed.name
    described = json.loads((tmp_path / "csv" / "feed.json").read_text())
    assert {part["path"].partition(".")[2] for part in described["parts"]} == {end}


async def test_into_a_bucket(fleet, tmp_path, bucket, run_lexport):
    """A feed goes to a new prefix of a bucket, feed.json last; a prefix or an object that is there is refused."""
    write_feed(fleet, tmp_path / "folder", output="csv")
    target, lines = f"{bucket.url}/feeds/first", f"{bucket.url}/feeds/all.jsonl.zst"
    write_feed(fleet, lines, output="jsonl", compress="zstd")
    done, again = [await run_lexport("feed", fleet, "--output", "csv", "-o", target) for _ in range(2)]
    listed = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="feeds/first/")["Contents"]
    body = bucket.client.get_object(Bucket=bucket.name, Key="feeds/first/functions.csv")["Body"].read()

    assert done.code == 0, done.err
    assert (again.code, again.last) == (2, f"lexport: -o {target} is there already; a new folder is wanted")
    with pytest.raises(SettingsError, match=r"all.jsonl.zst is there already; a new name is wanted"):
        write_feed(fleet, lines, output="jsonl")
    names = {f"{fed.name}.csv" for fed in fed_tables()} | {"deletes.csv", "feed.json"}
    assert {*bucket.keys()} == {"feeds/all.jsonl.zst", *(f"feeds/first/{name}" for name in names)}
    at = {item["Key"]: item["LastModified"] for item in listed}
    assert max(at.values()) == at["feeds/first/feed.json"]
    assert body == (tmp_path / "folder" / "functions.csv").read_bytes()


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("s3://no-such-bucket-here/x", "-o: there is no bucket no-such-bucket-here"),
        ("s3://", "-o s3://: it names no bucket"),
        ("", "-o is empty"),
        ("no/such/folder", "there is no folder"),
    ],
)
async def test_a_place_that_cannot_be(fleet, bucket, place, text):
    """What cannot be written is told before anything is read, and as what it is."""
    with pytest.raises(SettingsError, match=text) as caught:
        await lexport.feed(fleet, place, output="csv")
    assert "DEST" not in str(caught.value)
    assert bucket.keys() == {}
