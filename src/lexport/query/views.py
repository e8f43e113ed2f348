"""Write a DuckDB file with the same tables and views as ``sql``, for the DuckDB command line and BI tools.

The file has no rows. Its views list the folders each time they are queried, so they always show the present snapshots.
A bucket is copied into a folder first.
"""

# ruff: noqa: S608 - names and texts in SQL go through quote_name and quote_text

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

import duckdb

from lexport.dataset.data_files import damage_text, damaged_file, find_files
from lexport.dataset.layout import DATA_FILES, RUNS
from lexport.dataset.manifest import FORMAT, OF_EVERY_SNAPSHOT, RETIREMENT_FORMAT
from lexport.errors import ReadError, RunError, SettingsError, WriteError
from lexport.model import ULID_PATTERN
from lexport.query.catalog import Catalog, open_catalog
from lexport.query.copied_dataset import copy_dataset
from lexport.query.execute import Interruptible, connect, run_interruptibly
from lexport.query.name_spaces import SPACES, Space, is_settled
from lexport.query.shipped_views import shipped_views
from lexport.query.sql import create_view
from lexport.query.sql_text import escape_glob, one_line, quote_name, quote_text
from lexport.query.table_views import TableViews
from lexport.tables import registry
from lexport.tables.registry import BY_NAME, PACKAGE_TABLES

_MARK = "lexport: "
"""The comment of each of our views begins so. A file with anything else in it is not replaced."""

_READABLE_SINCE = "v1.2.0"  # BI tools contain an older DuckDB than lexport

_OUR_SCHEMAS = ("_lexport", "history", "snapshot")


async def views(
    dest: str | os.PathLike[str], *, db: str | os.PathLike[str], copy_to: str | os.PathLike[str] | None = None
) -> None:
    """Write a DuckDB file whose views show a dataset, or replace one that an earlier call wrote.

    The views of a dataset in a bucket read copies of its files in the folder ``copy_to``, by default the path of ``db``
    with ``.files`` after it. Each call brings them up to date. Raises SettingsError if ``db`` is any other file,
    ViewError if a shipped view does not fit the dataset. Cancelled: DuckDB is interrupted, and the file is either the
    old one or the new one.
    """
    await run_interruptibly(partial(_write, dest, Path(db), copy_to))


def copy_folder(db: str | os.PathLike[str]) -> Path:
    """Return the folder that has the copies of a bucket's files by default."""
    return Path(f"{os.fspath(db)}.files")


def _write(
    dest: str | os.PathLike[str],
    db: Path,
    copy_to: str | os.PathLike[str] | None,
    running: list[Interruptible],
) -> None:
    target = db.resolve()
    catalog = open_catalog(dest)
    running.append(catalog.store)
    _check_target(target)
    if catalog.store.moved is not None:
        catalog = copy_dataset(catalog, copy_folder(db) if copy_to is None else Path(copy_to))
    elif copy_to is not None:
        raise SettingsError(
            f"--copy-to is for object stores alone, and views read the folder {catalog.store.url} itself",
            option="--copy-to",
        )
    draft = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with connect(str(draft), storage_compatibility_version=_READABLE_SINCE) as connection:
            running.append(connection)
            draft.chmod(0o600)
            # DuckDB binds each view as it creates it, and would read the footers of all files each time.
            connection.execute("SET parquet_metadata_cache = true")
            _define(connection, catalog)
        draft.replace(target)
    except duckdb.IOException as error:
        raise WriteError(f"cannot write {target}: {one_line(error)}", path=str(target)) from error
    except OSError as error:
        raise WriteError(f"cannot write {target}: {error.strerror}", path=str(target)) from error
    except duckdb.Error as error:
        reasons = (text for table in registry.tables() for text in _damaged(catalog, table.name).values())
        # A damaged file fails here: DuckDB opens each to read its columns.
        reason = next(reasons, None) or _stray(catalog, one_line(error)) or one_line(error)
        raise RunError(f"cannot make views of {catalog.store.url}: {reason}") from error
    finally:
        for leftover in (draft, draft.with_name(draft.name + ".wal")):
            with suppress(FileNotFoundError):
                leftover.unlink()


