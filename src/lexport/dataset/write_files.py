"""Write the files of one task from the rows that its shards staged, and place them in the store. Blocking.

The rows of one shard after the other are fetched and merged, and only the columns that the files need are read. So
memory and disk depend on the shards that are read at the time, not on how many there are.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from shutil import rmtree

import pyarrow as pa

from lexport.dataset import layout
from lexport.dataset.local import hash_file
from lexport.dataset.manifest import FileEntry
from lexport.dataset.parquet import (
    RowCounter,
    TableFolder,
    TableWriter,
    VersionsWriter,
    Watch,
    WrittenFile,
)
from lexport.dataset.runs import Runs, Section, row_counts
from lexport.dataset.staging import open_result
from lexport.dataset.store import Store
from lexport.dataset.tasks import FileDone, FileTask, TaskShard
from lexport.errors import PublishError, ReadError
from lexport.model import Scope
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import BY_NAME
from lexport.tables.staged import CHILD_TABLES
from lexport.tables.table import SCOPE_KEY, Table

FETCHED_AHEAD_BYTES = 128 * 2**20
"""Run files that are fetched while those before them are merged; more where one shard has more."""
_FETCHES_AT_ONCE = 8

OpenShard = Callable[[TaskShard, Path], list[Section]]


def write_files(
    task: FileTask, store: Store, scratch: Path, *, check: Callable[[], object], confirm: Callable[[], object]
) -> FileDone:
    """Write and place the files of a task.

    ``check`` is called for each shard and row group, and ``confirm`` before a file is placed; both may raise.

    Raises ReadError where staged rows are missing or damaged, WriteError, and PublishError where another file has a
    name.
    """
    tables = [BY_NAME[file.table] for file in task.files]
    folder = TableFolder(
        path=scratch,
        snapshot_id=task.run,
        snapshot_at=task.snapshot_at,
        file_mode=store.file_mode,
        rows_per_file=sys.maxsize,
    )
    counter = RowCounter()

    def open_shard(shard: TaskShard, fetched: Path) -> list[Section]:
        return open_result(store, task.run, shard.scope, shard.runs, fetched)

    def watch(rows: pa.Table) -> None:
        check()
        counter.watch(rows)

    with _Writers(folder, tables, watch=watch, drop=counter.drop) as writers:
        rows: list[tuple[int, ...]] = []
        for shard, sections in fetched_ahead(task.shards, open_shard, scratch):
            check()
            rows.append(writers.add(shard, sections))
        written = writers.close()
    entries = []
    for file, table in zip(task.files, tables, strict=True):
        new = written[table]
        path = layout.data_path(table.name, task.run, task.snapshot_at, file.number)
        confirm()
        place_once(store, new.path, path, size_bytes=new.size_bytes, sha256=new.sha256)
        entries.append(
            FileEntry(table=table.name, path=path, size_bytes=new.size_bytes, rows=new.rows, sha256=new.sha256)
        )
    scopes = [shard.scope for shard in task.shards] if FUNCTIONS in tables else []
    return FileDone(
        files=tuple(entries),
        rows=tuple(zip(*rows, strict=True)) if rows else ((),) * len(tables),
        functions=tuple(counter.functions[scope] for scope in scopes),
        dropped=tuple(counter.dropped[scope] for scope in scopes),
    )


class _Writers:
    """Writes one file of each table, shard by shard. What is read of function versions is read once for all of them."""

    def __init__(
        self,
        folder: TableFolder,
        tables: Sequence[Table],
        *,
        watch: Watch,
        drop: Watch,
    ) -> None:
        self._tables, self._drop = tables, drop
        self._dropped: Counter[str] = Counter()
        of_versions = [table for table in tables if table is FUNCTIONS or table in CHILD_TABLES]
        self._versions: VersionsWriter | None = None
        self._others: list[TableWriter] = []
        with ExitStack() as opened:
            if of_versions:
                self._versions = VersionsWriter(folder, of_versions, watch=watch, drop=self._drop_versions)
                opened.enter_context(self._versions)
            for table in tables:
                if table not in of_versions:
                    self._others.append(opened.enter_context(TableWriter(table, folder)))
            self._opened = opened.pop_all()

    def __enter__(self) -> _Writers:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _drop_versions(self, rows: pa.Table) -> None:
        self._drop(rows)
        self._dropped.update(row_counts(FUNCTIONS, rows))

    def _drop_rows(self, table: str, rows: pa.Table) -> None:
        self._dropped[table] += len(rows)

    def add(self, shard: TaskShard, sections: Sequence[Section]) -> tuple[int, ...]:
        """Add the rows of a shard; return how many of each table were written. Raises ReadError where some are lost."""
        before = self._rows()
        self._dropped.clear()
        runs: Runs = defaultdict(list)
        for section in sections:
            runs[section.table].append(section)
        if self._versions is not None:
            self._versions.add_runs(runs[FUNCTIONS.name])
        for writer in self._others:
            name = writer.table.name
            writer.add_runs(runs[name], drop=partial(self._drop_rows, name))
        after = self._rows()
        written = tuple(after[table] - before[table] for table in self._tables)
        for table, count, staged in zip(self._tables, written, shard.rows, strict=True):
            if count + self._dropped[table.name] != staged:
                where = shard.runs[0].path.rpartition("/")[0] if shard.runs else str(shard.scope)
                found = f"{count + self._dropped[table.name]:,} rows of {table.name} are staged"
                raise ReadError(f"{where}: {found}, its result says {staged:,}; nothing was published", path=where)
        return written

    def _rows(self) -> dict[Table, int]:
        of_versions = self._versions.writers if self._versions is not None else []
        return {writer.table: writer.rows for writer in (*of_versions, *self._others)}

    def close(self) -> dict[Table, WrittenFile]:
        """Finish the files."""
        files = self._versions.close() if self._versions is not None else {}
        files |= {writer.table: writer.close() for writer in self._others}
        return {table: file for table, (file,) in files.items()}


# --- what has to be fetched -------------------------------------------------------------------------------------------


def fetched_ahead(
    shards: Collection[TaskShard], open_shard: OpenShard, scratch: Path
) -> Iterator[tuple[TaskShard, list[Section]]]:
    """Yield each shard with the sections of its run files, while those of the next ones are fetched.

    Copies go when the next shard is asked for. Raises what ``open_shard`` raises.
    """
    left, waiting = deque(enumerate(shards)), deque[tuple[TaskShard, Path, Future[list[Section]]]]()
    ahead_bytes = 0
    pool = ThreadPoolExecutor(_FETCHES_AT_ONCE, thread_name_prefix="lexport-staged")
    try:
        while left or waiting:
            while left and (not waiting or ahead_bytes < FETCHED_AHEAD_BYTES):
                number, shard = left.popleft()
                fetched = scratch / f".fetched-{number}"
                fetched.mkdir(mode=0o700)
                waiting.append((shard, fetched, pool.submit(open_shard, shard, fetched)))
                ahead_bytes += _size_bytes(shard)
            shard, fetched, opened = waiting.popleft()
            yield shard, opened.result()
            ahead_bytes -= _size_bytes(shard)
            rmtree(fetched, ignore_errors=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _size_bytes(shard: TaskShard) -> int:
    return sum(run.size_bytes for run in shard.runs) + FETCHED_AHEAD_BYTES // 64


def count_scopes(rows: pa.Table | pa.RecordBatch) -> Counter[Scope]:
    """Count rows by account-region."""
    groups = pa.table({name: rows.column(name) for name in SCOPE_KEY}).group_by(list(SCOPE_KEY), use_threads=False)
    counts = groups.aggregate([([], "count_all")])
    columns = [counts.column(name).to_pylist() for name in (*SCOPE_KEY, "count_all")]
    return Counter(
        {Scope(account_id=account, region=region): count for account, region, count in zip(*columns, strict=True)}
    )


# --- what is placed ---------------------------------------------------------------------------------------------------


def place_once(store: Store, source: Path, path: str, *, size_bytes: int, sha256: str) -> None:
    """Give a file its name in the store, and remove ``source``; another try may have placed the same bytes before."""
    try:
        store.place(source, path, sha256=sha256)
    except PublishError:
        if not _has_bytes(store, path, source.parent, size_bytes=size_bytes, sha256=sha256):
            raise
    store.sync_folder(path.rpartition("/")[0])
    with suppress(OSError):  # its folder goes anyway
        source.unlink()


def _has_bytes(store: Store, path: str, scratch: Path, *, size_bytes: int, sha256: str) -> bool:
    try:
        return hash_file(store.fetch(path, scratch, size_bytes=size_bytes)) == sha256
    except OSError:
        return False
