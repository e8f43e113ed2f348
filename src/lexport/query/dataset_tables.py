"""The tables that a statement names, defined as DuckDB views over explicit lists of committed files.

Tables that a statement does not name are not checked: a lost file fails only the queries that read it. The files of
those that it names are checked first, because a result that lacks rows or has them twice is worse than an error.
"""

# ruff: noqa: S608 - names and texts in SQL go through quote_name and quote_text

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from lexport.dataset.data_files import fetch_files, find_files
from lexport.dataset.manifest import Manifest, format_instant
from lexport.errors import ReadError, RunError
from lexport.query.catalog import Catalog
from lexport.query.name_spaces import SPACES, Space
from lexport.query.shipped_views import BY_OTHER_MEANS, RUNS_SQL, named_views, shipped_views
from lexport.query.sql_text import escape_glob, one_line, quote_text
from lexport.query.table_views import TableViews, tables_below
from lexport.tables import registry
from lexport.tables.registry import BY_NAME, PACKAGE_TABLES
from lexport.tables.run import SCOPES
from lexport.tables.table import Table

Name = tuple[Space, Table]


def _every_name() -> frozenset[Name]:
    return frozenset((space, table) for space in SPACES for table in registry.tables())


class DatasetTables:
    """The tables of a dataset on one connection, each defined when a statement first names it.

    ``notes`` are sentences for the user about rows that come from a manifest instead of a damaged file.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
        self._connection = connection
        self._tables_in: dict[str, frozenset[Name]] = {}
        self._shows_all = False
        connection.execute("SET TimeZone = 'UTC'")
        self._begin(catalog)

    def _begin(self, catalog: Catalog) -> None:
        """Define the schemas and what all tables are defined with; tables that exist already are to be replaced."""
        self.catalog = catalog
        latest = catalog.latest()
        latest_ids = {snapshot.snapshot_id for snapshot in latest.values()}
        self._latest_commits = tuple(commit for commit in catalog.manifests if commit.snapshot_id in latest_ids)
        self.notes: list[str] = []
        self._defined: set[Name] = set()
        self._files_of: dict[tuple[str, Table], list[Path]] = {}
        self._views = TableViews(
            committed=_select(("snapshot_id",), catalog.manifests),
            newest=lambda table: _select(("snapshot_id",), catalog.newest_with(table)),
            latest_scopes=_values(
                ("account_id", "region", "snapshot_id"),
                [(scope.account_id, scope.region, snapshot.snapshot_id) for scope, snapshot in latest.items()],
            ),
            rows=self._rows,
            snapshots=_snapshots(catalog.manifests),
        )
        self._execute((*self._views.schemas(), self._views.latest()))

    def files(self) -> Iterator[Path]:
        """Yield the files that were found sound when a statement first named their table."""
        return (path for paths in self._files_of.values() for path in paths)

    def define(self, statement: str) -> bool:
        """Define the tables that a statement names, directly or through shipped views.

        Raises ReadError if a file of one is missing or damaged. A statement that reads DuckDB's own catalog finds all
        tables there, whether their files are damaged or not. Return whether a file was missing because its commit was
        removed meanwhile: then tables that were defined earlier are defined anew, without that commit, when they are
        named again.
        """
        try:
            self._define_named(statement)
        except RunError:  # ReadError, or DuckDB's error of a file that was there when an earlier statement named it
            left = self.catalog.without_removed()
            if left is None:
                raise
            self._begin(left)
            self._define_named(statement)
            return True
        return False

    def _define_named(self, statement: str) -> None:
        views = named_views(shipped_views(), statement, by_other_means=False)
        catalog_words = BY_OTHER_MEANS & set(re.findall(r"\w+", statement.lower()))
        texts = (statement, *(view.query for view in views))
        names = (
            _every_name() if catalog_words.intersection(RUNS_SQL) else frozenset().union(*map(self._tables_of, texts))
        )
        self._fetch(names)
        for name in sorted(names, key=_position):
            self._define(name)
        if catalog_words:
            self._show_all()

    def _fetch(self, names: Iterable[Name]) -> None:
        """Download together what the tables of these names read from a bucket."""
        new: set[Name] = set()
        waiting = [*names]
        while waiting:
            space, table = waiting.pop()
            new.add((space, table))
            waiting += ((space, below) for below in tables_below(space, table))
        new -= self._defined
        fetch_files(
            self.catalog.store,
            [(commit, table) for space, table in new for commit in self._members(space, table.name)],
        )

    def _define(self, name: Name) -> None:
        if name in self._defined:
            return
        space, table = name
        for below in tables_below(space, table):
            self._define((space, below))
        self._execute([self._views.table(space, table)])
        self._defined.add(name)

    def _show_all(self) -> None:
        """Define all other tables, whose rows the statement does not read: over one file of each release."""
        self._shows_all = True
        try:
            others = sorted(_every_name() - self._defined, key=_position)
            self._execute(self._views.table(*name) for name in others)
        finally:
            self._shows_all = False

    def _execute(self, statements: Iterable[str]) -> None:
        try:
            for statement in statements:
                self._connection.execute(statement)
        except duckdb.Error as error:
            raise RunError(f"cannot read the dataset {self.catalog.store.url}: {one_line(error)}") from error

    def _tables_of(self, query: str) -> frozenset[Name]:
        if query not in self._tables_in:
            self._tables_in[query] = frozenset(tables_named(self._connection, query))
        return self._tables_in[query]

    def _rows(self, space: Space, table: str) -> str | None:
        """Select all rows of a table's files in the commits of a name space.

        Files that one release wrote have the same columns, so DuckDB has to open only one file of each release.
        """
        from_manifest = {} if self._shows_all else self._scopes_from_manifests(space, table)
        commits = (commit for commit in self._members(space, table) if commit.snapshot_id not in from_manifest)
        parts = [
            f"SELECT * FROM read_parquet({_paths(files)}, hive_partitioning = false)"
            for _, group in groupby(sorted(commits, key=_release, reverse=True), key=_release)
            if (files := self._shown(group, BY_NAME[table]))
        ]
        parts += map(_scopes, from_manifest.values())
        return " UNION ALL BY NAME ".join(parts) or None

    def _shown(self, commits: Iterable[Manifest], table: Table) -> list[Path]:
        """Return the files of a table in commits of one release; of tables that are only listed, one that is sound."""
        if not self._shows_all:
            return [path for commit in commits for path in self._files(commit, table)]
        for commit in commits:
            with suppress(ReadError):
                if files := self._files(commit, table):
                    return files[:1]
        return []

    def _scopes_from_manifests(self, space: Space, table: str) -> dict[str, Manifest]:
        """Return the old commits whose file of ``scopes`` is damaged: their manifests have the same rows.

        So checks and trends still work if one old file is lost. A sentence in ``notes`` names each.
        """
        commits: dict[str, Manifest] = {}
        if (space, table) == ("history", SCOPES.name):
            shown = {commit.snapshot_id for commit in (*self._latest_commits, *self.catalog.newest_with(table))}
            for commit in self.catalog.manifests:
                try:
                    self._files(commit, SCOPES)
                except ReadError as error:
                    if commit.snapshot_id not in shown:
                        self.notes.append(f"{error}; its manifest was read instead")
                        commits[commit.snapshot_id] = commit
        return commits

    def _members(self, space: Space, table: str) -> tuple[Manifest, ...]:
        if space == "snapshot":
            return self.catalog.newest_with(table)
        is_of_packages = BY_NAME[table] in PACKAGE_TABLES
        return self.catalog.manifests if space == "history" or is_of_packages else self._latest_commits

    def _files(self, commit: Manifest, table: Table) -> list[Path]:
        key = (commit.snapshot_id, table)
        if key not in self._files_of:
            self._files_of[key] = find_files(self.catalog.store, commit, table)
        return self._files_of[key]


def tables_named(connection: duckdb.DuckDBPyConnection, query: str) -> Iterator[Name]:
    """Yield the tables that a query may name, by its syntax tree. There may be too many, never too few."""
    ((text,),) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchall()
    tree = json.loads(text)
    if tree.get("error", True):  # DuckDB has no tree for a PIVOT
        words = set(re.findall(r"\w+", query.lower()))
        spaces = [space for space in SPACES if space == "main" or space in words]
        yield from ((space, table) for space in spaces for table in registry.tables() if table.name in words)
        return
    nodes: list[Any] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, list):
            nodes += node
        elif isinstance(node, dict):
            nodes += node.values()
            table = BY_NAME.get(str(node.get("table_name")).lower())
            schema = str(node.get("schema_name") or "main").lower()
            yield from ((space, table) for space in SPACES if table is not None and space == schema)


def _position(name: Name) -> tuple[int, int]:
    return SPACES.index(name[0]), registry.tables().index(name[1])


def _release(snapshot: Manifest) -> tuple[str, str]:
    return snapshot.schema_version, snapshot.lexport_version


def _paths(paths: Iterable[Path]) -> str:
    return "[" + ", ".join(quote_text(escape_glob(str(path))) for path in paths) + "]"


def _snapshots(commits: Iterable[Manifest]) -> str:
    """Select the rows of ``snapshots`` from the manifests: the table's own file is written later, or never."""
    names = ("snapshot_id", "snapshot_at", "status", "committed_at", "lexport_version", "schema_version")
    return _select(names, commits)


