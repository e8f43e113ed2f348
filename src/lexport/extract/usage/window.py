"""The days whose use is read, and what reading it costs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import ceil

SETTLED_AFTER = timedelta(minutes=20)
"""A data point counts for the day on which its call began, and a call takes up to 15 minutes."""
RECENT_DAYS = 13
"""ListMetrics names what had a data point within two weeks, so it names everything of so many whole days."""

QUERIES_PER_REQUEST = 500
METRICS_PER_PAGE = 500  # of ListMetrics
POINTS_PER_REQUEST = 100_800
"""Sources: Amazon CloudWatch API reference, GetMetricData and ListMetrics, 2026."""
DOLLARS_PER_METRIC = Fraction(1, 100_000)
"""$0.01 per 1,000 metrics that GetMetricData is asked for. Source: Amazon CloudWatch pricing, 2026."""

FIRST_METRICS, ALL_METRICS = 1, 5
"""A series is asked for its calls alone at first, a function for its throttles too; for the rest only where it has any.
"""


@dataclass(frozen=True, slots=True)
class Window:
    """Whole days in UTC, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1

    @property
    def start(self) -> datetime:
        """The beginning of the first day."""
        return datetime.combine(self.first, datetime.min.time(), UTC)

    @property
    def end(self) -> datetime:
        """The end of the last day."""
        return self.start + timedelta(days=self.days)

    @property
    def is_recent(self) -> bool:
        """Whether ListMetrics names every series that has a data point in it."""
        return self.days <= RECENT_DAYS

    @property
    def queries_per_request(self) -> int:
        """How many series one request may ask for, one point for each day."""
        return min(QUERIES_PER_REQUEST, POINTS_PER_REQUEST // self.days)


def window_of(at: datetime, days: int) -> Window:
    """Return the window of so many days that ends at the last whole day before ``at``."""
    last = (at.astimezone(UTC) - SETTLED_AFTER).date() - timedelta(days=1)
    return Window(last - timedelta(days=days - 1), last)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageCost:
    """What reading the use of an account-region takes, from the least, where nothing is used, to the most."""

    list_requests: tuple[int, int]
    requests: tuple[int, int]
    metrics: tuple[int, int]

    @property
    def by_operation(self) -> dict[str, tuple[int, int]]:
        """The requests of each operation."""
        return {"ListMetrics": self.list_requests, "GetMetricData": self.requests}

    @property
    def dollars(self) -> tuple[float, float]:
        """The price of the metrics."""
        least, most = self.metrics
        return float(least * DOLLARS_PER_METRIC), float(most * DOLLARS_PER_METRIC)


def usage_cost(days: int, *, functions: int, aliases: int, versions: int, executed_versions: int = 0) -> UsageCost:
    """Return what reading the use of so many days costs; ``executed_versions`` are versions that aliases route to.

    How much is used is not known before, so each figure is the least and the most. Of a short window only what
    CloudWatch lists is asked for, so the least is nothing.
    """
    window = Window(date.min, date.min + timedelta(days=days - 1))
    series = functions + aliases + versions + executed_versions
    first = FIRST_METRICS * series + functions
    most = ALL_METRICS * series
    chunks = ceil(first / (window.queries_per_request - 1))  # a chunk may end one query early
    rest = ceil((most - first) / window.queries_per_request)
    least = (0, 0) if window.is_recent else (ceil(first / window.queries_per_request), first)
    return UsageCost(
        list_requests=(2, 2 * max(1, ceil(series / METRICS_PER_PAGE))),  # of calls, and of throttles
        requests=(least[0], 2 * chunks + rest),
        metrics=(least[1], most),
    )
