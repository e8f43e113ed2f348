"""A feed as a new folder of files: one for each table, one with the delete keys, and ``feed.json``. Blocking."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import anyio.to_thread
import pyarrow as pa
import pyarrow.parquet as pq

from lexport.dataset.local import hash_file, sync_file, sync_folder
from lexport.errors import SettingsError, WriteError
from lexport.query.feed.description import DESCRIPTION, FeedFile, FeedResult, description
from lexport.query.feed.part import TABLE_NAME, aligned, deletes_schema, fed_schema
from lexport.query.feed.prepare import Feed, WriteMode, open_feed
from lexport.tables.fed import fed_tables

DELETES = "deletes"
_ROWS_AT_ONCE = 16_384  # of a row group: a part of a feed may have a few rows alone
_BYTES_AT_ONCE = 16 * 2**20


async def feed(
    dest: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    since: str | None = None,
    write_mode: WriteMode = "hard-delete",
) -> FeedResult:
    """Write what changed since a commit into a new folder of Parquet files, all of them or none.

    A file for each table with the rows to upsert, ``deletes.parquet`` with the keys of rows to delete, ``feed.json``
    with the scopes, the schemas and ``next_since``. Raises SettingsError where the folder exists or the commit does
    not, ReadError, WriteError.
    """
    return await anyio.to_thread.run_sync(lambda: write_feed(dest, folder, since, write_mode=write_mode))


def write_feed(
    dest: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    since: str | None = None,
    *,
    write_mode: WriteMode = "hard-delete",
) -> FeedResult:
    """Write a feed as ``feed`` does. Blocking."""
    target = Path(folder).absolute()
    if target.exists():
        raise SettingsError(f"-o {folder} is there already; a new folder is wanted", option="-o")
    opened = open_feed(dest, since, write_mode=write_mode)
    draft = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        draft.mkdir(mode=0o700)
        result = _write(opened, draft)
        sync_folder(draft)
        draft.rename(target)  # refuses a folder that is not empty by now
        with suppress(OSError):  # the feed is complete; should a loss of power undo the rename, it is written again
            sync_folder(target.parent)
    except OSError as error:
        raise WriteError(f"cannot write {folder}: {error.strerror or error}", path=str(folder)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return result


def _write(feed: Feed, draft: Path) -> FeedResult:
    """Write every file of a feed, ``feed.json`` last."""
    counts: Counter[str | None] = Counter()
    paths: dict[str | None, Path] = {fed.name: draft / f"{fed.name}.parquet" for fed in fed_tables()}
    paths[None] = draft / f"{DELETES}.parquet"
    with ExitStack() as opened:
        writers: dict[str | None, _Writer] = {None: opened.enter_context(_open_writer(paths[None], deletes_schema()))}
        writers |= {
            fed.name: opened.enter_context(_open_writer(paths[fed.name], fed_schema(fed))) for fed in fed_tables()
        }
        for part in feed.parts:
            rows, name = part.rows, None if part.action == "delete" else part.table.name
            if name is None:
                rows = rows.append_column(TABLE_NAME, pa.repeat(pa.scalar(part.table.name), len(rows)))
            counts[name] += len(rows)
            writers[name].write(rows)
    result = FeedResult(
        load_id=feed.load_id,
        since=feed.since,
        next_since=feed.next_since,
        write_mode=feed.write_mode,
        scopes=feed.scopes,
        parts=tuple(_finish(path, name, counts[name]) for name, path in paths.items()),
        upserts=counts.total() - counts[None],
        deletes=counts[None],
        damage=feed.damage,
    )
    path = draft / DESCRIPTION
    path.write_text(json.dumps(description(result), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path.chmod(0o600)
    sync_file(path)
    return result


def _finish(path: Path, table: str | None, rows: int) -> FeedFile:
    path.chmod(0o600)
    sync_file(path)
    return FeedFile(path=path.name, table=table, rows=rows, size_bytes=path.stat().st_size, sha256=hash_file(path))


class _Writer:
    """Writes a file of a feed, some thousands of rows at a time."""

    def __init__(self, file: pq.ParquetWriter, schema: pa.Schema) -> None:
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
        """Write what is waiting."""
        if self._waiting:
            self._file.write_table(pa.concat_tables(self._waiting))
        self._waiting, self._rows, self._bytes = [], 0, 0


@contextmanager
def _open_writer(path: Path, schema: pa.Schema) -> Iterator[_Writer]:
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        writer = _Writer(file, schema)
        yield writer
        writer.flush()
