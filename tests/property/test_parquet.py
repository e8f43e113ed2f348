"""Runs in any number and order -> one file: sorted, the better answer of each thing, nothing else lost, equal bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import examples
from staged_runs import write_run

from lexport.dataset.parquet import TableFolder, TableWriter
from lexport.dataset.runs import BLOCK_ROWS, FAN_IN, Section, staged_batch
from lexport.errors import WriteError
from lexport.extract.rows import Children, Rows
from lexport.tables.arrow import table_schema
from lexport.tables.functions import ENV_VARS, FILE_SYSTEMS, FUNCTIONS, LAYERS, SUBNETS, TAGS
from lexport.tables.registry import BY_NAME, SCHEMA_VERSION, staged_tables
from lexport.tables.run import ERRORS
from lexport.tables.staged import ANSWER, staged_names

AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SNAPSHOT = "01KB0000000000000000000000"
GROUP_ROWS = 7
TABLES = {table.name: replace(table, row_group_rows=GROUP_ROWS) for table in (FUNCTIONS, LAYERS, TAGS)}

NAMES = st.sampled_from(["a", "a-", "aa", "b", "\u044f", "\ufffd", "\U0001f40d", ""])
VERSIONS = st.sampled_from(["$LATEST", "1", "2", "10"])
SERIALS = st.integers(0, 10**6)


@st.composite
def answers(draw):
    """Answers about few things, so that many are about the same one; ids by rank and serial, all different."""
    ids = draw(st.lists(st.tuples(st.integers(0, 2), SERIALS), min_size=1, max_size=40, unique=True))
    return [
        (draw(NAMES), draw(VERSIONS), f"{rank}{serial:012x}", draw(st.integers(0, 12)), draw(st.integers(0, 3)))
        for rank, serial in ids
    ]


def staged(found):
    """Turn answers into staged rows by table; every row tells which answer it is from."""
    rows = {name: [] for name in TABLES}
    for name, version, answer, layers, tags in found:
        common = {"account_id": "1", "region": "r", "function_name": name, ANSWER: answer}
        rows["functions"].append({**common, "version": version, "description": answer, "fetched_at": AT})
        rows["layers"] += [
            {**common, "version": version, "position": place, "layer_arn": answer} for place in range(layers)
        ]
        rows["tags"] += [{**common, "key": f"k{place}", "value": answer} for place in range(tags)]
    return rows


def thing(table, row):
    return tuple(row[name] for name in ("function_name", "version") if name != "version" or table != "tags")


def winners(table, rows):
    """The rows that must stay, in order: of each thing, those of the answer with the least id."""
    best = {}
    for row in rows:
        key = thing(table, row)
        best[key] = min(best.get(key, row[ANSWER]), row[ANSWER])
    kept = [row for row in rows if row[ANSWER] == best[thing(table, row)]]
    return sorted(kept, key=lambda row: tuple(row[name] for name in TABLES[table].key))


def write_runs(table, runs, folder):
    """Write each list of rows as a run; empty ones are none."""
    written = []
    for rows in runs:
        if rows:
            names = staged_names(BY_NAME[table])
            batch = staged_batch(BY_NAME[table], [[row.get(name) for row in rows] for name in names])
            written.append(write_run(BY_NAME[table], [batch], folder))
    return written


def tables(folder, **more):
    return TableFolder(path=folder, snapshot_id=SNAPSHOT, snapshot_at=AT, **more)


def merged(table, runs, folder):
    (file,) = tables(folder).write(TABLES.get(table) or BY_NAME[table], write_runs(table, runs, folder))
    return file


def dealt(rows, splits, count):
    """Deal rows out to runs in an order that has nothing to do with theirs."""
    runs = [[] for _ in range(count)]
    for row, place in zip(rows, splits, strict=True):
        runs[place % count].append(row)
    return runs


def read(path):
    return pq.read_table(path, page_checksum_verification=True)


def write_whole(found, places, count, folder):
    """Stage versions with their layers, dealt out to runs, and write their tables; return all files."""
    dealt_out = [Rows() for _ in range(count)]
    for (name, version, answer, layers, _), place in zip(found, places, strict=True):
        told = {"account_id": "1", "region": "r", "function_name": name, "version": version, "description": answer}
        row = dict.fromkeys(staged_names(FUNCTIONS)) | told | {"fetched_at": AT, ANSWER: answer}
        children = Children(layers=[(position, answer, None, None, None, None) for position in range(layers)])
        dealt_out[place % count].versions.append((list(row.values()), children))
    batches = [batch for rows in dealt_out if (batch := rows.take())]
    runs = [write_run(FUNCTIONS, [batch["functions"]], folder) for batch in batches]
    return {table: file for table, (file,) in tables(folder).write_versions(runs).items()}


@pytest.mark.slow
@settings(max_examples=examples(25), deadline=None)
@given(answers(), st.integers(1, 70), st.integers(1, 70), st.randoms(use_true_random=False))
def test_children_share_the_fate_of_their_version(found, count, other_count, random):
    """Of the answers about a version one stays, with all of its children and no other's; equal rows, equal bytes."""
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        places = [random.randrange(count) for _ in found]
        written = write_whole(found, places, count, Path(one))
        other = write_whole(random.sample(found, len(found)), places, other_count, Path(two))
        rows = {table.name: read(file.path).to_pylist() for table, file in written.items()}

    wanted = staged(found)
    for name, column in (("functions", "description"), ("layers", "layer_arn")):
        key = (*TABLES[name].key, column)
        best = winners("functions", wanted["functions"])
        of_best = {(row["function_name"], row["version"], row[ANSWER]) for row in best}
        kept = [row for row in wanted[name] if (row["function_name"], row["version"], row[ANSWER]) in of_best]
        assert [tuple(row[part] for part in key) for row in rows[name]] == sorted(
            tuple(row[part] for part in key) for row in kept
        )
    assert [file.sha256 for file in written.values()] == [file.sha256 for file in other.values()]
    assert [rows[table.name] for table in (ENV_VARS, SUBNETS, FILE_SYSTEMS)] == [[], [], []]


