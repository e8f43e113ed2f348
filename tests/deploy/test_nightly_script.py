"""The script of a night: which steps run, what it exits with, and what a signal does."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "nightly.sh"
STEPS = ["snapshot", "packages", "check", "report", "prune"]
COMMAND = """#!/bin/sh
eval "code=\\${CODE_$1:-0}"
[ "$code" != wait ] || trap 'echo "$1 got TERM" >> "$CALLS"; exit 143' TERM
echo "$@" >> "$CALLS"
while [ "$code" = wait ]; do sleep 0.02; done
exit "$code"
"""


@dataclass
class Night:
    """A folder with a command ``lexport`` that ends as the variables say."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.calls_file = self.folder / "calls"
        command = self.folder / "bin" / "lexport"
        command.parent.mkdir()
        command.write_text(COMMAND)
        command.chmod(0o755)
        self.variables |= {
            "PATH": f"{command.parent}:/usr/bin:/bin",
            "CALLS": str(self.calls_file),
            "LEXPORT_HASH_KEY": "key",
        }

    def start(self, *arguments, **codes):
        """Start the script; each step ends with the code given, 0 without one."""
        variables = self.variables | {f"CODE_{name}": str(code) for name, code in codes.items()}
        arguments = arguments or ("s3://amzn-s3-demo-bucket/fleet", "out")
        return subprocess.Popen(
            [SCRIPT, *arguments],
            cwd=self.folder,
            env=variables,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments, **codes):
        """Run the script and return its exit code and its last line."""
        process = self.start(*arguments, **codes)
        _, err = process.communicate(timeout=30)
        return process.returncode, err.splitlines()[-1]

    @property
    def calls(self):
        """The command lines so far."""
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    @property
    def steps(self):
        """The commands so far."""
        return [line.split()[0] for line in self.calls]


@pytest.fixture
def night(tmp_path):
    return Night(tmp_path)


def test_a_good_night(night):
    """A night is snapshot, packages, check, report and prune, each on DEST, and its files go to OUT."""
    code, last = night.run()

    assert (code, night.steps) == (0, STEPS)
    assert all(line.split()[1] == "s3://amzn-s3-demo-bucket/fleet" for line in night.calls)
    assert {"--incremental", "--resume", "out/snapshot.json", "out/snapshot.prom"} <= set(night.calls[0].split())
    assert {"--inspect", "out/packages.json", "out/packages.prom"} <= set(night.calls[1].split())
    assert last == "nightly: snapshot 0, packages 0, check 0, report 0, prune 0, exit code 0"
    assert (night.folder / "out").is_dir()


@pytest.mark.parametrize("code", [3, 0])
def test_a_published_night_runs_every_step(night, code):
    """After a snapshot with gaps the other steps run as after a whole one, and 3 is what is left at the end."""
    assert night.run(snapshot=code, check=4)[0] == (code or 4)
    assert night.steps == STEPS


@pytest.mark.parametrize("code", [1, 2, 5, 6, 137])
def test_a_failed_night_removes_nothing(night, code):
    """After a snapshot that was not published, the last good night is checked and reported, and nothing is removed."""
    assert night.run(snapshot=code)[0] == code
    assert night.steps == ["snapshot", "check", "report"]


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_failed_step_stops_no_other(night, step):
    """Every other step runs, and the exit code is that of the one that failed."""
    assert night.run(**{step: 1})[0] == 1
    assert night.steps == STEPS


def test_the_worst_code_wins(night):
    """A crash is worse than 5, that than 2, 1, 6, 3, 4, whatever the order of the steps."""
    worst_last = [4, 3, 6, 1, 2, 5, 137]
    for number, worse in enumerate(worst_last[1:], 1):
        better = worst_last[number - 1]
        assert night.run(check=better, report=worse)[0] == worse
        assert night.run(check=worse, report=better)[0] == worse


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)])
def test_a_signal_reaches_the_command(night, name, code):
    """A signal to the script alone, as a container gets it, ends the step that runs; no other begins."""
    process = night.start(snapshot="wait")
    until = time.monotonic() + 20
    while not night.calls and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=30)

    assert process.returncode == code
    assert night.calls[1:] == ["snapshot got TERM"]
    assert err.splitlines()[-1] == f"nightly: snapshot 143, exit code {code}"


@pytest.mark.parametrize("arguments", [(), ("fleet",), ("fleet", "out", "--region"), ("", "out")])
def test_wrong_use(night, arguments):
    """Without exactly DEST and OUT nothing runs, with exit code 2."""
    done = subprocess.run(
        [SCRIPT, *arguments], check=False, cwd=night.folder, env=night.variables, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (2, "usage: nightly.sh DEST OUT\n")
    assert night.calls == []


def test_a_night_needs_the_key(night):
    """Without a hash key nothing runs: with a new key each night, each run would be a full one."""
    del night.variables["LEXPORT_HASH_KEY"]
    code, last = night.run()

    assert code == 2
    assert "openssl rand -base64 32" in last
    assert night.calls == []
    night.variables["LEXPORT_HASH_KEY_FILE"] = "/run/secrets/hash-key"
    assert night.run()[0] == 0


def test_out_that_cannot_be_made(night):
    """Where OUT cannot be a folder, nothing runs, with exit code 2."""
    (night.folder / "file").touch()

    assert night.run("fleet", "file")[0] == 2
    assert night.calls == []
