"""The oracle agrees with the responses, and has a value in every column."""

import json
from collections import Counter, defaultdict
from datetime import date

import pytest

from lexport.model import LATEST, Scope
from lexport.simulator import Change, Fleet, FleetSpec, lambda_documents
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import BY_NAME, fleet_resources

SCOPE = Scope(account_id="111122223333", region="us-east-1")
AROUND = [resource.option for resource in fleet_resources() if not resource.in_every_snapshot]
RUN_ONLY = {"snapshot_id", "snapshot_at", "fetched_at"}


def rows_of(fleet, **options):
    tables = defaultdict(list)
    options = {"value_hmac": lambda value: f"h{value}", "hash_key_id": "key", "with_resources": AROUND} | options
    for table, row in fleet.expected(SCOPE, **options):
        tables[table].append(row)
    return tables


@pytest.fixture(scope="module")
def tables():
    return rows_of(Fleet(FleetSpec(functions=200, versions=2)))


def test_every_column_of_every_table(tables):
    """Each row has exactly the columns of its table, run-only ones apart, and every column holds a value somewhere."""
    filled = Counter(
        (table, name) for table, rows in tables.items() for row in rows for name in row if row[name] is not None
    )
    for table, rows in tables.items():
        wanted = set(BY_NAME[table].names()) - RUN_ONLY

        assert {frozenset(row) for row in rows} == {frozenset(wanted)}
        assert {name for name in wanted if not filled[table, name]} <= {"value", "secret_rule"}


def test_rows_agree_with_the_answers(tables):
    """Every column of `functions` holds what GetFunction sends under the column's source path."""
    fleet = Fleet(FleetSpec(functions=200, versions=2))
    special = {"function_arn", "last_modified_at", "architecture", "image_config_entry_point", "image_config_command"}
    walked = [column for column in FUNCTIONS.columns if column.source and column.name not in special]
    for row in tables["functions"]:
        index = fleet.index(SCOPE, row["function_name"])
        version = fleet.version(SCOPE, index, row["version"])
        qualifier = None if row["version"] == LATEST else row["version"]
        document = lambda_documents.get_function(version, arn_qualifier=qualifier, location=None)

        assert {column.name: value_at(document, column.source) for column in walked} == {
            c.name: row[c.name] for c in walked
        }
        assert row["architecture"] == document["Configuration"]["Architectures"][0]
        assert document["Configuration"]["FunctionArn"].startswith(row["function_arn"])


def value_at(document, source):
    for name in source.split("."):
        document = (document or {}).get(name)
    return document


def test_keys_are_unique_and_types_fit(tables):
    """No two rows of a table share its key, and values have the type of their column."""
    types = {"text": str, "int32": int, "int64": int, "bool": bool, "double": float}
    types |= {"timestamp": object, "date": date}
    for table, rows in tables.items():
        key = BY_NAME[table].key

        assert len({tuple(row[name] for name in key) for row in rows}) == len(rows)
        for column in BY_NAME[table].columns:
            values = [row[column.name] for row in rows if row.get(column.name) is not None]
            assert all(type(value) is types[column.type] or column.type == "timestamp" for value in values), column


def test_counts_agree(tables):
    """`counts` and the rows tell the same number of functions, versions and aliases."""
    counts = Fleet(FleetSpec(functions=200, versions=2)).counts(SCOPE)

    assert counts.versions == len(tables["functions"])
    assert counts.functions == len({row["function_name"] for row in tables["functions"]})
    assert counts.aliases == len(tables["aliases"])


def test_latest_alone_has_tags_and_concurrency(tables):
    """Function-level facts stand on the `$LATEST` row alone; 0 is a value."""
    latest = [row for row in tables["functions"] if row["version"] == LATEST]
    others = [row for row in tables["functions"] if row["version"] != LATEST]

    assert {row["reserved_concurrent_executions"] for row in latest} == {None, 0, 25}
    assert {row["reserved_concurrent_executions"] for row in others} == {None}
    assert {row["tags_error_code"] for row in latest} == {None, "AccessDeniedException"}
    assert {row["tags_error_code"] for row in others} == {None}


def test_weights_add_up(tables):
    """The routes of an alias add up to one, and aliases without weights have one route."""
    sums = defaultdict(float)
    for row in tables["alias_routes"]:
        sums[row["function_name"], row["alias"]] += row["weight"]

    assert len(sums) == len(tables["aliases"])
    assert {round(weight, 9) for weight in sums.values()} == {1.0}
    assert {0.0, 0.2, 0.8, 1.0} <= {row["weight"] for row in tables["alias_routes"]}


def test_extra_json_is_compact_and_sorted(tables):
    """Unknown fields are one compact, sorted JSON object with dotted paths."""
    texts = {row["extra_json"] for row in tables["functions"]} - {None}

    assert all(
        text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for text in texts
    )
    assert {name for text in texts for name in json.loads(text)} == {
        "Configuration.FutureField",
        "Configuration.AnotherFutureField",
        "Configuration.VpcConfig.FutureField",
        "FutureField",
    }


@pytest.mark.parametrize("env", ["keys", "values", "none"])
def test_environment_modes(env):
    """`values` shows values, `keys` only their length and hash, `none` no row at all."""
    rows = rows_of(Fleet(FleetSpec(functions=60, versions=0)), env=env)["env_vars"]

    assert bool(rows) == (env != "none")
    assert all((row["value"] is None) == (env == "keys") for row in rows)
    assert all(
        row["value_hmac"] == f"h{row['value']}" and row["value_length"] == len(row["value"])
        for row in rows
        if env == "values"
    )


def test_oracle_follows_changes():
    """After a change the oracle yields the new state."""
    fleet = Fleet(FleetSpec(functions=2, versions=1))
    fleet.apply(Change(kind="set_tags", scope=SCOPE, function_name=fleet.name(0), tags={"new": ""}))
    fleet.apply(Change(kind="delete_function", scope=SCOPE, function_name=fleet.name(1)))
    tables = rows_of(fleet)

    assert {row["function_name"] for row in tables["functions"]} == {fleet.name(0)}
    assert [(row["key"], row["value"]) for row in tables["tags"]] == [("new", "")]
    assert tables["account_settings"][0]["function_count"] == 1
