"""Runs, kills, prunes and damage in any order, found by Hypothesis: the newest snapshot stays whole.

A few orders here; ``make torture`` (LEXPORT_TORTURE=whole) tries many.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from breakers import AtCalls
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from progress import IS_WHOLE, STRIDE, Progress
from recovery import REGIONS, Folder, look

import lexport
from lexport.simulator import Fleet, FleetSpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600 if IS_WHOLE else 120)]

EXAMPLES, STEPS = (max(1, 30 // STRIDE), 20) if IS_WHOLE else (2, 8)
VERSIONS = 2 * 2 * len(REGIONS)
CALLS = 1500
"""Calls to the disk of a run and some more, so that some runs are not killed."""
NUMBER = st.integers(0, 10_000)


def test_any_order_of_events(simulator, recovery, torture_disk, second_forks, tmp_path):
    """Whatever happens in whatever order, the newest snapshot verifies unless it was damaged itself."""
    fleet = Fleet(FleetSpec(functions=2, versions=1, regions=REGIONS))
    examples = count()

    class Dataset(RuleBasedStateMachine):
        """One dataset. ``damaged`` are the commits that a rule has damaged, ``known`` those that were seen."""

        def __init__(self) -> None:
            super().__init__()
            self.runs = recovery(aws, Folder(tmp_path / f"fleet-{next(examples)}"))
            self.breaker = AtCalls(torture_disk, self.runs.place.path)
            self.minutes = count()
            self.damaged: set[str] = set()
            self.known: set[str] = set()
            self.is_staging_damaged = False
            self.command("snapshot")

        def teardown(self) -> None:
            self.breaker.disarm()

        def command(self, name, *, forks=None, may_be_killed=False):
            """Run one command."""
            pid = self.start(name, forks)
            self.breaker.pid = pid
            done = (forks or self.runs.forks).wait(pid, 60.0)
            self.breaker.disarm()
            if self.is_staging_damaged and name == "resume" and done.code == 1:  # of a finished account-region
                assert "the next attempt reads" in done.err
                return
            assert done.code == 0 or (may_be_killed and done.code == -9), done.err

        def start(self, name, forks=None):
            prune = ("prune", self.runs.place.url, "--keep-last", "2")
            arguments = {
                "snapshot": self.runs.arguments(),
                "resume": self.runs.arguments("--resume"),
                "prune": prune,
            }[name]
            return self.runs.start(*arguments, when=timedelta(minutes=next(self.minutes)), forks=forks)

        # --- what may happen -----------------------------------------------------------------------------------------

        @rule(name=st.sampled_from(["snapshot", "resume", "prune"]))
        def run(self, name):
            self.command(name)

        @rule(name=st.sampled_from(["snapshot", "resume", "prune"]), at=st.integers(1, CALLS))
        def kill(self, name, at):
            self.breaker.arm(at)
            self.command(name, may_be_killed=True)

        @rule(names=st.tuples(*[st.sampled_from(["snapshot", "prune"])] * 2))
        def two_at_once(self, names):
            first, second = self.start(names[0]), self.start(names[1], second_forks)
            ended = [self.runs.forks.wait(first, 60.0), second_forks.wait(second, 60.0)]
            assert [each.code for each in ended] == [0, 0], ended

        @rule(which=NUMBER, place=NUMBER, is_newest=st.booleans())
        def corrupt_a_byte(self, which, place, is_newest):
            self.damage(which, is_newest, lambda path: flip(path, place))

        @rule(which=NUMBER, is_newest=st.booleans())
        def delete_an_object(self, which, is_newest):
            self.damage(which, is_newest, Path.unlink)

        @rule(which=NUMBER, place=NUMBER)
        def corrupt_what_is_staged(self, which, place):
            paths = sorted((self.runs.place.path / "_staging").rglob("*.run"))
            if paths:
                flip(paths[which % len(paths)], place)
                self.is_staging_damaged = True

        @rule()
        def lose_the_hint(self):
            (self.runs.place.path / "_latest.json").unlink(missing_ok=True)

        def damage(self, which, is_newest, act):
            commits = sorted(self.known - self.damaged)
            if len(commits) > 1:
                run = commits[-1] if is_newest else commits[0]
                files = self.runs.files_of(run)
                act(self.runs.place.path / files[which % len(files)])
                self.damaged.add(run)

        # --- what must be true ---------------------------------------------------------------------------------------

        @invariant()
        def snapshots_are_whole(self):
            found = look(self.runs.place)
            self.known = set(found.commits)
            assert found.commits
            for tables in found.commits.values():
                assert sum(rows for _, rows in tables["functions"]) == VERSIONS
            damages = asyncio.run(lexport.verify(self.runs.place.url, data=True))
            wrong = [damage for damage in damages if not damage.is_note]
            assert [each for each in wrong if not any(run in each.path for run in self.damaged)] == []
            newest = max(self.known)
            if newest not in self.damaged:  # readers see all of it and nothing else
                rows = asyncio.run(lexport.sql(self.runs.place.url, "SELECT snapshot_id FROM functions")).to_pylist()
                assert [row["snapshot_id"] for row in rows] == [newest] * VERSIONS

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(simulator(fleet=fleet, verify=False)) as aws,
    ):
        run_state_machine_as_test(
            Dataset,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                derandomize=not IS_WHOLE,
                phases=(Phase.generate,),  # each step is a process: shrinking would take an hour
                suppress_health_check=list(HealthCheck),
            ),
        )
    progress = Progress("states", EXAMPLES)
    progress.record("any order", 0, lost=0, doubled=0, wrong=[])


def flip(path: Path, place: int) -> None:
    """Change one byte of a file."""
    body = bytearray(path.read_bytes())
    body[place % len(body)] ^= 0x55
    path.write_bytes(body)