@pytest.mark.slow
@settings(max_examples=examples(25), deadline=None)
@given(answers(), st.integers(1, 70), st.integers(1, 70), st.randoms(use_true_random=False))
def test_the_better_answer_of_each_thing(found, count, other_count, random):
    """Sorted by key; the least answer id wins for a row and its children alike; equal rows give equal bytes."""
    for table, rows in staged(found).items():
        shuffled = random.sample(rows, len(rows))
        with TemporaryDirectory() as one, TemporaryDirectory() as two:
            runs = dealt(shuffled, [random.randrange(count) for _ in rows], count)
            written = merged(table, runs, Path(one))
            other = merged(table, dealt(rows, [random.randrange(other_count) for _ in rows], other_count), Path(two))
            body, metadata = written.path.read_bytes(), pq.read_metadata(written.path)
            found_rows = read(written.path).to_pylist()
        expected = winners(table, rows)
        names = staged_names(BY_NAME[table])[:-1]
        groups = [metadata.row_group(place).num_rows for place in range(metadata.num_row_groups)]

        assert [{name: row[name] for name in names} for row in found_rows] == [
            {name: row.get(name) for name in names} for row in expected
        ]
        assert {(row["snapshot_id"], row["snapshot_at"]) for row in found_rows} <= {(SNAPSHOT, AT)}
        assert (
            groups
            == [GROUP_ROWS] * (len(expected) // GROUP_ROWS) + [len(expected) % GROUP_ROWS][: len(expected) % GROUP_ROWS]
        )
        assert (written.rows, written.size_bytes) == (len(expected), len(body))
        assert written.sha256 == other.sha256 == hashlib.sha256(body).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, FAN_IN, FAN_IN + 1, FAN_IN * FAN_IN + 1])
