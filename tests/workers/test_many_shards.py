"""The plan and the commit of thousands of account-regions: part of ``make workers``, for staging them takes long."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from anyio import to_thread
from staged_fleet import stage_shard
from terminal import LEXPORT
from worker_runs import whole

from lexport.dataset.local import LocalStore
from lexport.model import Scope

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, whole]

REGIONS = ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1"]
ACCOUNTS = 625
MOST_MIB = 320
VERSIONS = [("first", "$LATEST", 1, 1), ("first", "1", 1, 1), ("second", "$LATEST", 1, 1), ("second", "1", 1, 1)]


@pytest.mark.timeout(1800)
async def test_the_memory_of_many_account_regions(simulator, environment, flags, look, tmp_path):
    """The processes that plan and publish 5,000 account-regions need 109 and 227 MiB, and at most 320."""
    accounts = [str(111122220000 + number) for number in range(ACCOUNTS)]
    (tmp_path / "accounts").write_text("\n".join(accounts))
    many = ["--account-role", "reader", "--accounts", tmp_path / "accounts", "--region", ",".join(REGIONS)]

    def run(*arguments):
        """Run the command; return what it printed. It is the only child that is waited for here."""
        words = [str(LEXPORT), "shard", *map(str, arguments)]
        with (tmp_path / "out").open("w+b") as out:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, env=environment, cwd=tmp_path)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0
            assert used.ru_maxrss < MOST_MIB * 1024
            out.seek(0)
            return out.read()

    dest = tmp_path / "fleet"
    async with simulator(functions=1) as server:
        planned = json.loads(await to_thread.run_sync(lambda: run("plan", dest, *flags(server.url, *many))))
    scopes = [Scope(**json.loads(line)["scope"]) for line in (dest / planned["shards_path"]).read_text().splitlines()]
    assert len(scopes) == planned["shards"] == 5_000
    (tmp_path / "runs").mkdir()
    for number, scope in enumerate(scopes):
        stage_shard(LocalStore(dest), tmp_path / "runs", number, [VERSIONS], run=planned["run"], scope=scope)
    await to_thread.run_sync(lambda: run("commit", dest, planned["run"]))
    assert len(look.read_rows(dest)["functions"]) == len(VERSIONS) * 5_000
