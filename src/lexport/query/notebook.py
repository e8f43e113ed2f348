"""``lexport.Dataset``, for notebooks and scripts: it describes a dataset and reads tables, views and queries as Arrow.

Its methods block and need no event loop, so they also work where one is running, as in Jupyter. Each call looks for
commits again and sees new snapshots.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from html import escape
from typing import Any, Literal, Self

import pyarrow as pa

from lexport.errors import SettingsError
from lexport.query.html import paragraph, table_html
from lexport.query.kept_session import KeptSession
from lexport.query.parameters import ParameterValue
from lexport.query.query_result import QueryResult
from lexport.query.shipped_views import ShippedView, shipped_views
from lexport.query.sql import open_result
from lexport.query.sql_text import quote_name
from lexport.tables.registry import BY_NAME
from lexport.tables.table import Table
from lexport.tables.text import did_you_mean, plural
from lexport.tables.units import format_age

Space = Literal["latest", "snapshot", "history"]

_SCHEMAS: dict[str, str] = {"latest": "main", "snapshot": "snapshot", "history": "history"}


class Dataset:
    """A dataset, for reading. Its methods block, and work inside a running event loop.

    ``as_of``, a date, an instant or a snapshot's id, hides everything that was read later. Each call sees new
    snapshots. ``sql`` and ``df`` share a DuckDB session, which stays open between calls; several threads and forked
    processes may call them. ``close``, the end of a ``with`` block and the end of the object close it. Raises
    SettingsError if ``dest`` is not a dataset, NoSnapshotError if it has no snapshot.
    """

    def __init__(self, dest: str | os.PathLike[str], *, as_of: str | None = None) -> None:
        self._dest = dest
        self._as_of = as_of
        self._kept = KeptSession(dest, as_of)
        self._kept.catalog()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the session. A later call opens another one."""
        self._kept.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"dest": self._dest, "as_of": self._as_of}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._dest, self._as_of = state["dest"], state["as_of"]
        self._kept = KeptSession(self._dest, self._as_of)

    @property
    def views(self) -> dict[str, ShippedView]:
        """The shipped views by name. ``question`` says what they answer; ``columns`` maps columns to their meanings."""
        return {view.name: view for view in shipped_views()}

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by name. ``meaning`` says what a row is; ``columns`` have name, type, unit, source and meaning."""
        return dict(BY_NAME)

    def df(self, query: str, *, parameters: Mapping[str, ParameterValue] | None = None) -> Any:
        """Run one SELECT, or read a table or view by its name, and return a ``pandas.DataFrame``. Blocking.

        Raises QueryError as ``sql`` does, SettingsError where pandas is not installed.
        """
        return self.sql(query, parameters=parameters).df()

    def sql(self, query: str, *, parameters: Mapping[str, ParameterValue] | None = None) -> QueryResult:
        """Run one SELECT, or read a table or view by its name, and return its rows. Blocking.

        Table names and ``parameters`` mean the same as for ``lexport.sql``. Raises QueryError if the query is not a
        SELECT, DuckDB rejects it, or a parameter has no value.
        """
        with self._kept.open() as session:
            return QueryResult(session.read(query, parameters=parameters).read_all())

    def table(self, name: str, *, space: Space = "latest") -> pa.RecordBatchReader:
        """Stream a table or a shipped view in bounded memory, for polars, pandas or DuckDB.

        ``latest`` is the plain name of SQL, ``snapshot`` the newest snapshot alone, ``history`` all snapshots. Raises
        SettingsError for an unknown name or space. Blocking, batch by batch.
        """
        if space not in _SCHEMAS:
            raise SettingsError(f"space {space}: expected {', '.join(_SCHEMAS)}", option="space")
        names = [*BY_NAME, *(self.views if space == "latest" else ())]
        if name not in names:
            raise SettingsError(f"no table of {space} has the name {name}{did_you_mean(name, names)}", option="name")
        with ExitStack() as stack:
            query = f"FROM {_SCHEMAS[space]}.{quote_name(name)}"
            reader = stack.enter_context(open_result(self._dest, query, as_of=self._as_of)).reader
            open_reader = stack.pop_all()
        return pa.RecordBatchReader.from_batches(reader.schema, _until_end(reader, open_reader))

    def __repr__(self) -> str:
        return f"lexport.Dataset({os.fspath(self._dest)!r}{'' if self._as_of is None else f', as_of={self._as_of!r}'})"

    def _repr_html_(self) -> str:
        """Describe the dataset in a notebook: snapshots, age, latest reading of each account-region, and notices."""
        catalog = self._kept.catalog()
        now = datetime.now(UTC)
        newest = catalog.newest
        latest = catalog.latest()
        rows = [
            (
                *(entry.account_id, entry.region, snapshot.snapshot_id, format_age(now - snapshot.snapshot_at)),
                *(f"{entry.functions:,}", f"{entry.versions:,}", f"{entry.aliases:,}"),
            )
            for scope, snapshot in sorted(latest.items(), key=lambda item: item[0])
            for entry in snapshot.scopes
            if entry.scope == scope
        ]
        head = ("account", "Region", "snapshot", "age", "functions", "versions", "aliases")
        facts = (
            f"{plural(len(catalog.snapshots), 'snapshot')}, the newest {newest.snapshot_id} ({newest.status}), "
            f"{format_age(now - newest.snapshot_at)} old"
            if catalog.snapshots
            else "no snapshot is left"
        )
        return (
            f"<div><p><b>lexport dataset</b> <code>{escape(os.fspath(self._dest))}</code>: {escape(facts)}</p>"
            + table_html(head, rows, total=len(rows), noun="account-region")
            + "".join(map(paragraph, catalog.notices(tables=BY_NAME)))
            + "</div>"
        )


def _until_end(reader: pa.RecordBatchReader, open_reader: ExitStack) -> Iterator[pa.RecordBatch]:
    with open_reader:
        yield from reader
