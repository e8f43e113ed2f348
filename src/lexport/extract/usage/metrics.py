"""Requests of GetMetricData and what their results say. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, NamedTuple

from lexport.errors import AccessDeniedError, ItemError, ServiceError, WrongAnswerError
from lexport.extract.usage.series import Series
from lexport.extract.usage.window import POINTS_PER_REQUEST, Window
from lexport.model import Reply
from lexport.tables.resources.usage import FUNCTION_USAGE, GET_METRIC_DATA, NAMESPACE

_DAY_S = 86_400
_COMPLETE = "Complete"
_LONGEST_MESSAGE = 200


class Metric(NamedTuple):
    """One figure of a series and the column that it fills."""

    name: str
    statistic: Literal["Sum", "Maximum"]
    column: str


INVOCATIONS = Metric("Invocations", "Sum", "invocations")
ERRORS = Metric("Errors", "Sum", "errors")
THROTTLES = Metric("Throttles", "Sum", "throttles")
METRICS = (
    INVOCATIONS,
    ERRORS,
    THROTTLES,
    Metric("Duration", "Sum", "duration_ms"),
    Metric("Duration", "Maximum", "duration_max_ms"),
)
_COUNTS = (INVOCATIONS, ERRORS, THROTTLES)


def first_metrics(series: Series) -> tuple[Metric, ...]:
    """Return what is asked first: whether there were calls. A throttled call is none of these: it did not run."""
    return (INVOCATIONS, THROTTLES) if series.dimension == "function" else (INVOCATIONS,)


def chunks(series: Iterable[Series], most_queries: int) -> Iterator[list[Series]]:
    """Split series into lists whose first metrics fit into one request each."""
    chunk: list[Series] = []
    queries = 0
    for each in series:
        count = len(first_metrics(each))
        if queries + count > most_queries:
            yield chunk
            chunk, queries = [], 0
        chunk.append(each)
        queries += count
    if chunk:
        yield chunk


@dataclass(frozen=True, slots=True)
class Query:
    """One metric of one series; ``number`` is that of the series in its chunk."""

    number: int
    series: Series
    metric: Metric


@dataclass(slots=True)
class Answers:
    """What results have said about some queries, by query; ``left`` are those that are not answered whole.

    ``failures`` say why not.
    """

    points: dict[Query, dict[date, float]] = field(default_factory=dict)
    failures: dict[Query, ItemError] = field(default_factory=dict)

    def left(self, queries: Iterable[Query]) -> list[Query]:
        """Return the queries without a whole answer that are worth asking again."""
        return [query for query in queries if (error := self.failures.get(query)) is not None and error.retryable]


def request(queries: Sequence[Query], window: Window, prefix: str) -> dict[str, Any]:
    """Return the parameters of a request; ``prefix`` begins the ids, so that no other request has them."""
    return {
        "StartTime": int(window.start.timestamp()),
        "EndTime": int(window.end.timestamp()),
        "ScanBy": "TimestampAscending",
        "MaxDatapoints": POINTS_PER_REQUEST,
        "MetricDataQueries": [
            {
                "Id": f"{prefix}{at}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": NAMESPACE,
                        "MetricName": query.metric.name,
                        "Dimensions": query.series.dimensions(),
                    },
                    "Period": _DAY_S,
                    "Stat": query.metric.statistic,
                },
            }
            for at, query in enumerate(queries)
        ],
    }


def results_of(reply: Reply) -> list[dict[str, Any]]:
    """Return the results of a page. Raises WrongAnswerError."""
    results = reply.document.get("MetricDataResults")
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise _wrong("the page has no list of MetricDataResults", code="invalid_page")
    return results


def check_results(reply: Reply, ids: Mapping[str, Query]) -> bool:
    """Check that a page is about the queries of its request, as their ids say."""
    results = results_of(reply)
    for result in results:
        if result.get("Id") not in ids:
            raise _wrong(f"a result has the id {str(result.get('Id'))[:40]!r}, which was not asked for")
    return bool(results)


def take_page(results: Iterable[Mapping[str, Any]], ids: Mapping[str, Query], window: Window, answers: Answers) -> None:
    """Add the points of a page; of each query the status of its last page counts."""
    for result in results:
        query = ids[result["Id"]]
        answers.failures.pop(query, None)
        try:
            points = dict(_points(result, window))
        except (TypeError, ValueError, OverflowError, OSError) as error:
            answers.failures[query] = ServiceError(
                f"GetMetricData: a result that cannot be read: {error}", code="invalid_result"
            )
            continue
        answers.points.setdefault(query, {}).update(points)
        if (status := result.get("StatusCode")) != _COMPLETE:
            answers.failures[query] = _failure(status, result.get("Messages"))


def _points(result: Mapping[str, Any], window: Window) -> Iterator[tuple[date, float]]:
    stamps, values = result.get("Timestamps") or [], result.get("Values") or []
    for stamp, value in zip(stamps, values, strict=True):
        at = datetime.fromisoformat(stamp) if isinstance(stamp, str) else datetime.fromtimestamp(stamp, UTC)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        day = at.astimezone(UTC).date()
        if isinstance(value, bool) or not math.isfinite(value) or value < 0:
            raise ValueError("a value that is no count")
        if not window.first <= day <= window.last:
            raise ValueError(f"a point of {day}, outside of the window")
        yield day, float(value)


def _failure(status: object, messages: object) -> ItemError:
    texts = [text for each in messages if (text := _text(each))] if isinstance(messages, list) else []
    why = f": {'; '.join(texts)[:_LONGEST_MESSAGE]}" if texts else ""
    shown = str(status)[:_LONGEST_MESSAGE] if status is not None else "no status"
    if status == "Forbidden":
        return AccessDeniedError(f"GetMetricData: a result is Forbidden{why}", code="Forbidden")
    return ServiceError(f"GetMetricData: a result is not complete but has {shown}{why}", code=shown[:40])


def _text(message: object) -> str:
    values = message.values() if isinstance(message, dict) else ()
    return " ".join(value for value in values if isinstance(value, str))


def unanswered(queries: Iterable[Query], answers: Answers) -> None:
    """Make a failure of each query that no page has a result of."""
    for query in queries:
        if query not in answers.points and query not in answers.failures:
            answers.failures[query] = ServiceError("GetMetricData: no result came back", code="no_result")


def usage_rows(series: Series, points: Mapping[Metric, Mapping[date, float]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of ``function_usage`` of one series: of each day with a call, throttled or not."""
    days = sorted(day for metric in (INVOCATIONS, THROTTLES) for day, value in points.get(metric, {}).items() if value)
    for day in dict.fromkeys(days):
        row: dict[str, Any] = {
            "function_name": series.name,
            "qualifier": series.qualifier,
            "dimension": series.dimension,
            "executed_version": series.executed or None,
            "day": day,
        }
        for metric in METRICS:
            value = points.get(metric, {}).get(day)
            row[metric.column] = round(value) if value is not None and metric in _COUNTS else value
        yield row


def days_of(window: Window) -> Iterator[date]:
    """Yield the days of a window."""
    for number in range(window.days):
        yield window.first + timedelta(days=number)


def _wrong(what: str, code: str = "wrong_answer") -> WrongAnswerError:
    return WrongAnswerError(f"{GET_METRIC_DATA.operation}: {what}", code=code, http_status=200)


assert {metric.column for metric in METRICS} <= set(FUNCTION_USAGE.names())
