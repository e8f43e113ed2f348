"""A dataset to damage, and the command that finds the damage."""

import json
import shutil
from pathlib import Path

import pytest
from whole_dataset import write_whole

from lexport.cli.main import run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A dataset: a snapshot of the simulator, and a commit of packages with one in the store."""
    dest = tmp_path_factory.mktemp("whole") / "fleet"
    write_whole(dest)
    return dest


@pytest.fixture
def dest(whole, tmp_path):
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "fleet"))


@pytest.fixture
def verify(dest, capsys):
    """Return a function that runs the command in this process: its lines without what to do, and its exit code."""

    def check(*options):
        code = run(["verify", str(dest), "--output", "jsonl", *options])
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert all((line["severity"] == "note") == (line.pop("remedy") == "") for line in lines)
        return [tuple(line.values()) for line in lines], code

    return check
