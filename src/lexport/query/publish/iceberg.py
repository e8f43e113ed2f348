"""Publish the committed files of a dataset as Iceberg tables. Blocking.

A table of the catalog names the files themselves. What is missing or too much is found out by what each table holds,
so a repeated publication adds nothing, and one that was killed goes on. Each transaction states which Iceberg snapshot
it builds on, and the catalog refuses it where another one is the newest: of two publications at once, and of two
attempts of one whose answer was lost, at most one adds a file.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace

from pyiceberg.catalog import Catalog as IcebergCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table as IcebergTable

from lexport.errors import PublishError, SettingsError
from lexport.query.catalog import open_catalog
from lexport.query.publish.iceberg_catalog import (
    catalog_errors,
    check_catalog,
    is_absent,
    is_conflict,
    may_pass,
    open_iceberg,
)
from lexport.query.publish.iceberg_files import Files, open_files
from lexport.query.publish.iceberg_schema import day_partition, new_properties, table_schema
from lexport.query.publish.iceberg_table import apply, commits_held, new_mark, rows_of, was_applied
from lexport.query.publish.plan import PROPERTY, Held, TablePlan, publication_order
from lexport.query.publish.result import PublishedTable, PublishResult
from lexport.query.publish.source import ATTEMPTS, Source, add_up, private_files, publish_from, wait_before
from lexport.settings import Destination
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table

MOST_AT_ONCE = 100
"""Commits of one transaction: a first publication of a year of nights makes four Iceberg snapshots of a table."""


def publish_iceberg(dest: Destination, *, catalog: str, namespace: str, is_dry_run: bool = False) -> PublishResult:
    """Publish every table of a dataset into a namespace of a catalog.

    Raises SettingsError where a table of that name is not lexport's, PublishError where other writers were faster each
    time, CredentialsError, ReadError and RunError. What was published until then stays, and the next call goes on.
    """
    check_catalog(catalog)
    levels = tuple(namespace.split("."))
    if not all(level and level.isprintable() for level in levels):
        raise SettingsError(f"--namespace {namespace!r}: a name, or several with dots between", option="--namespace")
    dataset = open_catalog(dest)
    files = open_files(dest, dataset.store)
    with private_files(dataset), ExitStack() as stack:
        opened = None
        if not (is_dry_run and is_absent(catalog)):
            opened = stack.enter_context(closing(open_iceberg(catalog, files.properties, timeout_s=dest.timeout_s)))
        return publish_from(
            dataset,
            lambda source: _Publication(catalog, opened, levels, source, files).run(is_dry_run=is_dry_run),
        )


class _Publication:
    """One publication. ``catalog`` is None where it does not exist yet and is not to be made."""

    def __init__(
        self,
        name: str,
        catalog: IcebergCatalog | None,
        namespace: tuple[str, ...],
        source: Source,
        files: Files,
    ) -> None:
        self._name = name
        self._catalog = catalog
        self._namespace = namespace
        self._source = source
        self._files = files

    def run(self, *, is_dry_run: bool) -> PublishResult:
        """Publish every table: rows of ``snapshots`` are deleted first and added last, as a commit comes and goes."""
        order = publication_order()
        with catalog_errors(self._name, "its tables were loaded"):
            present = {table: self._load(table) for table in order}
        for table, loaded in present.items():
            if loaded is not None and loaded.metadata.properties.get(PROPERTY) != table.name:
                raise SettingsError(
                    f"the table {self._title(table)} of the catalog {self._name} is not lexport's (it has no property"
                    f" {PROPERTY}); publish into another --namespace",
                    option="--namespace",
                )
        if is_dry_run:
            tables = tuple(self._planned(table, present[table]) for table in order)
        else:
            with catalog_errors(self._name, f"the namespace {'.'.join(self._namespace)} was created"):
                self._create_namespace()
            gone = self._publish(SNAPSHOTS, present[SNAPSHOTS], adds=False)
            done = [self._publish(table, present[table]) for table in order]
            last = replace(done[-1], is_new=gone.is_new, snapshots_deleted=gone.snapshots_deleted)
            tables = (*done[:-1], last)
        return PublishResult(is_dry_run=is_dry_run, tables=tables, notes=self._source.notes())

    # --- the catalog ----------------------------------------------------------------------------------------------

    def _title(self, table: Table) -> str:
        return ".".join((*self._namespace, table.name))

    def _load(self, table: Table) -> IcebergTable | None:
        if self._catalog is None:
            return None
        try:
            return self._catalog.load_table((*self._namespace, table.name))
        except NoSuchTableError:
            return None

    def _create_namespace(self) -> None:
        assert self._catalog is not None
        for depth in range(1, len(self._namespace) + 1):
            level = self._namespace[:depth]
            if not self._catalog.namespace_exists(level):
                self._catalog.create_namespace_if_not_exists(level)

    def _load_or_create(self, table: Table) -> IcebergTable:
        assert self._catalog is not None
        loaded = self._load(table)
        if loaded is not None:
            return loaded
        schema = table_schema(table)
        return self._catalog.create_table(
            (*self._namespace, table.name),
            schema=schema,
            partition_spec=day_partition(schema),
            properties=new_properties(table),
        )

    # --- one table ------------------------------------------------------------------------------------------------

    def _publish(self, table: Table, present: IcebergTable | None, *, adds: bool = True) -> PublishedTable:
        """Bring one table up to date, some commits at a time."""
        result = PublishedTable(table=table.name, is_new=present is None)
        deleted: set[str] = set()
        while True:
            with catalog_errors(self._name, f"{self._title(table)} was published"):
                present, done = self._step(table, present, deleted, adds=adds)
            deleted.update(done.delete)
            result = add_up(result, done)
            if not done.add and not done.delete:
                return replace(result, rows=rows_of(present))

    def _step(
        self, table: Table, present: IcebergTable | None, deleted: set[str], *, adds: bool
    ) -> tuple[IcebergTable, TablePlan]:
        """Do one transaction; return the table after it and what was done, nothing where nothing is left to do.

        A transaction whose answer was lost is looked for before another one is made.
        """
        part, mark = TablePlan(), ""
        for attempt in range(ATTEMPTS):
            if attempt:
                wait_before(attempt)
            try:
                if present is None or attempt:
                    present = self._load_or_create(table)
                if mark and was_applied(present, mark):
                    return present, part
                plan = self._source.plan(table, commits_held(present, self._files))
                part = TablePlan(
                    add=plan.add[: MOST_AT_ONCE if adds else 0],
                    delete=tuple(each for each in plan.delete if each not in deleted)[:MOST_AT_ONCE],
                )
                mark = new_mark()
                apply(present, table, self._files, add=part.add, delete=part.delete, mark=mark)
            except Exception as error:
                if not may_pass(error):
                    raise
                failure = error
            else:
                return present, part
        if is_conflict(failure):
            raise PublishError(
                f"{self._title(table)} was changed by another writer in each of {ATTEMPTS} attempts; run it again",
                destination=self._name,
            ) from failure
        raise failure

    def _planned(self, table: Table, present: IcebergTable | None) -> PublishedTable:
        """Return what would be done to a table."""
        with catalog_errors(self._name, f"{self._title(table)} was read"):
            plan = self._source.plan(table, commits_held(present, self._files) if present is not None else Held())
            result = add_up(PublishedTable(table=table.name, is_new=present is None), plan)
            rows = 0 if present is None else rows_of(present)
        return replace(result, rows=None if rows is None or plan.delete else rows + result.rows_added)
