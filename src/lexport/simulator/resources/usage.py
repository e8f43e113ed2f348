"""CloudWatch's metrics of the functions: who is called on which day, derived from the seed.

A function is called directly, by version, or through aliases, whose calls run versions by their weights. CloudWatch has
a figure under an exact set of dimensions alone, and no point for a day without a call.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lexport.model import LATEST, Scope
from lexport.simulator.responses import ApiCall, AwsError
from lexport.simulator.seeded_choices import SeededChoices

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

NAME = "usage"
IS_DEFAULT = False

NAMESPACE = "AWS/Lambda"
METRICS = ("Invocations", "Errors", "Throttles", "Duration")
LISTED_DAYS = 14
MOST_METRICS = 500
MOST_QUERIES = 500
MOST_POINTS = 100_800
PAGE_POINTS = 8_000
"""Pages end earlier than clients may ask for, so that they have to follow NextToken."""
_DAY_S = 86_400
_ID = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}")


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One way to call a function: ``qualifier`` was called and ``executed`` ran; both are empty for ``$LATEST``."""

    qualifier: str
    executed: str
    weight: float
    base: int
    seed: int


@dataclass(frozen=True, slots=True)
class _Day:
    """What CloudWatch has of one day."""

    invocations: int = 0
    errors: int = 0
    throttles: int = 0
    duration_ms: float = 0.0
    duration_max_ms: float = 0.0

    def __add__(self, other: _Day) -> _Day:
        return _Day(
            self.invocations + other.invocations,
            self.errors + other.errors,
            self.throttles + other.throttles,
            self.duration_ms + other.duration_ms,
            max(self.duration_max_ms, other.duration_max_ms),
        )


class _Use:
    """The use of one function."""

    def __init__(self, fleet: Fleet, scope: Scope, index: int) -> None:
        choices = SeededChoices("usage", fleet.spec.seed, scope.account_id, scope.region, index)
        self.name = fleet.name(index)
        self._days: dict[tuple[str, str, date], _Day] = {}
        self._kind = choices.choose(
            ("never", "never", "bursts", "weekdays", "weekdays", "throttled", "steady", "steady", "steady", "steady")
        )
        self._average_ms = (1 + choices.pick(2_000)) / 2
        self._errors_percent = choices.choose((0, 0, 0, 1, 5, 50))
        self._longest_ms = 3.0 * self._average_ms
        if choices.chance(10):
            self._longest_ms = 1_000.0 * fleet.function(scope, index).timeout_s
        base = 1 + choices.pick(choices.choose((10, 1_000, 100_000)))
        self.leaves = [_Leaf("", "", 1.0, base, choices.pick(1 << 32))]
        for alias in fleet.aliases(scope, index):
            weights = dict(alias.weights or {})
            weights[alias.function_version] = 1.0 - sum(weights.values())
            seed, is_called = choices.pick(1 << 32), choices.chance(70)
            for version, weight in weights.items():
                self.leaves.append(_Leaf(alias.name, version, weight, base if is_called else 0, seed))
        for number in fleet.published(scope, index):
            if choices.chance(5):
                self.leaves.append(_Leaf(str(number), "", 1.0, base, choices.pick(1 << 32)))

    def series(self) -> Iterator[tuple[str, str]]:
        """Yield qualifier and executed version of every series, the function as a whole first."""
        yield "", ""
        yield from dict.fromkeys((leaf.qualifier, "") for leaf in self.leaves if leaf.qualifier)
        yield from ((leaf.qualifier, leaf.executed) for leaf in self.leaves if leaf.executed)

    def day(self, qualifier: str, executed: str, day: date) -> _Day:
        """Return the figures of one series and day."""
        key = qualifier, executed, day
        if key not in self._days:
            self._days[key] = self._sum(qualifier, executed, day)
        return self._days[key]

    def _sum(self, qualifier: str, executed: str, day: date) -> _Day:
        leaves = [leaf for leaf in self.leaves if qualifier in ("", leaf.qualifier) and executed in ("", leaf.executed)]
        return sum((self._of_leaf(leaf, day) for leaf in leaves), _Day())

    def _of_leaf(self, leaf: _Leaf, day: date) -> _Day:
        calls = self._calls(leaf, day)
        if self._kind == "throttled":
            return _Day(throttles=calls)
        errors = calls * self._errors_percent // 100
        longest_ms = self._longest_ms if calls else 0.0
        return _Day(calls, errors, calls // 50, calls * self._average_ms, longest_ms)

    def _calls(self, leaf: _Leaf, day: date) -> int:
        number = day.toordinal()
        is_active = {"never": False, "bursts": number % 40 < 5, "weekdays": day.weekday() < 5}.get(self._kind, True)
        if not is_active or not leaf.base:
            return 0
        mixed = (leaf.seed * 6_364_136_223_846_793_005 + number * 1_442_695_040_888_963_407) >> 29
        return int(mixed % (2 * leaf.base) * leaf.weight)


def _dimensions(name: str, qualifier: str, executed: str) -> list[dict[str, str]]:
    pairs = [("FunctionName", name), ("Resource", qualifier and f"{name}:{qualifier}"), ("ExecutedVersion", executed)]
    return [{"Name": key, "Value": value} for key, value in pairs if value]


# --- ListMetrics ------------------------------------------------------------------------------------------------------


def _list_metrics(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    given = call.parameters
    if given.get("Namespace") not in (None, NAMESPACE):
        return {"Metrics": [], "OwningAccounts": []}
    wanted = {each.get("Name"): each.get("Value") for each in given.get("Dimensions") or []}
    names = METRICS if given.get("MetricName") is None else [given["MetricName"]]
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=number) for number in range(LISTED_DAYS + 1)]
    index, skipped = _token(given.get("NextToken"))
    page: list[dict[str, Any]] = []
    for at in fleet.indexes(scope, index):
        found = list(_listed(_Use(fleet, scope, at), names, days, wanted))
        start = skipped if at == index else 0
        page += found[start : start + MOST_METRICS - len(page)]
        if len(page) == MOST_METRICS:
            following = start + MOST_METRICS
            return {"Metrics": page, "NextToken": f"{at}.{min(following, len(found))}"}
    return {"Metrics": page}


