"""The files of a table are planned from the staged rows of its shards, and corrected by the exact ones."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sampled import examples

from lexport.dataset.file_plan import files_that_stay, plan_files, tables_by_task
from lexport.dataset.layout import NUMBERS_OF_ATTEMPT, first_number
from lexport.dataset.parquet import TableFolder, TableWriter
from lexport.dataset.runs import staged_batch
from lexport.tables.account_settings import ACCOUNT_SETTINGS
from lexport.tables.arrow import staged_schema

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
COUNTS = st.lists(st.integers(0, 9), max_size=30)


@settings(max_examples=examples(300), deadline=None)
@given(COUNTS, st.data(), st.integers(1, 20))
@example([3, 3, 3], None, 3)
def test_two_rounds_are_enough(staged, data, per_file):
    """The files that stay after the first round and those of the second are those of the exact counts."""
    rows = [count - (data.draw(st.integers(0, count)) if data else 0) for count in staged]
    written, exact = plan_files(staged, per_file), plan_files(rows, per_file)
    kept = files_that_stay(written, rows, per_file)

    assert [place for file in exact for place in file] == [place for place, count in enumerate(rows) if count]
    assert [tuple(place for place in file if rows[place]) for file in written[:kept]] == exact[:kept]
    assert files_that_stay(exact, rows, per_file) == len(exact)
    if rows == staged:
        assert kept == len(written)


@pytest.mark.slow
@settings(max_examples=examples(20), deadline=None)
@given(COUNTS, st.integers(1, 20))
@example([0, 4, 4, 0, 1], 4)
@example([], 3)
def test_the_rule_of_the_writer(rows, per_file):
    """The plan deals shards out to files as one pass over all rows does."""
    with TemporaryDirectory() as folder:
        tables = TableFolder(path=Path(folder), snapshot_id="0" * 26, snapshot_at=AT, rows_per_file=per_file)
        with TableWriter(ACCOUNT_SETTINGS, tables) as writer:
            for place, count in enumerate(rows):
                told = {"account_id": f"{place:012}", "region": "us-east-1"}
                columns = [[told.get(name)] * count for name in staged_schema(ACCOUNT_SETTINGS).names]
                if count:
                    writer.write(_table(columns))
            files = writer.close()
    assert [file.rows for file in files] == [sum(rows[place] for place in file) for file in plan_files(rows, per_file)]


def _table(columns):
    import pyarrow as pa

    return pa.Table.from_batches([staged_batch(ACCOUNT_SETTINGS, columns)])


def test_small_tables_are_written_together():
    """Each table of several files has tasks of its own, as has one that takes long; the others share one."""
    plans = {"functions": [(0, 1)], "layers": [(0,)], "env_vars": [(0,), (1,)], "aliases": [()]}
    assert tables_by_task(plans, {"functions"}) == [("functions",), ("env_vars",), ("layers", "aliases")]
    assert tables_by_task({"functions": [(0,), (1,)]}, {"functions"}) == [("functions",)]


@given(st.integers(1, 400), st.lists(st.integers(0, 9_000), max_size=5), st.integers(1, 700))
def test_numbers_of_attempts(attempt, taken, files):
    """The files of an attempt have numbers above all that are taken, and those of the next attempt others."""
    first = first_number(attempt, taken, files=files)
    assert first > max(taken, default=-1)
    assert first_number(1, (), files=files) == 0
    if files > 1 and attempt < 9:
        untouched = first_number(attempt, (), files=files)
        assert first_number(attempt + 1, (), files=files) >= untouched + max(files, NUMBERS_OF_ATTEMPT)
