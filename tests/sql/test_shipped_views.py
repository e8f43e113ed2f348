"""Each shipped view on a small hand-written dataset, with all its rows."""

import csv
from datetime import UTC, datetime, timedelta

import anyio
import pytest

import lexport
from lexport.errors import RunError
from lexport.query.shipped_views import shipped_views, sql_dir
from lexport.query.sql import open_query_session
from lexport.tables.registry import BY_NAME

A, R = "111122223333", "eu-west-1"
AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
MAY, JUNE = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


def test_runtimes(ask):
    """Images have rows without a runtime, and each account-region has its own rows."""
    functions = [
        {
            "function_name": "f",
            "version": "$LATEST",
            "package_type": "Zip",
            "runtime": "python3.13",
            "last_modified_at": MAY,
        },
        {
            "function_name": "f",
            "version": "1",
            "package_type": "Zip",
            "runtime": "python3.13",
            "last_modified_at": JUNE,
        },
        {"function_name": "f", "version": "2", "package_type": "Zip", "runtime": "python3.9"},
        {"function_name": "g", "version": "$LATEST", "package_type": "Image"},
        {
            "function_name": "f",
            "version": "$LATEST",
            "package_type": "Zip",
            "runtime": "python3.13",
            "region": "us-east-1",
        },
    ]

    expected = [
        (A, R, "Zip", "python3.13", 1, 1, 2, JUNE),
        (A, R, "Image", None, 1, 1, 1, None),
        (A, R, "Zip", "python3.9", 0, 1, 1, None),
        (A, "us-east-1", "Zip", "python3.13", 1, 1, 1, None),
    ]
    scopes = [{}, {"region": "us-east-1"}]
    assert expected == ask([{"functions": functions, "scopes": scopes}], "SELECT * FROM runtimes")


def test_function_versions(ask):
    """A version has one row per alias that routes to it, one row without any, and no alias of another Region."""
    functions = [
        {"function_name": "f", "version": "$LATEST", "runtime": "nodejs22.x", "package_type": "Zip", "code_size": 10},
        {"function_name": "f", "version": "1", "runtime": "nodejs22.x", "package_type": "Zip", "last_modified_at": MAY},
        {"function_name": "f", "version": "1", "region": "us-east-1", "package_type": "Image"},
    ]
    routes = [
        {"function_name": "f", "alias": "live", "version": "1", "weight": 1.0},
        {"function_name": "f", "alias": "canary", "version": "1", "weight": 0.25},
        {"function_name": "f", "alias": "canary", "version": "$LATEST", "weight": 0.75},
        {"function_name": "other", "alias": "live", "version": "1", "weight": 1.0},
    ]

    expected = [
        (A, R, "f", "$LATEST", "nodejs22.x", "Zip", None, 10, "canary", 0.75),
        (A, R, "f", "1", "nodejs22.x", "Zip", MAY, None, "canary", 0.25),
        (A, R, "f", "1", "nodejs22.x", "Zip", MAY, None, "live", 1.0),
        (A, "us-east-1", "f", "1", None, "Image", None, None, None, None),
    ]
    snapshots = [{"functions": functions, "alias_routes": routes, "scopes": [{}, {"region": "us-east-1"}]}]
    assert expected == ask(snapshots, "SELECT * FROM function_versions")


def test_tag_coverage(ask):
    """Functions whose tags could not be read count as unreadable, not as untagged."""
    functions = [
        {"function_name": "a", "version": "$LATEST"},
        {"function_name": "a", "version": "1"},
        {"function_name": "b", "version": "$LATEST"},
        {"function_name": "c", "version": "$LATEST", "tags_error_code": "AccessDeniedException"},
        {"function_name": "d", "version": "$LATEST", "region": "us-east-1"},
        {"function_name": "e", "version": "$LATEST", "region": "us-west-2", "tags_error_code": "AccessDeniedException"},
    ]
    tags = [
        {"function_name": "a", "key": "team", "value": "x"},
        {"function_name": "b", "key": "team", "value": "y"},
        {"function_name": "b", "key": "cost", "value": "1"},
    ]

    expected = [
        (A, R, "team", 3, 1, 2, 0, 1.0),
        (A, R, "cost", 3, 1, 1, 1, 0.5),
        (A, "us-east-1", None, 1, 0, 0, 1, 0.0),
        (A, "us-west-2", None, 1, 1, 0, 0, None),
    ]
    scopes = [{}, {"region": "us-east-1"}, {"region": "us-west-2"}]
    assert expected == ask([{"functions": functions, "tags": tags, "scopes": scopes}], "SELECT * FROM tag_coverage")


