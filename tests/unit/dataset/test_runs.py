"""Staged rows on disk: sorted, in blocks of bounded size, a run at a time."""

from __future__ import annotations

import pyarrow as pa
import pytest
from staged_runs import write_run

from lexport.dataset import runs
from lexport.dataset.runs import (
    BLOCK_BYTES,
    BLOCK_ROWS,
    RUN_BYTES,
    SORT_KEY,
    RunWriter,
    merge,
    rewrite_run,
    sorted_run,
    staged_batch,
)
from lexport.errors import WriteError
from lexport.tables.arrow import staged_schema
from lexport.tables.functions import LAYERS, TAGS
from lexport.tables.run import ERRORS

TAG = ("111122223333", "eu-west-1")


def layers(*rows):
    """Staged layers from (function, version, position, answer)."""
    return staged_batch(
        LAYERS,
        [
            list(column)
            for column in zip(
                *((*TAG, name, version, position, *[None] * 5, answer) for name, version, position, answer in rows),
                strict=True,
            )
        ],
    )


def test_a_run_is_sorted_by_key():
    """Rows are in the order of the table's key: texts by code point, positions as numbers, answers within a thing."""
    run = sorted_run(
        LAYERS,
        [
            layers(("b", "1", 0, "0"), ("a", "10", 10, "0"), ("a", "10", 9, "0"), ("\U0001f40d", "1", 0, "0")),
            layers(("a", "2", 0, "1"), ("a", "2", 1, "0"), ("a", "$LATEST", 0, "0"), ("\ufffd", "1", 0, "0")),
            layers(("ab", "1", 0, "0"), ("a-b", "1", 0, "0"), ("a", "2", 0, "0")),
        ],
    )
    order = [(row["function_name"], row["version"], row["_answer"], row["position"]) for row in run.to_pylist()]

    assert order == [
        ("a", "$LATEST", "0", 0),
        ("a", "10", "0", 9),
        ("a", "10", "0", 10),
        ("a", "2", "0", 0),
        ("a", "2", "0", 1),
        ("a", "2", "1", 0),
        ("a-b", "1", "0", 0),
        ("ab", "1", "0", 0),
        ("b", "1", "0", 0),
        ("\ufffd", "1", "0", 0),
        ("\U0001f40d", "1", "0", 0),
    ]
    assert run.column(SORT_KEY).to_pylist() == sorted(run.column(SORT_KEY).to_pylist())


def test_null_keys_come_first():
    """An error without a function stands before those that have one."""
    schema = staged_schema(ERRORS)
    rows = [dict.fromkeys(schema.names) | {"function_name": name, "_answer": ""} for name in ("a", None, "")]
    run = sorted_run(ERRORS, [pa.RecordBatch.from_pylist(rows, schema=schema)])

    assert run.column("function_name").to_pylist()[-1] == "a"


def test_a_run_on_disk(tmp_path):
    """A run is Arrow IPC in blocks, readable by the user alone."""
    rows = layers(*(("f", str(number), 0, "0") for number in range(2 * BLOCK_ROWS)))
    run = write_run(LAYERS, [rows], tmp_path)
    blocks = list(run.blocks())

    assert [len(block) for block in blocks] == [BLOCK_ROWS, BLOCK_ROWS]
    assert pa.Table.from_batches(blocks) == sorted_run(LAYERS, [rows])
    assert run.path.stat().st_mode & 0o777 == 0o600


def test_large_rows_are_few_in_a_block(tmp_path):
    """The bytes that the merge keeps of a run are bounded, so kept variables do not fill the memory."""
    rows = staged_batch(TAGS, zip(*tags(64, size_bytes=2**16), strict=True))
    blocks = list(write_run(TAGS, [rows], tmp_path).blocks())

    assert sum(map(len, blocks)) == 64
    assert max(block.nbytes for block in blocks) <= BLOCK_BYTES
    assert len(blocks) <= 5


def tags(count, *, size_bytes):
    """Make staged rows of ``tags``, the greatest key first, with values of the given size."""
    return [(*TAG, "f", f"{count - number:06d}", "v" * size_bytes, "0") for number in range(count)]


def test_a_writer_writes_a_run_when_enough_rows_are_in_memory(tmp_path):
    """However many rows are added, only ``RUN_BYTES`` of them are in memory; each run is sorted."""
    writer = RunWriter(tmp_path)
    sizes = []
    for row in tags(3 * RUN_BYTES // 2**20 + 2, size_bytes=2**20):
        writer.add_rows(TAGS, [row])
        sizes.append(len(writer.runs["tags"]))
    writer.flush()
    written = writer.runs["tags"]

    assert sizes[0] == 0
    assert sizes[-1] == 3
    assert len({run.path for run in written}) == 4
    keys = [row["key"] for rows in merge(written, tmp_path) for row in rows.select(["key"]).to_pylist()]
    assert keys == [f"{number:06d}" for number in range(1, len(keys) + 1)]


def test_rows_made_one_by_one(tmp_path, monkeypatch):
    """Rows from a generator are turned into Arrow a part at a time; without rows there is no run."""
    monkeypatch.setattr(runs, "ROWS_AT_ONCE", 3)
    writer = RunWriter(tmp_path)
    writer.add_rows(TAGS, iter(tags(7, size_bytes=1)))
    writer.add_rows(LAYERS, iter(()))
    writer.flush()

    assert [len(block) for run in writer.runs["tags"] for block in run.blocks()] == [7]
    assert writer.runs.keys() == {"tags"}


def test_a_writer_continues_a_list(tmp_path):
    """A second writer of the same folder and list adds runs and replaces none; ``discard`` removes its own alone."""
    first = RunWriter(tmp_path)
    first.add_rows(TAGS, tags(1, size_bytes=1))
    first.flush()
    second = RunWriter(tmp_path, runs=first.runs)
    second.add_rows(TAGS, tags(2, size_bytes=1))
    second.flush()
    own = first.runs["tags"][0]
    assert len({run.path for run in first.runs["tags"]}) == 2

    second.add_rows(TAGS, tags(2, size_bytes=1))
    second.discard()
    second.flush()
    assert first.runs == {"tags": [own]}
    assert list(tmp_path.iterdir()) == [own.path]


def test_a_run_that_cannot_be_written(tmp_path):
    """The error names the file; the list has no run that is not there."""
    writer = RunWriter(tmp_path / "absent")
    writer.add_rows(TAGS, tags(1, size_bytes=1))

    with pytest.raises(WriteError, match=r"absent: No such file"):
        writer.flush()
    assert writer.runs == {}


def test_a_run_is_rewritten(tmp_path):
    """Every block is changed in a new file, and the order stays."""
    run = write_run(TAGS, [staged_batch(TAGS, zip(*tags(1000, size_bytes=1), strict=True))], tmp_path)
    before = pa.Table.from_batches(run.blocks())
    place = before.schema.get_field_index("value")

    def change(block):
        return block.set_column(place, "value", pa.array(["changed"] * len(block), pa.string()))

    rewritten = rewrite_run(run, change, tmp_path, 0o640)
    after = pa.Table.from_batches(rewritten.blocks())

    assert set(after.column("value").to_pylist()) == {"changed"}
    assert after.drop_columns("value") == before.drop_columns("value")
    assert rewritten.path.stat().st_mode & 0o777 == 0o640
