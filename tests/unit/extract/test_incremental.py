"""What the last snapshot knows of listed versions, in whatever order they are listed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexport.extract.incremental import (
    MAX_PENDING,
    MAX_SECRET_BYTES,
    MIN_PENDING,
    LastSnapshot,
    PendingBudget,
    PendingVersions,
)
from lexport.model import FunctionRef, Scope
from lexport.tables.arrow import table_schema
from lexport.tables.functions import FUNCTIONS

SCOPE = Scope(account_id="111122223333", region="us-east-1")
FETCHED_AT = datetime(2026, 11, 1, tzinfo=UTC)
VERSIONS = [(f"fn-{number:02}", str(version)) for number in range(20) for version in range(1, 8)]


@pytest.fixture(params=[5, 64, 1000])
def path(tmp_path, request):
    """A table of three account-regions: row groups of five rows, so that functions span several, or of all of them."""
    rows = [
        {
            "account_id": account,
            "region": region,
            "function_name": name,
            "version": version,
            "code_sha256": f"{name}/{version}",
            "last_modified": "then",
            "fetched_at": FETCHED_AT,
            "state": f"{account} {region}",
        }
        for account, region in (
            ("111122223332", "us-east-1"),
            ("111122223333", "eu-west-1"),
            ("111122223333", "us-east-1"),
        )
        for name, version in (*VERSIONS, ("image", "1"))
    ]
    for row in rows:
        if row["function_name"] == "image":
            row["code_sha256"] = None  # so it is of every function whose answer lacks it
    table = pa.Table.from_pylist(rows, schema=table_schema(FUNCTIONS))
    pq.write_table(table, tmp_path / "functions.parquet", row_group_size=request.param, write_page_checksum=True)
    return tmp_path / "functions.parquet"


def listed(name, version, **changed):
    item = {"CodeSha256": f"{name}/{version}", "LastModified": "then"} | changed
    return FunctionRef(function_name=name, qualifier=version, listed=orjson.dumps(item))


def find(path, refs, not_before=None):
    """What is found of versions: the carried state, or None."""
    with PendingVersions() as pending:
        pending.put(refs)
        last = LastSnapshot([path], SCOPE)
        found = {
            (each.ref.function_name, each.ref.qualifier): each.older and each.older["state"]
            for each in last.find(pending.take(), pending, not_before)
        }
        assert len(pending) == 0
        pending.clear()
    return found, last.damage


def test_every_version_is_found_in_any_order(path):
    """Versions are found across row groups and account-regions, however they are listed."""
    refs = [listed(*each) for each in VERSIONS]
    random.Random(7).shuffle(refs)
    found, damage = find(path, refs)

    assert found == dict.fromkeys(VERSIONS, "111122223333 us-east-1")
    assert damage is None


def test_what_differs_is_not_taken_over(path):
    """Other code, another update, an unknown version or function, and what was fetched too early are to be fetched."""
    refs = [
        listed("fn-03", "1"),
        listed("fn-03", "2", CodeSha256="other"),
        listed("fn-03", "3", LastModified="now"),
        listed("fn-03", "4", CodeSha256=None),
        listed("image", "1", CodeSha256=None),
        listed("fn-03", "99"),
        listed("fn-99", "1"),
        listed("aa", "1"),
    ]
    found, _ = find(path, refs)
    late, _ = find(path, [listed("fn-03", "1")], FETCHED_AT + timedelta(seconds=1))

    assert [key for key, state in found.items() if state] == [("fn-03", "1")]
    assert len(found) == len(refs)
    assert late == {("fn-03", "1"): None}


@pytest.mark.parametrize("path", [5], indirect=True)
def test_a_damaged_row_group_is_said_and_loses_nothing(path):
    """After a flipped bit the versions from there on are to be fetched, and why is told."""
    body = bytearray(path.read_bytes())
    group = pq.read_metadata(path).row_group(70)
    names = next(group.column(i) for i in range(group.num_columns) if group.column(i).path_in_schema == "function_name")
    body[names.dictionary_page_offset + 40] ^= 0xFF
    path.write_bytes(body)
    found, damage = find(path, [listed(*each) for each in VERSIONS])

    assert damage is not None
    assert set(found) == set(VERSIONS)
    known = [found[each] is not None for each in sorted(VERSIONS)]
    assert 0 < sum(known) < len(VERSIONS)
    assert known == sorted(known, reverse=True)  # a damaged file is not read on


def test_held_listings_can_be_cleared_and_held_again(path):
    """A second pass reads its own listings."""
    with PendingVersions() as pending:
        last = LastSnapshot([path], SCOPE)
        for each in (VERSIONS[:9], VERSIONS[9:]):
            pending.put([listed(*version, Description=version[1]) for version in each])

            assert sorted(
                found.listed.document["Configuration"]["Description"]
                for found in last.find(pending.take(), pending, None)
            ) == sorted(version for _, version in each)


def test_what_is_unknown_stays_in_memory_and_both_are_let_go(path, tmp_path):
    """Variables and listings with unknown fields are in no file; after a pass neither file nor memory holds any."""
    told = {"Environment": {"Variables": {"A": "s3cret"}}}
    refs = [listed("fn-03", "1", **told), listed("fn-03", "2", New="s3cret"), listed("fn-03", "3")]
    with PendingVersions(tmp_path) as pending:
        pending.put(refs)
        file = next(each for each in Path("/proc/self/fd").iterdir() if str(each.readlink()).startswith(str(tmp_path)))
        body = file.read_bytes()
        last = LastSnapshot([path], SCOPE)
        found = [each.listed.document["Configuration"] for each in last.find(pending.take(), pending, None)]

        assert (b"fn-03/1" in body, b"fn-03/2" in body, b"fn-03/3" in body) == (True, False, True)
        assert b"s3cret" not in body
        assert found == [orjson.loads(ref.listed) for ref in refs]
        pending.clear()
        assert (file.read_bytes(), pending.secret_bytes) == (b"", 0)


def test_memory_is_shared(tmp_path):
    """An account-region is full by its share of memory, too, however few versions it holds back."""
    budget, half = PendingBudget(), "x" * (MAX_SECRET_BYTES // 2)
    with budget.reader(), PendingVersions(tmp_path) as pending:
        pending.put([listed("f", "1", Environment={"Variables": {"A": half}})])
        assert not budget.is_used_up_by(pending)
        with budget.reader():
            assert budget.is_used_up_by(pending)


def test_room_is_shared():
    """All readers together hold back a bounded number, each at least a few."""
    budget = PendingBudget()
    with budget.reader(), budget.reader():
        assert budget.share == MAX_PENDING // 2
    with budget.reader():
        assert budget.share == MAX_PENDING
    assert MIN_PENDING <= MAX_PENDING
