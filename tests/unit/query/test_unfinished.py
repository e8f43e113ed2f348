"""Runs that are not published: how far they came, and what the command says of them."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

import lexport
from lexport.cli.status import command
from lexport.errors import NoSnapshotError

ID = "01K1" + "0" * 21
LONG_AGO = datetime.now(UTC) - timedelta(days=3)


def asked(dest, *options):
    return CliRunner().invoke(command, [str(dest), *options], standalone_mode=False)


def write_errors(dest, run, attempt):
    """Leave an empty table of errors, as a refused attempt does."""
    (dest / "_staging" / run / f"errors-{attempt:04d}.parquet").touch()


@pytest.mark.asyncio
async def test_states(tmp_path, write_dataset, staged_run):
    """A run is running, refused or interrupted by its last attempt; runs are listed newest first."""
    write_dataset(tmp_path, [{}])
    running = staged_run(tmp_path, f"{ID}1", shards=3)
    interrupted = staged_run(tmp_path, f"{ID}2")
    interrupted.release(1)
    refused = staged_run(tmp_path, f"{ID}3")
    write_errors(tmp_path, f"{ID}3", 1)
    resumed = staged_run(tmp_path, f"{ID}4")
    write_errors(tmp_path, f"{ID}4", 1)
    resumed.claim(2)

    found = await lexport.unfinished(tmp_path)

    assert [(run.snapshot_id, run.state, run.attempts) for run in found] == [
        (resumed.spec.snapshot_id, "running", 2),
        (refused.spec.snapshot_id, "refused", 1),
        (interrupted.spec.snapshot_id, "interrupted", 1),
        (running.spec.snapshot_id, "running", 1),
    ]
    assert [(run.shards_done, run.shards_total) for run in found] == [(0, 2), (0, 2), (0, 2), (0, 3)]
    assert found[-1].snapshot_at == running.spec.snapshot_at
    assert found[-1].size_bytes == sum(
        path.stat().st_size for path in tmp_path.glob(f"_staging/{ID}1/**/*") if path.is_file()
    )


@pytest.mark.asyncio
async def test_a_claim_that_is_not_renewed(tmp_path, staged_run):
    """A run that did not renew its claim for ten minutes is interrupted, wherever it ran."""
    staged_run(tmp_path, f"{ID}1")
    claim = tmp_path / "_staging" / f"{ID}1" / "claim-0001.json"
    os.utime(claim, (LONG_AGO.timestamp(),) * 2)

    assert [run.state for run in await lexport.unfinished(tmp_path)] == ["interrupted"]


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"", b"{}", b"\xff" * 99, b'{"format": "lexport-run/9"}'])
async def test_damaged_files_of_a_run(tmp_path, staged_run, body):
    """A run whose files say nothing is listed without its time and without the number of its account-regions."""
    staged_run(tmp_path, f"{ID}1")
    (tmp_path / "_staging" / f"{ID}1" / "run.json").write_bytes(body)

    (found,) = await lexport.unfinished(tmp_path)

    assert (found.snapshot_at, found.shards_total, found.shards_done) == (None, None, 0)


@pytest.mark.asyncio
async def test_accounts_whose_regions_are_not_known(tmp_path, staged_run):
    """Where an account stands for all its Regions, their number is not known, and no total is shown."""
    staged_run(tmp_path, f"{ID}1", region="aws-global")

    (found,) = await lexport.unfinished(tmp_path)

    assert found.shards_total is None
    assert f"run {ID}1 is running: 0 account-regions read, begun " in asked(tmp_path).stderr


@pytest.mark.asyncio
async def test_no_unfinished_run(tmp_path, write_dataset):
    """A dataset with published runs alone has no unfinished one, and a folder that is absent is an error."""
    write_dataset(tmp_path, [{}])

    assert await lexport.unfinished(tmp_path) == ()
    with pytest.raises(lexport.SettingsError):
        await lexport.unfinished(tmp_path / "absent")


def test_command(tmp_path, write_dataset, staged_run):
    """``status`` writes a line for each of the newest three, and how to go on; stdout and the exit code stay."""
    write_dataset(tmp_path, [{"at": datetime.now(UTC)}])
    before = asked(tmp_path, "--output", "csv")
    for number in range(5):
        staged_run(tmp_path, f"{ID}{number}").release(1)

    now = asked(tmp_path, "--output", "csv")

    assert (now.return_value, now.stdout.splitlines()[0]) == (before.return_value, before.stdout.splitlines()[0])
    assert before.stderr == ""
    assert len(now.stdout.splitlines()) == len(before.stdout.splitlines())
    lines = now.stderr.splitlines()
    assert f"run {ID}4 was interrupted: 0 of 2 account-regions read, begun " in lines[0]
    assert f"{ID}2" in lines[2]
    assert lines[3] == "lexport: 2 older runs are not published either"
    assert f"lexport errors {tmp_path} --run {ID}4" in now.stderr
    days = (datetime.now(UTC) - staged_run.begun_at).days
    assert f"lexport snapshot {tmp_path} --resume {ID}4 --resume-max-age {days + 2}d" in now.stderr
    assert f"lexport prune {tmp_path} --snapshot {ID}4" in now.stderr


def test_command_before_the_first_snapshot(tmp_path, staged_run):
    """A destination whose first run still runs has no snapshot, and the run is shown; it is not to be resumed."""
    staged_run(tmp_path, f"{ID}1")

    result = asked(tmp_path)

    assert isinstance(result.exception, NoSnapshotError)
    assert f"run {ID}1 is running: 0 of 2 account-regions read" in result.stderr
    assert "--resume" not in result.stderr
