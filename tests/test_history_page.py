"""The guides to history and feeds are true: four nights of a simulated fleet, and what their commands print."""

from __future__ import annotations

import re
import shlex
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

import lexport
from lexport.model import Scope
from lexport.simulator import Change, Fleet, FleetSpec, open_simulator

GUIDES = Path(__file__).parent.parent / "docs" / "guides"
PAGES = (GUIDES / "history.md", GUIDES / "feed.md")
SCOPE = Scope(account_id="111122223333", region="us-east-1")
_COMMANDS = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


def nights(names):
    """The changes to the fleet before each night."""

    def change(kind, index, **more):
        return Change(kind=kind, scope=SCOPE, function_name=names[index], **more)

    return (
        (),
        (
            change("update_config", 2, memory_mb=1024, environment={"LOG_LEVEL": "debug", "STAGE": "prod"}),
            change("delete_function", 3),
            change("set_tags", 4, tags={"team": "payments", "env": "prod"}),
        ),
        (
            change("update_code", 2),
            change("publish_version", 2),
            change("set_reserved_concurrency", 5, reserved_concurrency=0),
            change("delete_function", 6),
        ),
        (change("update_config", 2, memory_mb=2048), change("recreate_function", 3)),
    )


async def answered(page, folder):
    """Return a page with the output of its commands."""
    command = Path(sysconfig.get_path("scripts")) / "lexport"
    answers = []
    for block in _COMMANDS.findall(page):
        lines = [line for line in block.splitlines() if line.startswith("$ ")]
        shown = []
        for line in lines:
            done = await anyio.run_process([command, *shlex.split(line)[2:]], check=False, cwd=folder, stderr=-2)
            assert done.returncode == 0, done.stdout.decode()
            shown.append(f"{line}\n{done.stdout.decode()}")
        answers.append("".join(shown))
    following = iter(answers)
    return _COMMANDS.sub(lambda _: next(following), page)


async def make_dataset(folder):
    """Take the snapshots that the pages show; ids and times are given."""
    fleet = Fleet(FleetSpec(functions=40, versions=3, seed=1))
    names = list(fleet.names(SCOPE))
    async with open_simulator(fleet, quotas=False) as simulator:
        for number, changes in enumerate(nights(names)):
            for change in changes:
                fleet.apply(change)
            settings = lexport.SnapshotSettings(
                endpoint_url=simulator.url,
                regions=(SCOPE.region,),
                snapshot_id=f"01KAG00000000000000000000{'ABCD'[number]}",
                snapshot_at=datetime(2026, 11, 19 + number, 2, tzinfo=UTC),
            )
            await lexport.snapshot(folder / "fleet", settings)


@pytest.mark.slow
@pytest.mark.asyncio
async def test_commands_print_what_the_pages_show(aws, tmp_path):
    """Every command of the pages prints the output below it; run this file to write that output."""
    await make_dataset(tmp_path)

    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        assert page == await answered(page, tmp_path)


async def _main():
    folder = Path(sys.argv[1])
    await make_dataset(folder)
    for path in PAGES:
        path.write_text(await answered(path.read_text(encoding="utf-8"), folder), encoding="utf-8")


if __name__ == "__main__":
    anyio.run(_main)
