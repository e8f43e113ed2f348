"""Read the rows of a table's files from the beginning to the end, some thousands at a time. Blocking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lexport.errors import ReadError
from lexport.tables.arrow import with_current_names
from lexport.tables.table import Table

_ROWS_AT_ONCE = 10_000


def read_rows(files: Iterable[Path], table: Table, names: Sequence[str]) -> Iterator[pa.Table]:
    """Yield rows with the columns of these names, under the names of today, of those that each file has.

    Raises ReadError for a damaged file.
    """
    for path in files:
        with _errors_of(path):
            file = pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True)
        with file:
            stored = [name for name in file.schema_arrow.names if name in table.stored_names(names)]
            batches = file.iter_batches(_ROWS_AT_ONCE, columns=stored, use_threads=False)
            while True:
                with _errors_of(path):
                    batch = next(batches, None)
                if batch is None:
                    break
                if len(batch):
                    yield with_current_names(pa.Table.from_batches([batch]), table)


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise ReadError(f"cannot read {path}: {str(error).splitlines()[0]}", path=str(path)) from error