def _check_target(target: Path) -> None:
    """Refuse a file that lexport did not write, and a name that DuckDB cannot use."""
    if target.name.split(".")[0] in {*_OUR_SCHEMAS, "main"}:
        raise SettingsError(f"--db {target}: DuckDB takes the file's name for a schema; choose another", option="--db")
    if not target.parent.is_dir():
        raise SettingsError(f"--db {target}: the folder does not exist", option="--db")
    if not target.exists():
        return
    if not target.is_file():
        raise SettingsError(f"--db {target} is not a file", option="--db")
    try:
        with duckdb.connect(str(target), read_only=True, config={"enable_external_access": "false"}) as connection:
            foreign = _foreign_names(connection)
    except duckdb.Error as error:
        raise SettingsError(
            f"--db {target} is not a DuckDB file that can be replaced: {one_line(error)}", option="--db"
        ) from error
    if foreign:
        raise SettingsError(
            f"--db {target} contains other things and is not replaced: {', '.join(foreign[:3])}", option="--db"
        )


def _foreign_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE NOT internal "
        "UNION ALL SELECT schema_name || '.' || view_name FROM duckdb_views() "
        "WHERE NOT internal AND NOT coalesce(starts_with(comment, ?), false) "
        "UNION ALL SELECT schema_name || '.' || sequence_name FROM duckdb_sequences() "
        "UNION ALL SELECT schema_name || '.' || function_name FROM duckdb_functions() "
        "WHERE NOT internal AND function_type LIKE '%macro' "
        "UNION ALL SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND NOT list_contains(?, schema_name)",
        [_MARK, list(_OUR_SCHEMAS)],
    ).fetchall()
    return [str(name) for (name,) in rows]


