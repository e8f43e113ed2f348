"""The views of use: what was called, what costs how much, and what is unknown, on hand-written days."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime

import pytest

from lexport.query.shipped_views import sql_dir

A, R = "111122223333", "eu-west-1"
AT = datetime(2026, 11, 30, 2, tzinfo=UTC)
OLD, NEW = datetime(2025, 5, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
FIRST, LAST = date(2026, 10, 31), date(2026, 11, 29)


def version(name, number="$LATEST", **more):
    settings = {"architecture": "x86_64", "memory_size": 1024, "timeout": 10, "package_type": "Zip", "code_size": 7}
    return {"function_name": name, "version": number, "last_modified_at": OLD, **settings, **more}


def used(name, qualifier="$LATEST", dimension="function", *, executed=None, day=LAST, calls=10, **more):
    figures = {"invocations": calls, "errors": 0, "throttles": 0, "duration_ms": 100.0 * (calls or 0)}
    given = {"function_name": name, "qualifier": qualifier, "dimension": dimension, "executed_version": executed}
    return {**given, "day": day, **figures, "duration_max_ms": 500.0, **more}


def night(functions, usage=(), *, window=True, days=(FIRST, LAST), **more):
    windows = [{"first_day": days[0], "last_day": days[1], "functions": 1, "metrics": 1, "unread": 0}] if window else []
    return [{"at": AT, "functions": functions, "function_usage": list(usage), "usage_windows": windows, **more}]


VERDICTS = "SELECT function_name, verdict, why_unknown, last_used_day FROM unused_functions"


def test_unused_functions(ask):
    """A function is unused where the whole window knows of no call, and unknown where CloudWatch cannot tell."""
    functions = [
        version("busy"),
        version("idle"),
        version("never"),
        version("only-throttled"),
        version("unreadable"),
        version("young", last_modified_at=NEW),
        version("young-and-busy", last_modified_at=NEW),
    ]
    usage = [
        used("busy"),
        used("young-and-busy"),
        used("idle", day=date(2026, 11, 15)),
        used("only-throttled", calls=None, throttles=3),
    ]
    error = {"stage": "discover", "operation": "GetMetricData", "function_name": "unreadable", "is_gap": False}

    assert ask(night(functions, usage, errors=[error | {"message": "no"}]), VERDICTS) == [
        ("idle", "idle", None, date(2026, 11, 15)),
        ("never", "unused", None, None),
        ("only-throttled", "throttled", None, None),
        ("unreadable", "unknown", "failed", None),
        ("young", "unknown", "changed", None),
    ]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"window": False}, "not_read"),
        ({"days": (date(2026, 11, 1), LAST)}, "short_window"),
        ({"errors": [{"operation": "GetMetricData", "message": "denied"}]}, "failed"),
    ],
)
def test_what_is_unknown_of_all(ask, more, why):
    """Where nothing was read, too little, or reading was given up, no function is unused."""
    assert ask(night([version("f")], **more), VERDICTS) == [("f", "unknown", why, None)]


def test_versions_that_aliases_call(ask):
    """A version that an alias called within the window is neither unused nor prunable, though no alias leads to it."""
    functions = [version("f"), *(version("f", str(number)) for number in range(1, 8))]
    usage = [
        used("f", calls=30),
        used("f", "live", "alias", calls=20),
        used("f", "live", "executed_version", executed="1", calls=20),
        used("f", "2", "version", calls=10),
    ]
    scopes = [{"aliases": 1, "functions": 1, "versions": 8}]
    routes = [{"function_name": "f", "alias": "live", "version": "7", "weight": 1.0}]
    snapshot = night(functions, usage, scopes=scopes, alias_routes=routes)

    assert ask(snapshot, "SELECT version FROM prunable_versions") == [("3",), ("4",)]
    query = "SELECT version, verdict, aliases, is_prunable FROM unused_versions"
    assert ask(snapshot, query) == [
        ("3", "unused", 0, True),
        ("4", "unused", 0, True),
        ("5", "unused", 0, False),
        ("6", "unused", 0, False),
        ("7", "unused", 1, False),
    ]


def test_calls_of_an_alias_that_no_known_version_ran(ask):
    """Where an alias has more calls than its versions, no version of the function is unused, nor is $LATEST charged."""
    functions = [version(name, number) for name in ("f", "g") for number in ("$LATEST", *map(str, range(1, 7)))]
    usage = [
        used("f", calls=50),
        used("f", "live", "alias", calls=40),
        used("f", "live", "executed_version", executed="6", calls=25),
        used("f", "blue", "alias", calls=5),
        used("f", "blue", "executed_version", executed="6", calls=5),
        used("g", calls=5),
        used("g", "live", "alias", calls=5),
    ]
    routes = [{"function_name": name, "alias": "live", "version": "6", "weight": 1.0} for name in ("f", "g")]
    scopes = [{"aliases": 2, "functions": 2, "versions": 14}]
    snapshot = night(functions, usage, scopes=scopes, alias_routes=routes)

    assert ask(snapshot, "SELECT function_name, alias, invocations, duration_ms FROM unattributed_calls") == [
        ("f", "live", 15, 1_500.0),
        ("g", "live", 5, 500.0),
    ]
    assert ask(snapshot, "SELECT version FROM prunable_versions") == []
    query = "SELECT function_name, verdict, why_unknown, is_prunable, COUNT(*) FROM unused_versions GROUP BY ALL"
    assert sorted(ask(snapshot, query)) == [
        ("f", "unknown", "not_attributed", False, 5),
        ("g", "unknown", "not_attributed", False, 6),
    ]
    query = "SELECT function_name, version, invocations, duration_ms FROM version_use"
    assert ask(snapshot, query) == [("f", "6", 30, 3_000.0), ("f", "$LATEST", 5, 500.0)]
    query = "SELECT function_name, invocations, is_known FROM cost_estimate ORDER BY 1"
    assert ask(snapshot, query) == [("f", 35, False), ("g", None, False)]
    assert ask(snapshot, "SELECT function_name FROM unused_functions") == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"window": False}, "not_read"),
        ({"errors": [{"operation": "ListMetrics", "message": "denied"}]}, "not_listed"),
        ({"errors": [{"operation": "GetMetricData", "function_name": "f", "message": "no"}]}, "failed"),
        ({"scopes": [{"aliases": None}]}, "aliases_not_read"),
        ({"scope_resources": [{"resource": "aliases", "status": "partial"}]}, "aliases_not_read"),
    ],
)
def test_versions_of_which_nothing_is_known(ask, more, why):
    """A version whose use is unknown is never prunable by its use."""
    functions = [version("f"), *(version("f", str(number)) for number in range(1, 6))]
    query = "SELECT DISTINCT verdict, why_unknown, is_prunable, bytes_freed FROM unused_versions"

    snapshot = night(functions, **{"scopes": [{"aliases": 0}], **more})
    assert ask(snapshot, query) == [("unknown", why, False, 0)]
    if why == "aliases_not_read":
        assert ask(snapshot, "SELECT version FROM prunable_versions") == []
        assert ask(snapshot, VERDICTS) == [("f", "unused", None, None)]


def test_costs(ask):
    """The duration of a version is priced by its own memory and architecture, the rest by those of ``$LATEST``."""
    functions = [
        version("f", memory_size=2048, runtime="python3.13"),
        version("f", "1", memory_size=512, architecture="arm64"),
        version("idle"),
        version("unread"),
    ]
    usage = [
        used("f", calls=1_000_000, duration_ms=3_000_000.0),
        used("f", "live", "executed_version", executed="1", calls=400_000, duration_ms=2_000_000.0),
    ]
    error = {"operation": "GetMetricData", "function_name": "unread", "message": "no"}
    snapshot = night(functions, usage, errors=[error])

    costs = ask(
        snapshot, "SELECT function_name, architecture, invocations, gb_seconds, usd, is_known FROM cost_estimate"
    )
    assert [(*row[:4], row[5]) for row in costs] == [
        ("f", "x86_64", 600_000, 2_000.0, True),
        ("f", "arm64", 400_000, 1_000.0, True),
        ("unread", "x86_64", None, None, False),
    ]
    assert [row[4] for row in costs] == [
        pytest.approx(600_000 * 2e-7 + 2_000 * 0.0000166667),
        pytest.approx(400_000 * 2e-7 + 1_000 * 0.0000133334),
        None,
    ]
    saved = ask(snapshot, "SELECT function_name, invocations, saved_usd_per_30_days FROM arm64_savings")
    assert saved == [("f", 600_000, pytest.approx(2_000 * (0.0000166667 - 0.0000133334)))]


def test_managed_instances_have_no_price_of_duration(ask):
    """What ran on managed instances is billed by the instance: its calls have a price, its duration has none."""
    provider = "arn:aws:lambda:eu-west-1:111122223333:capacity-provider:p"
    functions = [version("managed", capacity_provider_arn=provider), version("other")]
    snapshot = night(functions, [used("managed", calls=1_000_000), used("other", calls=1_000_000)])

    query = "SELECT function_name, requests_usd, duration_usd, usd, usd_per_30_days, is_known FROM cost_estimate"
    managed, other = sorted(ask(snapshot, query))
    assert managed == ("managed", pytest.approx(0.2), None, None, None, True)
    assert other[3] == pytest.approx(0.2 + 100_000 * 0.0000166667)


def test_timeouts_and_errors(ask):
    """The longest call is compared with the timeout of the version that ran; rates are shares of calls."""
    functions = [version("f"), version("f", "1", timeout=1), version("g", timeout=1)]
    usage = [
        used("f", calls=20, errors=5, throttles=20),
        used("f", "1", "version", calls=10, duration_max_ms=1_000.0),
        used("g", day=FIRST, duration_max_ms=100.0),
        used("g", duration_max_ms=250.0),
    ]
    snapshot = night(functions, usage)

    pressure = ask(snapshot, "SELECT function_name, version, share_of_timeout, invocations FROM timeout_pressure")
    assert pressure == [("f", "1", 1.0, 10), ("g", "$LATEST", 0.25, 20)]
    rates = ask(snapshot, "SELECT function_name, qualifier, error_rate, throttle_rate FROM error_rates")
    assert rates[0] == ("f", "$LATEST", 0.25, 0.5)


def test_no_figures_of_answers_that_came_back_in_part(ask):
    """A rate is of whole answers: none where a day lacks calls, errors or throttles, or a result is incomplete."""
    functions = [version(name, runtime="python3.13") for name in ("calls", "errors", "lost", "throttles", "whole")]
    usage = [
        *(used(name, day=FIRST, errors=5, throttles=10) for name in ("calls", "errors", "lost", "throttles", "whole")),
        used("calls", calls=None, errors=4, throttles=2),
        used("errors", errors=None),
        used("throttles", throttles=None),
        used("whole", calls=None, errors=None, throttles=20),
        used("lost", "live", "alias", calls=10, errors=5),
        used("lost", "live", "executed_version", executed="$LATEST", calls=10, errors=5),
    ]
    error = {"operation": "GetMetricData", "function_name": "lost", "qualifier": "$LATEST", "message": "PartialData"}
    snapshot = night(functions, usage, errors=[error])

    query = "SELECT function_name, dimension, error_rate, throttle_rate FROM error_rates ORDER BY 1, 2"
    assert ask(snapshot, query) == [
        ("calls", "function", None, None),
        ("errors", "function", None, pytest.approx(10 / 30)),
        ("lost", "alias", 0.5, 0.0),
        ("lost", "executed_version", 0.5, 0.0),
        ("lost", "function", None, None),
        ("throttles", "function", 0.25, None),
        ("whole", "function", 0.5, 0.75),
    ]
    query = "SELECT function_name, invocations, gb_seconds, saved_usd_per_30_days FROM arm64_savings ORDER BY 1"
    assert {name for name, *figures in ask(snapshot, query) if figures == [None] * 3} == {"lost"}


def test_prices_are_those_of_the_csv(ask):
    """The view of prices has the lines of data/lambda_prices.csv, each with its source."""
    lines = list(csv.DictReader((sql_dir() / "data/lambda_prices.csv").read_text(encoding="utf-8").splitlines()))
    shown = ask([{}], "SELECT * FROM lambda_prices")

    assert shown == [
        (
            line["architecture"],
            float(line["request_usd"]),
            float(line["gb_second_usd"]),
            line["region"],
            date.fromisoformat(line["stated_on"]),
        )
        for line in lines
    ]
    assert all(line["source"].startswith("https://aws.amazon.com/lambda/pricing/") for line in lines)
