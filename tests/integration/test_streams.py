"""Standard streams that are closed, full or without a reader spoil nothing, and nothing on them steers a terminal."""

import json
import os
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from anyio.from_thread import start_blocking_portal

from lexport.simulator import Fleet, FleetSpec, open_simulator

pytestmark = pytest.mark.slow

HOSTILE = "\x1b]0;PWNED\x07\x1b[31m\u202e\u2028\x9b\nlexport: all is well"

PRODUCT = {  # command line -> exit code; what is wanted goes to standard output
    ("sql", "fleet", "SELECT * FROM functions"): 0,
    ("sql", "fleet", "FROM functions", "--output", "jsonl"): 0,
    ("sql", "--print", "runtimes"): 0,
    ("diff", "fleet"): 0,
    ("feed", "fleet"): 0,
    ("status", "fleet"): 0,
    ("status", "fleet", "--max-age", "0s"): 1,
    ("check", "fleet", "--check", "untagged", "--output", "csv"): 0,
    ("check", "fleet", "--list"): 0,
    ("verify", "fleet"): 0,
    ("schema",): 0,
    ("iam-policy",): 0,
    ("plan", "--region", "us-east-1"): 0,
    ("--help",): 0,
    ("--version",): 0,
}
SILENT = {  # ... goes into files
    ("snapshot", "fleet", "--region", "us-east-1"): 0,
    ("sql", "fleet", "SELECT 1", "-o", "rows.csv"): 0,
    ("sql", "fleet", "FROM nothing"): 2,
    ("sql", "nowhere", "SELECT 1"): 2,
    ("sbom", "fleet"): 1,
    ("nonsense",): 2,
}
SLOW = {
    ("views", "fleet", "--db", "fleet.duckdb"): 0,
}
FULL, CLOSED = "/dev/full", None


