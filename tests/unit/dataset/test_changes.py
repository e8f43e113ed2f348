"""What counts as a change between two snapshots, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexport.dataset import scan
from lexport.dataset.changes import find_changes
from lexport.dataset.compare import SnapshotFiles
from lexport.errors import ReadError
from lexport.model import Scope
from lexport.tables import registry
from lexport.tables.arrow import table_schema
from lexport.tables.functions import FUNCTIONS, TAGS

HERE = Scope(account_id="111122223333", region="eu-west-1")
THERE = Scope(account_id="111122223333", region="us-east-1")
AT = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
SHOWN = ("kind", "table_name", "key", "column_name", "old_value", "new_value")
F = {"function_name": "f", "version": "$LATEST"}
VARIABLE = {**F, "name": "URL", "value_length": 3, "value_hmac": "aa"}
LAYER = "arn:aws:lambda:eu-west-1:111122223333:layer:otel"


@pytest.fixture
def found(tmp_path):
    """Return a function: rows before and now by table, options of both runs -> changes, sorted."""

    def read(name, rows, *, key="k", release="1", without=(), unread=(), **options):
        folder = tmp_path / name
        folder.mkdir()
        files = {}
        for table in registry.tables():
            given = [
                {"account_id": HERE.account_id, "region": HERE.region, "snapshot_id": name, **row}
                for row in rows.get(table.name, ())
            ]
            given.sort(key=lambda row: tuple(str(row[part]) for part in table.key if part in row))
            schema = pa.schema([field for field in table_schema(table) if field.name not in without])
            files[table.name] = [folder / f"{table.name}.parquet"]
            pq.write_table(pa.Table.from_pylist(given, schema), *files[table.name], row_group_size=3 + len(given) // 5)
        return SnapshotFiles(
            snapshot_id=name,
            files=files,
            options=options,
            hash_key_id=key,
            lexport_version=release,
            unread=frozenset(unread),
        )

    def run(before, now, *, of_before=None, of_now=None, scopes=(HERE,)):
        sides = read("A", before, **(of_before or {})), read("B", now, **(of_now or {}))
        rows = pa.concat_tables(find_changes(scopes, before=sides[0], now=sides[1])).to_pylist()
        assert {row["previous_snapshot_id"] for row in rows} <= {"A"}
        return sorted((tuple(row[name] for name in SHOWN) for row in rows), key=str)

    return run


def test_added_removed_and_changed_versions(found):
    """A version is one row when it comes or goes, and one row per column that differs, values as text."""
    then = {**F, "memory_size": 128, "last_modified_at": AT, "vpc_config_ipv6_allowed_for_dual_stack": False}
    before = {"functions": [then, {**F, "version": "1"}, {"function_name": "gone", "version": "$LATEST"}]}
    since = {**F, "memory_size": 256, "last_modified_at": AT.replace(microsecond=5), "runtime": ""}
    now = {"functions": [since, {**F, "version": "2"}, {"function_name": "a new one", "version": "$LATEST"}]}

    key = "f/$LATEST"
    assert found(before, now) == [
        ("added", "functions", "a new one/$LATEST", None, None, None),
        ("added", "functions", "f/2", None, None, None),
        ("changed", "functions", key, "last_modified_at", "2026-11-22T01:02:03.000000Z", "2026-11-22T01:02:03.000005Z"),
        ("changed", "functions", key, "memory_size", "128", "256"),
        ("changed", "functions", key, "runtime", None, ""),
        ("changed", "functions", key, "vpc_config_ipv6_allowed_for_dual_stack", "false", None),
        ("removed", "functions", "f/1", None, None, None),
        ("removed", "functions", "gone/$LATEST", None, None, None),
    ]


def test_what_only_the_run_knows_is_no_change(found):
    """When a row was fetched, and whether it was carried forward, is never a change."""
    before = {"functions": [{**F, "fetched_at": AT, "carried_forward": False}]}
    now = {"functions": [{**F, "fetched_at": AT.replace(day=23), "carried_forward": True}]}

    assert found(before, now) == []


@pytest.mark.parametrize("denied", ["of_before", "of_now"])
@pytest.mark.parametrize("kind", ["added", "removed"])
def test_a_resource_that_was_not_read_whole_has_no_changes(found, denied, kind):
    """What one side was denied of a resource is neither removed nor added; in other account-regions, it may be."""
    mapping = {"uuid": "1", "function_name": "f"}
    there = {**mapping, "region": THERE.region, "uuid": "2"}
    sides = [{"functions": [F], "event_source_mappings": given} for given in ([], [mapping, there])]
    before, now = sides if kind == "added" else reversed(sides)
    options = {"of_before": {"with": ["event-sources"]}, "of_now": {"with": ["event-sources"]}}
    options[denied]["unread"] = [(HERE, "event-sources")]

    changes = found(before, now, scopes=(HERE, THERE), **options)

    assert changes == [(kind, "event_source_mappings", "2", None, None, None)]


def test_children_of_what_is_new_or_gone_go_without_saying(found):
    """Rows below a version, a function or an alias are told only where it is there before and now."""
    other, second = {**F, "function_name": "g"}, {**F, "version": "2"}

    def below(version):
        name = {"function_name": version["function_name"]}
        return {
            "env_vars": {**version, "name": "X"},
            "layers": {**version, "position": 0, "layer_arn": f"{LAYER}:1"},
            "subnets": {**version, "subnet_id": "subnet-1"},
            "security_groups": {**version, "security_group_id": "sg-1"},
            "file_systems": {**version, "position": 0},
            "tags": {**name, "key": "team"},
            "aliases": {**name, "alias": "live"},
            "alias_routes": {**name, "alias": "live", "version": "1"},
        }

    def fleet(*versions, more=()):
        tables = {table: [below(version)[table] for version in more] for table in below(F)}
        return {"functions": list(versions), **tables}

    rows = found(fleet(F), fleet(F, other, second, more=(other, second)))
    assert [row[:3] for row in rows] == [
        ("added", "aliases", "f/live"),
        ("added", "functions", "f/2"),
        ("added", "functions", "g/$LATEST"),
        ("added", "tags", "f/team"),
    ]


def test_children_of_what_stays(found):
    """Rows below a version that stays are told one by one, joined to its key by slashes."""
    now = {
        "functions": [F],
        "env_vars": [VARIABLE],
        "subnets": [{**F, "subnet_id": "subnet-1"}],
        "security_groups": [{**F, "security_group_id": "sg-1"}],
        "file_systems": [{**F, "position": 0, "arn": "x"}],
        "layers": [{**F, "position": 0, "layer_arn": f"{LAYER}:1"}],
        "tags": [{"function_name": "f", "key": "a/b"}],
    }

    expected = [
        ("env_vars", "f/$LATEST/URL"),
        ("file_systems", "f/$LATEST/0"),
        ("layers", f"f/$LATEST/{LAYER}"),
        ("security_groups", "f/$LATEST/sg-1"),
        ("subnets", "f/$LATEST/subnet-1"),
        ("tags", "f/a/b"),
    ]
    assert found({"functions": [F]}, now) == [("added", *place, None, None, None) for place in expected]


def test_an_updated_layer_is_changed(found):
    """A layer is known by its ARN without version: another version or place is a change, not two."""
    before = [{**F, "position": 0, "layer_arn": f"{LAYER}:3"}, {**F, "position": 1, "layer_arn": "odd"}]
    now = [{**F, "position": 1, "layer_arn": f"{LAYER}:4"}, {**F, "position": 0, "layer_arn": "odd"}]

    assert found({"functions": [F], "layers": before}, {"functions": [F], "layers": now}) == [
        ("changed", "layers", f"f/$LATEST/{LAYER}", "layer_arn", f"{LAYER}:3", f"{LAYER}:4"),
        ("changed", "layers", f"f/$LATEST/{LAYER}", "position", "0", "1"),
        ("changed", "layers", "f/$LATEST/odd", "position", "1", "0"),
    ]


def test_two_layers_of_one_name(found):
    """Should a version have two versions of one layer, each is itself: nothing changed is told where nothing did."""
    layers = [{**F, "position": place, "layer_arn": f"{LAYER}:{place}"} for place in (0, 1)]
    other = [{**F, "position": 2, "layer_arn": "odd"}]

    rows = found({"functions": [F], "layers": layers}, {"functions": [F], "layers": layers + other})
    assert rows == [("added", "layers", "f/$LATEST/odd", None, None, None)]


def test_one_layer_twice(found):
    """Should a version have one layer version twice, they are told apart by their place, and nothing changed."""
    layers = [{**F, "position": place, "layer_arn": f"{LAYER}:4"} for place in (0, 1)]
    other = [{**F, "position": 2, "layer_arn": "odd"}]

    rows = found({"functions": [F], "layers": layers}, {"functions": [F], "layers": layers + other})
    assert rows == [("added", "layers", "f/$LATEST/odd", None, None, None)]


def test_a_moved_alias(found):
    """An alias that moves is a change of its version and of its routes; weights are numbers."""
    alias, route = {"function_name": "f", "alias": "live"}, {"function_name": "f", "alias": "live", "weight": 1.0}
    before = {"aliases": [{**alias, "function_version": "1"}], "alias_routes": [{**route, "version": "1"}]}
    now = {
        "aliases": [{**alias, "function_version": "1"}],
        "alias_routes": [{**route, "version": "1", "weight": 0.9}, {**route, "version": "2", "weight": 0.1}],
    }

    assert found({"functions": [F], **before}, {"functions": [F], **now}) == [
        ("added", "alias_routes", "f/live/2", None, None, None),
        ("changed", "alias_routes", "f/live/1", "weight", "1", "0.9"),
    ]


def test_a_value_is_never_told(found):
    """A variable that changes shows by HMAC and length; its value is in no row, whatever was stored."""
    before = {
        "functions": [{**F, "extra_json": '{"Environment":"old"}'}],
        "env_vars": [{**VARIABLE, "value": "s3cret"}],
    }
    other = {**VARIABLE, "value": "s3cret!", "value_length": 7, "value_hmac": "bb"}
    now = {"functions": [{**F, "extra_json": '{"Environment":"new"}'}], "env_vars": [other]}
    values = {"env": "values"}

    assert found(before, now, of_before=values, of_now=values) == [
        ("changed", "env_vars", "f/$LATEST/URL", "value_hmac", "aa", "bb"),
        ("changed", "env_vars", "f/$LATEST/URL", "value_length", "3", "7"),
        ("changed", "functions", "f/$LATEST", "extra_json", None, None),
    ]


def test_another_key_tells_nothing_of_values(found):
    """Under another HMAC key hashes are not compared; names and lengths are."""
    second = {**VARIABLE, "name": "OLD"}
    now = [{**VARIABLE, "value_hmac": "zz", "hash_key_id": "other"}, {**second, "value_length": 4, "value_hmac": "yy"}]
    rows = found(
        {"functions": [F], "env_vars": [VARIABLE, second]}, {"functions": [F], "env_vars": now}, of_now={"key": "other"}
    )

    assert rows == [("changed", "env_vars", "f/$LATEST/OLD", "value_length", "3", "4")]


@pytest.mark.parametrize(
    ("of_before", "of_now", "tables"),
    [
        ({}, {}, {"aliases", "env_vars", "functions", "tags"}),
        ({"aliases": False}, {}, {"env_vars", "functions", "tags"}),
        ({}, {"env": "none"}, {"aliases", "functions", "tags"}),
        ({"env": "values"}, {"env": "keys"}, {"aliases", "env_vars", "tags"}),
        ({}, {"qualifiers": "published"}, {"aliases"}),
        ({"release": "0"}, {}, {"aliases", "env_vars", "tags"}),
    ],
)
def test_what_was_asked_for_differently_is_no_change(found, of_before, of_now, tables):
    """Aliases, variables and versions are compared where both runs read them, unknown fields within one release."""
    before = {"functions": [F, {**F, "version": "1"}]}
    now = {
        "functions": [{**F, "extra_json": "{}"}, {**F, "version": "1"}],
        "env_vars": [VARIABLE],
        "aliases": [{"function_name": "f", "alias": "live"}],
        "tags": [{"function_name": "f", "key": "team"}],
    }

    assert {table for _, table, *_ in found(before, now, of_before=of_before, of_now=of_now)} == tables


@pytest.mark.parametrize(("asked", "key"), [("latest", "f/$LATEST"), ("published", "f/1")])
def test_versions_are_compared_within_what_both_read(found, asked, key):
    """A run of $LATEST alone, or without it, is compared with a run of all for just those."""
    before = {"functions": [{**F, "timeout": 3}, {**F, "version": "1", "timeout": 3}]}
    now = {"functions": [{**F, "timeout": 4}, {**F, "version": "1", "timeout": 4}, {**F, "version": "2"}]}
    now["functions"] = [row for row in now["functions"] if (row["version"] == "$LATEST") == (asked == "latest")]
    rows = found(before, now, of_now={"qualifiers": asked})

    assert ("changed", "functions", key, "timeout", "3", "4") in rows
    assert {row[2] for row in rows} <= {key, "f/2"}


@pytest.mark.parametrize("is_denied_before", [True, False])
def test_denied_is_no_change_but_of_the_denial(found, is_denied_before):
    """Variables or tags that were denied before or now are not compared; that they were denied is the change."""
    codes = {"environment_error_code": "AccessDeniedException", "tags_error_code": "AccessDeniedException"}
    denied = {"functions": [{**F, **codes}]}
    open_ = {"functions": [F], "env_vars": [VARIABLE], "tags": [{"function_name": "f", "key": "team"}]}
    rows = found(denied, open_) if is_denied_before else found(open_, denied)

    assert [row[:4] for row in rows] == [
        ("changed", "functions", "f/$LATEST", "environment_error_code"),
        ("changed", "functions", "f/$LATEST", "tags_error_code"),
    ]


def test_limits_of_an_account(found):
    """Of account_settings the limits are compared, not the use; settings that were denied are no change."""
    settings = {"concurrent_executions_limit": 1000, "code_size_used": 5}
    raised = {"concurrent_executions_limit": 2000, "code_size_used": 6}

    assert found({"account_settings": [settings]}, {"account_settings": [raised]}) == [
        ("changed", "account_settings", "", "concurrent_executions_limit", "1000", "2000")
    ]


def test_settings_that_were_denied_are_no_change(found):
    """Account settings that could not be read are not gone."""
    assert found({"account_settings": [{"code_size_limit": 5}]}, {}) == []


def test_other_account_regions_are_left_alone(found):
    """Only the scopes that were asked for are compared, though files hold others."""
    now = {"functions": [F, {**F, "region": THERE.region}, {**F, "function_name": "g", "region": "ap-south-1"}]}

    assert [row[2] for row in found({}, now)] == ["f/$LATEST"]


def test_columns_that_a_release_lacks_are_not_compared(found):
    """A column that the older snapshot's files do not have tells nothing."""
    now = {"functions": [{**F, "config_sha256": "x", "timeout": 4}]}
    rows = found({"functions": [F]}, now, of_before={"without": ("config_sha256",)})

    assert [row[3] for row in rows] == ["timeout"]


