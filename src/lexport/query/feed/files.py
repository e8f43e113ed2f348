"""The files of a feed folder: rows as Parquet or CSV, some thousands at a time. Blocking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from lexport.query.feed.part import aligned

Output = Literal["parquet", "csv", "jsonl"]
Compression = Literal["zstd"]

_ROWS_AT_ONCE = 16_384  # a part of a feed may have a few rows, and readers of Parquet want large row groups
_BYTES_AT_ONCE = 16 * 2**20
_CSV = pyarrow.csv.WriteOptions(quoting_style="needed")
"""Every text is quoted; NULL is empty and not quoted, so that a reader can tell it from the empty text."""


def suffix(output: Output, compress: Compression | None) -> str:
    """Return how the name of a file ends."""
    return f".{output}" if compress is None or output == "parquet" else f".{output}.zst"


class RowFile:
    """A file that is written some thousands of rows at a time."""

    def __init__(self, file: Any, schema: pa.Schema) -> None:
        self._file, self._schema = file, schema
        self._waiting: list[pa.Table] = []
        self._rows = self._bytes = 0

    def write(self, rows: pa.Table) -> None:
        """Write rows; columns that they lack are NULL."""
        self._waiting.append(aligned(rows, self._schema))
        self._rows += len(rows)
        self._bytes += rows.nbytes
        if self._rows >= _ROWS_AT_ONCE or self._bytes >= _BYTES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait."""
        if self._waiting:
            self._file.write_table(pa.concat_tables(self._waiting))
        self._waiting, self._rows, self._bytes = [], 0, 0


@contextmanager
def open_rows(path: Path, schema: pa.Schema, *, compress: Compression | None) -> Iterator[RowFile]:
    """Open a new file for rows, in the format of its suffix. Parquet is compressed with zstd in any case."""
    with ExitStack() as opened:
        if path.suffix == ".parquet":
            file = opened.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))
        else:
            sink = opened.enter_context(pa.OSFile(str(path), "wb"))
            if compress is not None:
                sink = opened.enter_context(pa.CompressedOutputStream(sink, compress))
            file = opened.enter_context(pyarrow.csv.CSVWriter(sink, schema, write_options=_CSV))
        rows = RowFile(file, schema)
        yield rows
        rows.flush()
