"""Time-outs are those of users, unless a test asks for a fraction of them."""

import subprocess
import sys

import pytest

ASK = "from lexport.cli.main import run; from lexport.aws.http.message import IDLE_TIMEOUT_S as s; print(s)"


def ask(fraction):
    """Ask a new process for its time-out."""
    environment = {"PATH": "/usr/bin:/bin", **({} if fraction is None else {"LEXPORT_TEST_WAITS": fraction})}
    return subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(("fraction", "idle_s"), [(None, "30.0"), ("", "30.0"), ("0.05", "1.5")])
def test_fraction(fraction, idle_s):
    """Time-outs are whole without the variable, and a fraction with it."""
    done = ask(fraction)

    assert (done.stdout.strip(), done.stderr) == (idle_s, "")


@pytest.mark.parametrize("fraction", ["0", "-1", "2", "nan", "soon"])
def test_wrong_fraction(fraction):
    """A fraction that would wait longer, or not at all, is refused by its name."""
    assert "LEXPORT_TEST_WAITS is a number above 0 and at most 1" in ask(fraction).stderr
