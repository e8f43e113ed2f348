"""Numbers as people read them."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from lexport.tables.text import agree, plural


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 items"), (1, "1 item"), (2, "2 items"), (1_000, "1,000 items"), (-1, "-1 items")]
)
def test_plural(number, text):
    """One is singular, everything else plural, and thousands stand apart."""
    assert plural(number, "item") == text


def test_other_forms():
    """A word with a plural of its own, or a verb, agrees with its number."""
    assert plural(1, "alias", "aliases") == "1 alias"
    assert plural(3, "alias", "aliases") == "3 aliases"
    assert agree(1, "is", "are") == "is"
    assert agree(0, "is", "are") == "are"


def test_one_of_each(tmp_path):
    """A run over one function, and questions about it, say `1 function` and nothing like `1 functions`."""
    code = """
import anyio, re, sys
from lexport.cli.diff import command as _
from lexport.cli.snapshot import summarize
from lexport.query.diff import diff
from lexport.pipeline import snapshot
from lexport.settings import SnapshotSettings
from lexport.simulator import Fleet, FleetSpec, open_simulator

async def main():
    async with open_simulator(Fleet(FleetSpec(functions=1, versions=0)), quotas=False) as aws:
        settings = SnapshotSettings(endpoint_url=aws.url, regions=("us-east-1",), env="none")
        summarize(await snapshot("fleet", settings))
    print((await diff("fleet")).scopes[0].reason, file=sys.stderr)

anyio.run(main)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        env={"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "HOME": str(tmp_path)},
    )
    lines = done.stderr.splitlines()
    command = Path(sys.executable).with_name("lexport")
    for arguments in (("verify", "fleet"), ("feed", "fleet", "-o", "x"), ("check", "fleet", "--check", "untagged")):
        told = subprocess.run([command, *arguments], cwd=tmp_path, check=False, capture_output=True, text=True)
        lines += told.stderr.splitlines()

    assert done.returncode == 0, done.stderr
    assert any("1 function, 1 version" in line for line in lines)
    assert any("lexport: 1 check: " in line for line in lines)
    assert [line for line in lines if _has_wrong_plural(line)] == []


def _has_wrong_plural(line):
    words = f" {line} ".replace(",", " ").replace(":", " ").split()
    return any(
        one == "1" and word.endswith("s") and word not in {"alias", "is", "was"}
        for one, word in itertools.pairwise(words)
    )