def _scopes(commit: Manifest) -> str:
    """Select the rows of ``scopes`` from a manifest, without the columns that only the table has."""
    own = ("snapshot_id", "snapshot_at")
    names = ("account_id", "region", "coverage", "status", *_COUNTS)
    return f"SELECT * FROM ({_select(own, [commit])}), ({_select(names, commit.scopes)})"


def _select(names: Sequence[str], items: Iterable[object]) -> str:
    """Select one row for each item, from its attributes."""
    return _values(names, [[getattr(item, name) for name in names] for item in items])


_COUNTS = ("functions", "versions", "get_function_calls", "list_calls", "throttles")
_TYPES = dict.fromkeys(("snapshot_at", "committed_at"), "TIMESTAMPTZ") | dict.fromkeys(_COUNTS, "BIGINT")


def _values(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return "SELECT " + ", ".join(f"NULL::VARCHAR AS {name}" for name in names) + " WHERE false"
    body = ", ".join("(" + ", ".join(map(_literal, row)) + ")" for row in rows)
    shown = ", ".join(f"{name}::{_TYPES[name]} AS {name}" if name in _TYPES else name for name in names)
    return f"SELECT {shown} FROM (VALUES {body}) AS given({', '.join(names)})"


def _literal(value: object) -> str:
    return quote_text(format_instant(value) if isinstance(value, datetime) else str(value))