def test_every_level_of_the_merge(tmp_path, count):
    """One run, as many as can be open, one more, and more than two levels of them: the same file, no run left over."""
    rows = [
        {"account_id": "1", "region": "r", "function_name": f"f{number % 97}", "key": f"k{number}", ANSWER: "0"}
        for number in range(2500)
    ]
    folder = tmp_path / "runs"
    folder.mkdir()
    written = merged("tags", dealt(rows, range(len(rows)), count), folder)
    (tmp_path / "one").mkdir()
    alone = merged("tags", [rows], tmp_path / "one")

    assert read(written.path).column("key").to_pylist() == [
        row["key"] for row in sorted(rows, key=lambda row: (row["function_name"], row["key"]))
    ]
    assert written.sha256 == alone.sha256
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert len(list(folder.glob("*.run"))) == count  # what the merge made on its way is removed


@pytest.mark.slow
def test_things_that_go_on_over_many_blocks(tmp_path):
    """A thing with more rows than a block holds, told by several answers in several runs, keeps one answer's rows."""
    total = 3 * BLOCK_ROWS

    def of(answer, name, count):
        common = {"account_id": "1", "region": "r", "function_name": name, "version": "1", ANSWER: answer}
        return [{**common, "position": place, "layer_arn": answer} for place in range(count)]

    runs = [
        of("1b", "f", total) + of("0a", "e", 5),
        of("1a", "f", total) + of("0a", "g", 5),
        of("2a", "f", 10) + of("1a", "e", total),
        of("1c", "f", 2 * total),
    ]
    found = read(merged("layers", runs, tmp_path).path)
    rows = list(
        zip(*(found.column(name).to_pylist() for name in ("function_name", "layer_arn", "position")), strict=True)
    )

    assert rows == [
        *(("e", "0a", place) for place in range(5)),
        *(("f", "1a", place) for place in range(total)),
        *(("g", "0a", place) for place in range(5)),
    ]


@pytest.mark.parametrize("table", staged_tables(), ids=lambda table: table.name)
def test_an_empty_table(tmp_path, table):
    """A table without rows is a file with every column and its type, which pyarrow and DuckDB read."""
    (written,) = tables(tmp_path).write(table, [])
    found = read(written.path)
    types = duckdb.sql("SELECT * FROM read_parquet($path)", params={"path": str(written.path)})

    assert (written.rows, found.num_rows) == (0, 0)
    assert found.schema.equals(table_schema(table))
    assert types.columns == list(table.names())
    assert types.fetchall() == []


@pytest.mark.parametrize("table", [FUNCTIONS, ENV_VARS, ERRORS], ids=lambda table: table.name)
def test_what_a_file_says_of_itself(tmp_path, table):
    """A file carries what each column means, how it is sorted and packed, and the version of its table."""
    row = [{"account_id": "1", "region": "r", "function_name": "f", "version": "1", "name": "n", ANSWER: "0"}]
    written = merged(table.name, [row], tmp_path)
    schema, metadata = pq.read_schema(written.path), pq.read_metadata(written.path)
    group = metadata.row_group(0)

    assert schema.metadata[b"lexport.table"] == table.name.encode()
    assert schema.metadata[b"lexport.schema_version"] == SCHEMA_VERSION.encode()
    for column in table.columns:
        said = {key.decode(): text.decode() for key, text in schema.field(column.name).metadata.items()}

        assert said["doc"] == column.meaning
        assert said["kind"] == table.kind_of(column)
        assert said.get("unit", "") == column.unit
        assert said.get("source", "") == column.source
    assert {group.column(place).compression for place in range(group.num_columns)} == {"ZSTD"}
    assert [
        (table.names()[sorting.column_index], sorting.descending, sorting.nulls_first)
        for sorting in group.sorting_columns
    ] == [(name, False, True) for name in table.key]


