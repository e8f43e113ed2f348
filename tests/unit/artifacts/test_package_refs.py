"""Function versions grouped by package: rows of versions in, one item per content out."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexport.artifacts.package_refs import (
    MAX_REFS,
    PACKAGE_REFS,
    FunctionVersionRef,
    PackageFilter,
    S3Object,
    group_packages,
    item_to_line,
    package_from_line,
    read_functions,
)
from lexport.dataset.runs import sorted_run
from lexport.model import Scope
from lexport.tables.arrow import table_schema
from lexport.tables.functions import FUNCTIONS

HOME, AWAY = Scope(account_id="111122223333", region="eu-west-1"), Scope(account_id="111122223334", region="us-east-1")


def version(name, number, code, *, scope=HOME, **more):
    return {
        "account_id": scope.account_id,
        "region": scope.region,
        "function_name": name,
        "version": number,
        "code_sha256": code,
        "code_size": 5,
        "package_type": "Zip",
        **more,
    }


@pytest.fixture
def wanted(tmp_path):
    """Return a function: rows of versions -> items."""

    def read(rows, *, scopes=None, **choice):
        path = tmp_path / "functions.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=table_schema(FUNCTIONS)), path, row_group_size=2)
        batches = list(read_functions(path, scopes, PackageFilter(**choice)))
        return list(group_packages([sorted_run(PACKAGE_REFS, batches)] if batches else []))

    return read


def test_one_item_per_package(wanted):
    """Versions that share a package are one item, published ones first; versions without a hash are left out."""
    rows = [
        version("f", "$LATEST", "a"),
        version("f", "1", "a"),
        version("g", "7", "b", code_resolved_s3_object_bucket="mine", code_resolved_s3_object_key="g.zip"),
        version("h", "$LATEST", "a", scope=AWAY),
        version("i", "$LATEST", None),
    ]
    first, second = wanted(rows)

    assert (first.package.code_sha256, first.package.size_bytes, first.package_type) == ("a", 5, "Zip")
    assert first.refs == (
        FunctionVersionRef(scope=HOME, function_name="f", version="1"),
        FunctionVersionRef(scope=HOME, function_name="f", version="$LATEST"),
        FunctionVersionRef(scope=AWAY, function_name="h", version="$LATEST"),
    )
    assert second.s3_object == S3Object(bucket="mine", key="g.zip", version=None)


def test_lambda_comes_before_the_customers_bucket(wanted):
    """A package that Lambda hands out for one version is not fetched from the customer's bucket of another."""
    bucket = {"code_resolved_s3_object_bucket": "mine", "code_resolved_s3_object_key": "g.zip"}
    (found,) = wanted([version("f", "1", "a", **bucket), version("g", "$LATEST", "a")])

    assert found.s3_object is None
    assert [ref.function_name for ref in found.refs] == ["g", "f"]


def test_few_refs_are_kept(wanted):
    """However many versions share a package, only a few are kept."""
    (found,) = wanted([version("f", str(number), "a") for number in range(100, 200)])

    assert len(found.refs) == MAX_REFS


def test_scopes(wanted):
    """Only the requested account-regions of a file are read."""
    rows = [version("f", "1", "a"), version("g", "1", "b", scope=AWAY)]

    assert [item.package.code_sha256 for item in wanted(rows, scopes=[AWAY])] == ["b"]
    assert wanted(rows, scopes=[]) == []


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        ({}, "abcd"),
        ({"versions": "latest"}, "ab"),
        ({"versions": "published"}, "cd"),
        ({"runtimes": ("python3.13",)}, "a"),
        ({"names": ("F*", "?1")}, "bd"),
        ({"names": ("f",), "versions": "published"}, "c"),
    ],
)
def test_filter(wanted, choice, chosen):
    """The filter selects versions, names by case; alike for table rows and for one response."""
    rows = [
        version("f", "$LATEST", "a", runtime="python3.13"),
        version("F1", "$LATEST", "b"),
        version("f", "1", "c", runtime="nodejs22.x"),
        version("g1", "2", "d"),
    ]
    alike = [
        row["code_sha256"]
        for row in rows
        if PackageFilter(**choice).matches(row["function_name"], row["version"], row.get("runtime"))
    ]

    assert "".join(item.package.code_sha256 for item in wanted(rows, **choice) if item.is_selected) == chosen
    assert "".join(alike) == chosen


def test_lines(wanted):
    """A package is written to a line and read back unchanged, whatever its name."""
    more = {"code_resolved_s3_object_bucket": "mine", "code_resolved_s3_object_key": "ü\n.zip"}
    for item in wanted([version("f", "1", "a", **more), version("g", "$LATEST", "b", code_size=None)]):
        line = item_to_line(item)

        assert "\n" not in line
        assert package_from_line(line) == replace(item, scopes=frozenset())
