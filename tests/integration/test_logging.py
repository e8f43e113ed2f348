"""What a command logs: levels, formats, the log file, and that nothing secret is in any line."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime

import pytest

from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

HUB, OTHER = "111122223333", "111122223334"
SECRET, TOKEN = "canary/of+a/secret/key/0123456789abcdefg", "canary-of-a-token/0123456789+abcdefghijkl=="
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) [\w.]+(?: \[[^]]+\])?: \S.*")


def read_json(text):
    """Every line of standard error as an object with what each has."""
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        assert [*line][:4] == ["time", "level", "logger", "message"]
        assert line["time"].endswith("Z")
        assert datetime.fromisoformat(line["time"]).utcoffset().total_seconds() == 0
        assert line["level"] in ("DEBUG", "INFO", "WARNING", "ERROR")
    return lines


async def test_every_detail_and_no_secret(simulator, environment, run_lexport, flags, look, tmp_path):
    """At -vv, the log has the lines of botocore and of lexport, and no credentials, links, keys or values."""
    environment |= {
        "AWS_ACCESS_KEY_ID": "AKIDCANARY0123456789",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
    }
    fleet = Fleet(FleetSpec(functions=4, versions=1, accounts=(HUB, OTHER), regions=("us-east-1",)))
    denied = Fault(
        operation="GetFunction", kind="denied", function_name=fleet.name(1), times=1, message=f"{SECRET} {TOKEN}"
    )
    broken = Fault(
        operation="AssumeRole", kind="html", status=500, times=1, body=f"<SecretAccessKey>{SECRET}</SecretAccessKey>"
    )
    async with simulator(denied, broken, fleet=fleet, verify=False) as server:
        role = ("--account-role", "reader", "--accounts", f"{HUB},{OTHER}", "--packages", "--env", "keys")
        done = await run_lexport(
            "snapshot", "fleet", *flags(server.url, *role), "-vv", "--allow-partial", LEXPORT_LOG_FILE=""
        )
    assert done.code in (0, 3), done.err

    values = {
        row["value"]
        for table, row in fleet.expected(look.scope, env="values", value_hmac=str, hash_key_id="")
        if table == "env_vars" and row["value"] and len(row["value"]) > 12
    }
    assert " DEBUG botocore." in done.err
    assert f"assumed arn:aws:iam::{OTHER}:role/reader" in done.err
    assert " DEBUG lexport." in done.err
    assert values
    for secret in (SECRET, TOKEN, environment["LEXPORT_HASH_KEY"], *values):
        assert secret not in done.err
    assert not re.search(r"Signature=(?!\[removed)|SecretAccessKey>\w|SessionToken>\w", done.err)


async def test_workers(simulator, environment, run_lexport, flags, tmp_path):
    """Workers log into the file of the run, each line with the worker's name and without a secret."""
    environment |= {"AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
    fleet = Fleet(FleetSpec(functions=3, versions=1))
    denied = Fault(operation="GetFunction", kind="throttle", function_name=fleet.name(1), times=1)
    log = ("-vv", "--log-format", "json", "--log-file", "run.log")
    async with simulator(denied, fleet=fleet, verify=False) as server:
        done = await run_lexport("snapshot", "fleet", *flags(server.url, "--processes", "1"), *log)
    text = (tmp_path / "run.log").read_text()
    of_worker = [line for line in read_json(text) if "worker" in line]

    assert done.code == 0, done.err
    assert {line["worker"] for line in of_worker} == {"0"}
    assert any(line["logger"].startswith("lexport.") and line.get("operation") == "GetFunction" for line in of_worker)
    assert any(line["logger"].startswith("botocore") for line in of_worker)
    for secret in (SECRET, TOKEN, environment["LEXPORT_HASH_KEY"]):
        assert secret not in text + done.err


async def test_json_lines(simulator, run_lexport, flags):
    """With --log-format json each line on standard error is one object: notes, retries, the summary and the error."""
    down = Fault(operation="GetFunction", kind="html", status=503, times=2)
    async with simulator(down, functions=2, versions=1) as server:
        done = await run_lexport(
            "--log-format", "json", "snapshot", "fleet", *flags(server.url), "-v", LEXPORT_LOG_FILE=""
        )
    lines = read_json(done.err)

    assert done.code == 0, done.err
    retries = [line for line in lines if line["logger"] == "lexport.aws.quota.pacer"]
    assert {(line["account_id"], line["region"], line["operation"], line["error_code"]) for line in retries} == {
        (HUB, "us-east-1", "GetFunction", "http_503")
    }
    shard = [line["message"] for line in lines if line["logger"] == "lexport.extract.read_shard"]
    assert shard[0] == f"{HUB} us-east-1: reading"
    assert shard[1].startswith(f"{HUB} us-east-1: read, complete: ")
    assert re.match(r"snapshot \w{26} published, complete: ", lines[-1]["message"])
    assert not [line for line in lines if line["level"] in ("ERROR", "DEBUG")]

    failed = await run_lexport("sql", "nowhere", "FROM functions", "--log-format", "json")
    (line,) = read_json(failed.err)
    assert (failed.code, line["level"], line["exit_code"], line["logger"]) == (2, "ERROR", 2, "lexport.command")


@pytest.mark.parametrize(
    ("arguments", "toml", "variables"),
    [
        (("-q", "status", "fleet"), "", {}),
        (("status", "fleet", "--quiet"), "", {}),
        (("status", "fleet"), "", {"LEXPORT_QUIET": "1"}),
        (("status", "fleet"), "[status]\nquiet = true", {}),
        (("status", "fleet"), 'log-level = "error"', {}),
        (("status", "fleet", "--log-level", "error"), 'log-level = "debug"', {"LEXPORT_LOG_LEVEL": "info"}),
    ],
)
async def test_quiet(run_lexport, tmp_path, arguments, toml, variables):
    """Errors alone are left by -q, before or after the command, as a variable, for one command and for all."""
    (tmp_path / "lexport.toml").write_text(toml)
    (tmp_path / "fleet" / "_staging" / "01KB5Z6T0Q4W8X2M7R9C1V3N5J").mkdir(parents=True)
    loud = await run_lexport("status", "fleet", cwd=tmp_path / "fleet" / "_staging", LEXPORT_LOG_FILE="")
    done = await run_lexport(*arguments, LEXPORT_LOG_FILE="", **variables)

    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert "no snapshot" in done.err
    assert loud.code == 2


async def test_log_file(run_lexport, tmp_path):
    """A log file is private, is appended to, and has levels and times; standard error shows what it does without it."""
    for _ in range(2):
        done = await run_lexport("status", "nowhere", "--log-file", "log")
        assert done.err == "lexport: DEST nowhere does not exist\n"
    lines = (tmp_path / "log").read_text().splitlines()

    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    assert len(lines) == 2
    assert all(LINE.fullmatch(line) and " ERROR lexport.command: DEST nowhere" in line for line in lines)


@pytest.mark.parametrize("path", ["", "folder", "missing/log", "pipe", "file/log"])
async def test_a_log_file_that_cannot_be_opened(simulator, run_lexport, flags, tmp_path, path):
    """A path that cannot be appended to is wrong use, found before the first request, and a pipe does not hang."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    async with simulator(functions=1) as server:
        done = await run_lexport("snapshot", "fleet", *flags(server.url), "--log-file", path or ".")
        assert not server.calls
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert done.err.startswith(f"lexport: --log-file {path or '.'}: ")


async def test_a_full_disk_stops_no_run(simulator, run_lexport, flags):
    """A log file that takes no byte, and debug lines on a closed standard error, leave the run as it is."""
    async with simulator(functions=2, versions=1) as server:
        done = await run_lexport("snapshot", "fleet", *flags(server.url), "-vv", "--log-file", "/dev/full")
    assert done.code == 0, done.err
    assert done.last.startswith("snapshot ")


async def test_contradictions(run_lexport):
    """Two levels at once are wrong use, but errors alone on standard error go with details in a file."""
    for given in (("-q", "-v"), ("-v", "--log-level", "info"), ("--log-level", "debug", "-q")):
        done = await run_lexport("schema", *given, LEXPORT_LOG_FILE="")
        assert done.code == 2
        assert "contradict each other" in done.err
    done = await run_lexport("schema", "-q", "-vv", "--log-file", "log")
    assert (done.code, done.err) == (0, "")
    wrong = await run_lexport("schema", "--log-level", "loud")
    assert wrong.code == 2
    assert "--log-level" in wrong.last


async def test_secrets_that_look_like_paths(environment, run_lexport):
    """A key in base64 may begin with a slash: it is removed all the same, and the path of a key file is not."""
    key, path = "/u8y7cWJq0rN5v1bqv2ZkQ3mF0aXH6l9tY4sPzD7gKs=", "/no/folder/lexport-hash.key"

    environment |= {"LEXPORT_HASH_KEY": key, "LEXPORT_HASH_KEY_FILE": path}
    leaked = await run_lexport("sql", key, "select 1", "-vv")
    missing = await run_lexport("sql", path, "select 1")

    assert leaked.code == missing.code != 0
    assert key not in leaked.err
    assert "[removed]" in leaked.err
    assert path in missing.err
