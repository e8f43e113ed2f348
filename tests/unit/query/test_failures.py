"""What a run could not read, by kind."""

import tempfile
from datetime import UTC, datetime, timedelta

import anyio
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lexport
from lexport.errors import NoSnapshotError, ReadError, RunError
from lexport.tables.arrow import table_schema
from lexport.tables.run import ERRORS

pytestmark = pytest.mark.asyncio

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
REFUSED = "01K1" + "0" * 22


def row(name, second=0, **other):
    """Return a row of ``errors``: by default a denied GetFunction, which is a gap."""
    return {
        "account_id": "111122223333",
        "region": "eu-west-1",
        "stage": "fetch",
        "operation": "GetFunction",
        "function_name": name,
        "qualifier": None,
        "http_status": 403,
        "error_code": "AccessDeniedException",
        "message": f"denied {name}",
        "is_gap": True,
        "attempts": 1,
        "occurred_at": AT + timedelta(seconds=second),
        **other,
    }


def gone(name, second=0):
    return row(name, second, error_code="gone", message=f"{name} was deleted", is_gap=False)


def refuse(dest, *rows, name="errors.parquet", run=REFUSED):
    """Leave a table of errors in the staging folder of a run, as a refused run does."""
    path = dest / "_staging" / run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=table_schema(ERRORS)), path)
    return path


async def test_kinds_of_a_published_run(tmp_path, write_dataset):
    """Rows of one account-region, stage, operation, code and is_gap are one group; gaps come first."""
    rows = [gone("a"), gone("b"), gone("c", 9), row("d", 5), row("e", 1), row("f", region="us-east-1")]
    scopes = [{}, {"region": "us-east-1"}]
    (commit,) = write_dataset(tmp_path, [{"at": AT, "status": "partial", "gaps": 3, "scopes": scopes, "errors": rows}])

    found = await lexport.failures(tmp_path)

    assert (found.snapshot_id, found.snapshot_at, found.state) == (commit.snapshot_id, AT, "partial")
    assert (found.errors, found.gaps, found.other_errors) == (6, 3, 0)
    assert [(group.region, group.error_code, group.is_gap, group.errors) for group in found.groups] == [
        ("eu-west-1", "AccessDeniedException", True, 2),
        ("us-east-1", "AccessDeniedException", True, 1),
        ("eu-west-1", "gone", False, 3),
    ]
    assert found.groups[0] == lexport.FailureGroup(
        account_id="111122223333",
        region="eu-west-1",
        stage="fetch",
        operation="GetFunction",
        error_code="AccessDeniedException",
        is_gap=True,
        errors=2,
        first_at=AT + timedelta(seconds=1),
        last_at=AT + timedelta(seconds=5),
        function_name="d",
        qualifier=None,
        message="denied d",
    )


async def test_newest_run(tmp_path, write_dataset):
    """The newest run is shown, published or not; another one by its id or the beginning of it, in any case."""
    first, second = write_dataset(tmp_path, [{"errors": [gone("a")]}, {"errors": []}])
    refuse(tmp_path, row("b"), row("c"))

    newest = await lexport.failures(tmp_path)
    by_id = await lexport.failures(tmp_path, first.snapshot_id)
    by_beginning = await lexport.failures(tmp_path, REFUSED[:4].lower())
    empty = await lexport.failures(tmp_path, second.snapshot_id)

    assert (newest.snapshot_id, newest.state, newest.snapshot_at, newest.gaps) == (REFUSED, "refused", None, 2)
    assert (by_id.snapshot_id, by_id.state, by_id.errors) == (first.snapshot_id, "complete", 1)
    assert by_beginning == newest
    assert (empty.errors, empty.groups) == (0, ())


async def test_a_destination_with_a_refused_run_alone(tmp_path):
    """The first run of a destination was refused: there is no snapshot yet, and its errors are shown."""
    refuse(tmp_path, row("b"))

    assert (await lexport.failures(tmp_path)).gaps == 1


async def test_attempts(tmp_path, staged_run):
    """A run shows the errors of its last attempt: its table where it was refused, else what is staged by now."""
    run = staged_run(tmp_path, REFUSED)
    run.stage(gone("a"), row("b"), row("b", second=2))
    begun = await lexport.failures(tmp_path)
    refuse(tmp_path, row("b"), row("c"), name="errors-0001.parquet")
    refused = await lexport.failures(tmp_path)
    run.claim(2)
    resumed = await lexport.failures(tmp_path)
    run.release(2)
    interrupted = await lexport.failures(tmp_path)

    assert (begun.state, begun.errors, begun.gaps, begun.snapshot_at) == ("running", 3, 2, run.spec.snapshot_at)
    assert (refused.state, refused.errors) == ("refused", 2)
    assert (resumed.state, resumed.errors) == ("running", 3)
    assert (interrupted.state, interrupted.groups) == ("interrupted", begun.groups)


async def test_a_shard_that_a_later_attempt_finished(tmp_path, staged_run):
    """Of a finished shard, the errors of the attempt that finished it count: what it read at last is no error."""
    run = staged_run(tmp_path, REFUSED)
    run.stage(row("a"), row("b"))
    run.claim(2)
    half = await lexport.failures(tmp_path)
    run.finish(run.stage(row("b"), attempt=2), attempt=2)
    finished = await lexport.failures(tmp_path)

    assert (half.errors, finished.errors) == (2, 1)
    assert [group.function_name for group in finished.groups] == ["b"]
    assert [run.shards_done for run in await lexport.unfinished(tmp_path)] == [1]


