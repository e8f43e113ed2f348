"""How many packages a run should have, and how many of them are stored, by account-region and in all."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexport.artifacts.package_counts import NeededPackages
from lexport.dataset.snapshot import PackageCounts
from lexport.model import Scope

NORTH = Scope(account_id="111122223333", region="eu-north-1")
SOUTH = Scope(account_id="111122223333", region="eu-south-1")
OTHER = Scope(account_id="444455556666", region="eu-north-1")


@pytest.fixture
def needed(tmp_path):
    return NeededPackages(tmp_path / "needed.txt")


@pytest.fixture
def files(tmp_path):
    """Write the files of the table ``packages``: for each, rows of hash and status."""

    def write(*tables):
        paths = [tmp_path / f"{number}.parquet" for number in range(len(tables))]
        for path, rows in zip(paths, tables, strict=True):
            codes, statuses = [code for code, _ in rows], [status for _, status in rows]
            pq.write_table(pa.table({"code_sha256": pa.array(codes, pa.string()), "status": statuses}), path)
        return paths

    return write


def test_a_package_of_several_account_regions(needed, files):
    """A package that several account-regions use counts in each of them, and once in all."""
    needed.add("a", {NORTH, OTHER})
    needed.add("b", {NORTH})
    needed.add("c", {SOUTH, NORTH, OTHER})

    counts = needed.count(files([("a", "stored"), ("b", "failed"), ("c", "present")]))

    assert (counts.total, counts.stored) == (3, 2)
    assert counts.by_scope == {NORTH: (3, 2), OTHER: (2, 2), SOUTH: (1, 1)}


@pytest.mark.parametrize("rows", [[], [("a", "failed"), ("b", "denied")], [("A", "stored"), ("z", "stored")]])
def test_none_is_stored(needed, files, rows):
    """A package without a row, or with one of a failure, is not stored; rows of other packages do not count."""
    needed.add("a", {NORTH})
    needed.add("b", {NORTH})

    assert needed.count(files(rows)) == PackageCounts(total=2, stored=0, by_scope={NORTH: (2, 0)})


def test_hashes_in_the_order_of_their_bytes(needed, files):
    """Hashes are compared as Base64 text is sorted in files: ``+`` and ``/`` before digits, capitals before others."""
    codes = sorted("+/09AZaz")
    for code in codes:
        needed.add(code, {NORTH})
    half = len(codes) // 2

    counts = needed.count(
        files([(code, "stored") for code in codes[:half]], [(code, "stored") for code in codes[half:]])
    )

    assert (counts.total, counts.stored) == (len(codes), len(codes))


def test_many(needed, files):
    """Every package counts, however many there are, and counting again gives the same."""
    codes = [f"{number:05}" for number in range(2_500)]
    scopes = [Scope(account_id=f"{account:012}", region="eu-north-1") for account in range(50)]
    for number, code in enumerate(codes):
        needed.add(code, {scopes[number % 50]})
    paths = files([(code, "stored") for code in codes[::2]])

    counts = needed.count(paths)

    assert (counts.total, counts.stored) == (2_500, 1_250)
    assert counts.by_scope == {scope: (50, 50 * (number % 2 == 0)) for number, scope in enumerate(scopes)}
    assert needed.count(paths) == counts


def test_nothing_is_needed(needed, files):
    """A run that needs no packages has none, whatever is stored."""
    assert needed.count([]) == needed.count(files([("a", "stored")])) == PackageCounts(total=0, stored=0, by_scope={})
