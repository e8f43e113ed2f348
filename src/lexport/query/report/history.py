"""Figures of what happens over nights: trends, and what changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lexport.query.catalog import Catalog
from lexport.query.report import charts
from lexport.query.report.figures import Figure, listed
from lexport.query.report.format import count, signed
from lexport.query.report.questions import Answer, day_of
from lexport.query.report.words import value_words
from lexport.tables.run import CHANGES
from lexport.tables.text import plural
from lexport.tables.units import short_size


def trends(answer: Answer) -> Figure:
    """Draw functions, versions, code storage, calls and errors by day."""
    rows = answer.rows[::-1]
    days = [day_of(row["day"]) for row in rows]

    def series(title: str, tone: str, name: str, without: str | None = None) -> charts.Series:
        values = (row[name] - row[without] if without else row[name] for row in rows)
        return charts.Series(name=title, values=tuple(values), tone=tone)

    fleet = [series("versions", "s2", "versions"), series("functions", "s1", "functions")]
    code = [series("code storage", "s3", "code_bytes")]
    calls = [series("answered", "s4", "calls", without="throttles"), series("throttled", "bad", "throttles")]
    errors = [series("gaps", "bad", "gaps"), series("other errors", "warn", "errors", without="gaps")]
    about = "Functions, and versions with $LATEST, by day."
    drawn = [charts.lines(days, fleet, name="Functions and versions", about=about, write=count)]
    if any(row["code_bytes"] is not None for row in rows):
        about = "Code storage by day, as AWS counts it."
        drawn.append(charts.lines(days, code, name="Code storage", about=about, write=short_size, kilo=1024))
    about = "Calls by day, and how many were throttled."
    if any(row["calls"] for row in rows):
        drawn.append(charts.columns(days, calls, name="Calls to AWS", about=about, write=count))
    about = "Errors by day: a gap is missing data, other errors lost nothing."
    has_errors = any(row["errors"] for row in rows)
    if has_errors:
        drawn.append(charts.columns(days, errors, name="Errors", about=about, write=count))
    legend = _TREND_LEGEND if has_errors else _TREND_LEGEND[:-1]
    finding = f"{_growth(rows)}{'' if has_errors else ' No night met an error.'}"
    if len(days) == 1:
        return Figure(answer=answer, finding=finding)
    return Figure(answer=answer, finding=finding, charts=tuple(drawn), is_wide=True, legend=legend)


_TREND_LEGEND = (
    ("s2", "versions"),
    ("s1", "functions"),
    ("s3", "code storage"),
    ("s4", "answered calls"),
    ("bad", "throttled calls, gaps"),
    ("warn", "other errors"),
)


def _growth(rows: Sequence[dict[str, Any]]) -> str:
    if len(rows) < 2:  # noqa: PLR2004 - a trend has two ends
        return "One night so far: a trend begins with the second."
    first, last = rows[0], rows[-1]
    lost = sum(row["read_that_day"] < row["account_regions"] for row in rows)
    growth = ", ".join(f"{signed(last[name] - first[name])} {name}" for name in ("functions", "versions"))
    unread = f"; on {plural(lost, 'day')} of {count(len(rows))} not every known account-region was read whole"
    return f"Since {first['day']:%d %b %Y}: {growth}{unread if lost else ''}."


_KINDS = {"added": "s1", "removed": "bad", "changed": "s4"}
_SIGNS = {"added": "+", "removed": "\u2212", "changed": "~"}


def changes(answer: Answer) -> Figure:
    """Draw how many rows were added, removed and changed, by table."""
    totals = {kind: answer.total_of(kind) for kind in _KINDS}
    bars = [
        charts.Bar(
            label=value_words(row["table_name"]).capitalize(),
            values=tuple(row[kind] for kind in _KINDS),
            text=" ".join(f"{_SIGNS[kind]}{count(row[kind])}" for kind in _KINDS if row[kind]),
            note=listed(row, _KINDS),
        )
        for row in answer.rows
    ]
    chart = charts.bars(bars, name="Changes by part", tones=tuple(_KINDS.values()))
    legend = tuple((tone, f"{_SIGNS[kind]} {kind}") for kind, tone in _KINDS.items() if totals[kind])
    return Figure(answer=answer, finding=f"{listed(totals, _KINDS)}.", charts=(chart,), legend=legend)


def changes_by_night(answer: Answer) -> Figure:
    """Draw how many changes each night found."""
    rows = answer.rows[::-1]
    days = [day_of(row["day"]) for row in rows]
    if len(days) == 1:
        return Figure(answer=answer, finding="One night so far has been compared with the one before.")
    series = [
        charts.Series(name=kind, values=tuple(row[kind] for row in rows), tone=tone) for kind, tone in _KINDS.items()
    ]
    about = "Added at the bottom, then removed, then changed."
    chart = charts.columns(days, series, name="Changes by night", about=about, write=count)
    return Figure(answer=answer, charts=(chart,), legend=tuple((tone, kind) for kind, tone in _KINDS.items()))


def why_unchanged(catalog: Catalog) -> str:
    """Explain why there are no changes: no earlier snapshot, not compared, or nothing changed."""
    latest = catalog.latest()
    readings = Counter(entry.scope for snapshot in catalog.snapshots for entry in snapshot.scopes if entry.is_whole)
    read_twice = {scope: snapshot for scope, snapshot in latest.items() if readings[scope] > 1}
    if not latest:
        return "No account-region was ever read whole: nothing to compare."
    if not read_twice:
        return "First snapshot: nothing to compare with."
    if any(not snapshot.entries(CHANGES.name) for snapshot in read_twice.values()):
        return "Not compared: the newest snapshot was written by an older lexport, which did not compare."
    return "Nothing changed since the snapshot before."
