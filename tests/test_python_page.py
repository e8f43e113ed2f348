"""``docs/reference/python.md`` and README.md are true: their Python runs. ``test_docs.py`` holds the reference part."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import anyio
import pytest

from lexport.simulator import Fleet, FleetSpec

ROOT = Path(__file__).parent.parent
FRAMES = ROOT / "build" / "frames"
PAGE = ROOT / "docs" / "reference" / "python.md"
_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

RUN = """
import ast, asyncio, inspect, json, sys

def loopback_only(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in ("127.0.0.1", "::1"):
        raise AssertionError(f"connects to {arguments[1]}")

sys.addaudithook(loopback_only)
names = {"__name__": "__main__"}
for block in json.load(sys.stdin):
    code = compile(block, block, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.iscoroutine(result):
        asyncio.run(result)
"""


@pytest.mark.slow
@pytest.mark.asyncio
async def test_examples_run(simulator, environment, tmp_path):
    """All Python of README.md and of the page runs in order, in one namespace, and connects to the simulator alone."""
    if not (FRAMES / ".ready").exists():
        give_up = pytest.fail if os.environ.get("LEXPORT_REQUIRE_ALL") == "1" else pytest.skip
        give_up("needs pandas and polars; run: make build/frames/.ready")
    blocks = [block for page in (ROOT / "README.md", PAGE) for block in _CODE.findall(page.read_text(encoding="utf-8"))]
    async with simulator(fleet=Fleet(FleetSpec(functions=6, versions=2, seed=7, regions=("eu-west-1",)))) as aws:
        done = await anyio.run_process(
            [sys.executable, "-c", RUN],
            input=json.dumps(blocks).encode(),
            env=environment | {"AWS_ENDPOINT_URL": aws.url, "PYTHONPATH": str(FRAMES)},
            cwd=tmp_path,
            check=False,
        )

    assert len(blocks) > 10
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert "1 ResourceNotFoundException GetFunction no-such-function" in done.stdout.decode()
