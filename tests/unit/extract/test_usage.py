"""The pure parts of reading the use of functions: windows and prices, series, results."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from lexport.errors import AccessDeniedError, ServiceError, WrongAnswerError
from lexport.extract.usage.metrics import (
    METRICS,
    Answers,
    Query,
    check_results,
    chunks,
    request,
    take_page,
    unanswered,
    usage_rows,
)
from lexport.extract.usage.series import (
    Series,
    SeriesFile,
    listed_series,
    of_function,
    of_qualifier,
    of_route,
)
from lexport.extract.usage.window import Window, usage_cost, window_of
from lexport.model import Reply

WINDOW = Window(date(2026, 11, 1), date(2026, 11, 3))
AT = datetime(2026, 11, 2, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("at", "last"),
    [
        (datetime(2026, 11, 30, 12, tzinfo=UTC), date(2026, 11, 29)),
        (datetime(2026, 11, 30, 0, 21, tzinfo=UTC), date(2026, 11, 29)),
        (datetime(2026, 11, 30, 0, 19, tzinfo=UTC), date(2026, 11, 28)),
        (datetime(2026, 11, 30, 1, tzinfo=timezone(timedelta(hours=9))), date(2026, 11, 28)),
    ],
)
def test_a_window_ends_with_a_whole_day(at, last):
    """The last day is over in UTC, also for calls that began on it and ran for 15 minutes."""
    window = window_of(at, 30)

    assert (window.last, window.days) == (last, 30)
    assert (window.start.hour, window.end - window.start) == (0, timedelta(days=30))


def test_what_a_fleet_costs():
    """Metrics and dollars go from the first question about everything to five metrics of everything."""
    cost = usage_cost(30, functions=10_000, aliases=20_000, versions=50_000, executed_versions=20_000)

    assert cost.metrics == (110_000, 500_000)
    assert cost.dollars == (1.1, 5.0)
    assert cost.list_requests == (2, 400)
    assert cost.requests == (220, 2 * 221 + 780)


def test_what_a_short_window_costs():
    """Of a window that ListMetrics covers, nothing is asked for that it does not list."""
    cost = usage_cost(13, functions=10, aliases=0, versions=0)

    assert (cost.metrics, cost.requests[0], cost.dollars[0]) == ((0, 50), 0, 0.0)
    assert usage_cost(14, functions=10, aliases=0, versions=0).metrics == (20, 50)


@pytest.mark.parametrize(("days", "queries"), [(30, 500), (201, 500), (202, 499), (455, 221)])
def test_a_request_stays_below_the_most_points(days, queries):
    """The longest window asks for fewer metrics at a time, and for one point a day of each."""
    assert Window(date.min, date.min + timedelta(days=days - 1)).queries_per_request == queries


def dimensions(**values):
    return [{"Name": name, "Value": value} for name, value in values.items()]


@pytest.mark.parametrize(
    ("listed", "series"),
    [
        (dimensions(FunctionName="f"), of_function("f")),
        (dimensions(Resource="f:live", FunctionName="f"), of_qualifier("f", "live")),
        (dimensions(FunctionName="f", Resource="f:7"), of_qualifier("f", "7")),
        (dimensions(FunctionName="f", Resource="f:live", ExecutedVersion="7"), of_route("f", "live", "7")),
        (dimensions(FunctionName="f", Resource="f"), None),  # calls without a qualifier
        (dimensions(FunctionName="f", Resource="g:live"), None),
        (dimensions(FunctionName="f", ExecutedVersion="7"), None),
        (dimensions(FunctionName="f", Tenant="t"), None),
        (dimensions(Resource="f:live"), None),
        ([], None),
        ([None, {"Name": 1, "Value": []}], None),
    ],
)
def test_listed_dimensions(listed, series):
    """Exact sets of dimensions are series; what else CloudWatch lists is passed over."""
    assert listed_series(listed) == series
    if series is not None:
        assert sorted(map(str, series.dimensions())) == sorted(map(str, listed))


def test_what_is_asked_for(tmp_path):
    """Series of functions that are gone are not asked for; each other one once, wherever it is known from."""
    with SeriesFile(tmp_path / "series.db") as file:
        file.add_known([of_function("f"), of_qualifier("f", "live"), of_route("f", "live", "1")])
        file.add_recent([of_function("f"), of_route("f", "live", "1"), of_route("f", "old", "2"), of_function("gone")])
        file.add_known([of_route("gone", "live", "1")])
        every, listed = list(file.to_ask(is_listed_enough=False)), list(file.to_ask(is_listed_enough=True))
        counts = file.counts()

    assert set(every) == {*listed, of_qualifier("f", "live")}
    assert sorted(listed) == sorted([of_function("f"), of_route("f", "live", "1"), of_route("f", "old", "2")])
    assert counts == {"function": 1, "alias": 1, "executed_version": 2}
    assert list(tmp_path.iterdir()) == []


def test_chunks_fit_into_requests():
    """A function takes two queries and everything else one; no request has more than it may."""
    series = [of_function("f"), of_qualifier("f", "1"), of_function("g"), of_function("h")]

    assert [[each.name for each in chunk] for chunk in chunks(series, 3)] == [["f", "f"], ["g"], ["h"]]
    assert list(chunks([], 3)) == []


def answer(**more):
    """Let one query be answered with a result; return what the answers say."""
    query = Query(0, of_function("f"), METRICS[0])
    answers = Answers()
    given = {"Id": "r0q0", "Timestamps": [AT], "Values": [3.0], "StatusCode": "Complete"} | more
    take_page([given], {"r0q0": query}, WINDOW, answers)
    return answers.points.get(query), answers.failures.get(query)


def test_points():
    """A point belongs to its day; a day without a point has none."""
    assert answer() == ({date(2026, 11, 2): 3.0}, None)
    assert answer(Timestamps=["2026-11-03T00:00:00Z"]) == ({date(2026, 11, 3): 3.0}, None)
    assert answer(Timestamps=[], Values=[]) == ({}, None)


@pytest.mark.parametrize(
    "more",
    [
        {"Timestamps": [AT, AT]},
        {"Timestamps": [AT + 9e5]},
        {"Timestamps": ["tomorrow"]},
        {"Timestamps": [None]},
        {"Timestamps": [1e300]},
        {"Timestamps": "x"},
        {"Values": ["3"]},
        {"Values": [-1.0]},
        {"Values": [True]},
        {"Values": [float("inf")]},
        {"Values": 7},
    ],
)
def test_points_that_cannot_be(more):
    """What no day can have is a failure that is asked again, and never a figure."""
    points, failure = answer(**more)

    assert not points
    assert isinstance(failure, ServiceError)


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        ("InternalError", ServiceError),
        ("PartialData", ServiceError),
        ("Forbidden", AccessDeniedError),
        (None, ServiceError),
    ],
)
def test_results_that_are_not_complete(status, error_class):
    """Each status but Complete is a failure; of Forbidden nothing is to be had by asking again."""
    points, failure = answer(StatusCode=status, Messages=[{"Code": "x", "Value": "why"}])

    assert points == {date(2026, 11, 2): 3.0}
    assert type(failure) is error_class
    assert "x why" in str(failure)


def test_the_last_page_decides():
    """A result that goes on on the next page is complete with it."""
    query = Query(0, of_function("f"), METRICS[0])
    answers, ids = Answers(), {"r0q0": query}
    first = {"Id": "r0q0", "Timestamps": [AT], "Values": [1.0], "StatusCode": "PartialData"}
    take_page([first], ids, WINDOW, answers)
    assert answers.left([query]) == [query]
    take_page([first | {"Timestamps": [AT + 86_400], "StatusCode": "Complete"}], ids, WINDOW, answers)

    assert (answers.failures, answers.points[query]) == ({}, {date(2026, 11, 2): 1.0, date(2026, 11, 3): 1.0})
    other = Query(1, of_function("g"), METRICS[0])
    unanswered([query, other], answers)
    assert answers.left([query, other]) == [other]


def test_an_answer_to_another_request():
    """A page with an id that was not asked for is of another request."""
    queries = [Query(0, of_function("f"), METRICS[0])]
    asked = request(queries, WINDOW, "r7q")
    ids = {asked["MetricDataQueries"][0]["Id"]: queries[0]}

    assert check_results(Reply(body=b"", parsed={"MetricDataResults": [{"Id": "r7q0"}]}), ids)
    for wrong in ({"MetricDataResults": [{"Id": "r8q0"}]}, {"MetricDataResults": [1]}, {"MetricDataResults": None}, {}):
        with pytest.raises(WrongAnswerError):
            check_results(Reply(body=b"", parsed=wrong), ids)


def test_rows():
    """A day has a row where there was a call, throttled or not; what was not answered is NULL."""
    days = [date(2026, 11, day) for day in (1, 2, 3)]
    invocations, errors, throttles, duration, longest = METRICS
    points = {
        invocations: {days[0]: 5.0, days[1]: 0.0},
        errors: {days[0]: 1.0, days[1]: 0.0},
        throttles: {days[1]: 0.0, days[2]: 9.0},
        duration: {days[0]: 12.5},
        longest: {days[0]: 4.0},
    }
    found = [tuple(row.values())[3:] for row in usage_rows(Series("f", "executed_version", "live", "7"), points)]

    assert found == [("7", days[0], 5, 1, None, 12.5, 4.0), ("7", days[2], None, None, 9, None, None)]
