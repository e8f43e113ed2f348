"""A prune that is killed, or that runs beside other prunes, runs and readers: every state in between is a whole one."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from commands import age

import lexport
from lexport.dataset.local import LocalStore
from lexport.dataset.manifest import Manifest
from lexport.dataset.prune import prune_store
from lexport.dataset.prune_order import PruneOrder
from lexport.dataset.retention import KeepRules
from lexport.query.catalog import open_catalog
from lexport.query.verify.files import find_damage

FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)
WRITES = ("create", "replace", "swap", "remove", "remove_folder", "sync_folder")


class KilledError(BaseException):
    """The process is gone."""


class InterruptedStore:
    """A store that calls ``act`` before and after each operation that writes, with its number and its name."""

    def __init__(self, store, act) -> None:
        self._store, self._act, self.count = store, act, 0

    def __getattr__(self, name):
        operation = getattr(self._store, name)
        if name not in WRITES:
            return operation

        def acting(*arguments, **more):
            self._act(self.count, name)
            done = operation(*arguments, **more)
            self._act(self.count + 1, name)
            self.count += 2
            return done

        return acting


def night(number, **given):
    return {"at": FIRST + timedelta(days=number), **given}


def package(code):
    hexed = f"{ord(code):02x}" * 32
    path = f"_packages/sha256/{hexed[:2]}/{hexed}.zip"
    return {"code_sha256": code, "sha256_hex": hexed, "status": "stored", "path": path}


@pytest.fixture
def dest(tmp_path, write_dataset):
    """A dataset in which a prune has something of every kind to do."""
    dest = tmp_path / "fleet"
    write_dataset(dest, [night(number) for number in range(3)])
    prune_store(LocalStore(dest), PruneOrder(rules=KeepRules(last=2)))
    write_dataset(
        dest, [night(number, id=f"01K1{number:022d}", packages=[package("ab"[number == 4])]) for number in (3, 4)]
    )
    write_dataset(dest, [night(5, id="01K10000000000000000000000", commit=False, heal=False)])
    for path in ("_staging/01K10000000000000000000001/run.json", "_packages/sha256/63/" + "63" * 32 + ".zip"):
        (dest / path).parent.mkdir(parents=True)
        (dest / path).write_text("x")
    for code in "ab":
        (dest / package(code)["path"]).parent.mkdir(parents=True)
        (dest / package(code)["path"]).write_text("zip")
    age(dest, hours=25)
    prune_store(LocalStore(dest), PruneOrder(rules=KeepRules(last=4), packages=True, grace=timedelta(days=2)))
    age(dest, hours=25)
    return dest


ORDER = PruneOrder(rules=KeepRules(last=1), packages=True)


def check(dest) -> None:
    """Check what must hold at every moment."""
    commits = {path.stem: Manifest.from_json(path.read_bytes()) for path in dest.glob("_runs/*.json")}
    for commit in commits.values():
        assert all((dest / entry.path).is_file() for entry in commit.files), commit.snapshot_id
    for row in dest.glob("snapshots/*/*.parquet"):  # what warehouses show has all of its files
        if row.name[:26] not in commits:
            mark = json.loads((dest / "_pruned" / f"{row.name[:26]}.json").read_text())
            assert all((dest / file["path"]).is_file() for file in mark["files"])
    hint = dest / "_latest.json"
    if hint.exists():
        assert json.loads(hint.read_text())["snapshot_id"] in commits
    assert [item for item in find_damage(dest) if not item.is_note and item.kind != "wrong_hash"] == []


def shape(dest):
    """What a dataset holds, without the times in marks; a mark about packages is named by the time of a prune."""
    found = {}
    for path in sorted(dest.rglob("*")):
        name = str(path.relative_to(dest))
        if path.is_file() and not name.startswith("_pruned/packages-"):
            body = path.read_bytes()
            found[name] = {**json.loads(body), "pruned_at": None} if name.startswith("_pruned/") else body
    return found


STEP = 1 if os.environ.get("LEXPORT_TORTURE") == "whole" else 5


def states(dest, tmp_path) -> Iterator[tuple[int, object]]:
    """Yield a copy of the dataset for each point of a prune, and the store that is killed there."""
    point = 0
    while True:
        copy = tmp_path / f"killed-{point}"
        shutil.copytree(dest, copy)

        def kill(number, _name, point=point):
            if number == point:
                raise KilledError

        yield copy, InterruptedStore(LocalStore(copy), kill)
        shutil.rmtree(copy)
        point += STEP


def test_killed_at_every_step(dest, tmp_path):
    """Wherever a prune is killed, the dataset is whole, and the next prunes end as they would have."""
    unkilled = tmp_path / "unkilled"
    shutil.copytree(dest, unkilled)
    for _ in range(4):
        prune_store(LocalStore(unkilled), ORDER)
        age(unkilled, hours=25)
    wanted, points = shape(unkilled), 0
    for copy, store in states(dest, tmp_path):
        try:
            prune_store(store, ORDER)
        except KilledError:
            check(copy)
            points += 1
            for _ in range(4):
                prune_store(LocalStore(copy), ORDER)
                age(copy, hours=25)
            check(copy)
            assert shape(copy) == wanted, points
        else:
            break
    assert points > 40 / STEP


def test_two_prunes_at_once(dest, tmp_path):
    """A second prune in the middle of a first one, with other rules, harms neither: both removals hold."""
    others = (ORDER, PruneOrder(rules=KeepRules(last=3)), PruneOrder(rules=KeepRules(weekly=9), packages=True))
    for point in range(0, 60, 3 * STEP):
        copy = tmp_path / f"both-{point}"
        shutil.copytree(dest, copy)

        def prune_too(number, _name, copy=copy, point=point):
            if number == point:
                prune_store(LocalStore(copy), others[point % 3])
                check(copy)

        prune_store(InterruptedStore(LocalStore(copy), prune_too), ORDER)
        check(copy)
        assert [path.stem for path in copy.glob("_runs/*.json")] == ["01K1" + "0" * 21 + "4"]
        shutil.rmtree(copy)


def test_a_commit_without_a_row_and_two_prunes(dest, tmp_path):
    """A commit that another prune withdraws between two listings keeps its files for the grace period."""
    runs = {path.stem for path in dest.glob("_runs/*.json")}
    for row in dest.glob("snapshots/*/*.parquet"):
        row.unlink()

    class Racing(LocalStore):
        def names(self, path):
            if path == "_runs":
                prune_store(LocalStore(dest), ORDER)
            return super().names(path)

    prune_store(Racing(dest), ORDER)
    for run in runs:
        assert list(dest.glob(f"functions/*/{run}-*")), run


@pytest.mark.asyncio
async def test_beside_a_snapshot(dest, simulator, settings, aws):
    """A prune in the middle of a run removes nothing of it; what the run publishes is whole."""
    async with simulator(functions=6) as server:
        ended = []

        def keep_pruning():
            while not ended:
                prune_store(LocalStore(dest), PruneOrder(rules=KeepRules(last=1), grace=timedelta(0)))

        thread = Thread(target=keep_pruning)
        thread.start()
        try:
            for _ in range(3):
                result = await lexport.snapshot(dest, settings(server.url, incremental=True))
                assert result.published
        finally:
            ended.append(True)
            thread.join()
    check(dest)
    assert json.loads((dest / "_latest.json").read_text())["snapshot_id"] == result.snapshot_id
    assert (await lexport.sql(dest, "SELECT count(*) FROM functions WHERE region = 'us-east-1'")).to_pylist()[0]


def test_a_reader_that_began_before(dest):
    """Who read the commits before a prune still finds all of their files."""
    catalog = open_catalog(dest)
    prune_store(LocalStore(dest), ORDER)

    assert len(open_catalog(dest).manifests) == 1
    assert len([file for table in ("functions", "scopes") for file in catalog.files(table)]) == 2 * 4


def test_a_clock_that_is_wrong(dest, monkeypatch):
    """Ages count by the clock of the store: a machine whose clock is a year ahead removes nothing too early."""
    age(dest, hours=-25)
    for path in dest.rglob("*"):
        if path.is_file():
            os.utime(path)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(days=365)

    monkeypatch.setattr("lexport.dataset.prune.datetime", Ahead)
    result = prune_store(LocalStore(dest), ORDER)

    assert result.having("remove", "files", "run", "package") == ()
