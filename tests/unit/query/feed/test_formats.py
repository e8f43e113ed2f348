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
ROOT = Path(__file__).parents[4]
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


async def test_the_schema_of_feed_json(fleet, tmp_path):
    """The JSON schema of feed.json takes what is written, has no property that is not, and refuses what is cut off."""
    from jsonschema import Draft202012Validator  # here, because it takes seconds, which each worker would wait for

    write_feed(fleet, tmp_path / "feed", "01K00000000000000000000001", output="csv", compress="zstd")
    described = json.loads((tmp_path / "feed" / "feed.json").read_text())
    schema = json.loads((ROOT / "docs/reference/schemas/feed.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)

    assert [error.message for error in validator.iter_errors(described)] == []
    assert described["scopes"]
    assert set(schema["properties"]) == set(schema["required"]) == set(described)
    for kind, items in ("scope", "scopes"), ("table", "tables"), ("part", "parts"):
        about = schema["$defs"][kind]
        assert set(about["properties"]) == set(about["required"]) == set(described[items][0]), kind
    for name in described:
        assert not validator.is_valid({key: value for key, value in described.items() if key != name}), name


async def test_into_a_bucket(fleet, tmp_path, bucket, run_lexport):
    """A feed goes to a new prefix of a bucket, feed.json last; a prefix or an object that is there is refused."""
    await run_lexport("feed", fleet, "--output", "csv", "-o", tmp_path / "folder")
    target = f"{bucket.url}/feeds/first"
    done, again = [await run_lexport("feed", fleet, "--output", "csv", "-o", target) for _ in range(2)]
    line, taken = [await run_lexport("feed", fleet, "-o", f"{bucket.url}/feeds/all.jsonl.zst") for _ in range(2)]
    stored = {
        item["Key"]: item for item in bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="feeds/")["Contents"]
    }

    assert (done.code, line.code) == (0, 0), (done.err, line.err)
    assert (again.code, again.last) == (2, f"lexport: -o {target} is there already; a new folder is wanted")
    assert (taken.code, "all.jsonl.zst is there already; a new name is wanted" in taken.last) == (2, True)
    names = {f"{fed.name}.csv" for fed in fed_tables()} | {"deletes.csv", "feed.json"}
    assert {*stored} == {"feeds/all.jsonl.zst", *(f"feeds/first/{name}" for name in names)}
    newest = max(stored.values(), key=lambda item: item["LastModified"])
    body = bucket.client.get_object(Bucket=bucket.name, Key="feeds/first/functions.csv")["Body"].read()
    assert body == (tmp_path / "folder" / "functions.csv").read_bytes()
    assert newest["Key"].endswith((".zst", "feed.json"))


async def test_a_bucket_that_cannot_be_written(fleet, bucket, run_lexport, tmp_path):
    """A bucket that is not there, and a name that is none, are told before anything is read."""
    wrong, nameless = [
        await run_lexport("feed", fleet, "--output", "parquet", "-o", f"s3://{place}")
        for place in ("no-such-bucket-here/x", "")
    ]

    assert (wrong.code, nameless.code) == (2, 2), (wrong.err, nameless.err)
    with pytest.raises(SettingsError, match="is there already; a new name is wanted"):
        await lexport.feed(fleet, tmp_path, output="jsonl")
