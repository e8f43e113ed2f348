"""Every command that reads a dataset gives the same answers for a bucket as for the folder that was copied into it."""

import json
import re
import shutil
import threading
from types import SimpleNamespace

import duckdb
import pytest
from damage import PACKAGES_ID
from whole_dataset import HASH_KEY, write_whole

from lexport.cli.main import run
from lexport.dataset.commits import read_commits
from lexport.simulator import Fleet, FleetSpec, open_simulator

pytestmark = pytest.mark.slow

FUNCTIONS = "SELECT count(*) FROM functions"
COMMANDS = {
    "sql": ("sql", "{}", "SELECT * EXCLUDE (fetched_at) FROM functions ORDER BY ALL", "--output", "jsonl"),
    "history": ("sql", "{}", "SELECT snapshot_id, count(*) FROM history.functions GROUP BY ALL ORDER BY ALL"),
    "status": ("status", "{}", "--max-age", "36500d", "--output", "jsonl"),
    "errors": ("errors", "{}", "--output", "json"),
    "diff": ("diff", "{}"),
    "feed": ("feed", "{}"),
    "check": ("check", "{}", "--fail-on", "none", "--output", "jsonl"),
    "sbom": ("sbom", "{}"),
    "report": ("report", "{}", "-o", "-"),
    "verify": ("verify", "{}", "--data", "--output", "json"),
}
TIMES = r'"age_s": \d+|Written \d.*? UTC|name="lexport-dataset" content="\w+"|\b\d+[smhd]\b|"load_id": "\w+"'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two nights and a commit of packages, not to be changed."""
    dest = tmp_path_factory.mktemp("readers") / "fleet"
    write_whole(dest, functions=(20, 21))
    return dest


@pytest.fixture
def cloud(bucket, folder, tmp_path, aws):
    """The dataset in a bucket: its URL, and ways to change its objects."""
    aws.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def put(path, body):
        bucket.client.put_object(Bucket=bucket.name, Key=f"fleet/{path}", Body=body)

    def delete(path):
        bucket.client.delete_object(Bucket=bucket.name, Key=f"fleet/{path}")

    def upload(dest):
        for path in dest.rglob("*"):
            if path.is_file() and "_staging" not in path.parts:
                put(path.relative_to(dest).as_posix(), path.read_bytes())

    upload(folder)
    return SimpleNamespace(url=f"{bucket.url}/fleet", put=put, delete=delete, upload=upload, bucket=bucket)


@pytest.fixture
def lexport(capsys):
    """Run a command in this process: its exit code, stdout, and the lines of stderr."""

    def invoke(*arguments):
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err.splitlines())

    return invoke


def moved_bytes(lines):
    """The bytes that the one note names."""
    (note,) = [line for line in lines if "bytes of data files were moved" in line]
    return int(note.removeprefix("lexport: ").partition(" ")[0].replace(",", ""))


@pytest.mark.asyncio
async def test_every_reader(cloud, folder, run_lexport, tmp_path):
    """Each command answers with the same bytes and the same code, in a container without any home."""
    answers = {}
    for name, arguments in COMMANDS.items():
        for kind, dest in ("folder", folder), ("bucket", cloud.url):
            home = tmp_path / f"home-{name}"
            home.mkdir(exist_ok=True)
            done = await run_lexport(*(part.format(dest) for part in arguments), HOME=str(home), XDG_STATE_HOME=None)
            answers[name, kind] = done.code, re.sub(TIMES, "", done.out)
            if kind == "bucket":
                assert (moved_bytes(done.err.splitlines()) > 0) == (name not in ("status", "errors")), name
            else:
                assert "were moved" not in done.err

    for name in COMMANDS:
        assert answers[name, "bucket"] == answers[name, "folder"], name
        assert answers[name, "folder"][0] == 0, name


@pytest.mark.asyncio
async def test_plan(cloud, folder, run_lexport, environment):
    """What an incremental run would take is the same from a bucket."""
    environment["LEXPORT_HASH_KEY"] = HASH_KEY
    plans = []
    async with open_simulator(Fleet(FleetSpec(functions=21, versions=3)), quotas=False) as simulated:
        for dest in folder, cloud.url:
            done = await run_lexport(
                "plan", dest, "--region", "us-east-1", "--endpoint-url", simulated.url, "--output", "json"
            )
            plans.append([{name: row[name] for name in row if not name.endswith("_s")} for row in json.loads(done.out)])

    assert plans[0] == plans[1]
    assert plans[0][0]["incremental_get_function_calls"] < plans[0][0]["get_function_calls"]


def test_a_second_question_moves_nothing(cloud, lexport):
    """What one question brought to this machine is there for the next one, and the note says so."""
    first, second = (lexport("sql", cloud.url, "FROM runtimes") for _ in range(2))

    assert (first.code, second.code, first.out) == (0, 0, second.out)
    assert moved_bytes(first.err) > 0
    assert moved_bytes(second.err) == 0


def lose(cloud, path, _):
    cloud.delete(path)


def change(cloud, path, body):
    cloud.put(path, bytes([body[0] ^ 1]) + body[1:])


def truncate(cloud, path, body):
    cloud.put(path, body[:-9])


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        (lose, "missing", "it is missing"),
        (change, "wrong_hash", "its SHA-256 is "),
        (truncate, "wrong_size", "bytes, the manifest says "),
    ],
)
def test_a_damaged_object(cloud, folder, lexport, act, kind, words):
    """Damage costs only the queries that need the object, which say how to go on; verify finds it, and nothing else."""
    snapshot_id = min(path.stem for path in folder.glob("_runs/0*.json"))
    (path,) = (str(path.relative_to(folder)) for path in folder.glob(f"functions/*/{snapshot_id}-0000.parquet"))
    act(cloud, path, (folder / path).read_bytes())

    assert lexport("sql", cloud.url, FUNCTIONS).code == 0
    assert lexport("sql", cloud.url, "SELECT count(*) FROM history.tags").code == 0
    asked = lexport("sql", cloud.url, "SELECT count(*) FROM history.functions")
    assert asked.code == 1
    assert f"functions of snapshot {snapshot_id} is damaged: {path}: " in asked.err[-1]
    assert words in asked.err[-1]
    assert f"lexport prune {cloud.url} --snapshot {snapshot_id}" in asked.err[-1]
    verified = lexport("verify", cloud.url, "--output", "jsonl")
    (line,) = (json.loads(text) for text in verified.out.splitlines())
    assert (verified.code, line["path"], line["kind"]) == (4, path, kind)
    assert f"lexport prune {cloud.url} --snapshot {snapshot_id}" in line["remedy"]


def test_a_damaged_manifest(cloud, folder, lexport):
    """A damaged commit is skipped and named; the other nights stay readable."""
    newest = max(path.name for path in folder.glob("_runs/0*.json"))
    cloud.put(f"_runs/{newest}", b"{")
    asked = lexport("sql", cloud.url, FUNCTIONS)

    assert (asked.code, "80" in asked.out) == (0, True)
    assert any(f"snapshot {newest[:26]} is damaged" in line for line in asked.err)
    assert lexport("verify", cloud.url).code == 4


def test_objects_that_no_commit_names(cloud, lexport):
    """What lies beside the dataset in a bucket is a note of verify, and a package with other bytes is damage."""
    cloud.put("functions/snapshot_date=2026-01-01/x.parquet", b"x")
    (stored,) = (key for key in cloud.bucket.keys() if key.endswith(".zip"))  # noqa: SIM118 - not a dict
    cloud.put(stored.removeprefix("fleet/"), b"x")
    lines = [json.loads(text) for text in lexport("verify", cloud.url, "--output", "jsonl").out.splitlines()]

    assert {(line["severity"], line["kind"]) for line in lines} == {("note", "foreign"), ("damage", "wrong_hash")}


def test_a_bucket_that_cannot_be_read(cloud, lexport, aws):
    """No bucket, no access, no answer and no snapshot are four different lines, each with its exit code."""
    none = lexport("sql", "s3://lexport-there-is-none/fleet", FUNCTIONS)
    empty = lexport("sql", f"{cloud.url}-empty", FUNCTIONS)
    aws.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    denied = lexport("status", cloud.url)
    aws.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    silent = lexport("status", cloud.url, "--dest-timeout", "1s")

    assert [done.code for done in (none, empty, denied, silent)] == [2, 1, 5, 1]
    assert [len(done.err) for done in (none, empty, denied, silent)] == [1, 1, 1, 1]
    assert "there is no bucket lexport-there-is-none" in none.err[0]
    assert "holds no snapshot yet" in empty.err[0]
    assert f"{cloud.url} cannot be read: the server answered 403" in denied.err[0]
    assert "127.0.0.1:9" in silent.err[0]


def test_a_query_that_does_not_fit(cloud, lexport):
    """A query that needs more than the cache may have is refused, and both numbers are named."""
    done = lexport("sql", "--cache-size", "10KB", cloud.url, "FROM history.functions")

    assert done.code == 1
    assert re.search(r"needed have [\d,]+ bytes, and the cache may have 10,240", done.err[-1])


def test_a_query_reads_nothing_else(cloud, lexport, tmp_path):
    """A query can read neither other files of the cache nor the bucket itself."""
    lexport("sql", cloud.url, FUNCTIONS)

    for place in (tmp_path / "cache/lexport/*", f"{cloud.url}/_runs/*"):
        asked = lexport("sql", cloud.url, f"FROM read_text('{place}')")
        assert (asked.code, "reads the tables of its dataset and nothing else" in asked.err[-1]) == (2, True)


def test_values_do_not_stay(cloud, folder, lexport, tmp_path):
    """Files with environment values stay on this machine only where --cache-values says so."""
    copy = shutil.copytree(folder, tmp_path / "values")
    for path in copy.glob("_runs/*.json"):
        told = json.loads(path.read_bytes())
        told["options"]["env"] = "values"
        path.write_text(json.dumps(told))
    cloud.upload(copy)
    cache = tmp_path / "cache/lexport"

    assert lexport("sql", cloud.url, "FROM env_vars").code == 0
    assert [path for path in cache.rglob("*") if path.is_file() and path.name != "lock"] == []
    refused = lexport("views", cloud.url, "--db", tmp_path / "x.duckdb")
    assert (refused.code, "--cache-values" in refused.err[-1]) == (2, True)
    assert lexport("sql", cloud.url, "FROM env_vars", "--cache-values").code == 0
    assert moved_bytes(lexport("sql", cloud.url, "FROM env_vars", "--cache-values").err) == 0


def test_views(cloud, folder, lexport, tmp_path):
    """The views of a bucket read copies, which a later run of the command brings up to date."""
    db, copies = tmp_path / "fleet.duckdb", tmp_path / "fleet.duckdb.files"
    newest = max(path.stem for path in folder.glob("_runs/0*.json"))
    cloud.delete(f"_runs/{newest}.json")

    def ask(query):
        with duckdb.connect(str(db), read_only=True) as connection:
            return connection.sql(query).fetchall()

    first = lexport("views", cloud.url, "--db", db)
    assert (first.code, ask(FUNCTIONS)) == (0, [(80,)])
    assert any(f"the views read the copies in {copies}, up to snapshot 0" in line for line in first.err)

    cloud.put(f"_runs/{newest}.json", (folder / f"_runs/{newest}.json").read_bytes())
    second = lexport("views", cloud.url, "--db", db)
    assert 0 < moved_bytes(second.err) < moved_bytes(first.err) * 2
    assert (second.code, ask("SELECT count(DISTINCT snapshot_id) FROM history.functions")) == (0, [(2,)])
    assert moved_bytes(lexport("views", cloud.url, "--db", db).err) == 0

    cloud.delete(f"_runs/{newest}.json")
    assert lexport("views", cloud.url, "--db", db).code == 0
    assert ask("SELECT count(DISTINCT snapshot_id) FROM history.functions") == [(1,)]
    assert list(copies.glob(f"*/*/{newest}*")) == []
    assert lexport("verify", copies).code in (0, 4)

    other = lexport("views", cloud.url, "--db", db, "--copy-to", folder)
    assert (other.code, "holds something else" in other.err[-1]) == (2, True)
    assert lexport("views", folder, "--db", db, "--copy-to", tmp_path / "new").code == 2


class Meeting:
    """A store whose manifests are answered only when several are being read."""

    moved = object()
    url = "s3://bucket"

    def __init__(self, folder, parties):
        self._folder, self._barrier = folder, threading.Barrier(parties)

    def read(self, path, *, most_bytes):
        self._barrier.wait(timeout=30)
        return (self._folder / path).read_bytes()[:most_bytes]


def test_manifests_are_read_together(folder):
    """A year of nights in a bucket is not one request after the other, and the nights keep their order."""
    (snapshot_id, *_) = sorted(path.stem for path in folder.glob("_runs/0*.json"))
    commits = list(read_commits(Meeting(folder, 16), [snapshot_id, PACKAGES_ID] * 16))

    assert [commit.snapshot_id for commit in commits] == [snapshot_id, PACKAGES_ID] * 16


def test_an_account_in_a_bucket_is_retired(cloud, lexport):
    """``retire`` commits to a bucket as to a folder, and leaves nothing else there; readers see the end."""
    done = lexport("retire", cloud.url, "111122223333", "us-east-1", "--output", "jsonl")
    assert done.code == 0, done.err
    again = lexport("retire", cloud.url, "111122223333")
    rows = lexport("sql", cloud.url, "SELECT count(*) AS n, any_value(kind) AS kind FROM changes", "--output", "jsonl")
    history = lexport("sql", cloud.url, "SELECT DISTINCT kind FROM history.changes", "--output", "jsonl")

    assert again.code == 2
    assert any("every account-region is retired" in line for line in again.err)
    assert json.loads(rows.out)["n"] == 0
    assert {"kind": "removed"} in [json.loads(line) for line in history.out.splitlines()]
    assert lexport("verify", cloud.url, "--data").code == 0
    keys = cloud.bucket.client.list_objects_v2(Bucket=cloud.bucket.name, Prefix="fleet/_staging/")
    assert not keys.get("Contents")