def _define(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
    tables = _table_views(catalog)
    for statement in tables.schemas():
        connection.execute(statement)
    for space in SPACES:
        if space == "main":
            connection.execute(tables.latest())
        for table in registry.tables():
            connection.execute(tables.table(space, table))
    comments = {
        "_lexport.committed": "Every committed snapshot.",
        "_lexport.latest_scopes": "The readings that plain names show.",
    }
    comments |= {f"{space}.{table.name}": table.meaning for space in SPACES for table in registry.tables()}
    for view in shipped_views():
        create_view(connection, view)
        comments[f"main.{quote_name(view.name)}"] = view.question
    for name, text in comments.items():
        connection.execute(f"COMMENT ON VIEW {name} IS {quote_text(_MARK + text)}")


def _table_views(catalog: Catalog) -> TableViews:
    """Define the tables over the files that the folders contain when a query runs.

    Only manifests that lexport can have written count, and only the files that they name: leftovers of a synchronised
    folder, a file manager or an aborted run do not show. If a named file is missing, a query that needs it fails.
    """
    folder = _folder(catalog)
    root = escape_glob(folder)
    manifests = (
        f"SELECT parse_filename(filename, true) AS name, content FROM read_text({quote_text(f'{root}/{RUNS}/*.json')})"
        f" WHERE regexp_matches(parse_filename(filename), '^{ULID_PATTERN}[.]json$')"
    )
    tables = ", ".join(quote_text(table.name) for table in OF_EVERY_SNAPSHOT)
    sound = (
        f"SELECT * FROM ({manifests}) WHERE json_valid(content)"
        f" AND {_field('format')} IN ({quote_text(FORMAT)}, {quote_text(RETIREMENT_FORMAT)})"
        f" AND {_field('snapshot_id')} = name AND (json_array_length(content, '$.scopes') = 0"
        f" OR {_field('format')} = {quote_text(RETIREMENT_FORMAT)}"
        f" OR list_has_all(json_extract_string(content, '$.files[*].table'), [{tables}]))"
    )
    # Older releases did not write `read`.
    read_files = (
        "SELECT name, file->>'table' AS of_table, file->>'path' AS path FROM (SELECT name,"
        f" unnest(json_extract(content, '$.files[*]')) AS file FROM ({sound}))"
        " WHERE coalesce(file->>'read', 'true') = 'true'"
    )

    damaged = cache(partial(_damaged, catalog))

    def of_table(table: str) -> str:
        return quote_text(f"{root}/{table}/{DATA_FILES}")

    def newest(table: str) -> str:
        if BY_NAME[table] not in PACKAGE_TABLES:
            is_snapshot = f"json_array_length(content, '$.scopes') > 0 AND {_field('format')} = {quote_text(FORMAT)}"
            return f"SELECT max(name) FROM ({sound}) WHERE {is_snapshot}"
        return f"SELECT max(name) FROM ({read_files}) WHERE of_table = {quote_text(table)}"

    def rows(space: Space, table: str) -> str | None:
        files_of_table = [
            (commit, entry) for commit in catalog.manifests for entry in commit.files if entry.table == table
        ]
        if not any(Path(folder, entry.path).is_file() for _, entry in files_of_table):  # none has the columns' types
            lost_files = ((commit, entry) for commit, entry in files_of_table if entry.read)
            for commit, entry in lost_files:
                raise damaged_file(catalog.store, commit, entry, "it is missing")
            return None  # a table that no release has written here yet
        commits = "SELECT snapshot_id FROM _lexport.latest_scopes"
        if space == "history" or BY_NAME[table] in PACKAGE_TABLES:
            commits = "SELECT snapshot_id FROM _lexport.committed"
        if space == "snapshot":
            commits = newest(table)
        present = f"SELECT {_below_root(catalog, 'file')} AS file FROM glob({of_table(table)})"
        message = quote_text(damage_text(catalog.store, table, "<id>", "<path>", "it is missing"))
        lost = f"error(replace(replace({message}, '<id>', name), '<path>', path))"
        damage = "".join(
            f" WHEN path = {quote_text(path)} THEN error({quote_text(text)})" for path, text in damaged(table).items()
        )
        # Without the error, the rows of a missing file would be lost silently.
        files = (
            f"SELECT CASE{damage} WHEN file IS NULL THEN {lost} ELSE path END FROM ({read_files}) LEFT JOIN ({present})"
            f" ON file = path WHERE of_table = {quote_text(table)} AND name IN ({commits})"
        )
        return (
            f"SELECT * EXCLUDE (filename) FROM read_parquet({of_table(table)}, hive_partitioning = false,"
            f" union_by_name = true, filename = true) WHERE {_below_root(catalog, 'filename')} IN ({files})"
        )

    scopes = f"SELECT name AS snapshot_id, unnest(json_extract(content, '$.scopes[*]')) AS scope FROM ({sound})"
    settled = is_settled("scope->>'{}'")
    latest_scopes = (
        "SELECT scope->>'account_id' AS account_id, scope->>'region' AS region, max(snapshot_id) AS snapshot_id"
        f" FROM ({scopes}) WHERE {settled} GROUP BY ALL HAVING arg_max(scope->>'status', snapshot_id) = 'complete'"
    )
    text = ", ".join(
        f"{_field(name)} AS {name}" for name in ("snapshot_id", "status", "lexport_version", "schema_version")
    )
    times = ", ".join(f"{_field(name)}::TIMESTAMPTZ AS {name}" for name in ("snapshot_at", "committed_at"))
    return TableViews(
        committed=f"SELECT name AS snapshot_id FROM ({sound})",
        newest=newest,
        latest_scopes=latest_scopes,
        rows=rows,
        # The table's own file is written after the commit, or never.
        snapshots=f"SELECT {text}, {times} FROM ({sound})",
    )


def _damaged(catalog: Catalog, table: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    for commit in catalog.manifests:
        entries = commit.entries(table)
        try:
            find_files(catalog.store, commit, BY_NAME[table], footers=len(entries) > 1)
        except ReadError as error:
            texts |= dict.fromkeys([entry.path for entry in entries], str(error))
    return texts


def _stray(catalog: Catalog, line: str) -> str | None:
    """Describe the file in an error of DuckDB that no snapshot names: it opens all that have the name of a data file.

    A view can name files by a pattern alone, since DuckDB takes no list of files from a query.
    """
    found = re.search(rf"[a-z_]+/snapshot_date=[0-9-]{{10}}/{ULID_PATTERN}-[0-9]{{4}}[.]parquet", line)
    if found is None or any(entry.path == found[0] for commit in catalog.manifests for entry in commit.files):
        return None
    return (
        f"{found[0]} is damaged, and no snapshot names it: remove it, or wait until it is copied to its end;"
        f" lexport prune removes it after the grace period ({line})"
    )


def _folder(catalog: Catalog) -> str:
    return os.path.realpath(catalog.store.local_root())


def _field(name: str) -> str:
    return f"json_extract_string(content, '$.{name}')"


def _below_root(catalog: Catalog, path: str) -> str:
    return f"substr({path}, {len(_folder(catalog)) + 2})"
