"""What a run leaves for machines: its summary and its metrics, however it ends."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import stat
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from lexport.cli._outputs.prometheus import LastRuns, last_runs, to_prometheus
from lexport.cli._outputs.summary import RunSummary, Worker
from lexport.simulator import Fault, Fleet, FleetSpec, open_simulator

pytestmark = pytest.mark.slow

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "schemas" / "run-summary.schema.json"
SECRET = "a-secret-key-of-forty-characters-0123456"
STUCK = Fault(operation="GetFunction", kind="hang", after=5, times=None)


@cache
def summaries():
    """The validator of summaries."""
    from jsonschema import Draft202012Validator  # here, because it takes seconds, which each worker would wait for

    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.fixture
def aws():
    """A simulator in a thread of its own, because the commands block this one."""
    fleet = Fleet(FleetSpec(functions=4, versions=2))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(open_simulator(fleet, quotas=False)) as server,
    ):
        yield server


@pytest.fixture
def night(forks, flags, tmp_path, aws):
    """Run a command as every night: with a summary and metrics; return its end, and both files."""

    def run(*arguments, command=("snapshot",), **variables):
        asked = ("--summary-file", "run.json", "--metrics-file", "run.prom")
        ended = forks.run(*command, *arguments, *asked, *flags(aws.url), **variables)
        return ended, summary(tmp_path), metrics(tmp_path / "run.prom")

    return run


def summary(folder):
    """The summary, which is valid."""
    document = json.loads((folder / "run.json").read_bytes())
    assert [error.message for error in summaries().iter_errors(document)] == []
    return document


_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{((?:{_LABEL}(?:,{_LABEL})*)?,?)\}})? (\S+)")


def metrics(path):
    """Parse a textfile strictly by the rules of Prometheus: name -> labels -> value."""
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n")
    parsed, types, helped, current = {}, {}, set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in helped, f"{name} has two HELP lines"
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} has two TYPE lines"
            assert kind in ("gauge", "counter")
            assert (kind == "counter") == name.endswith("_total"), name
            types[name] = kind
            current = name
        else:
            name, labels, value = _SAMPLE.fullmatch(line).groups()
            assert name == current, "the samples of a metric stand together, after its TYPE"
            pairs = tuple(re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', labels or ""))
            assert pairs not in parsed.setdefault(name, {}), f"{line} is there twice"
            assert math.isfinite(float(value))
            parsed[name][pairs] = float(value)
    assert types.keys() == helped == parsed.keys()
    assert all(name.startswith("lexport_") for name in parsed)
    return parsed


def value(parsed, name, **labels):
    """The one value of a metric with these labels."""
    (found,) = [number for pairs, number in parsed[name].items() if labels.items() <= dict(pairs).items()]
    return found


def test_a_complete_run(night, look, tmp_path):
    """The summary of a complete run has the counts of its manifest, and the metrics have the same numbers."""
    ended, left, parsed = night("fleet")

    manifest = look.newest(tmp_path / "fleet")
    (scope,) = manifest.scopes
    assert (ended.code, left["status"], left["exit_code"], left["error"]) == (0, "complete", 0, None)
    assert (left["command"], left["dest"], left["snapshot_id"]) == ("snapshot", "fleet", manifest.snapshot_id)
    assert left["counts"] == {
        "account_regions": 1,
        "functions": scope.functions,
        "versions": scope.versions,
        "aliases": scope.aliases,
        "packages": None,
    }
    assert (left["gaps"], left["failures"], left["throttles"], left["retries"]) == (0, [], 0, 0)
    assert left["calls_by_operation"]["GetFunction"] == scope.get_function_calls
    assert left["calls"] == sum(left["calls_by_operation"].values()) == scope.get_function_calls + scope.list_calls
    assert left["published_bytes"] == sum(entry.size_bytes for entry in manifest.files)
    assert [stage["stage"] for stage in left["stages"]] == [
        "choosing targets",
        "reading",
        "writing Parquet",
        "publishing",
    ]
    assert 0 < sum(stage["duration_s"] for stage in left["stages"]) <= left["duration_s"]
    for name in ("run.json", "run.prom"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o644 & ~umask()
    assert value(parsed, "lexport_run_functions", command="snapshot", dest="fleet") == scope.functions
    assert value(parsed, "lexport_run_calls_total", operation="GetFunction") == scope.get_function_calls
    assert value(parsed, "lexport_run_status", status="complete") == 1
    assert value(parsed, "lexport_run_last_success_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_labels(tmp_path):
    """Whatever a dataset and a worker are called, the metrics can be read, and each worker is a series of its own."""
    dest = 'a "quoted" \\ path\nof two lines'
    workers = tuple(
        Worker(worker=name, account_regions=1, calls=2, versions=3, packages=0, stored_bytes=0)
        for name in ("tls://127.0.0.1:1", "tls://127.0.0.1:2")
    )
    at = datetime(2026, 11, 30, tzinfo=UTC)
    done = RunSummary(command="snapshot", dest=dest, status="complete", started_at=at, ended_at=at, workers=workers)
    first = to_prometheus(done, LastRuns())
    failed = replace(done, status="failed", exit_code=1)
    second = to_prometheus(failed, last_runs(first.decode(), failed))
    other = replace(failed, dest="another")

    for text in (first, second):
        (tmp_path / "run.prom").write_bytes(text)
        parsed = metrics(tmp_path / "run.prom")
        assert value(parsed, "lexport_run_last_success_timestamp_seconds") == at.timestamp()
        assert len(parsed["lexport_worker_calls"]) == 2
    assert last_runs(first.decode(), other) == LastRuns()


def umask():
    """The umask of this process."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_gaps(night, aws):
    """A refused run says what is missing by kind, a partial one too; throttles and retries are counted.

    The time of the last success stays, and so does that of the last publication, until a run publishes.
    """
    _, _, before = night("fleet")
    aws.inject(Fault(operation="GetFunction", function_name=aws.fleet.name(0), kind="denied", times=None))
    aws.inject(Fault(operation="ListAliases", function_name=aws.fleet.name(1), kind="throttle", times=2))
    refused, left, parsed = night("fleet")

    kind = {"operation": "GetFunction", "error_code": "AccessDeniedException", "stage": "fetch", "is_gap": True}
    assert (refused.code, left["status"], left["published"], left["published_bytes"]) == (1, "refused", False, 0)
    assert left["gaps"] == sum(failure["count"] for failure in left["failures"] if failure["is_gap"]) > 0
    assert kind.items() <= left["failures"][0].items()
    assert (left["throttles"], left["retries"]) == (2, 2)
    assert "go on with" not in left["error"]
    assert "published" in left["error"]
    success, published = "lexport_run_last_success_timestamp_seconds", "lexport_run_last_published_timestamp_seconds"
    assert (parsed[success], parsed[published]) == (before[success], before[published])
    assert value(parsed, "lexport_run_gaps_by_kind", error_code="AccessDeniedException") == left["gaps"]

    partial, left, parsed = night("fleet", "--allow-partial")
    assert (partial.code, left["status"], left["published"], left["error"]) == (3, "partial", True, None)
    assert parsed[success] == before[success]
    assert value(parsed, published) > value(before, published)


