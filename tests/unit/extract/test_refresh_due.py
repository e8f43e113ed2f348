"""When what was last read of a function is read again for its age: bounded, and spread over the nights."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lexport.dataset.manifest import Manifest
from lexport.extract.carry.last_readings import LastReading, is_due

BEGIN = datetime(2026, 1, 1, 3, tzinfo=UTC)
NAMES = [f"function-{number}" for number in range(400)]
WEEK = timedelta(days=7)


def last(at: datetime, oldest: datetime) -> LastReading:
    """Return a reading in a snapshot of a time."""
    commit = Manifest(
        snapshot_id="01J00000000000000000000000",
        snapshot_at=at,
        committed_at=at,
        status="complete",
        gaps=0,
        lexport_version="0",
        schema_version="0",
        hash_key_id=None,
        options={},
        files=(),
        scopes=(),
    )
    return LastReading(commit=commit, began_at=at, oldest_read_at=oldest)


@pytest.mark.parametrize("between", [timedelta(hours=6), timedelta(days=1), timedelta(days=3), timedelta(days=9)])
def test_no_age_exceeds_the_limit_and_the_reading_is_spread(between):
    """However often a run is made, nothing that it carries over is older than the limit; the run after one that has
    read everything has little to read again, and later ones have their share."""
    read_at, before, counts = dict.fromkeys(NAMES, BEGIN), last(BEGIN, BEGIN), []
    for number in range(1, 40):
        now = BEGIN + number * between
        due = {name for name in NAMES if is_due(name, before, now=now, refresh_after=WEEK)}
        read_at |= dict.fromkeys(due, now)
        assert max(now - at for at in read_at.values()) <= WEEK
        counts.append(len(due))
        before = last(now, max(now - WEEK, before.oldest_read_at) if len(due) < len(NAMES) else now)
        assert before.oldest_read_at <= min(read_at.values())

    share = min(len(NAMES), len(NAMES) * (between / WEEK))
    assert counts[0] == 0 if between <= WEEK / 4 else counts[0] >= share * 0.7
    assert all(share * 0.6 <= count <= max(share * 1.4, 20) for count in counts[10:])


def test_a_shorter_limit_holds_at_once():
    """Where earlier runs let ages grow longer than this one allows, everything is read."""
    before = last(BEGIN + timedelta(days=20), BEGIN)
    now = BEGIN + timedelta(days=21)
    assert all(is_due(name, before, now=now, refresh_after=WEEK) for name in NAMES)