def _listed(
    use: _Use, names: Sequence[str], days: Sequence[date], wanted: Mapping[str, str | None]
) -> Iterator[dict[str, Any]]:
    for qualifier, executed in use.series():
        dimensions = _dimensions(use.name, qualifier, executed)
        values = {each["Name"]: each["Value"] for each in dimensions}
        if any(name not in values or value not in (None, values[name]) for name, value in wanted.items()):
            continue
        for name in names:
            if any(_point(use.day(qualifier, executed, day), name, "Sum") is not None for day in days):
                yield {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": dimensions}


def _token(text: object) -> tuple[int, int]:
    if text is None:
        return 0, 0
    matched = re.fullmatch(r"(\d+)\.(\d+)", str(text))
    if matched is None:
        raise AwsError(400, "InvalidParameterValue", "Invalid nextToken")
    return int(matched[1]), int(matched[2])


def _point(day: _Day, metric: str, statistic: str) -> float | None:
    """Return the value of a day, None where there is no point."""
    if metric == "Throttles":
        return float(day.throttles) if day.invocations or day.throttles else None
    if not day.invocations:
        return None
    if metric == "Duration":
        return day.duration_max_ms if statistic == "Maximum" else day.duration_ms
    return {"Invocations": float(day.invocations), "Errors": float(day.errors)}.get(metric)


# --- GetMetricData ----------------------------------------------------------------------------------------------------


def _get_metric_data(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    given = call.parameters
    queries, most = given.get("MetricDataQueries") or [], given.get("MaxDatapoints") or MOST_POINTS
    start, end = _moment(given.get("StartTime")), _moment(given.get("EndTime"))
    if not 1 <= len(queries) <= MOST_QUERIES:
        raise _invalid(f"The collection MetricDataQueries must have a size from 1 to {MOST_QUERIES}.")
    if end <= start or most > MOST_POINTS:
        raise _invalid("The parameter EndTime must be greater than StartTime, MaxDatapoints at most 100800.")
    ids = [query.get("Id", "") for query in queries]
    if len(set(ids)) < len(ids) or not all(map(_ID.fullmatch, ids)):
        raise _invalid("The values for parameter id in MetricDataQueries are not unique or not valid.")
    uses: dict[str, _Use | None] = {}
    results = [_result(fleet, scope, query, (start, end), uses) for query in queries]
    if given.get("ScanBy") != "TimestampAscending":
        for result in results:
            result["Timestamps"].reverse()
            result["Values"].reverse()
    return _page(results, _token(given.get("NextToken"))[1], min(most, PAGE_POINTS))


def _result(
    fleet: Fleet,
    scope: Scope,
    query: Mapping[str, Any],
    window: tuple[datetime, datetime],
    uses: dict[str, _Use | None],
) -> dict[str, Any]:
    start, end = window
    stat = query.get("MetricStat") or {}
    metric, period, statistic = stat.get("Metric") or {}, stat.get("Period"), stat.get("Stat")
    is_old = datetime.now(UTC) - start > timedelta(days=63)
    if period != _DAY_S or statistic not in ("Sum", "Maximum") or (is_old and period % 3_600):
        raise _invalid("The simulator has days alone: Period 86400, and the statistics Sum and Maximum.")
    values = {each.get("Name"): each.get("Value", "") for each in metric.get("Dimensions") or []}
    name, resource, executed = (values.pop(key, "") for key in ("FunctionName", "Resource", "ExecutedVersion"))
    if name not in uses:
        index = fleet.index(scope, name)
        uses[name] = None if index is None else _Use(fleet, scope, index)
    use, qualifier = uses[name], resource.removeprefix(f"{name}:")
    points: list[tuple[float, float]] = []
    is_there = use is not None and not values and metric.get("Namespace") == NAMESPACE
    if is_there and use is not None and (qualifier, executed) in set(use.series()):
        day = start.date()
        while datetime(day.year, day.month, day.day, tzinfo=UTC) < end:
            value = _point(use.day(qualifier, executed, day), metric.get("MetricName", ""), statistic)
            if value is not None:
                points.append((datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp(), value))
            day += timedelta(days=1)
    return {
        "Id": query["Id"],
        "Label": metric.get("MetricName", ""),
        "Timestamps": [stamp for stamp, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete",
    }


def _page(results: list[dict[str, Any]], start: int, size: int) -> dict[str, Any]:
    """Return the points of all results from ``start`` on; a result that goes on has the status PartialData."""
    shown, at, end = [], 0, start + size
    for result in results:
        first, last = at, at + len(result["Values"])
        at = last
        if (last <= start and first < start) or (first >= end > start and first != last):
            continue
        cut = slice(max(0, start - first), max(0, end - first))
        part = {**result, "Timestamps": result["Timestamps"][cut], "Values": result["Values"][cut]}
        shown.append(part | ({"StatusCode": "PartialData"} if last > end else {}))
    page: dict[str, Any] = {"MetricDataResults": shown, "Messages": []}
    return page | {"NextToken": f"0.{end}"} if at > end else page


def _moment(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise AwsError(400, "SerializationException", "STRING_VALUE can not be converted to Date")
    return datetime.fromtimestamp(value, UTC)


def _invalid(message: str) -> AwsError:
    return AwsError(400, "ValidationError", message)


ANSWERS = {"ListMetrics": _list_metrics, "GetMetricData": _get_metric_data}


# --- the oracle -------------------------------------------------------------------------------------------------------


def rows(
    fleet: Fleet, scope: Scope, *, days: int = 30, at: datetime | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the row of each series and day with a call; the window ends at the last whole day before ``at``.

    Then that of the window, with what a client asks for: calls first, of functions throttles too, and the other three
    or four metrics of the series that were called.
    """
    last = (at or datetime.now(UTC)).astimezone(UTC).date() - timedelta(days=1)
    window = [last - timedelta(days=days - 1 - number) for number in range(days)]
    asked, metrics = Counter[str](), 0
    for index in fleet.indexes(scope):
        use = _Use(fleet, scope, index)
        published = {(str(number), "") for number in fleet.published(scope, index)}
        for qualifier, executed in published.union(use.series()):
            asked[_kind(qualifier, executed)] += 1
            shown = {day: use.day(qualifier, executed, day) for day in window}
            called = [day for day in window if shown[day].invocations or (shown[day].throttles and not qualifier)]
            metrics += 5 if called else 1 if qualifier else 2
            for day in called:
                yield "function_usage", _row(scope, use.name, (qualifier, executed), day, shown[day])
    yield (
        "usage_windows",
        {
            "account_id": scope.account_id,
            "region": scope.region,
            "first_day": window[0],
            "last_day": last,
            **{f"{kind}s" if kind != "alias" else "aliases": asked[kind] for kind in _KINDS},
            "metrics": metrics,
            "unread": 0,
        },
    )


_KINDS = ("function", "alias", "version", "executed_version")


def _kind(qualifier: str, executed: str) -> str:
    if executed:
        return "executed_version"
    return ("version" if qualifier.isdecimal() else "alias") if qualifier else "function"


def _row(scope: Scope, name: str, series: tuple[str, str], day: date, figures: _Day) -> dict[str, Any]:
    (qualifier, executed), has_run = series, bool(figures.invocations)
    return {
        "account_id": scope.account_id,
        "region": scope.region,
        "function_name": name,
        "qualifier": qualifier or LATEST,
        "dimension": _kind(qualifier, executed),
        "executed_version": executed or None,
        "day": day,
        "invocations": figures.invocations if has_run else None,
        "errors": figures.errors if has_run else None,
        "throttles": figures.throttles,
        "duration_ms": figures.duration_ms if has_run else None,
        "duration_max_ms": figures.duration_max_ms if has_run else None,
    }
