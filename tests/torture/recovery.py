"""Runs that are broken off and resumed, and whether anything of them was lost.

A run is broken off once for each point of a sweep. What the run that goes on publishes is compared with a run that
nobody broke off, of the same id and time: each file by its SHA-256, each table by its number of rows.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from anyio import to_thread

from lexport.dataset.manifest import Manifest

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2")
FAST = "1000000"
VARYING = {"errors", "scopes", "snapshots", "packages", "scope_resources"}
"""Tables with times of the clock, or with what a run did: their bytes may differ."""
EARLIER, FIRST, SECOND = timedelta(minutes=-6), timedelta(0), timedelta(minutes=1)
"""Times of runs, from the start of a test: S3 refuses signatures of a clock that is wrong by 15 minutes."""
QUESTION = """
    SELECT 'plain' AS name, snapshot_id, count(*) AS n FROM functions GROUP BY ALL
    UNION ALL SELECT 'history', snapshot_id, count(*) FROM history.functions GROUP BY ALL ORDER BY 1, 2
"""

Tables = dict[str, tuple[tuple[str, int], ...]]
"""Table -> SHA-256 and number of rows of each file."""


@dataclass(frozen=True)
class Found:
    """What lies at a destination: the tables of each commit, and each unpublished run with its finished Regions."""

    commits: dict[str, Tables]
    staged: dict[str, set[str]]


@dataclass
class Loss:
    """What became of one point: rows that are missing or twice, and everything else that is wrong."""

    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)

    def check(self, is_right: bool, what: str) -> None:  # noqa: FBT001 - reads as an assertion
        """Note what is wrong."""
        if not is_right:
            self.wrong.append(what)


class Folder:
    """A destination in a folder. ``reset`` gives it the content of the earlier snapshot."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = str(path)

    def keep(self) -> None:
        """Remember what is there for ``reset``."""
        shutil.copytree(self.path, self.path.with_name("kept"))

    def reset(self) -> None:
        """Restore what was kept."""
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self.path.with_name("kept"), self.path)

    def changed(self) -> list[str]:
        """Files of the earlier snapshot that have other bytes, or none."""
        kept = self.path.with_name("kept")
        return [
            str(relative)
            for path in kept.rglob("*")
            if path.is_file() and path.name != "_latest.json"
            if not (self.path / (relative := path.relative_to(kept))).is_file()
            or (self.path / relative).read_bytes() != path.read_bytes()
        ]

    def paths(self) -> list[str]:
        """Every file that is there."""
        return sorted(str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file())

    def read(self, path: str) -> bytes:
        """Read a file."""
        return (self.path / path).read_bytes()


class Prefix:
    """A destination in a bucket."""

    def __init__(self, bucket) -> None:
        self._bucket = bucket
        self.url = f"{bucket.url}/fleet"
        self._kept: dict[str, bytes] = {}

    def _tags(self) -> dict[str, str]:
        pages = self._bucket.client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket.name)
        return {item["Key"].removeprefix("fleet/"): item["ETag"] for page in pages for item in page.get("Contents", ())}

    def keep(self) -> None:
        """Remember what is there for ``reset``."""
        self._kept = {path: self.read(path) for path in self.paths()}

    def reset(self) -> None:
        """Restore what was kept."""
        tags = self._tags()
        for path in tags:
            if path not in self._kept:
                self._bucket.client.delete_object(Bucket=self._bucket.name, Key=f"fleet/{path}")
        for path, body in self._kept.items():
            if tags.get(path) != _tag(body):
                self._bucket.client.put_object(Bucket=self._bucket.name, Key=f"fleet/{path}", Body=body)

    def changed(self) -> list[str]:
        """Files of the earlier snapshot that have other bytes, or none."""
        tags = self._tags()
        return [path for path, body in self._kept.items() if path != "_latest.json" and tags.get(path) != _tag(body)]

    def paths(self) -> list[str]:
        """Every file that is there."""
        return sorted(self._tags())

    def read(self, path: str) -> bytes:
        """Read a file."""
        return self._bucket.client.get_object(Bucket=self._bucket.name, Key=f"fleet/{path}")["Body"].read()


def _tag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def look(place) -> Found:
    """Read what lies at a destination."""
    commits, staged = {}, {}
    paths = place.paths()
    for path in paths:
        folder, _, name = path.partition("/")
        if folder == "_runs" and name.endswith(".json") and not name.startswith("."):
            commits[name.removesuffix(".json")] = tables_of(Manifest.from_json(place.read(path)))
        if folder == "_staging" and name.endswith("/run.json"):
            staged.setdefault(name.partition("/")[0], set())
    for path in paths:
        parts = path.split("/")
        if parts[0] == "_staging" and parts[-1] == "shard.json" and parts[1] in staged:
            staged[parts[1]].add(parts[2][13:])
    return Found(commits, {run: regions for run, regions in staged.items() if run not in commits})


def tables_of(manifest: Manifest) -> Tables:
    """Return what is compared of a commit."""
    tables: dict[str, list[tuple[str, int]]] = {}
    for entry in manifest.files:
        tables.setdefault(entry.table, []).append((entry.sha256, entry.rows))
    return {table: tuple(files) for table, files in tables.items()}


