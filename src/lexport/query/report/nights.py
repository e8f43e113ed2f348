"""Judge earlier nights, each from its own files alone: which functions broke which rule."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from lexport.dataset.manifest import Manifest
from lexport.errors import RunError
from lexport.model import Scope
from lexport.query.catalog import Catalog
from lexport.query.checks.definition import SEVERITIES, Check, Value
from lexport.query.checks.finding import CheckResult, FunctionKey
from lexport.query.checks.run import find_functions, function_keys
from lexport.query.checks.waivers import Waiver
from lexport.query.execute import Interruptible
from lexport.query.sql import OFTEN_READ, QuerySession, open_catalog_session
from lexport.tables.functions import FUNCTIONS

MOST_NIGHTS = 12
_BACK_DAYS = (7, 14, 21, 28, 56, 91, 182, 273, 365, 730)  # before the last night
_FUNCTIONS = f"SELECT DISTINCT account_id, region, function_name FROM {FUNCTIONS.name}"  # noqa: S608 - our own name


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What the files of one day say. ``found`` has the functions that break each rule, by the name of the check.

    ``scopes`` were read whole that day, of ``tried``.
    """

    day: date
    read_at: datetime
    scopes: frozenset[Scope]
    tried: int
    functions: frozenset[FunctionKey]
    found: Mapping[str, frozenset[FunctionKey]]
    took_s: float

    def by_severity(self, checks: Sequence[Check]) -> dict[str, int]:
        """Count the functions by the most severe rule that they break."""
        left: set[FunctionKey] = set()
        counts: dict[str, int] = {}
        for severity in reversed(SEVERITIES):
            broken = frozenset[FunctionKey]().union(
                *(self.found.get(check.name, ()) for check in checks if check.severity == severity)
            )
            counts[severity] = len(broken - left)
            left |= broken
        return counts


def choose_days(days: Sequence[date]) -> list[date]:
    """Choose the days to judge, the newest first: the last, the one before, then those a week and more before.

    Of each distance the newest day that is not nearer is taken; where there are few, all are.
    """
    newest_first = sorted(set(days), reverse=True)
    if len(newest_first) <= MOST_NIGHTS:
        return newest_first
    last = newest_first[0]
    chosen = dict.fromkeys(newest_first[:2])
    for back in _BACK_DAYS:
        old = next((day for day in newest_first if day <= last - timedelta(days=back)), None)
        if old is not None:
            chosen[old] = None
    return [*chosen]


def judge_nights(
    catalog: Catalog,
    checks: Sequence[Check],
    thresholds: Mapping[str, Mapping[str, Value]],
    waivers: Sequence[Waiver],
    running: list[Interruptible],
    *,
    known: Night | None = None,
) -> tuple[tuple[Night, ...], tuple[str, ...]]:
    """Judge at most ``MOST_NIGHTS`` nights, the newest first; return them, and a sentence for each that is damaged.

    ``known`` is a night that was judged already.
    """
    commits: dict[date, list[Manifest]] = defaultdict(list)
    whole = {
        commit.snapshot_at.date() for commit in catalog.snapshots if any(entry.is_whole for entry in commit.scopes)
    }
    for commit in catalog.snapshots:
        if commit.snapshot_at.date() in whole:
            commits[commit.snapshot_at.date()].append(commit)
    nights, notes = [], []
    for day in choose_days([*commits]):
        if known is not None and known.day == day:
            nights.append(known)
            continue
        own = replace(catalog, manifests=tuple(commits[day]), damaged=())
        began_s = time.monotonic()
        try:
            with open_catalog_session(own, running=running) as session:
                session.kept.update(OFTEN_READ)
                found = {
                    check.name: find_functions(session, check, thresholds[check.name], waivers) for check in checks
                }
                functions = function_keys(session.read(_FUNCTIONS).read_all())
        except RunError as error:
            notes.append(f"the night of {day} is not judged: {error}")
        else:
            nights.append(make_night(own, functions, found, took_s=time.monotonic() - began_s))
    return tuple(nights), tuple(notes)


def night_of(session: QuerySession, checked: CheckResult, *, took_s: float) -> Night | None:
    """Return the last night by the findings of the whole dataset; None where these are of other nights too."""
    catalog = session.catalog
    if {commit.snapshot_at.date() for commit in catalog.latest().values()} != {catalog.newest.snapshot_at.date()}:
        return None
    found: dict[str, set[FunctionKey]] = {check.name: set() for check in checked.checks}
    for finding in checked.findings:
        if finding.waiver is None and (key := finding.function_key) is not None:
            found[finding.check.name].add(key)
    functions = function_keys(session.read(_FUNCTIONS).read_all())
    return make_night(catalog, functions, {name: frozenset(keys) for name, keys in found.items()}, took_s=took_s)


def make_night(
    catalog: Catalog,
    functions: frozenset[FunctionKey],
    found: Mapping[str, frozenset[FunctionKey]],
    *,
    took_s: float,
) -> Night:
    """Return the night of the newest snapshot of a catalog."""
    day = catalog.newest.snapshot_at.date()
    return Night(
        day=day,
        read_at=catalog.newest.snapshot_at,
        scopes=frozenset(catalog.latest()),
        tried=sum(
            commit.snapshot_at.date() == day and commit.is_snapshot for commit, _ in catalog.last_attempts().values()
        ),
        functions=functions,
        found=found,
        took_s=round(took_s, 2),
    )