def test_memory_architecture(ask):
    """A function counts once for a setting that several of its versions have."""
    functions = [
        {"function_name": "f", "version": "$LATEST", "architecture": "arm64", "memory_size": 512},
        {"function_name": "f", "version": "1", "architecture": "x86_64", "memory_size": 128},
        {"function_name": "f", "version": "2", "architecture": "x86_64", "memory_size": 128},
        {"function_name": "g", "version": "$LATEST", "architecture": "x86_64", "memory_size": 128},
    ]

    expected = [(A, R, "arm64", 512, 1, 1, 1), (A, R, "x86_64", 128, 1, 2, 3)]
    assert expected == ask([{"functions": functions}], "SELECT * FROM memory_architecture")


def test_common_variables(ask):
    """The same function name in two regions is two functions; one value in both is one distinct value."""
    url = {"name": "URL", "value_hmac": "aa", "hash_key_id": "k", "value_length": 9}
    variables = [
        {"function_name": "f", "version": "$LATEST", **url},
        {"function_name": "f", "version": "1", **url, "value_hmac": "bb", "value_length": 12},
        {"function_name": "f", "version": "$LATEST", "region": "us-east-1", **url},
        {"function_name": "f", "version": "$LATEST", "name": "DEBUG"},
    ]

    expected = [("URL", 2, 3, 2, 12), ("DEBUG", 1, 1, 0, None)]
    snapshots = [{"env_vars": variables, "scopes": [{}, {"region": "us-east-1"}]}]
    assert expected == ask(snapshots, "SELECT * FROM common_variables")


def test_completeness(ask):
    """The newest reading of an account-region is shown even if it failed, with the missing data and the reason."""
    denied = {
        "region": "us-east-1",
        "stage": "discover",
        "operation": "ListFunctions",
        "error_code": "AccessDeniedException",
        "is_gap": True,
    }
    gone = {"stage": "fetch", "operation": "GetFunction", "error_code": "gone", "is_gap": False}
    whole = {"functions": 2, "function_count_reported": 2}
    snapshots = [
        {"scopes": [whole, {**whole, "region": "us-east-1"}], "errors": [{**gone, "message": "old"}]},
        {
            "at": AT,
            "status": "partial",
            "scopes": [whole, {"region": "us-east-1", "status": "denied", "functions": 0}],
            "errors": [{**gone, "message": "b"}, {**gone, "message": "a"}, {**denied, "message": "not you"}],
        },
        {"at": AT, "scopes": [{"coverage": "selection", "functions": 1}]},
    ]
    second, third = "01K00000000000000000000002", "01K00000000000000000000003"

    expected = [
        (A, R, "fleet", second, AT, "complete", 2, 2, "fetch", "GetFunction", "gone", False, 2, "a"),
        (A, R, "selection", third, AT, "complete", 1, None, None, None, None, None, 0, None),
        (A, "us-east-1", "fleet", second, AT, "denied", 0, None, *list(denied.values())[1:], 1, "not you"),
    ]
    assert expected == ask(snapshots, "SELECT * FROM completeness")


def test_completeness_of_many_accounts(ask):
    """An error of one account or Region is neither shown nor counted for another one."""
    other = "444455556666"
    places = [{"account_id": account, "region": region} for account in (A, other) for region in (R, "us-east-1")]
    errors = [
        {**place, "error_code": f"Code{number}", "message": f"{number}", "is_gap": True}
        for number, place in enumerate(places)
        for _ in range(number)
    ]
    query = "SELECT account_id, region, error_code, errors, example FROM completeness"
    snapshots = [{"at": AT, "scopes": places, "errors": errors}]

    assert ask(snapshots, query) == [
        (A, R, None, 0, None),
        (A, "us-east-1", "Code1", 1, "1"),
        (other, R, "Code2", 2, "2"),
        (other, "us-east-1", "Code3", 3, "3"),
    ]


