"""A reader tells what a bucket refuses from what is absent or damaged, and asks for no object twice."""

import shutil
import signal
import threading
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import anyio
import pytest
from folder_as_bucket import serve_folder

import lexport
from lexport.cli.main import run

DENIED, BUSY = (403, "AccessDenied"), (503, "SlowDown")
FAST = ("--dest-timeout", "1s")


@pytest.fixture(scope="module")
def nights(tmp_path_factory, write_dataset):
    """A dataset of three nights, not to be changed."""
    module = run_path(str(Path(__file__).parents[1] / "unit" / "query" / "three_nights.py"))
    dest = tmp_path_factory.mktemp("nights") / "fleet"
    write_dataset(dest, [module["night"](day) for day in range(3)])
    return SimpleNamespace(dest=dest, ids=module["IDS"], plain=module["PLAIN"], history=module["HISTORY"])


@pytest.fixture
def served(nights, tmp_path, aws):
    """A copy of the dataset, served as a bucket."""
    with serve_folder(Path(shutil.copytree(nights.dest, tmp_path / "fleet"))) as folder:
        aws.setenv("AWS_ENDPOINT_URL_S3", folder.endpoint)
        aws.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield folder


@pytest.fixture
def ask(served, capsys):
    """Run a command on the bucket: its exit code, stdout and stderr."""

    def invoke(command, *arguments):
        code = run([command, served.url, *arguments, *FAST])
        return SimpleNamespace(code=code, **capsys.readouterr()._asdict())

    return invoke


@pytest.mark.parametrize("place", ["_runs", "_runs/"])
def test_denied_is_not_empty(served, ask, place):
    """Neither a listing nor manifests that are denied look like a bucket without a snapshot."""
    served.refuse = lambda key: (
        DENIED if f"{place}" in f"{key}/" and (place == "_runs" or key.endswith("json")) else None
    )
    done = ask("status")

    assert (done.code, done.out) == (5, "")
    assert "403 AccessDenied" in done.err
    assert "no snapshot yet" not in done.err
    assert len(done.err.splitlines()) == 1


def test_no_answer_is_no_damage(served, ask, nights):
    """A manifest or a file that the server does not answer for ends the command; an older night never stands in."""
    served.refuse = lambda key: BUSY if f"_runs/{nights.ids[2]}" in key else None
    for command, *arguments in (("sql", nights.plain), ("status",), ("verify",)):
        done = ask(command, *arguments)
        assert done.code == 1, command
        assert f"{served.url} cannot be read: " in done.err
        assert "damaged" not in done.err
        assert "night" not in done.out

    served.refuse = lambda key: BUSY if f"functions/snapshot_date=2026-11-24/{nights.ids[2]}" in key else None
    for command, *arguments in (("sql", nights.plain), ("verify",)):
        done = ask(command, *arguments)
        assert done.code == 1, command
        assert f"{served.url} cannot be read: " in done.err
        assert "damaged" not in done.err


def test_a_file_that_is_denied(served, ask, nights):
    """A file that may not be read costs the queries that need it, and is not called damaged."""
    served.refuse = lambda key: DENIED if f"functions/snapshot_date=2026-11-22/{nights.ids[0]}" in key else None

    assert ask("sql", nights.plain).code == 0
    done = ask("sql", nights.history)
    assert done.code == 1
    assert f"functions of snapshot {nights.ids[0]} cannot be read: functions/" in done.err
    assert "the server answered 403" in done.err
    assert "prune" not in done.err


def test_each_object_once(served, ask, nights):
    """A question asks for each manifest and each file that it needs once; a second question for no file."""
    first = ask("sql", nights.history)
    asked = [key for key in served.keys if key]
    data = [key for key in asked if key.endswith(".parquet")]
    served.keys.clear()
    second = ask("sql", nights.history)

    assert (first.code, second.out) == (0, first.out)
    assert len({key for key in data if "/functions/" not in key}) == 0
    assert len(data) == 2 * len(set(data)) == 6  # a HEAD and a GET each
    assert len(asked) - len(data) == 3
    assert [key for key in served.keys if key.endswith(".parquet")] == []
    assert "lexport: 0 bytes of data files were moved" in second.err


@pytest.mark.asyncio
async def test_as_a_library(served, nights, tmp_path):
    """The functions answer for a bucket too; the copies that they read stay until they have read them."""
    assert (await lexport.sql(served.url, nights.history)).to_pylist() == [{"count_star()": 30}]
    for dest, into in (served.url, "bucket"), (served.folder, "folder"):
        await lexport.feed(dest, tmp_path / into, since=nights.ids[1])
    compared, expected = await lexport.diff(served.url), await lexport.diff(served.folder)

    assert compared == expected
    assert len(compared.changes) > 0
    read = [(tmp_path / into / "functions.parquet").read_bytes() for into in ("bucket", "folder")]
    assert read[0] == read[1]
    table = lexport.Dataset(served.url).table("functions", space="history")
    assert sum(batch.num_rows for batch in table) == 30


def test_verify_reads_the_bucket_and_not_the_cache(served, ask, nights):
    """What lies in the cache says nothing about the bucket: a changed object is found, and read once."""
    assert ask("sql", nights.history).code == 0
    (path,) = served.folder.glob(f"functions/*/{nights.ids[0]}-0000.parquet")
    body = path.read_bytes()
    path.write_bytes(body[:100] + bytes([body[100] ^ 1]) + body[101:])
    served.keys.clear()
    done = ask("verify")

    assert (done.code, "wrong_hash" in done.out) == (4, True)
    data = [key for key in served.keys if key.endswith(".parquet") and "/snapshots/" not in key]
    assert len(data) == len(set(data)) == 3 * (len(list(served.folder.glob(f"*/*/{nights.ids[0]}-*"))) - 1)


def test_a_commit_that_is_pruned_while_it_is_read(served, ask, nights):
    """A reader that misses an object lists the commits again, and answers without the one that is gone."""
    gone = nights.ids[0]

    def remove(key):
        if f"{gone}-0000.parquet" in key:
            (served.folder / "_runs" / f"{gone}.json").unlink(missing_ok=True)
            return 404, "NoSuchKey"
        return None

    served.refuse = remove
    done = ask("sql", nights.history)

    assert (done.code, "20" in done.out) == (0, True)
    assert "damaged" not in done.err


@pytest.mark.parametrize("command", ["sql", "check", "verify"])
@pytest.mark.asyncio
async def test_a_signal_while_objects_are_read(served, nights, start_lexport, environment, command, tmp_path):
    """A signal ends a command that waits for objects within seconds, with no copy left behind."""
    asked, release = threading.Event(), threading.Event()

    def hold(key):
        if key.endswith(".parquet"):
            asked.set()
            release.wait(60)

    served.refuse = hold
    environment |= {
        "AWS_ENDPOINT_URL_S3": served.endpoint,
        "XDG_CACHE_HOME": str(tmp_path / "own"),
        "TMPDIR": str(tmp_path),
    }
    query = [nights.history] if command == "sql" else []
    try:
        async with start_lexport(command, served.url, *query) as process:
            assert await anyio.to_thread.run_sync(asked.wait, 30)
            process.send_signal(signal.SIGINT)
            with anyio.fail_after(15):
                code = await process.wait()
    finally:
        release.set()

    assert code == 130
    assert [path for path in (tmp_path / "own").rglob("*") if path.is_file() and path.name != "lock"] == []
    assert list(tmp_path.glob("lexport-*")) == []