def test_a_broken_page_is_noticed(tmp_path):
    """Every page has a checksum: a byte that changed on disk is found, not read."""
    rows = [
        {"account_id": "1", "region": "r", "function_name": "f", "key": f"key {number}", ANSWER: "0"}
        for number in range(5)
    ]
    written = merged("tags", [rows], tmp_path)
    body = bytearray(written.path.read_bytes())
    place = TAGS.names().index("key")
    chunk = pq.read_metadata(written.path).row_group(0).column(place)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    body[start + chunk.total_compressed_size - 1] ^= 0xFF
    written.path.write_bytes(body)

    with pytest.raises(OSError, match="CRC checksum verification failed"):
        read(written.path)


def test_mode_of_the_file(tmp_path):
    """The file has the mode that was asked for."""
    for mode in (0o600, 0o640):
        (written,) = tables(tmp_path, file_mode=mode).write(TAGS, [])

        assert written.path.stat().st_mode & 0o777 == mode


def test_every_written_row_is_watched(tmp_path):
    """The watcher sees each row once, sorted, before it is written; what it raises goes through."""
    rows = [
        {"account_id": "1", "region": "r", "function_name": f"f{number:02}", "key": "k", ANSWER: "0"}
        for number in reversed(range(20))
    ]
    paths, seen = write_runs("tags", [rows], tmp_path), []
    tables(tmp_path).write(TABLES["tags"], paths, watch=lambda group: seen.append(group["function_name"].to_pylist()))

    assert seen == [[f"f{number:02}" for number in part] for part in (range(7), range(7, 14), range(14, 20))]


def test_where_nothing_can_be_written(tmp_path):
    """A path that cannot be, and a run that is none, raise WriteError with the path."""
    path = tmp_path / "000000.run"
    path.write_bytes(b"no arrow")
    broken = Section(path, "tags", 0, 1, 1)
    for folder, runs in ((tmp_path / "absent", []), (tmp_path, [broken])):
        with pytest.raises(WriteError) as refused:
            tables(folder).write(TAGS, runs)

        assert refused.value.path == str(folder / "tags-0000.parquet")


def test_errors_lose_no_row(tmp_path):
    """Rows of ``errors`` are never taken for duplicates, not even equal ones."""
    row = {"account_id": "1", "region": "r", "stage": "fetch", "error_code": "x", "message": "m", ANSWER: ""}
    written = merged("errors", [[row, row], [row, {**row, "function_name": "f"}]], tmp_path)

    assert written.rows == 4
    assert read(written.path).column("function_name").to_pylist() == [None, None, None, "f"]
    assert isinstance(read(written.path), pa.Table)


@pytest.mark.slow
@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.integers(0, 12), max_size=6), st.integers(1, 9), st.integers(1, 20))
def test_a_file_ends_at_the_first_border_after_so_many_rows(sizes, rows_per_file, slab_rows):
    """A file ends between two account-regions, the first time that it has enough rows, however the rows arrive."""
    rows = [
        {"account_id": "1", "region": f"r{scope}", "function_name": "f", "key": f"k{number:03d}", ANSWER: "0"}
        for scope, size in enumerate(sizes)
        for number in range(size)
    ]
    expected = [[]]
    for scope, size in enumerate(sizes):
        if size and len(expected[-1]) >= rows_per_file:
            expected.append([])
        expected[-1] += [f"r{scope}"] * size
    with TemporaryDirectory() as folder:
        names = staged_names(TAGS)
        table = pa.Table.from_batches([staged_batch(TAGS, [[row.get(name) for row in rows] for name in names])])
        with TableWriter(TAGS, tables(Path(folder), rows_per_file=rows_per_file)) as writer:
            for start in range(0, len(rows), slab_rows):
                writer.write(table.slice(start, slab_rows))
            files = writer.close()
        found = [read(file.path).column("region").to_pylist() for file in files]

    assert found == expected
    assert [file.rows for file in files] == list(map(len, expected))
