"""Whatever happens in a dataset, feeds applied one after another lead a warehouse to the rows of ``lexport sql``."""

import json
import random
import shutil
from datetime import timedelta
from pathlib import Path
from runpy import run_path

import pytest
from feed_loader import Warehouse

import lexport
from lexport.dataset.layout import run_path as manifest_path
from lexport.query.feed import write_feed
from lexport.query.sql import open_query_session
from lexport.tables.registry import BY_NAME, resource_tables

NIGHTS = run_path(str(Path(__file__).with_name("nights.py")))
AT, DAY, plain_rows, comparable = (NIGHTS[name] for name in ("AT", "DAY", "plain_rows", "comparable"))
STEPS = (
    "whole",
    "whole",
    "partial",
    "selection",
    "incremental",
    "late",
    "packages",
    "packages",
    "prune",
    "retire",
)

pytestmark = pytest.mark.asyncio


class Fleet:
    """A dataset that grows by one commit at a time; a greater number is newer."""

    def __init__(self, dest, dice, write_dataset):
        self.dest, self._dice, self._write = dest, dice, write_dataset
        self._number, self._rows, self._prefix = 10, {}, "01K0"

    async def step(self, kind):
        """Do what one night brings."""
        self._number += 10
        at = AT + self._number * DAY / 10
        match kind:
            case "packages":
                self._commit(self._number, NIGHTS["a_package_commit"](self._dice, at))
            case "prune":
                await lexport.prune(self.dest, keep_last=2, grace=timedelta(0))
            case "late":  # an older run and an older commit of packages, both committed after all others
                for commit in (self._night(at - 1.5 * DAY), NIGHTS["a_package_commit"](self._dice, at - 1.4 * DAY)):
                    self._number += 1
                    self._commit(self._number - 16, commit, committed_at=at + DAY / 100 * (self._number % 10))
            case "retire":
                with open_query_session(self.dest) as session:
                    latest = sorted(session.catalog.latest())
                if latest:
                    gone = self._dice.choice(latest)
                    done = await lexport.retire(self.dest, gone.account_id, gone.region)
                    self._date(done.snapshot_id, at)
                    self._prefix = "01Z0"  # later than now, when the retirement began: it may come back
            case "whole":
                self._commit(self._number, self._night(at))
            case "partial":
                statuses = ("complete", "partial", "denied")
                self._commit(self._number, self._night(at, statuses=statuses))
            case "selection":
                self._commit(self._number, self._night(at, coverage="selection"))
            case "incremental":
                self._commit(self._number, self._night(at, carries=True))

    def _night(self, at, **how):
        night = NIGHTS["a_night"](self._dice, at, self._rows, **how)
        for table in resource_tables():
            self._rows[table.name] = [dict(row) for row in night.get(table.name, [])]
        return night

    def _commit(self, number, night, committed_at=None):
        name = f"{self._prefix}{number:022d}"
        self._write(self.dest, [{**night, "id": name}])
        if committed_at is not None:
            self._date(name, committed_at)

    def _date(self, name, committed_at):
        path = self.dest / manifest_path(name)
        body = json.loads(path.read_text()) | {"committed_at": f"{committed_at:%Y-%m-%dT%H:%M:%S.%fZ}"}
        path.write_text(json.dumps(body))


@pytest.mark.parametrize("seed", range(1))
async def test_same_rows(tmp_path, write_dataset, seed):
    """Every table equals its plain name after every feed, loaded once, twice, or after several nights."""
    dice = random.Random(seed)
    fleet, store = Fleet(tmp_path / "fleet", dice, write_dataset), Warehouse()
    for number, kind in enumerate(("whole", *dice.sample(STEPS, len(STEPS)), "whole")):
        await fleet.step(kind)
        if kind != "prune" and dice.random() < 0.2:
            continue  # the next feed leads over two nights
        folder = tmp_path / f"feed-{number}"
        write_feed(fleet.dest, folder, store.since)
        store.load(folder)
        if dice.random() < 0.3:
            store.load(folder, again=True)
        expected = plain_rows(fleet.dest)
        for name in BY_NAME:
            assert comparable(store.plain(name)) == expected[name], (kind, name)
        shutil.rmtree(folder)
