"""The rows of a query: a ``pyarrow.Table`` that notebooks show as a table."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pyarrow as pa

from lexport.errors import SettingsError
from lexport.query.html import MOST_ROWS, table_html
from lexport.tables.text import plural


class QueryResult:
    """The rows of a query. It has all methods and attributes of its ``table``, a ``pyarrow.Table``.

    Iterating gives the rows as dicts, ``len`` their number, ``result["name"]`` a column. Libraries that take Arrow data
    take it as it is: ``polars.from_arrow(result)``, ``duckdb.sql("FROM result")``, ``pyarrow.table(result)``.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def df(self) -> Any:
        """Return a ``pandas.DataFrame``. Raises SettingsError where pandas is not installed."""
        if find_spec("pandas") is None:
            raise SettingsError("a DataFrame needs pandas: pip install pandas", option="df")
        return self.table.to_pandas()

    def __getattr__(self, name: str) -> Any:
        if name == "table":  # copy and pickle ask before there is one
            raise AttributeError(name)
        return getattr(self.table, name)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Iterate over the rows, as dicts."""
        for batch in self.table.to_batches():
            yield from batch.to_pylist()

    def __getitem__(self, column: str | int) -> pa.ChunkedArray:
        return self.table[column]

    def __eq__(self, other: object) -> bool:
        table = other.table if isinstance(other, QueryResult) else other
        return self.table.equals(table) if isinstance(table, pa.Table) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{plural(self.table.num_rows, 'row')} of {', '.join(self.table.column_names)}>"

    def _repr_html_(self) -> str:
        rows = ([*row.values()] for row in self.table.slice(0, MOST_ROWS).to_pylist())
        return table_html(self.table.column_names, rows, total=self.table.num_rows)
