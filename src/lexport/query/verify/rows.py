"""Check the pages, columns and rows of one Parquet file. Reads all of it, a batch at a time. Blocking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.dataset.manifest import Manifest
from lexport.dataset.runs import row_keys
from lexport.model import __version__
from lexport.tables.arrow import table_schema, with_current_names
from lexport.tables.registry import SCHEMA_VERSION
from lexport.tables.run import ERRORS
from lexport.tables.table import Table
from lexport.tables.text import plural

_BATCH_ROWS = 4096
_NOT_UNIQUE = {ERRORS}  # the same error may occur twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One damaged or unexpected file. ``remedy`` says what to do about it.

    ``is_note`` means that it is harmless, and nothing is lost.
    """

    path: str
    kind: str
    detail: str
    is_note: bool = False
    remedy: str = ""


def check_rows(file_path: Path, path: str, table: Table, commit: Manifest, *, rows: int) -> Iterator[Damage]:
    """Check a table's file of one commit: page checksums, columns, number of rows, their order and their keys.

    ``file_path`` is where the file that the dataset has at ``path`` is on this machine. ``rows`` is the number of rows
    in the manifest. Each kind of damage is reported once, at its first occurrence.
    """
    details: dict[str, str] = {}
    try:
        with pq.ParquetFile(file_path, page_checksum_verification=True) as file:
            details |= _check_columns(table, file.schema_arrow, commit)
            if file.metadata.num_rows != rows:
                details["wrong_row_count"] = f"{plural(file.metadata.num_rows, 'row')}, the manifest says {rows:,}"
            for kind, detail in _check_batches(file, table, commit):
                details.setdefault(kind, detail)
    except (pa.ArrowException, OSError) as error:  # damaged bytes raise either
        details["unreadable_page"] = " ".join(str(error).split())
    for kind, detail in details.items():
        yield Damage(path=path, kind=kind, detail=detail)


def _check_columns(table: Table, schema: pa.Schema, commit: Manifest) -> dict[str, str]:
    """Compare the types of columns with the declared ones, and their names too if this release wrote the file."""
    expected = table_schema(table)
    renames = table.renames()
    wrong = [
        f"{field.name} is {field.type} and should be {expected.field(name).type}"
        for field in schema
        if (name := renames.get(field.name, field.name)) in expected.names and field.type != expected.field(name).type
    ]
    wrong += [f"{name} is there twice" for name in sorted({n for n in schema.names if schema.names.count(n) > 1})]
    if commit.lexport_version == __version__ and commit.schema_version == SCHEMA_VERSION:
        wrong += [f"{name} is missing" for name in expected.names if name not in schema.names]
        wrong += [f"{name} is not one of its columns" for name in schema.names if name not in expected.names]
    return {"wrong_columns": ", ".join(wrong[:3])} if wrong else {}


def _check_batches(file: pq.ParquetFile, table: Table, commit: Manifest) -> Iterator[tuple[str, str]]:
    names = {table.renames().get(name, name) for name in file.schema_arrow.names}
    has_key = names.issuperset(table.key)
    last: pa.Scalar | None = None
    at = 0
    for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
        rows = with_current_names(pa.Table.from_batches([batch]), table)
        if "snapshot_id" in names:
            is_own = pc.fill_null(pc.equal(rows.column("snapshot_id"), commit.snapshot_id), fill_value=False)
            if not pc.all(is_own).as_py():
                other = rows.column("snapshot_id").filter(pc.invert(is_own))[0].as_py()
                yield "wrong_snapshot", f"a row is of snapshot {other}, not {commit.snapshot_id}"
        if has_key:
            keys = row_keys(rows, table.key).combine_chunks()
            yield from _check_order(
                table, keys if last is None else pa.concat_arrays([pa.array([last.as_py()], last.type), keys]), rows, at
            )
            last = keys[-1]
        at += len(rows)


def _check_order(table: Table, keys: pa.Array, rows: pa.Table, at: int) -> Iterator[tuple[str, str]]:
    """Compare each key with the one before it. ``at`` is the number of the first row."""
    carried = len(keys) - len(rows)  # 1 if the last key of the batch before comes first
    before, after = keys[:-1], keys[1:]
    if pc.any(pc.greater(before, after)).as_py():
        index = pc.index(pc.greater(before, after), value=True).as_py()
        yield "not_sorted", f"row {at + index + 1 - carried:,} comes before the row above it"
    if table not in _NOT_UNIQUE and pc.any(pc.equal(before, after)).as_py():
        index = pc.index(pc.equal(before, after), value=True).as_py() + 1 - carried
        key = ", ".join(f"{name} {rows.column(name)[index].as_py()}" for name in table.key)
        yield "duplicate_key", f"row {at + index:,} has the key of the row above it: {key}"