@pytest.fixture(scope="module")
def aws_url():
    """A simulator in a thread of its own, for commands that block this one."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            open_simulator(Fleet(FleetSpec(functions=8, versions=2)), quotas=False)
        ) as aws,
    ):
        yield aws.url


@pytest.fixture
def ask(forks, aws_url):
    """Run one command against the simulator, beside a dataset of one night."""
    forks.environment |= {"LEXPORT_ENDPOINT_URL": aws_url, "LEXPORT_ENV": "none"}
    assert forks.run("snapshot", "fleet", "--region", "us-east-1").code == 0
    return forks.run


@pytest.mark.parametrize(
    "streams",
    [
        {"stdin": CLOSED},
        {"stdout": CLOSED},
        {"stderr": CLOSED},
        {"stdin": CLOSED, "stdout": CLOSED, "stderr": CLOSED},
        {"stderr": FULL},
    ],
    ids=str,
)
def test_closed(ask, forks, streams):
    """If a standard stream is closed or stderr is full, each command still does its work with the same exit code."""
    for arguments, code in (PRODUCT | SILENT | (SLOW if len(streams) > 1 else {})).items():
        done = ask(*arguments, **streams)

        assert done.code == code, (arguments, done)
        assert "Traceback" not in done.err
        assert "internal error" not in done.err

    assert len(list(forks.folder.glob("fleet/_runs/*.json"))) == 2
    assert ask("verify", "fleet", "--data").code == 0


@pytest.mark.parametrize("stderr", ["err", FULL])
def test_full(ask, stderr):
    """If stdout is full, the error is one line with exit code 1; commands that write to files succeed."""
    for arguments in PRODUCT:
        done = ask(*arguments, stdout=FULL, stderr=stderr)

        assert done.code == 1, (arguments, done)
        assert stderr == FULL or done.err.splitlines()[-1] == "lexport: stdout: No space left on device"
    for arguments, code in SILENT.items():
        assert ask(*arguments, stdout=FULL, stderr=stderr).code == code, arguments


def test_reader_gone(ask, forks):
    """A closed pipe is no error and hides none: the exit code is that of the findings."""
    found = next(forks.folder.glob("fleet/functions/*/*.parquet"))
    found.write_bytes(found.read_bytes()[:-1] + b"?")
    os.mkfifo(forks.folder / "pipe")
    for arguments, code in {
        ("sql", "fleet", "FROM range(1000000)"): 0,
        ("schema",): 0,
        ("status", "fleet", "--max-age", "0s"): 1,
        ("verify", "fleet"): 4,
    }.items():
        reader = os.open(forks.folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        pid = forks.start(*arguments, stdout="pipe")
        with suppress(BlockingIOError):
            while os.read(reader, 1) == b"":  # until there is a writer
                time.sleep(0.005)
        os.close(reader)
        done = forks.wait(pid)

        assert done.code == code, (arguments, done)
        assert "stdout" not in done.err


# --- the installed command ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("redirection", ["<&- >&- 2>&-", ">&-", ">/dev/full 2>/dev/full"])
def test_shell(environment, lexport_path, aws_url, tmp_path, redirection):
    """From a shell as from a test: a snapshot is published, whatever its streams are."""
    line = f"{lexport_path} snapshot fleet --endpoint-url {aws_url} --region us-east-1 {redirection}"
    done = subprocess.run(["/bin/sh", "-c", line], env=environment, cwd=tmp_path, check=False, capture_output=True)

    assert (done.returncode, done.stdout) == (0, b"")
    assert b"Traceback" not in done.stderr
    assert len(list(tmp_path.glob("fleet/_runs/*.json"))) == 1


# --- control characters ---------------------------------------------------------------------------------------------


@pytest.fixture
def hostile(forks, write_dataset):
    """A dataset whose function describes itself with the means of a terminal."""
    function = {"function_name": HOSTILE, "version": "$LATEST", "description": HOSTILE, "runtime": HOSTILE}
    write_dataset(forks.folder / "fleet", [{"at": datetime.now(UTC), "functions": [function]}])
    return forks


@pytest.mark.parametrize(
    "arguments",
    [
        ("sql", "fleet", "SELECT description::INT FROM functions"),
        ("sql", "fleet", f'SELECT * FROM "{HOSTILE}"'),
        ("sql", "fleet", "FROM functions"),
        ("sql", "fleet", "SELECT description, [description], {'a': description} FROM functions"),
        ("sql", HOSTILE, "SELECT 1"),
        ("sql", "fleet", "SELECT 1", "-o", f"none/{HOSTILE}"),
        ("sql", "--print", HOSTILE),
        ("sql", "fleet", "SELECT 1", f"--{HOSTILE}"),
        ("sql", "fleet", "SELECT 1", "--output", HOSTILE),
        ("status", "fleet", "--max-age", HOSTILE),
        ("snapshot", HOSTILE, "--functions-from", HOSTILE),
        ("snapshot", "fleet", "--region", HOSTILE),
        ("snapshot", "fleet", "--endpoint-url", HOSTILE),
        ("check", "fleet", "--check", "unknown_runtime", "--fail-on", "none"),
        ("diff", "fleet", HOSTILE),
        ("feed", "fleet", "--since", HOSTILE),
        (HOSTILE,),
    ],
    ids=" ".join,
)
def test_nothing_steers_the_terminal(hostile, arguments):
    """No error and no table prints control characters from names or arguments."""
    done = hostile.run(*arguments)
    said = done.out + done.err

    assert done.code in (0, 1, 2, 4)
    assert [character for character in said.replace("\n", "") if not character.isprintable()] == []
    assert "\nlexport: all is well" not in said
    assert "PWNED" in said or "x1b" not in said


def test_control_characters_of_the_configuration(hostile):
    """Keys, values and help that come from lexport.toml are shown as their escapes too."""
    quoted = json.dumps(HOSTILE)
    for toml in (f"[{quoted}]", f"[sql]\n{quoted} = 1", f"[sql]\noutput = {quoted}", f"[sql]\nas-of = {quoted}"):
        (hostile.folder / "lexport.toml").write_text(toml)
        for arguments in (("sql", "fleet", "SELECT 1"), ("sql", "--help")):
            said = "".join((done := hostile.run(*arguments)).out + done.err)

            assert [character for character in said.replace("\n", "") if not character.isprintable()] == []
            assert "\nlexport: all is well" not in done.err


@pytest.mark.parametrize("output", ["json", "jsonl", "csv"])
def test_machines_get_what_there_is(hostile, output):
    """Output for programs is exact."""
    done = hostile.run("sql", "fleet", "SELECT description FROM functions", "--output", output)
    text = done.out if output == "csv" else json.dumps(json.loads(done.out), ensure_ascii=False)

    assert (HOSTILE if output == "csv" else json.dumps(HOSTILE, ensure_ascii=False)) in text
