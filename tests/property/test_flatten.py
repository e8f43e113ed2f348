"""Every leaf of any response is in the Parquet files, and no secret is."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq
import pytest
from expected_rows import KEY, Expected, as_sent, canonical, read_extra
from function_responses import FULL, NUMBERS, REMOVED, SECRET, VALUES, at, paths_in, responses
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sampled import examples
from staged_runs import write_run

from lexport.aws.json import parse_document
from lexport.dataset.parquet import TableFolder
from lexport.extract.decode import decode_typed_function
from lexport.extract.flatten import Rules, flatten_function
from lexport.extract.hash_key import HashKey
from lexport.extract.rows import Rows, ValueHasher
from lexport.model import FunctionRef, Reply, Scope
from lexport.tables.functions import FUNCTIONS, TAGS
from lexport.tables.registry import BY_NAME

SCOPE = Scope(account_id="123456789012", region="us-west-2")
AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SNAPSHOT = "01KB0000000000000000000000"
LEAKS = re.compile("c0ffee|X-Amz-(?:Signature|Security-Token|Credential)(?:=|%3D)", re.IGNORECASE)

DUCKDB = duckdb.connect()
DUCKDB.execute("SET TimeZone = 'UTC'")

# --- from a response to Parquet --------------------------------------------------------------------------------------


def flatten(document, env):
    """Decode and flatten a document, both ways where typed decoding accepts it; return rows, version and notices."""
    body = json.dumps(document).encode()
    value, cleaned = parse_document(body)
    lossless = flatten_reply(Reply(parsed=value, body=body, cleaned=cleaned), env)
    decoded = decode_typed_function(json.dumps(document, separators=(",", ":")).encode())
    if decoded is not None:
        assert flatten_reply(decoded, env) == lossless
    return lossless


def flatten_reply(reply, env):
    rows = Rows(None if env == "none" else ValueHasher(HashKey(KEY)))
    version, notices = flatten_function(
        reply,
        FunctionRef(function_name="asked-for"),
        scope=SCOPE,
        rules=Rules(env=env, fetched_at=AT),
        answer="0",
        rows=rows,
    )
    return rows.take(), version, notices


def through_parquet(batch, folder):
    """Write every table and read it back with pyarrow and with DuckDB; return both."""
    seen = ({}, {})
    runs = {name: write_run(BY_NAME[name], [rows], folder) for name, rows in batch.items()}
    tables = TableFolder(path=folder, snapshot_id=SNAPSHOT, snapshot_at=AT)
    tables.write_versions([runs["functions"]])
    if "tags" in batch:
        tables.write(TAGS, [runs["tags"]])
    for path in folder.glob("*.parquet"):
        name = path.stem.removesuffix("-0000")
        seen[0][name] = pq.read_table(path, page_checksum_verification=True).to_pylist()
        seen[1][name] = (
            DUCKDB.sql("SELECT * FROM read_parquet($path)", params={"path": str(path)}).to_arrow_table().to_pylist()
        )
    return seen


def comparable(tables):
    """Return rows without the columns that the run adds, and with JSON parsed."""
    done = {}
    for name, rows in tables.items():
        for row in rows:
            assert (row.pop("snapshot_id"), row.pop("snapshot_at")) == (SNAPSHOT, AT)
            assert (row.pop("account_id"), row.pop("region")) == ("123456789012", "us-west-2")
            if name == "functions":
                assert (row.pop("fetched_at"), row.pop("carried_forward")) == (AT, False)
            if row.get("extra_json") is not None:
                row["extra_json"] = read_extra(row["extra_json"])
            for column in ("image_config_entry_point", "image_config_command"):
                if row.get(column) is not None:
                    row[column] = json.loads(row[column])
        done[name] = canonical(rows)
    return done


def check(document, env):
    """Compare the rows of a response, as Parquet has them, with the expected ones."""
    expected = Expected(as_sent(json.loads(json.dumps(document))), env)
    tables = {"functions": [expected.row], **expected.tables}
    batch, version, notices = flatten(document, env)
    with TemporaryDirectory() as folder:
        by_arrow, by_duckdb = through_parquet(batch, Path(folder))
    shown = repr(({name: rows.to_pylist() for name, rows in batch.items()}, notices))

    assert not LEAKS.search(shown)
    assert (SECRET in shown) <= (env == "values")
    assert version == expected.row["version"]
    for stored in (by_arrow, by_duckdb):
        assert {name: rows for name, rows in comparable(stored).items() if rows} == {
            name: canonical(rows) for name, rows in tables.items() if rows
        }
    codes = Counter(notice.code for notice in notices)
    assert codes["wrong_type"] == len(expected.wrong)
    assert (codes["cleaned_text"] > 0) == (parse_document(json.dumps(document).encode())[1] > 0)
    assert (REMOVED in shown) <= (codes["signed_link_removed"] > 0)
    assert set(codes) <= {"wrong_type", "cleaned_text", "signed_link_removed"}


@pytest.mark.parametrize("env", ["keys", "values", "none"])
def test_the_full_response(env):
    """Every field of AWS's model has a column or a child table: nothing of a full response is in extra_json."""
    check(FULL, env)
    batch, _, notices = flatten(FULL, env)
    (row,) = batch["functions"].select(FUNCTIONS.names()[2:]).to_pylist()

    assert [name for name, value in row.items() if value is None] == ["extra_json"]
    assert notices == []


@pytest.mark.slow
@settings(
    max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(responses(), st.sampled_from(["keys", "values", "none"]))
def test_no_leaf_is_lost_and_no_secret_is_stored(document, env):
    """Known leaves are in their columns, unknown and wrong ones in extra_json, secrets and presigned URLs nowhere."""
    check(document, env)


@pytest.mark.slow
@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(paths_in(FULL), key=repr)), VALUES, st.sampled_from(["keys", "values", "none"]))
def test_each_path_takes_any_value(path, value, env):
    """Any value at any one path of a full response leaves all other paths as they were."""
    document = copy.deepcopy(FULL)
    at(document, path[:-1])[path[-1]] = value
    check(document, env)


@pytest.mark.slow
def test_each_path_absent_or_null():
    """Each path of the full response, absent or null, is NULL and leaves all other paths as they were."""
    for number, path in enumerate(paths_in(FULL)):
        document = copy.deepcopy(FULL)
        if number % 2:
            at(document, path[:-1])[path[-1]] = None
        else:
            del at(document, path[:-1])[path[-1]]
        expected = Expected(document, "keys")
        batch, _, notices = flatten(document, "keys")
        names = FUNCTIONS.names()[2:]
        (row,) = batch["functions"].select(names).to_pylist()
        nulls = {name for name in names if row[name] is None}

        assert nulls == set(names) - set(expected.row) - {"account_id", "region", "fetched_at", "carried_forward"}
        assert [notice.code for notice in notices] == ["wrong_type"] * len(expected.wrong)


@pytest.mark.slow
@settings(max_examples=examples(30), deadline=None)
@given(st.sampled_from(["keys", "values", "none"]), st.sampled_from(sorted(paths_in(FULL), key=repr)), NUMBERS)
def test_each_path_takes_any_number(env, path, number):
    """A number of any size at any path is in its column if it fits, else exactly in extra_json."""
    document = copy.deepcopy(FULL)
    at(document, path[:-1])[path[-1]] = number
    check(document, env)
