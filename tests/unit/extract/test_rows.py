"""Rows on their way: columns of lists, Arrow batches, sorted runs."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lexport.dataset.parquet import children_of
from lexport.extract.hash_key import HashKey
from lexport.extract.rows import Children, Rows, ValueHasher
from lexport.tables import registry
from lexport.tables.arrow import staged_schema, table_schema, versions_schema
from lexport.tables.functions import ENV_VARS, FILE_SYSTEMS, FUNCTIONS, LAYERS, SUBNETS, TAGS
from lexport.tables.registry import SCHEMA_VERSION, staged_tables
from lexport.tables.staged import staged_names

SECRETS = ["s3cret", "s3cret-token-1"]
TAG = ("111122223333", "eu-west-1")


def test_take_hands_over_and_starts_anew():
    """What was taken is not there any more; tables without rows are not handed over."""
    rows = Rows()
    rows.append(TAGS, *TAG, "f", "k", "v", "0")
    rows.items = 3
    batch = rows.take()

    assert {name: list(batch.to_pylist()[0].values()) for name, batch in batch.items()} == {
        "tags": ["111122223333", "eu-west-1", "f", "k", "v", "0"]
    }
    assert (rows.items, rows.take()) == (0, {})


def test_a_version_carries_its_children():
    """Variables, layers and the rest lie in the row of their version, hashed, and come out as rows of their tables."""
    hasher = ValueHasher(HashKey(b"0123456789abcdef"))
    rows = Rows(hasher)
    for version, children in (
        ("1", Children(subnets=["s-1", "s-2"], env_vars=["A", "TOKEN"], env_values=SECRETS)),
        ("2", Children()),
        ("3", Children(layers=[(0, "arn", 7, None, None, None)], env_vars="A", env_values=SECRETS[:1])),
    ):
        row = dict.fromkeys(staged_names(FUNCTIONS)) | {"function_name": "f", "version": version}
        rows.versions.append((list(row.values()), children))
    versions = pa.Table.from_batches([rows.take()["functions"]])
    a, token = (hasher.value_hmacs([value]).hex() for value in (b"s3cret", b"s3cret-token-1"))

    assert versions.schema == versions_schema()
    assert [(row["version"], row["subnet_id"]) for row in children_of(versions, SUBNETS).to_pylist()] == [
        ("1", "s-1"),
        ("1", "s-2"),
    ]
    assert [tuple(row.values())[3:] for row in children_of(versions.slice(2), LAYERS).to_pylist()] == [
        ("3", 0, "arn", 7, None, None, None)
    ]
    assert [tuple(row.values())[3:] for row in children_of(versions, ENV_VARS).to_pylist()] == [
        ("1", "A", None, 6, a, hasher.key_id, None),
        ("1", "TOKEN", None, 14, token, hasher.key_id, "secret_name"),
        ("3", "A", None, 6, a, hasher.key_id, None),
    ]
    assert len(children_of(versions, FILE_SYSTEMS)) == 0


def test_values_that_are_to_be_stored():
    """Where values may be stored, they are as they were cleaned; their hash is of what was sent."""
    hasher, rows = ValueHasher(HashKey(b"0123456789abcdef")), []
    for kept in ((), ["clean"]):
        version = Rows(hasher)
        version.versions.append(
            ([None] * len(staged_names(FUNCTIONS)), Children(env_vars="A", env_values=["sent"], env_kept=kept))
        )
        rows += children_of(pa.Table.from_batches([version.take()["functions"]]), ENV_VARS).to_pylist()

    assert [row["value"] for row in rows] == [None, "clean"]
    assert {row["value_hmac"] for row in rows} == {hasher.value_hmacs([b"sent"]).hex()}


@pytest.mark.parametrize("count", [5, 7])
def test_a_row_of_the_wrong_width_is_refused(count):
    """A row with a value too few or too many is an error where it is appended."""
    with pytest.raises(ValueError, match="zip"):
        Rows().append(TAGS, *"abcdefg"[:count])


@pytest.mark.parametrize("table", registry.tables(), ids=lambda table: table.name)
def test_schemas_say_what_columns_mean(table):
    """Each Parquet field carries documentation, kind, unit and source of its column; the table its name and version."""
    schema = table_schema(table)

    assert schema.names == list(table.names())
    assert schema.metadata == {
        b"lexport.table": table.name.encode(),
        b"lexport.schema_version": SCHEMA_VERSION.encode(),
    }
    for column, field in zip(table.columns, schema, strict=True):
        assert field.nullable
        assert {key.decode(): text.decode() for key, text in field.metadata.items()} == {
            key: text
            for key, text in (
                ("doc", column.meaning),
                ("unit", column.unit),
                ("kind", table.kind_of(column)),
                ("source", column.source),
            )
            if text
        }


@pytest.mark.parametrize("table", staged_tables(), ids=lambda table: table.name)
def test_staged_schema(table):
    """A staged row has its table's types, and the answer is text."""
    schema = staged_schema(table)

    assert schema.names == list(staged_names(table))
    assert schema.types[:-1] == table_schema(table).types[2:]
    assert schema.types[-1] == pa.string()
