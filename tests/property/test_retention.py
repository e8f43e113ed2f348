"""Which snapshots of a group are kept: the rules of ``restic forget``, against a slow and obvious second writing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lexport.dataset.retention import KeepRules, rule_matches

NOW = datetime(2026, 12, 31, 12, tzinfo=UTC)
LONDON, AUCKLAND = timezone(timedelta(0)), timezone(timedelta(hours=13))
TIMES = st.lists(
    st.builds(
        lambda hours, minutes, zone: (NOW - timedelta(hours=hours, minutes=minutes)).astimezone(zone),
        st.integers(-30, 24 * 500),
        st.integers(0, 59),
        st.sampled_from((LONDON, AUCKLAND)),
    ),
    max_size=40,
)
COUNTS = st.sampled_from((0, 0, 1, 2, 3, 7, 30, 1000))
RULES = st.builds(
    KeepRules,
    within=st.one_of(st.none(), st.integers(0, 24 * 400).map(lambda hours: timedelta(hours=hours))),
    last=COUNTS,
    daily=COUNTS,
    weekly=COUNTS,
    monthly=COUNTS,
)
PERIODS = {"daily": "%Y-%m-%d", "weekly": "%G-%V", "monthly": "%Y-%m"}


def kept(times: list[datetime], rules: KeepRules) -> list[bool]:
    """Say for each time whether it is kept, from the documentation of restic: period by period, rule by rule."""
    keep = [False] * len(times)
    past = [at for at in times if at <= NOW]
    for index, at in enumerate(times):
        keep[index] |= index < rules.last
        keep[index] |= bool(rules.within) and (not past or max(past) - at < rules.within)
    for rule, written in PERIODS.items():
        count = getattr(rules, rule)
        periods: dict[str, list[int]] = {}
        for index, at in enumerate(times):
            periods.setdefault(at.astimezone(UTC).strftime(written), []).append(index)
        for newest, *_ in list(periods.values())[:count]:
            keep[newest] = True
        if times and len(periods) < count:
            keep[-1] = True
    if times and len(times) < rules.last:
        keep[-1] = True
    return keep


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TIMES, RULES)
@example([datetime(2027, 1, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)], KeepRules(weekly=1))
def test_the_rules_are_those_of_restic(times, rules):
    """A snapshot is kept exactly if one of the rules keeps it, each counted in periods that have a snapshot."""
    times.sort(reverse=True)

    assert [bool(names) for names in rule_matches(times, rules, now=NOW)] == kept(times, rules)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TIMES, RULES)
def test_rules_only_add(times, rules):
    """Each rule keeps what it keeps alone: giving one more never removes anything."""
    times.sort(reverse=True)
    alone = [
        kept(times, KeepRules(**{name: getattr(rules, name)}))
        for name in ("within", "last", "daily", "weekly", "monthly")
    ]
    matches = rule_matches(times, rules, now=NOW)

    assert [bool(names) for names in matches] == [any(every) for every in zip(*alone, strict=True)]


def test_the_newest_of_each_period_is_kept():
    """Of a day, a week of ISO and a month in UTC the newest is kept; the oldest too, while counts are left."""
    times = [
        datetime(2027, 1, 4, 2, tzinfo=UTC),  # a Monday: a new week
        datetime(2027, 1, 3, 22, tzinfo=UTC),
        datetime(2027, 1, 3, 1, tzinfo=UTC),
        datetime(2027, 1, 1, 0, tzinfo=UTC),  # of the last week of 2026
        datetime(2026, 12, 31, 0, tzinfo=UTC),
        datetime(2026, 12, 30, 23, tzinfo=UTC),
    ]
    now = datetime(2027, 1, 4, 3, tzinfo=UTC)

    assert rule_matches(times, KeepRules(daily=2), now=now) == [["daily"], ["daily"], [], [], [], []]
    assert rule_matches(times, KeepRules(weekly=2), now=now) == [["weekly"], ["weekly"], [], [], [], []]
    assert rule_matches(times, KeepRules(monthly=3), now=now)[3:] == [[], ["monthly"], ["oldest monthly"]]
    assert rule_matches(times, KeepRules(within=timedelta(days=3)), now=now)[2:4] == [["within 3d"], []]


def test_what_lies_in_the_future():
    """A run with a wrong clock does not shorten what ``within`` keeps, and it is kept itself."""
    times = [datetime(2031, 1, 1, tzinfo=UTC), NOW, NOW - timedelta(days=2)]

    matches = rule_matches(times, KeepRules(within=timedelta(days=3)), now=NOW)
    assert all(matches)
    assert all(rule_matches(times[:1], KeepRules(within=timedelta(days=3)), now=NOW))