def test_wrong_use(night, forks, tmp_path):
    """A wrong option, variable, setting or ``lexport.toml`` leaves a summary with exit code 2, in place of an old one.

    The time of the last success stays.
    """
    _, _, before = night("fleet")
    ways = (
        night("fleet", "--nope"),
        night("fleet", "--processes", "x"),
        night("fleet", "--layers"),
        night("fleet", LEXPORT_QUOTA_SHARE="x"),
        night("fleet", LEXPORT_LOG_LEVEL="loud"),
        night("fleet", command=("--nope", "snapshot")),
        night("fleet", "--nope", command=("--log-level", "debug", "snapshot")),
        night("fleet", command=("-v", "-q", "snapshot")),
        night("fleet", "\udcff"),
        night(),
    )
    (tmp_path / "lexport.toml").write_text('[snapshot]\nsummary-file = "named.json"\nnope = 1\n')
    ways += (night("fleet"),)

    success = "lexport_run_last_success_timestamp_seconds"
    for ended, left, parsed in ways:
        assert (ended.code, left["status"], left["exit_code"]) == (2, "failed", 2), ended.err
        assert left["error"] in ended.err
        assert value(parsed, success) == value(before, success)
    (tmp_path / "run.json").unlink()
    (tmp_path / "lexport.toml").write_text('[snapshot]\nsummary-file = "run.json"\n')
    assert forks.run("snapshot", "fleet", "--nope").code == 2
    assert summary(tmp_path)["exit_code"] == 2
    (tmp_path / "run.json").unlink()
    assert forks.run("snapshot", "fleet", "--summary-file", "run.json", "--help").code == 0
    assert not (tmp_path / "run.json").exists()