def test_many_functions_in_many_batches(found):
    """Wherever the rows are cut into batches, every change is found once: some functions new, some gone, some other."""
    names = [f"f{number:04d}" for number in range(1_200)]

    def fleet(kept, memory_size):
        versions = [
            {"function_name": name, "version": version, "memory_size": memory_size(index)}
            for index, name in enumerate(names)
            if kept(index)
            for version in ("$LATEST", *map(str, range(1, index % 13)))
        ]
        return {
            "functions": versions,
            "env_vars": [{**row, "name": "A", "value_length": row["memory_size"]} for row in versions],
        }

    def strip(tables):
        for row in tables["env_vars"]:
            del row["memory_size"]
        return tables

    before = strip(fleet(lambda index: index % 10 != 1, lambda index: 1))
    now = strip(fleet(lambda index: index % 10 != 2, lambda index: 2 if index % 10 == 3 else 1))
    expected = []
    for index, name in enumerate(names):
        for version in ("$LATEST", *map(str, range(1, index % 13))):
            if index % 10 in (1, 2):
                kind = "added" if index % 10 == 1 else "removed"
                expected.append((kind, "functions", f"{name}/{version}", None, None, None))
            elif index % 10 == 3:
                expected.append(("changed", "functions", f"{name}/{version}", "memory_size", "1", "2"))
                expected.append(("changed", "env_vars", f"{name}/{version}/A", "value_length", "1", "2"))

    assert found(before, now) == sorted(expected, key=str)


def test_a_damaged_file_is_named(found, tmp_path):
    """A file that cannot be read is an error that names it."""
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")

    with pytest.raises(ReadError, match=r"cannot read .*broken\.parquet"):
        scan.Scan([tmp_path / "broken.parquet"], FUNCTIONS, [HERE], ["region"])


@pytest.mark.parametrize("names", [["b", "a"], [*(f"f{number}" for number in range(20)), "a"], ["a", None]])
def test_a_file_that_is_not_sorted_is_damaged(found, tmp_path, names):
    """Rows out of order, or without a key, end the comparison with an error, and never keep it from ending."""
    rows = [{"account_id": HERE.account_id, "region": HERE.region, "function_name": name} for name in names]
    path = tmp_path / "unsorted.parquet"
    pq.write_table(pa.Table.from_pylist(rows, table_schema(TAGS)), path, row_group_size=3)

    with (
        scan.Scan([path], TAGS, [HERE], ["account_id", "region", "function_name"]) as reading,
        pytest.raises(ReadError, match="not in the order of account_id, region, function_name"),
    ):
        reading.take(None)