async def test_damaged_staging(tmp_path, staged_run):
    """Staged rows with another byte, and a run whose spec is lost, are errors; they are never shown as no errors."""
    run = staged_run(tmp_path, REFUSED)
    path = run.stage(row("b"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ReadError, match="damaged"):
        await lexport.failures(tmp_path)
    (tmp_path / "_staging" / REFUSED / "run.json").unlink()
    with pytest.raises(ReadError, match="does not say what the run read"):
        await lexport.failures(tmp_path)


@pytest.mark.parametrize(
    ("run", "text"),
    [
        ("01K1" + "0" * 21 + "1", f"is no run of this dataset; did you mean {REFUSED}"),
        ("yesterday", "is no run of this dataset; the newest are 01K1"),
        ("01K", "begins the ids of 2 runs: 01K1"),
        ("", "is no run of this dataset"),
    ],
)
async def test_no_such_run(tmp_path, write_dataset, run, text):
    """A run that does not exist, or that is not told apart, is wrong use; the error names those that exist."""
    write_dataset(tmp_path, [{}])
    refuse(tmp_path, row("b"))

    with pytest.raises(lexport.SettingsError, match=text) as caught:
        await lexport.failures(tmp_path, run)
    assert caught.value.option == "--run"


async def test_nothing_to_show(tmp_path):
    """A destination without runs, one that is absent, and a run that left nothing end with an error."""
    with pytest.raises(NoSnapshotError):
        await lexport.failures(tmp_path)
    with pytest.raises(lexport.SettingsError, match="does not exist"):
        await lexport.failures(tmp_path / "absent")
    (tmp_path / "_staging" / REFUSED / "empty").mkdir(parents=True)
    with pytest.raises(NoSnapshotError):
        await lexport.failures(tmp_path)
    (tmp_path / "_staging" / REFUSED / "file").touch()
    with pytest.raises(ReadError, match="does not say what the run read"):
        await lexport.failures(tmp_path)


@pytest.mark.parametrize("body", [b"", b"PAR1", b"not Parquet" * 100])
async def test_damaged_errors_of_a_refused_run(tmp_path, body):
    """A table of errors in staging that is no Parquet is an error that names it, never an empty answer."""
    path = refuse(tmp_path, row("b"))
    path.write_bytes(body)

    with pytest.raises(ReadError, match="cannot read"):
        await lexport.failures(tmp_path)


async def test_a_foreign_table_of_errors(tmp_path):
    """A table in staging with other columns, or with other types, is an error."""
    path = refuse(tmp_path, row("b"))
    for table in ({"error_code": ["gone"]}, {name: ["x"] for name in ERRORS.names()}):
        pq.write_table(pa.table(table), path)
        with pytest.raises(ReadError, match="cannot read the errors"):
            await lexport.failures(tmp_path)


async def test_damage_of_a_published_run(tmp_path, write_dataset):
    """A damaged table and a damaged manifest are errors of that run alone; another run is shown when it is named."""
    first, second = write_dataset(tmp_path, [{"errors": [gone("a")]}, {"errors": [gone("b")]}])
    (entry,) = second.entries("errors")
    (tmp_path / entry.path).unlink()
    with pytest.raises(ReadError, match="missing"):
        await lexport.failures(tmp_path)
    (tmp_path / "_runs" / f"{second.snapshot_id}.json").write_text("{}")
    with pytest.raises(RunError, match=r"is damaged .*; lexport verify says how to go on; --run names another run"):
        await lexport.failures(tmp_path)

    assert (await lexport.failures(tmp_path, first.snapshot_id)).errors == 1


async def test_more_kinds_than_are_told_apart(tmp_path):
    """Of very many kinds, gaps and the most frequent are shown, and the rows of the others are counted."""
    rows = pa.Table.from_pylist([row("f", is_gap=False)] * 40_000, schema=table_schema(ERRORS))
    codes = ["usual"] * 5_000 + [f"code {number}" for number in range(35_000)]
    gaps = [number == 39_999 for number in range(40_000)]
    for name, values in (("error_code", codes), ("is_gap", gaps)):
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values))
    pq.write_table(rows, refuse(tmp_path))

    found = await lexport.failures(tmp_path)

    assert (found.errors, found.gaps, len(found.groups)) == (40_000, 1, 20_000)
    assert [(group.error_code, group.errors) for group in found.groups[:2]] == [("code 34999", 1), ("usual", 5_000)]
    assert found.other_errors == 40_000 - 5_000 - 19_999


async def test_cancelled(tmp_path, at_event, monkeypatch):
    """Cancelled: it ends at the next batch of rows, and its temporary folder is gone."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    refuse(tmp_path / "fleet", row("b"))
    with anyio.CancelScope() as scope:
        at_event("tempfile.mkdtemp", lambda: anyio.from_thread.run_sync(scope.cancel), on="lexport-errors-")
        await lexport.failures(tmp_path / "fleet")

    assert scope.cancelled_caught
    assert list(scratch.iterdir()) == []


async def test_long_texts_are_cut(tmp_path):
    """An example keeps 500 characters of a message, whatever a server wrote."""
    refuse(tmp_path, row("b", message="é" * 100_000, error_code="c" * 1000))

    (group,) = (await lexport.failures(tmp_path)).groups

    assert (group.message, group.error_code) == ("é" * 500, "c" * 500)
