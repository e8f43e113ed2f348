"""``lexport.Dataset`` keeps one session from call to call, and answers as if it opened a new one for each."""

import gc
import os
import pickle
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import lexport
from lexport.errors import QueryError, ReadError, SettingsError

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
NIGHTS = [
    {"at": AT + timedelta(days=night), "functions": [{"function_name": f"f{night}", "version": "1"}]}
    for night in range(3)
]
NAMES = "SELECT function_name FROM history.functions ORDER BY 1"


@pytest.fixture
def sessions(tmp_path, monkeypatch):
    """Return the open sessions, by their folders for spilled data."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return lambda: sorted(path.name for path in folder.iterdir())


def names(dataset):
    return dataset.sql(NAMES)["function_name"].to_pylist()


def open_files(dest):
    links = (path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return [link for link in links if str(link).startswith(str(dest))]


def test_one_session_that_follows_the_commits(tmp_path, sessions, write_dataset):
    """Calls share a session until a commit comes or goes; then its rows come and go, and no file stays open."""
    dest = tmp_path / "fleet"
    write_dataset(dest, NIGHTS[:2])
    dataset, before = lexport.Dataset(dest), lexport.Dataset(dest, as_of="2026-11-22")
    assert sessions() == []  # it is opened when it is needed

    assert (names(dataset), names(dataset)) == (["f0", "f1"],) * 2
    first = sessions()
    assert len(first) == 1
    with pytest.raises(QueryError):
        dataset.sql("SELECT nothing FROM functions")
    assert names(dataset) == ["f0", "f1"]
    assert sessions() == first

    (*_, added) = write_dataset(dest, NIGHTS)
    assert names(dataset) == ["f0", "f1", "f2"]
    assert names(before) == ["f0"]
    second = sessions()
    assert len(second) == 2
    assert not set(first) & set(second)

    (dest / "_runs" / f"{added.snapshot_id}.json").unlink()
    for path in dest.glob(f"*/*/{added.snapshot_id}-*.parquet"):
        path.unlink()
    assert names(dataset) == ["f0", "f1"]
    assert open_files(dest) == []


def test_a_file_that_changes(tmp_path, write_dataset):
    """A file that was changed or lost after a call is damage for the next call, until it is mended."""
    dest = tmp_path / "fleet"
    write_dataset(dest, NIGHTS[:2])
    dataset = lexport.Dataset(dest)
    assert names(dataset) == ["f0", "f1"]
    path = min(dest.glob("functions/*/*.parquet"))
    body = path.read_bytes()

    path.write_bytes(body[:-9])
    with pytest.raises(ReadError, match="bytes, the manifest says"):
        names(dataset)
    path.unlink()
    with pytest.raises(ReadError, match="it is missing"):
        names(dataset)
    path.write_bytes(body)
    assert names(dataset) == ["f0", "f1"]

    (manifest,) = dest.glob("_runs/*2.json")
    text = manifest.read_text()
    manifest.write_text("{")
    assert names(lexport.Dataset(dest)) == ["f0"]
    assert names(dataset) == ["f0"]
    manifest.write_text(text)
    assert names(dataset) == ["f0", "f1"]
    dest.rename(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="does not exist"):
        names(dataset)


def test_it_is_closed(tmp_path, sessions, write_dataset):
    """``close``, a ``with`` block and the end of the object close the session; a copy has one of its own."""
    write_dataset(tmp_path / "fleet", NIGHTS[:2])
    with lexport.Dataset(tmp_path / "fleet", as_of="2026-11-22") as dataset:
        assert names(dataset) == ["f0"]
        assert len(sessions()) == 1
        copy = pickle.loads(pickle.dumps(dataset))
        assert names(copy) == ["f0"]
        assert len(sessions()) == 2
    assert len(sessions()) == 1
    copy.close()
    assert sessions() == []

    assert names(copy) == ["f0"]
    del copy
    gc.collect()
    assert sessions() == []


def test_threads(tmp_path, sessions, write_dataset):
    """Several threads ask one object at once, and each gets its own rows."""
    write_dataset(tmp_path / "fleet", NIGHTS[:2])
    dataset = lexport.Dataset(tmp_path / "fleet")

    def ask(number):
        return dataset.sql(f"SELECT {number} AS n, count(*) AS functions FROM history.functions").to_pylist()

    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(ask, range(20))]
    assert answers == [[{"n": number, "functions": 2}] for number in range(20)]
    assert len(sessions()) == 1


def test_days_pass_and_a_forked_process_exits(tmp_path, write_dataset):
    """``yesterday`` is another day after midnight, and a forked process that exits removes nothing of its parent."""
    write_dataset(tmp_path / "fleet", NIGHTS)
    spills = tmp_path / "spills"
    spills.mkdir()
    benchmarks = Path(__file__).parents[3] / "benchmarks"
    done = subprocess.run(
        [sys.executable, "-c", DAYS, str(tmp_path / "fleet"), str(spills)],
        env={**os.environ, "PYTHONPATH": str(benchmarks), "TMPDIR": str(spills)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == ["['f0']", "['f0', 'f1']", "no snapshot is that old", "1"], done.stderr
    assert list(spills.iterdir()) == []


DAYS = """
import os, secrets, sys
import fixed_clock
real = os.urandom
fixed_clock.replace_clock_and_random()
os.urandom = real
fixed_clock.set_clock("2026-11-23T23:59:00+00:00")
import lexport
dataset = lexport.Dataset(sys.argv[1], as_of="yesterday")
names = lambda: dataset.sql("SELECT function_name FROM history.functions ORDER BY 1")["function_name"].to_pylist()
print(names())
fixed_clock.set_clock("2026-11-24T00:01:00+00:00")
print(names())
fixed_clock.set_clock("2026-11-22T12:00:00+00:00")
try:
    names()
except lexport.SettingsError as error:
    print("no snapshot is that old" if "no snapshot is that old" in str(error) else error)
fixed_clock.set_clock("2026-11-24T00:01:00+00:00")
names()
sys.stdout.flush()
pid = os.fork()
if not pid:
    sys.exit(0)
os.waitpid(pid, 0)
print(len(os.listdir(sys.argv[2])))
"""


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process(tmp_path, sessions, write_dataset):
    """A forked process opens its own session, and leaves that of its parent alone."""
    write_dataset(tmp_path / "fleet", NIGHTS[:2])
    dataset = lexport.Dataset(tmp_path / "fleet")
    assert names(dataset) == ["f0", "f1"]
    before = sessions()

    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = 0 if names(dataset) == ["f0", "f1"] and len(sessions()) == 2 else 2
            dataset.close()
            del dataset
            gc.collect()
            code += 4 * (sessions() != before)
        finally:
            os._exit(code)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert sessions() == before
    assert names(dataset) == ["f0", "f1"]
