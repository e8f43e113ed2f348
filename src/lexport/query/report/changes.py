"""Figures of the changes since the snapshot before."""

from __future__ import annotations

from collections import Counter

from lexport.query.catalog import Catalog
from lexport.query.report import charts
from lexport.query.report.figures import Figure, listed
from lexport.query.report.format import count
from lexport.query.report.questions import Answer, day_of
from lexport.tables.run import CHANGES

_TONES = {"added": "s1", "removed": "bad", "changed": "s4"}
_SIGNS = {"added": "+", "removed": "\u2212", "changed": "~"}


def changes(answer: Answer) -> Figure:
    """Draw how many rows were added, removed and changed, by table."""
    totals = {kind: answer.total_of(kind) for kind in _TONES}
    bars = [
        charts.Bar(
            label=row["table_name"],
            values=tuple(row[kind] for kind in _TONES),
            text=" ".join(f"{_SIGNS[kind]}{count(row[kind])}" for kind in _TONES if row[kind]),
            note=listed(row, _TONES),
        )
        for row in answer.rows
    ]
    chart = charts.bars(bars, name="Changes by table", about="Added, removed, changed.", tones=tuple(_TONES.values()))
    legend = tuple((tone, f"{_SIGNS[kind]} {kind}") for kind, tone in _TONES.items() if totals[kind])
    return Figure(answer=answer, finding=f"{listed(totals, _TONES)}.", charts=(chart,), legend=legend)


def changes_by_night(answer: Answer) -> Figure:
    """Draw how many changes each night found."""
    rows = answer.rows[::-1]
    days = [day_of(row["day"]) for row in rows]
    series = [
        charts.Series(name=kind, values=tuple(row[kind] for row in rows), tone=tone) for kind, tone in _TONES.items()
    ]
    about = "Added at the bottom, then removed, then changed."
    chart = charts.columns(days, series, name="Changes by night", about=about, write=count)
    return Figure(answer=answer, charts=(chart,), legend=tuple((tone, kind) for kind, tone in _TONES.items()))


def why_unchanged(catalog: Catalog) -> str:
    """Explain why there are no changes: no earlier snapshot, not compared, or nothing changed."""
    latest = catalog.latest()
    readings = Counter(entry.scope for snapshot in catalog.snapshots for entry in snapshot.scopes if entry.is_whole)
    read_twice = {scope: snapshot for scope, snapshot in latest.items() if readings[scope] > 1}
    if not latest:
        return "No account-region was ever read whole: nothing to compare."
    if not read_twice:
        return "First snapshot: nothing to compare with."
    if any(all(entry.table != CHANGES.name for entry in snapshot.files) for snapshot in read_twice.values()):
        return "Not compared: the newest snapshot was written by an older lexport, which did not compare."
    return "Nothing changed since the snapshot before."
