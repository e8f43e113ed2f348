"""Write the rows of a query: exact into files and pipes, fitted to the screen on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from lexport.cli._rows.formats import distinct, write_rows
from lexport.cli._rows.table import Room, Row, write_table
from lexport.errors import QueryError
from lexport.query.row_values import arrow_rows

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How results are shown on a terminal. ``hint`` is how to see what is trimmed."""

    pager: bool
    trim: bool
    hint: str


def write_result(reader: pa.RecordBatchReader, *, output: str, stream: BinaryIO, view: View) -> int:
    """Write a query's rows in a format and return their number. Raises BrokenPipeError if a pager is left early."""
    if output == "parquet":
        return _write_parquet(reader, stream)
    names, rows = reader.schema.names, arrow_rows(reader)
    if not stream.isatty():
        return write_rows(names, rows, output=output, stream=stream)
    return show_rows(names, rows, output=output, stream=stream, view=view)


def show_rows(names: Sequence[str], rows: Iterable[Row], *, output: str, stream: BinaryIO, view: View) -> int:
    """Write rows on a terminal and return their number. Raises BrokenPipeError if a pager is left early."""
    from lexport.cli._rows.screen import open_screen, screen_size

    with open_screen(stream, pager=view.pager, is_wide=output == "table") as screen:
        if output == "table" and view.trim:
            return write_table(names, rows, screen, Room(screen_size().columns, view.hint))
        return write_rows(names, rows, output=output, stream=screen)


def _write_parquet(reader: pa.RecordBatchReader, stream: BinaryIO) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [field.with_name(name) for field, name in zip(reader.schema, distinct(reader.schema.names), strict=True)]
    )
    rows = 0
    try:
        with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch.rename_columns(schema.names))
                rows += batch.num_rows
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise QueryError(
            f"Parquet cannot hold this result: {' '.join(str(error).split())}; cast it to VARCHAR"
        ) from error
    return rows
