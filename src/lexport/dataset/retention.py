"""Decide which commits are kept: restic's rules for each group, and what is never removed. Pure: values in, values out.

Every function returns the reasons to keep a commit, by its snapshot id. A commit without a reason can be removed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lexport.dataset.commits import newest_settled, newest_whole
from lexport.dataset.manifest import Manifest
from lexport.model import Coverage, Scope
from lexport.tables.text import first_of
from lexport.tables.units import format_age

Reasons = dict[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRules:
    """How many snapshots of each group are kept, counted as ``restic forget`` counts them. 0 and None are no rule."""

    within: timedelta | None = None
    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is no rule, so that nothing would be kept by one."""
        return not (self.within or self.last or self.daily or self.weekly or self.monthly)


def kept_by_rules(commits: Iterable[Manifest], rules: KeepRules, *, now: datetime) -> Reasons:
    """Apply the rules to each group: the commits of the same account-regions, each with the same coverage.

    They keep no retirements. Commits of packages alone have no account-regions, and are one group.
    """
    groups: dict[frozenset[tuple[Scope, Coverage]], list[Manifest]] = {}
    for commit in commits:
        if commit.is_retirement:
            continue
        groups.setdefault(frozenset((entry.scope, entry.coverage) for entry in commit.scopes), []).append(commit)
    kept: Reasons = {}
    for group in groups.values():
        ordered = sorted(group, key=lambda commit: (commit.snapshot_at, commit.snapshot_id), reverse=True)
        reasons = rule_matches([commit.snapshot_at for commit in ordered], rules, now=now)
        kept |= {commit.snapshot_id: matches for commit, matches in zip(ordered, reasons, strict=True)}
    return kept


_Period = Callable[[int, datetime], object]


def rule_matches(times: Sequence[datetime], rules: KeepRules, *, now: datetime) -> list[list[str]]:
    """Return, for each time of one group (newest first), the rules that keep it; it is kept if any rule does.

    A rule of periods keeps the newest of each day, ISO week or month in UTC, the newest periods first, and only periods
    that have any. While its count is not used up, it keeps the oldest of the group too. ``within`` counts from the
    newest that does not lie in the future.
    """
    matches: list[list[str]] = [[] for _ in times]
    if rules.within:
        since = max((at for at in times if at <= now), default=None)
        for at, names in zip(times, matches, strict=True):
            if since is None or at > since - rules.within:
                names.append(f"within {format_age(rules.within)}")
    periods: tuple[tuple[str, int, _Period], ...] = (
        ("last", rules.last, lambda index, _: index),
        ("daily", rules.daily, lambda _, at: at.date()),
        ("weekly", rules.weekly, lambda _, at: at.isocalendar()[:2]),
        ("monthly", rules.monthly, lambda _, at: (at.year, at.month)),
    )
    for name, count, period in periods:
        left, before = count, None
        for index, at in enumerate(times):
            value = period(index, at.astimezone(UTC))
            is_oldest = index == len(times) - 1
            if left and (value != before or is_oldest):
                matches[index].append(name if value != before else f"oldest {name}")
                before, left = value, left - 1
    return matches


def never_removed(
    commits: Sequence[Manifest],
    *,
    living: Collection[str],
    damaged: Collection[str] = (),
    is_intact: Callable[[Manifest], bool],
) -> Reasons:
    """Return the commits that no rule removes. ``commits`` come newest first.

    ``living`` are ids of unfinished runs, ``damaged`` those of commits that cannot be read.

    They are, for each account-region, its newest whole reading, and the newest one that a living run may build on: the
    last one before it, and the last one of each mode of variables and hash key. Where such a reading is not intact, the
    newest intact one is kept too. An account-region that was retired since has no newest reading.

    A retirement stays as long as there is anything older of its account-regions, which would be shown again: so it goes
    with a later prune than that, whichever of the two is interrupted. Where no snapshot is left, the last retirements
    stay too: they are all that readers and warehouses can learn the end from.
    """
    kept: Reasons = {}
    scopes = {scope for commit in commits for scope in commit.whole_scopes()}

    def keep(reason: str, readings: Sequence[Manifest]) -> None:
        for candidates in (readings, [commit for commit in readings if is_intact(commit)]):
            for snapshot_id, named in _by_commit(newest_whole(candidates, scopes)).items():
                text, reasons = reason.format(first_of(named)), kept.setdefault(snapshot_id, [])
                if text not in reasons:
                    reasons.append(text)

    keep("the newest whole reading of {}", commits)
    for run in sorted(living):
        for mode in {_mode(commit) for commit in commits}:
            alike = [commit for commit in commits if commit.is_retirement or _mode(commit) == mode]
            keep(f"the run {run} may build on it", alike)
            keep(f"the run {run} may build on it", [commit for commit in alike if commit.snapshot_id < run])
    for commit, reason in _retirements(commits, {*living, *damaged}):
        kept.setdefault(commit.snapshot_id, []).append(reason)
    return kept


def _retirements(commits: Sequence[Manifest], unknown: Collection[str]) -> Iterator[tuple[Manifest, str]]:
    """Yield the retirements that stay, each with the reason."""
    last = {commit.snapshot_id for commit in newest_settled(commits).values()}
    is_all = not any(commit.is_snapshot for commit in commits)
    for index, commit in enumerate(commits):
        if commit.is_retirement and (reason := _retires(commit, commits[index + 1 :], unknown)):
            yield commit, reason
        elif commit.is_retirement and is_all and commit.snapshot_id in last:
            yield commit, "no snapshot is left, so it alone says what has ended"


def _retires(retirement: Manifest, older: Sequence[Manifest], unknown: Collection[str]) -> str | None:
    """Return what would be shown again without a retirement; None where there is nothing."""
    scopes = retirement.settled_scopes()
    hidden = {entry.scope for commit in older if commit.is_snapshot for entry in commit.scopes} & scopes
    if hidden:
        return f"it retires {first_of([str(scope) for scope in sorted(hidden)])}"
    run = next((run for run in sorted(unknown) if run < retirement.snapshot_id), None)
    return None if run is None else f"the run {run} may have read what it retires"


def _mode(commit: Manifest) -> tuple[str, str | None]:
    return str(commit.options.get("env")), commit.hash_key_id


def _by_commit(newest: Mapping[Scope, Manifest]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for scope, commit in sorted(newest.items(), key=lambda item: item[0]):
        named.setdefault(commit.snapshot_id, []).append(str(scope))
    return named