def test_no_credentials(night, aws):
    """A run that may read nothing leaves a summary with exit code 5 and what was denied; no secret is in it."""
    without = night("fleet", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    message = f"no {SECRET} AWSAccessKeyId=x&Signature=y"
    for operation in ("ListFunctions", "GetAccountSettings"):
        aws.inject(Fault(operation=operation, kind="denied", message=message, times=None))
    denied = night("fleet", SOME_TOKEN=SECRET)

    for (ended, left, _), status in ((without, "failed"), (denied, "refused")):
        assert (ended.code, left["status"], left["exit_code"], left["published"]) == (5, status, 5, False)
        assert left["error"]
        assert SECRET not in json.dumps(left)
        assert "Signature" not in json.dumps(left)
    assert denied[1]["gaps"] >= 1


def test_a_conflict(night):
    """A run whose id is taken leaves a summary with exit code 6."""
    _, first, _ = night("fleet")
    ended, left, _ = night("fleet", "--resume", first["snapshot_id"])

    assert ended.code == left["exit_code"]
    assert (left["status"], left["published"]) == ("failed", False)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_interrupted(forks, flags, aws, tmp_path, number, code):
    """While a run goes on, its summary says so; a signal leaves what was read until then."""
    (tmp_path / "run.json").write_text("of yesterday")
    aws.inject(STUCK)
    pid = forks.start("snapshot", "fleet", "--summary-file", "run.json", *flags(aws.url))
    wait_until(lambda: sum(count for (*_, name), count in aws.calls.items() if name == "GetFunction") > 5)
    running = summary(tmp_path)
    os.kill(pid, number)
    ended = forks.wait(pid)

    left = summary(tmp_path)
    assert (running["status"], running["exit_code"], running["ended_at"]) == ("running", None, None)
    assert (ended.code, left["exit_code"], left["status"]) == (code, code, "interrupted")
    assert left["counts"]["versions"] >= 1
    assert left["calls_by_operation"]["GetFunction"] >= 1
    assert left["error"] == f"snapshot was interrupted by {number.name}"
    assert left["snapshot_id"]


def test_killed(forks, flags, aws, tmp_path):
    """A run that is killed leaves ``running`` and its start, never the summary of yesterday."""
    (tmp_path / "run.json").write_text("of yesterday")
    aws.inject(STUCK)
    pid = forks.start("snapshot", "fleet", "--summary-file", "run.json", *flags(aws.url))
    wait_until(lambda: aws.calls)
    os.kill(pid, signal.SIGKILL)
    forks.wait(pid)

    assert summary(tmp_path)["status"] == "running"


def wait_until(is_so):
    """Wait for a moment in the other process."""
    until_s = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until_s
        time.sleep(0.005)


def test_files_that_cannot_be_written(forks, flags, aws, tmp_path):
    """A path at which no file can be is exit 2 before the first call; the other file says so too.

    A file that cannot be written at the end is a warning: the exit code tells of the run.
    """
    (tmp_path / "folder").mkdir()
    for path in ("none/run.json", "folder", "/dev/null"):
        ended = forks.run("snapshot", "fleet", "--metrics-file", path, "--summary-file", "run.json", *flags(aws.url))
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert f"--metrics-file {path}" in ended.last
        assert summary(tmp_path)["exit_code"] == 2
    same = forks.run("snapshot", "fleet", "--metrics-file", "x", "--summary-file", "./x", *flags(aws.url))
    assert (same.code, dict(aws.calls)) == (2, {})

    aws.inject(Fault(operation="GetFunction", kind="slow", delay_s=0.5, times=1))
    (tmp_path / "gone").mkdir()
    pid = forks.start("snapshot", "fleet", "--summary-file", "gone/run.json", *flags(aws.url))
    wait_until(lambda: aws.calls)
    (tmp_path / "gone" / "run.json").unlink()
    (tmp_path / "gone").rmdir()
    ended = forks.wait(pid)
    assert ended.code == 0
    assert "warning: --summary-file gone/run.json" in ended.last


def test_packages_and_steps(night, forks, flags, aws, tmp_path):
    """Packages are counted by what became of them; ``shard commit`` leaves the same files as a snapshot."""
    night("fleet")
    ended, left, parsed = night("fleet", command=("packages",))
    assert (ended.code, left["command"], left["status"]) == (0, "packages", "complete")
    assert left["counts"]["packages"] == left["packages_by_status"]["stored"] > 0
    assert left["downloaded_bytes"] > 0
    assert left["calls_by_operation"].keys() == {"GetFunction"}
    assert value(parsed, "lexport_run_packages_by_status", status="stored") == left["counts"]["packages"]

    planned = json.loads(forks.run("shard", "plan", "steps", *flags(aws.url)).out)
    unread = forks.run("shard", "commit", "steps", planned["run"], "--summary-file", "run.json")
    assert (unread.code, summary(tmp_path)["status"]) == (1, "failed")
    forks.run("shard", "read", "steps", planned["run"], "111122223333", "us-east-1")
    for _ in range(2):  # one that is published by now is committed again
        assert forks.run("shard", "commit", "steps", planned["run"], "--summary-file", "run.json").code == 0
        left = summary(tmp_path)
        assert (left["command"], left["status"], left["snapshot_id"]) == ("shard commit", "complete", planned["run"])
        assert left["counts"]["functions"] == 4