class Recovery:
    """One destination, and the runs into it."""

    def __init__(self, forks, aws, place, *, began_at: datetime, variables: dict[str, str]) -> None:
        self.forks, self.aws, self.place, self._began_at, self._variables = forks, aws, place, began_at, variables
        self.references: dict[tuple[str, ...], Tables] = {}
        self.earlier = self.first = self.second = ""
        self.endpoint_url = aws.url

    def arguments(self, *more: str) -> tuple[str, ...]:
        """The command of a run."""
        rates = ("--get-function-rate", FAST, "--list-rate", FAST)
        return (
            "snapshot",
            self.place.url,
            "--endpoint-url",
            self.endpoint_url,
            "--region",
            ",".join(REGIONS),
            *rates,
            *more,
        )

    def at(self, when: timedelta) -> str:
        """A time of the clock of a command."""
        return (self._began_at + when).isoformat()

    def in_eleven_minutes(self) -> timedelta:
        """A time by which a claim that was renewed just now is stale."""
        return datetime.now(UTC) - self._began_at + timedelta(minutes=11)

    def start(self, *arguments: str, when: timedelta = FIRST, forks=None) -> int:
        """Start a command; return the id of its process."""
        return (forks or self.forks).start(*arguments, at=self.at(when), **self._variables)

    async def wait(self, pid: int, forks=None):
        """Wait for the end of a command while the servers of this process serve it."""
        return await to_thread.run_sync((forks or self.forks).wait, pid, 60.0)

    async def run(self, *arguments: str, when: timedelta = FIRST, forks=None):
        """Run a command to its end."""
        return await self.wait(self.start(*arguments, when=when, forks=forks), forks)

    async def prepare(self, *, has_other_runs: bool = True) -> None:
        """Publish the earlier snapshot, and the runs that others are compared with.

        Without ``has_other_runs``, every run goes on with the first one.
        """
        await self._publish(EARLIER)
        (self.earlier,) = look(self.place).commits
        self.place.keep()
        self.first = await self._publish(FIRST, self.earlier)
        if has_other_runs:
            self.second = await self._publish(SECOND, self.earlier, self.first)
            self.place.reset()
            await self._publish(SECOND, self.earlier)
        self.place.reset()

    async def _publish(self, when: timedelta, *others: str) -> str:
        done = await self.run(*self.arguments(), when=when)
        assert done.code == 0, done
        commits = look(self.place).commits
        newest = max(commits)
        self.references[(*others, newest)] = commits[newest]
        return newest

    @property
    def versions(self) -> int:
        """The rows of ``functions`` in each snapshot."""
        return sum(rows for _, rows in self.references[self.earlier, self.first]["functions"])

    def is_resumed_as(self, before: Found) -> tuple[str, ...]:
        """Return the commits that there are once the next run has ended."""
        commits = tuple(sorted(before.commits))
        return (*commits, self.first if self.first in before.staged else self.second)

    async def resume(self, loss: Loss) -> None:
        """Go on with what is there, and say what is wrong with the outcome."""
        before = await to_thread.run_sync(look, self.place)
        finished = before.staged.get(self.first, set())
        self.aws.calls.clear()
        done = await self.run(*self.arguments("--resume"), when=SECOND)
        loss.check(done.code == 0, f"the resumed run ended with {done.code}: {done.err}")
        after = await to_thread.run_sync(look, self.place)
        expected = self.is_resumed_as(before)
        loss.check(tuple(sorted(after.commits)) == expected, f"commits {sorted(after.commits)}, not {expected}")
        for number, run in enumerate(expected[1:], 2):
            self.compare(expected[:number], after.commits.get(run, {}), loss)
        again = {
            key: count for key, count in self.aws.calls.items() if key[1] in finished and key[2] != "GetCallerIdentity"
        }
        loss.check(not again, f"calls in finished account-regions: {again}")
        loss.check(not self.place.changed(), "files of the earlier snapshot have changed")
        await self.verify(loss)

    def compare(self, commits: tuple[str, ...], found: Tables, loss: Loss) -> None:
        """Compare the tables of the last of some commits with those of an unbroken run."""
        reference = self.references[commits]
        for table, files in reference.items():
            rows, wanted = (sum(count for _, count in each) for each in (found.get(table, ()), files))
            loss.lost += max(0, wanted - rows)
            loss.doubled += max(0, rows - wanted)
            loss.check(table in VARYING or found.get(table) == files, f"{commits[-1]}: {table} has other bytes")
        loss.check(found.keys() == reference.keys(), f"tables {found.keys() ^ reference.keys()}")

    def files_of(self, run: str) -> list[str]:
        """The files that a commit names."""
        return [entry.path for entry in Manifest.from_json(self.place.read(f"_runs/{run}.json")).files]

    async def verify(self, loss: Loss) -> None:
        """Let the command check every byte."""
        verified = await self.run("verify", self.place.url, "--data", when=SECOND)
        loss.check(verified.code == 0, f"verify --data: {verified.code} {verified.out} {verified.err}")

    async def ask(self, loss: Loss) -> None:
        """Let a reader count rows: it sees whole snapshots."""
        asked = await self.run("sql", self.place.url, QUESTION, "--output", "json", when=SECOND)
        ids = sorted(look(self.place).commits)
        expected = [*(["history", each, self.versions] for each in ids), ["plain", ids[-1], self.versions]]
        rows = [[row["name"], row["snapshot_id"], row["n"]] for row in json.loads(asked.out or "[]")]
        loss.check(rows == expected, f"readers find {rows or asked.err}, not {expected}")
