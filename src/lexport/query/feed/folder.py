"""A feed as files: a folder with one for each table and one with the delete keys, or JSON lines. Blocking."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import anyio.to_thread
import pyarrow as pa

from lexport.dataset.local import hash_file, sync_file
from lexport.query.feed.description import DESCRIPTION, FeedFile, FeedResult, description
from lexport.query.feed.files import Compression, Output, RowFile, open_rows, suffix
from lexport.query.feed.lines import open_lines, write_lines
from lexport.query.feed.part import TABLE_NAME, deletes_schema, fed_schema
from lexport.query.feed.prepare import Feed, WriteMode, open_feed
from lexport.query.feed.target import errors_of_writing, find_target, open_draft
from lexport.tables.fed import fed_tables

_DELETES = "deletes"
SCRIPT = "load.sql"
"""The file of a feed folder that loads the others into a warehouse."""


async def feed(
    dest: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    since: str | None = None,
    output: Output = "parquet",
    compress: Compression | None = None,
    write_mode: WriteMode = "hard-delete",
) -> FeedResult:
    """Write the rows that bring a warehouse from one commit to the latest state, completely or not at all.

    For ``parquet`` and ``csv``, ``path`` is a new folder: it gets a file for each table with the rows to upsert,
    ``deletes`` with the keys of rows to delete, and ``feed.json`` with the account-regions, the schemas, the size and
    SHA-256 of each file, and ``next_since``. For ``jsonl``, it is one file. Both can be in a bucket, like
    ``s3://bucket/prefix/name``. ``compress`` is for ``csv`` and ``jsonl``; Parquet files are compressed anyway. Without
    ``since``, the feed has everything and replaces what was loaded before. Raises SettingsError where the folder exists
    or the commit does not, ReadError, WriteError.
    """
    return await anyio.to_thread.run_sync(
        lambda: write_feed(dest, path, since, output=output, compress=compress, write_mode=write_mode)
    )


def write_feed(
    dest: str | os.PathLike[str],
    path: str | os.PathLike[str],
    since: str | None = None,
    *,
    output: Output = "parquet",
    compress: Compression | None = None,
    write_mode: WriteMode = "hard-delete",
    script: Callable[[FeedResult, Path], str] | None = None,
) -> FeedResult:
    """Write a feed as ``feed`` does. Blocking.

    ``script`` returns the text of ``load.sql`` for the files in a folder, which becomes one more file of the feed.
    """
    target = find_target(path, is_file=output == "jsonl", dest=dest)
    opened = open_feed(dest, since, write_mode=write_mode)
    with errors_of_writing(os.fspath(path)), open_draft(target, opened.load_id) as draft:
        if output == "jsonl":
            result = _write_lines(opened, draft / Path(path).name, compress)
        else:
            result = _write_folder(opened, draft, output, compress)
        more = [*draft.glob(DESCRIPTION)]
        if script is not None:
            more.insert(0, draft / SCRIPT)
            more[0].write_text(script(result, draft), encoding="utf-8")
            _finish(more[0], None, 0)
        target.publish([*(draft / file.path for file in result.parts), *more])
    return result


def _write_lines(feed: Feed, path: Path, compress: Compression | None) -> FeedResult:
    """Write a feed into one file, which is the only part of the result."""
    with path.open("xb") as file, open_lines(file, compress) as stream:
        counts = write_lines(feed, stream)
    return _result(feed, [_finish(path, None, sum(counts.values()))], **counts)


def _write_folder(feed: Feed, draft: Path, output: Output, compress: Compression | None) -> FeedResult:
    """Write every file of a feed, ``feed.json`` last."""
    schemas: dict[str | None, pa.Schema] = {fed.name: fed_schema(fed) for fed in fed_tables()}
    schemas[None] = deletes_schema()
    end = suffix(output, compress)
    paths = {name: draft / f"{name or _DELETES}{end}" for name in schemas}
    counts: Counter[str | None] = Counter()
    with ExitStack() as opened:
        files: dict[str | None, RowFile] = {
            name: opened.enter_context(open_rows(paths[name], schema, compress=compress))
            for name, schema in schemas.items()
        }
        last = None
        for part in feed.parts:
            if part.table is not last and last is not None:
                files[last.name].flush()  # no row of it follows, and memory does not depend on the number of tables
            last = part.table
            rows, name = part.rows, None if part.action == "delete" else part.table.name
            if name is None:
                rows = rows.append_column(TABLE_NAME, pa.repeat(pa.scalar(part.table.name), len(rows)))
            counts[name] += len(rows)
            files[name].write(rows)
    parts = [_finish(path, name, counts[name]) for name, path in paths.items()]
    result = _result(feed, parts, upserts=counts.total() - counts[None], deletes=counts[None])
    path = draft / DESCRIPTION
    path.write_text(json.dumps(description(result), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _finish(path, None, 0)
    return result


def _result(feed: Feed, parts: list[FeedFile], *, upserts: int, deletes: int) -> FeedResult:
    return FeedResult(
        load_id=feed.load_id,
        since=feed.since,
        next_since=feed.next_since,
        write_mode=feed.write_mode,
        scopes=feed.scopes,
        parts=tuple(parts),
        upserts=upserts,
        deletes=deletes,
        damage=feed.damage,
    )


def _finish(path: Path, table: str | None, rows: int) -> FeedFile:
    """Make a written file private and safe from a loss of power, and describe it."""
    path.chmod(0o600)
    sync_file(path)
    return FeedFile(path=path.name, table=table, rows=rows, size_bytes=path.stat().st_size, sha256=hash_file(path))
