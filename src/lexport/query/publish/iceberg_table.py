"""One Iceberg table: which commits it holds, and the transaction that adds and deletes some. Blocking."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.expressions import In
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.manifest import DataFile, DataFileContent
from pyiceberg.table import Table as IcebergTable
from pyiceberg.table import TableProperties
from pyiceberg.table.metadata import TableMetadata

from lexport.aws.errors import one_line
from lexport.dataset.commit import snapshot_row
from lexport.errors import RunError
from lexport.model import is_ulid, new_ulid
from lexport.query.publish.iceberg_files import Files
from lexport.query.publish.iceberg_schema import SNAPSHOT_ID, bring_up_to_date, name_mapping, with_names_of_file
from lexport.query.publish.plan import CommitFiles, Held, PublishedFile, id_in_path
from lexport.query.publish.source import damaged
from lexport.tables.run import SNAPSHOTS
from lexport.tables.table import Table

SUMMARY_IDS = "lexport.snapshot_id"
"""The property of an Iceberg snapshot that has the ids of the commits that it added or deleted."""
SUMMARY_MARK = "lexport.publish_id"
"""The property by which a publication knows its own Iceberg snapshot again, when the answer to it was lost."""

_FOOTERS_AT_ONCE = 8


def commits_held(table: IcebergTable, files: Files) -> Held:
    """Return the commits that a table has rows of.

    The path of a file says of which commit it is. A file that an engine wrote when it compacted the table is asked for
    the ids in it: its bounds where they are equal, else its rows.
    """
    held = Held()
    snapshot = table.current_snapshot()
    if snapshot is None:
        return held
    column = table.schema().find_field(SNAPSHOT_ID).field_id
    is_mixed = False
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            file = entry.data_file
            if file.content != DataFileContent.DATA:
                continue
            found = id_in_path(file.file_path) or _only_id(file, column)
            if found is None:
                is_mixed = True
            else:
                held.add(found, is_here=file.file_path.startswith(f"{files.root}/"))
    if is_mixed:
        for batch in table.scan(selected_fields=(SNAPSHOT_ID,)).to_arrow_batch_reader():
            for found in batch.column(SNAPSHOT_ID).unique().to_pylist():
                if found is not None:
                    held.add(found, is_here=False)
    return held


def _only_id(file: DataFile, column: int) -> str | None:
    lower, upper = ((bounds or {}).get(column) for bounds in (file.lower_bounds, file.upper_bounds))
    text = "" if lower is None or lower != upper else lower.decode("utf-8", errors="replace")
    return text if is_ulid(text) else None


def rows_of(table: IcebergTable) -> int | None:
    """Return the rows of a table, None where its catalog does not count them."""
    snapshot = table.current_snapshot()
    if snapshot is None:
        return 0
    text = snapshot.summary and snapshot.summary["total-records"]
    return int(text) if text else None


def was_applied(table: IcebergTable, mark: str) -> bool:
    """Return whether a table has the Iceberg snapshot of a transaction."""
    return any(each.summary is not None and each.summary.get(SUMMARY_MARK) == mark for each in table.snapshots())


def new_mark() -> str:
    """Make the mark of one transaction."""
    return new_ulid(datetime.now(UTC))


def apply(
    iceberg: IcebergTable,
    table: Table,
    files: Files,
    *,
    add: Iterable[CommitFiles],
    delete: tuple[str, ...],
    mark: str,
) -> None:
    """Bring the columns of a table up to date, delete the rows of commits and add files, all in one transaction.

    It fails where another writer changed the table meanwhile, and is not tried again: pyiceberg would append the files
    although that writer may have added the same.
    """
    properties = {**iceberg.metadata.properties, TableProperties.COMMIT_NUM_RETRIES: "0"}
    iceberg.metadata = iceberg.metadata.model_copy(update={"properties": properties})  # of this object alone
    with iceberg.transaction() as change:
        with change.update_schema() as update:
            bring_up_to_date(update, iceberg.schema(), table)
        if (mapping := name_mapping(change.table_metadata, table)) is not None:
            change.set_properties({TableProperties.DEFAULT_NAME_MAPPING: mapping})
        if delete:
            summary = {SUMMARY_IDS: ",".join(delete), SUMMARY_MARK: mark}
            change.delete(In(SNAPSHOT_ID, set(delete)), snapshot_properties=summary)  # type: ignore[call-arg, arg-type]
        commits = [*add]
        if commits:
            if table is SNAPSHOTS:
                commits, files = _write_rows(iceberg, commits, mark)
            described = _describe(change.table_metadata, table, files, commits)
            summary = {SUMMARY_IDS: ",".join(each.snapshot_id for each in commits), SUMMARY_MARK: mark}
            with change.update_snapshot(snapshot_properties=summary).merge_append() as append:
                for file in described:
                    append.append_data_file(file)


def _write_rows(iceberg: IcebergTable, commits: list[CommitFiles], mark: str) -> tuple[list[CommitFiles], Files]:
    """Write the rows of ``snapshots`` into files of the table's own, one for each commit."""
    written: list[CommitFiles] = []
    for commit in commits:
        path = iceberg.location_provider().new_data_location(f"{mark}/{commit.snapshot_id}-0000.parquet")
        body = pa.BufferOutputStream()
        pq.write_table(snapshot_row(commit.commit), body, compression="zstd")
        content = body.getvalue().to_pybytes()
        with iceberg.io.new_output(path).create() as stream:
            stream.write(content)
        file = PublishedFile(path=path, rows=1, size_bytes=len(content))
        written.append(replace(commit, files=(file,)))
    return written, Files(root=iceberg.location(), io=iceberg.io, properties={})


def _describe(metadata: TableMetadata, table: Table, files: Files, commits: list[CommitFiles]) -> list[DataFile]:
    """Read the footer of each file, and compare it with what the manifest says."""
    pairs = [(each.snapshot_id, file) for each in commits for file in each.files]
    with ThreadPoolExecutor(_FOOTERS_AT_ONCE, thread_name_prefix="lexport-footers") as pool:
        found = pool.map(lambda pair: _describe_file(metadata, table, files, *pair), pairs)
        try:
            return list(found)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _describe_file(
    metadata: TableMetadata, table: Table, files: Files, snapshot_id: str, file: PublishedFile
) -> DataFile:
    location = files.location(file.path)
    as_damage = partial(damaged, table, snapshot_id, location)
    try:
        if table.renames():
            with files.io.new_input(location).open() as stream:
                metadata = with_names_of_file(metadata, table, set(pq.read_schema(stream).names))
        described = parquet_file_to_data_file(files.io, metadata, location)
    except FileNotFoundError:
        raise as_damage("it is missing") from None
    except pa.ArrowInvalid as error:
        raise as_damage(one_line(str(error))) from error
    except ValueError as error:
        raise RunError(
            f"{location} has other columns than this release of lexport ({one_line(str(error))}); upgrade lexport"
        ) from error
    column = metadata.schema().find_field(SNAPSHOT_ID).field_id
    if file.size_bytes != described.file_size_in_bytes:
        raise as_damage(f"it has {described.file_size_in_bytes:,} bytes, the manifest says {file.size_bytes:,}")
    if file.rows != described.record_count:
        raise as_damage(f"it has {described.record_count:,} rows, the manifest says {file.rows:,}")
    if _only_id(described, column) != snapshot_id:
        raise as_damage("its rows are of another snapshot")
    return described
