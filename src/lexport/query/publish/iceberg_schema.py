"""How a table of lexport is declared in Iceberg: columns with their documentation, the partition, and properties."""

from __future__ import annotations

from collections.abc import Mapping

from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import TableProperties
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.name_mapping import MappedField, NameMapping, parse_mapping_from_json
from pyiceberg.table.update.schema import UpdateSchema
from pyiceberg.transforms import DayTransform
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IntegerType,
    LongType,
    NestedField,
    PrimitiveType,
    StringType,
    TimestamptzType,
)

from lexport.query.publish.plan import PROPERTY
from lexport.tables.table import Table, Type

SNAPSHOT_ID, SNAPSHOT_AT = "snapshot_id", "snapshot_at"
PARTITION = "snapshot_date"

_TYPES: dict[Type, PrimitiveType] = {
    Type.TEXT: StringType(),
    Type.INT32: IntegerType(),
    Type.INT64: LongType(),
    Type.BOOL: BooleanType(),
    Type.DOUBLE: DoubleType(),
    Type.TIMESTAMP: TimestamptzType(),
    Type.DATE: DateType(),
}


def table_schema(table: Table) -> Schema:
    """Return the columns; all may be NULL, as in the files."""
    return Schema(
        *(
            NestedField(number, column.name, _TYPES[column.type], required=False, doc=column.meaning)
            for number, column in enumerate(table.columns, 1)
        )
    )


def day_partition(schema: Schema) -> PartitionSpec:
    """Return the partition by the day of ``snapshot_at``; a file has one value, for it is of one snapshot."""
    source = schema.find_field(SNAPSHOT_AT).field_id
    return PartitionSpec(PartitionField(source, PARTITION_FIELD_ID_START, DayTransform(), PARTITION))


def new_properties(table: Table) -> dict[str, str]:
    """Return the properties of a new table.

    The bounds of ``snapshot_id`` are whole, so that the rows of a snapshot are deleted without reading a file. Those of
    secrets are left out: they would be parts of them in the files of the catalog. No engine may delete the files when
    it expires Iceberg snapshots or drops the table: they are those of the dataset.
    """
    metrics = TableProperties.METRICS_MODE_COLUMN_CONF_PREFIX
    secret = (column.name for column in table.columns if table.kind_of(column) == "secret")
    return {
        PROPERTY: table.name,
        "gc.enabled": "false",
        "comment": table.meaning,
        f"{metrics}.{SNAPSHOT_ID}": "full",
        **{f"{metrics}.{name}": "counts" for name in secret},
        TableProperties.MANIFEST_MERGE_ENABLED: "true",
        TableProperties.METADATA_DELETE_AFTER_COMMIT_ENABLED: "true",
    }


def bring_up_to_date(update: UpdateSchema, present: Schema, table: Table) -> None:
    """Rename what has a new name, then add columns and documentation; other columns of the table stay."""
    names = set(present.column_names)
    for former, name in table.renames().items():
        if former in names and name not in names:
            update.rename_column(former, name)
    renames = {former: name for former, name in table.renames().items() if name not in names}
    known = {renames.get(name, name): name for name in present.column_names}
    for column in table.columns:
        stored = known.get(column.name)
        if stored is None:
            update.add_column(column.name, _TYPES[column.type], doc=column.meaning)
            continue
        field = present.find_field(stored)
        if field.doc != column.meaning:
            update.update_column(stored, doc=column.meaning)
        if (field.field_type, column.type) == (IntegerType(), Type.INT64):
            update.update_column(stored, field_type=LongType())


def name_mapping(metadata: TableMetadata, table: Table) -> str | None:
    """Return the property that tells readers which column of a file is which, or None where it says so already.

    Files have no numbers of columns, and those of older schema versions have former names.
    """
    written = metadata.properties.get(TableProperties.DEFAULT_NAME_MAPPING)
    told: Mapping[int | None, list[str]] = (
        {} if written is None else {field.field_id: field.names for field in parse_mapping_from_json(written)}
    )
    former = {column.name: column.former_names for column in table.columns}
    mapping = NameMapping(
        [
            MappedField.model_validate(
                {
                    "field-id": field.field_id,
                    "names": list(
                        dict.fromkeys((field.name, *former.get(field.name, ()), *told.get(field.field_id, ())))
                    ),
                }
            )
            for field in metadata.schema().fields
        ]
    )
    names = {field.field_id: set(field.names) for field in mapping}
    if names == {number: set(words) for number, words in told.items()}:
        return None
    return mapping.model_dump_json()


def with_names_of_file(metadata: TableMetadata, table: Table, names: set[str]) -> TableMetadata:
    """Return the metadata of a table with those names of columns that a file of an older schema version has."""
    former = {name: former for former, name in table.renames().items() if former in names}
    if not former:
        return metadata
    schema = metadata.schema()
    fields = (
        field.model_copy(update={"name": former[field.name]}) if field.name in former else field
        for field in schema.fields
    )
    renamed = Schema(*fields, schema_id=schema.schema_id)
    others = [each for each in metadata.schemas if each.schema_id != schema.schema_id]
    return metadata.model_copy(update={"schemas": [*others, renamed]})