def test_completeness_of_an_account_as_a_whole(ask):
    """A role that could not be assumed is shown for the Regions of its account, until it can be assumed."""
    other = "444455556666"
    place = {"account_id": other, "region": "aws-global"}
    refused = {**place, "error_code": "AccessDenied", "message": "no", "is_gap": True}
    night = {"at": AT, "scopes": [{}, {"account_id": other, "region": "aws-global", "status": "denied"}]}
    query = "SELECT account_id, region, status, error_code, errors FROM completeness"

    assert ask([{**night, "errors": [refused]}], query) == [
        (A, R, "complete", None, 0),
        (other, "aws-global", "denied", "AccessDenied", 1),
    ]


def test_completeness_once_an_account_could_be_entered(ask):
    """The Regions of a later night replace the row of the whole account."""
    other = "444455556666"
    night = {"at": AT, "scopes": [{}, {"account_id": other, "region": "aws-global", "status": "denied"}]}
    later = {"at": AT, "scopes": [{}, {"account_id": other}]}

    assert ask([night, later], "SELECT account_id, region, status FROM completeness") == [
        (A, R, "complete"),
        (other, R, "complete"),
    ]


def last_day_of(runtime):
    lines = (sql_dir() / "data/runtimes.csv").read_text().splitlines()
    (row,) = [row for row in csv.DictReader(lines) if row["runtime"] == runtime]
    return datetime.fromisoformat(row["deprecation_date"]).replace(hour=23, tzinfo=UTC)


@pytest.mark.parametrize(("days", "shown"), [(-1, True), (0, True), (179, True), (180, True), (181, False)])
def test_a_runtime_that_ends_within_180_days(ask, days, shown):
    """A version is shown from the 180th day before its runtime is deprecated."""
    at = last_day_of("python3.12") - timedelta(days=days)
    functions = [{"function_name": "f", "version": "$LATEST", "runtime": "python3.12"}]
    found = ask([{"at": at, "functions": functions}], "SELECT days_left FROM deprecated_runtimes")

    assert found == ([(days,)] if shown else [])


@pytest.mark.parametrize(("days", "found"), [(0, 0), (1, 1), (90, 1), (91, 0)])
def test_a_runtime_that_ends_soon(tmp_path, write_dataset, days, found):
    """The check has a finding from the 90th day before the deprecation; on that day deprecated_runtime has it."""
    at = last_day_of("python3.12") - timedelta(days=days)
    functions = [{"function_name": "f", "version": "$LATEST", "runtime": "python3.12"}]
    write_dataset(tmp_path / "fleet", [{"at": at, "functions": functions}])
    result = anyio.run(lambda: lexport.check(tmp_path / "fleet", only=["runtime_ends_soon"]))

    assert len(result.findings) == found


def test_heads(tmp_path, write_dataset):
    """The head of each view names exactly the columns that it has, and no table has its name."""
    write_dataset(tmp_path / "fleet", [{}])
    with open_query_session(tmp_path / "fleet") as session:
        found = {
            view.name: session.read(f"SELECT column_name FROM (DESCRIBE {view.name})").read_all()["column_name"]
            for view in shipped_views()
        }

    assert {view.name: list(view.columns) for view in shipped_views()} == {
        name: names.to_pylist() for name, names in found.items()
    }
    assert not found.keys() & BY_NAME.keys()


def test_a_name_fits_every_warehouse():
    """No name of a view or column is longer than the 63 bytes of PostgreSQL."""
    names = [name for view in shipped_views() for name in (view.name, *view.columns)]

    assert [name for name in names if len(name) > 63] == []


def test_every_file_is_a_view():
    """The folder sql/ has only numbered views; other files are in its subfolders."""
    names = sorted(path.name for path in sql_dir().iterdir() if path.is_file())

    assert names == [view.path.name for view in shipped_views()]


def test_nights_before_the_latest_cost_nothing(tmp_path, write_dataset):
    """A view of the history reads scopes, changes and errors, and no table of the fleet."""
    nights = [{"at": AT + timedelta(days=day), "functions": [{"function_name": "f", "version": "1"}]} for day in (0, 1)]
    old, _ = write_dataset(tmp_path, nights)
    for entry in old.files:
        if entry.table not in ("scopes", "changes", "errors"):
            (tmp_path / entry.path).write_bytes(b"no Parquet")
    with open_query_session(tmp_path) as session:
        shown = {view.name: session.read(f"FROM {view.name}").read_all().num_rows for view in shipped_views()}

        assert shown["function_versions"] == shown["function_lifetimes"] == 1
        with pytest.raises(RunError):
            session.read("FROM history.functions").read_all()
