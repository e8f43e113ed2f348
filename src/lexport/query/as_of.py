"""Parse a moment of a dataset: a snapshot's id, the beginning of one, a date or an instant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lexport.dataset.manifest import Manifest, format_instant
from lexport.errors import SettingsError
from lexport.model import ULID_TIME_LENGTH, new_ulid

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A point in the order in which runs began: a snapshot id or an instant, inclusive."""

    snapshot_id: str | None = None
    at: datetime | None = None

    def covers(self, commit: Manifest) -> bool:
        """Return whether a commit began by then."""
        if self.at is not None:
            return commit.snapshot_at <= self.at
        return self.covers_id(commit.snapshot_id)

    def covers_id(self, snapshot_id: str) -> bool:
        """Return the same for a commit of which only the id is available; an id begins with the time."""
        if self.at is not None:
            return snapshot_id[:ULID_TIME_LENGTH] <= new_ulid(self.at)[:ULID_TIME_LENGTH]
        return self.snapshot_id is not None and snapshot_id <= self.snapshot_id


def parse_moment(text: str, commits: Sequence[Manifest], *, option: str, now: datetime | None = None) -> Moment:
    """Parse a moment among the snapshots and the retirements of a dataset, which come newest first.

    A date is the end of that day in UTC; ``today`` and ``yesterday`` are dates. An instant without a zone is in UTC.
    The beginning of an id is enough where it is unique. Raises SettingsError, also where the moment is before the first
    snapshot.
    """
    moment = _parse(text.strip(), commits, option, datetime.now(UTC) if now is None else now)
    snapshots = [commit for commit in commits if commit.is_snapshot]
    if not any(moment.covers(commit) for commit in snapshots):
        oldest = snapshots[-1]
        raise SettingsError(
            f"{option} {text}: no snapshot is that old; the first is {oldest.snapshot_id} of"
            f" {format_instant(oldest.snapshot_at)}",
            option=option,
        )
    return moment


def _parse(text: str, commits: Sequence[Manifest], option: str, now: datetime) -> Moment:
    days = {"today": timedelta(0), "yesterday": timedelta(days=1)}
    if text in days:
        text = f"{now.astimezone(UTC) - days[text]:%Y-%m-%d}"
    try:
        at = datetime.fromisoformat(text) if "-" in text else None
        if at is not None:
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
            end_of_day = timedelta(days=1, microseconds=-1)
            return Moment(at=at + end_of_day if _DATE.fullmatch(text) else at)
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"{option} {text} is no date or instant; write it like 2026-11-20 or 2026-11-20T06:00:00Z", option=option
        ) from error
    ids = [commit.snapshot_id for commit in commits if text and commit.snapshot_id.startswith(text.upper())]
    if len(ids) == 1:
        return Moment(snapshot_id=ids[0])
    reason = f"begins the ids of {len(ids)} snapshots" if ids else "is no snapshot of this dataset"
    raise SettingsError(f"{option} {text} {reason}; lexport status lists them", option=option)
