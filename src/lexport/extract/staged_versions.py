"""Find the listed versions that an earlier attempt at the same run has staged, so that no call is needed for them.

It is the rule of ``--incremental`` with staging in the place of the last snapshot: a version whose listing is unchanged
keeps its staged row, byte by byte. ``$LATEST`` is an exception when its row is old: tags and reserved concurrency may
change without a trace in the listing. Blocking; one caller at a time.
"""

from __future__ import annotations

import shutil
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lexport.dataset.parquet import unique_rows
from lexport.dataset.runs import SORT_KEY, Section, blocks_of, merge
from lexport.extract.incremental import Pending, is_unchanged
from lexport.extract.rows import MINUTE_OF_ANSWER
from lexport.model import LATEST, Failure, FunctionRef, Reply, Scope
from lexport.tables.functions import FUNCTIONS, TAGS
from lexport.tables.run import ERRORS
from lexport.tables.staged import ANSWER, Batch

LATEST_FOR = timedelta(hours=1)
"""How long a staged row of ``$LATEST`` is good."""


class _Blocks:
    """Sorted rows in a file of record batches, found by the names of the functions in each batch."""

    def __init__(self, slabs: Iterable[pa.Table], path: Path) -> None:
        self.ranges: list[tuple[str, str]] = []
        self.sizes: list[int] = []
        self._file: pa.ipc.RecordBatchFileReader | None = None
        schema: pa.Schema | None = None
        sink = pa.OSFile(str(path), "wb")
        writer: pa.ipc.RecordBatchFileWriter | None = None
        try:
            for slab in slabs:
                if writer is None:
                    schema = slab.schema
                    writer = pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
                for batch in blocks_of(slab):
                    names = batch.column("function_name")
                    self.ranges.append((names[0].as_py() or "", names[len(batch) - 1].as_py() or ""))
                    self.sizes.append(len(batch))
                    writer.write_batch(batch)
            if writer is not None:
                writer.close()
        finally:
            sink.close()
        if writer is not None:
            self._file = pa.ipc.open_file(pa.OSFile(str(path)))

    def block(self, number: int) -> pa.RecordBatch:
        assert self._file is not None
        return self._file.get_batch(number)

    def near(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield each block that may have rows of sorted names."""
        for number, (low, high) in enumerate(self.ranges):
            if bisect_left(names, low) < bisect_right(names, high):
                yield self.block(number)


class StagedPart(NamedTuple):
    """Staged rows of some listed versions, ready to be staged again, and how many versions they are."""

    batch: Batch
    versions: int


class StagedVersions:
    """The versions that earlier attempts have staged of one shard, with their tags and the failures that stay."""

    def __init__(self, sections: Sequence[Section], scratch: Path, scope: Scope) -> None:
        def slabs(table_name: str) -> Iterator[pa.Table]:
            runs = [section for section in sections if section.table == table_name]
            return _each_once(merge(runs, scratch)) if runs else iter(())

        self._scope, self._folder = scope, scratch
        self._versions = _Blocks(unique_rows(FUNCTIONS, slabs(FUNCTIONS.name)), scratch / "versions.arrow")
        self._tags = _Blocks(unique_rows(TAGS, slabs(TAGS.name)), scratch / "tags.arrow")
        self._errors = _Blocks(map(_kept_errors, slabs(ERRORS.name)), scratch / "errors.arrow")
        self._seen = [bytearray(size) for size in self._versions.sizes]

    def close(self) -> None:
        """Remove the files with the rows."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def __len__(self) -> int:
        return sum(self._versions.sizes)

    def find(
        self, versions: list[Pending], listing: Callable[[Pending], Reply | None] | None, now: datetime
    ) -> Iterator[StagedPart]:
        """Yield the staged rows of versions that have not changed; remove those versions from the list.

        ``versions`` are sorted by name, ``listing`` returns the listing of one. It is None where the user named the
        functions: then there is no listing to compare with.
        """
        oldest = f"{int((now - LATEST_FOR).timestamp()) // 60:010d}"
        for number, (low, high) in enumerate(self._versions.ranges):
            start = bisect_left(versions, low, key=_name)
            end = bisect_right(versions, high, key=_name)
            if start == end:
                continue
            block = self._versions.block(number)
            keys = pc.binary_join_element_wise(block.column("function_name"), block.column("version"), "/")
            refs = [version.ref for version in versions[start:end]]
            asked = pa.array([f"{ref.function_name}/{ref.qualifier or LATEST}" for ref in refs], pa.string())
            indices = pc.index_in(asked, value_set=keys).to_pylist()
            rows = block.select(["code_sha256", "last_modified", "revision_id", "version", ANSWER]).to_pylist()
            kept, missing = [], []
            for version, index in zip(versions[start:end], indices, strict=True):
                if index is None:
                    missing.append(version)
                    continue
                self._seen[number][index] = 1
                row = rows[index]
                is_old = row["version"] == LATEST and row[ANSWER][MINUTE_OF_ANSWER] < oldest
                is_latest = row["version"] == LATEST
                if not is_old and (listing is None or is_unchanged(listing(version), row, is_latest=is_latest)):
                    kept.append(index)
                else:
                    missing.append(version)
            versions[start:end] = missing
            if kept:
                yield self._part(block.take(pa.array(kept)))

    def unlisted(self) -> Iterator[StagedPart]:
        """Yield the staged rows of all versions that no ``find`` was asked about."""
        for number, seen in enumerate(self._seen):
            indices = [index for index, is_seen in enumerate(seen) if not is_seen]
            if indices:
                yield self._part(self._versions.block(number).take(pa.array(indices)))

    def unlisted_refs(self) -> Iterator[FunctionRef]:
        """Yield the versions that no ``find`` was asked about."""
        for part in self.unlisted():
            rows = part.batch[FUNCTIONS.name]
            for name, version in zip(
                rows.column("function_name").to_pylist(), rows.column("version").to_pylist(), strict=True
            ):
                yield FunctionRef(function_name=name, qualifier=None if version == LATEST else version)

    def denials(self, versions: list[Pending]) -> Iterator[Failure]:
        """Yield the failures of versions that were denied, which stay; remove those versions from the list."""
        for number, (low, high) in enumerate(self._errors.ranges):
            start = bisect_left(versions, low, key=_name)
            end = bisect_right(versions, high, key=_name)
            if start == end:
                continue
            rows = [row for row in self._errors.block(number).to_pylist() if row["is_gap"]]
            denied = {(row["function_name"], row["qualifier"]): row for row in rows}
            missing = []
            for version in versions[start:end]:
                row = denied.pop((version.ref.function_name, version.ref.qualifier), None)
                if row is None:
                    missing.append(version)
                else:
                    own = {name: value for name, value in row.items() if name in Failure.__dataclass_fields__}
                    yield Failure(scope=self._scope, **own)
            versions[start:end] = missing

    def _part(self, rows: pa.RecordBatch) -> StagedPart:
        """Add the tags of ``$LATEST`` and the notices about the versions to their rows."""
        names = rows.column("function_name").to_pylist()
        latest = rows.filter(pc.equal(rows.column("version"), LATEST))
        batch = {FUNCTIONS.name: rows.drop_columns([SORT_KEY])}
        qualifiers = pc.if_else(pc.equal(rows.column("version"), LATEST), "", rows.column("version"))
        wanted = pc.binary_join_element_wise(rows.column("function_name"), qualifiers, "/")
        for table, blocks, kept_names in (
            (TAGS, self._tags, latest.column("function_name").to_pylist()),
            (ERRORS, self._errors, names),
        ):
            parts = []
            for block in blocks.near(kept_names):
                if table is TAGS:  # of the kept answer alone: an earlier one may have had tags that were removed
                    is_kept = pc.is_in(block.column(ANSWER), value_set=latest.column(ANSWER))
                else:
                    qualifier = pc.fill_null(block.column("qualifier"), "")
                    about = pc.binary_join_element_wise(pc.fill_null(block.column("function_name"), ""), qualifier, "/")
                    is_kept = pc.and_(pc.is_in(about, value_set=wanted), pc.invert(block.column("is_gap")))
                parts.append(block.filter(is_kept))
            if any(map(len, parts)):
                merged = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
                batch[table.name] = merged.drop_columns([SORT_KEY])
        return StagedPart(batch, len(rows))


def _each_once(slabs: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Drop rows that an attempt has staged again as an earlier one had staged them: the key has the answer's id."""
    last: str | None = None
    for slab in slabs:
        keys = slab.column(SORT_KEY).combine_chunks()
        before = pa.concat_arrays([pa.array([last], keys.type), keys.slice(0, len(keys) - 1)])
        last = keys[len(keys) - 1].as_py()
        is_new = pc.fill_null(pc.not_equal(keys, before), True)
        yield slab if pc.all(is_new).as_py() else slab.filter(is_new)


def _kept_errors(rows: pa.Table) -> pa.Table:
    """Return the failures that stay: notices of flattening a response, and denials of single versions."""
    is_call = pc.and_(pc.equal(rows.column("operation"), "GetFunction"), pc.is_valid(rows.column("function_name")))
    is_notice = pc.and_(pc.equal(rows.column("stage"), "flatten"), pc.invert(rows.column("is_gap")))
    is_denial = pc.and_(rows.column("is_gap"), pc.match_substring(rows.column("error_code"), "AccessDenied"))
    return rows.filter(pc.fill_null(pc.and_(is_call, pc.or_(is_notice, is_denial)), False))


def _name(version: Pending) -> str:
    return version.ref.function_name
