"""What changed since the snapshot before -> figures."""

from __future__ import annotations

from collections import Counter

from lexport.query.catalog import Catalog
from lexport.query.report import charts
from lexport.query.report.figures import Figure
from lexport.query.report.format import count
from lexport.query.report.questions import Answer, day_of
from lexport.tables.run import CHANGES

_KINDS = (("added", "s1"), ("removed", "bad"), ("changed", "s4"))
_SIGNS = {"added": "+", "removed": "\u2212", "changed": "~"}


def changes(answer: Answer) -> Figure:
    """Show how many things were added, removed and changed, table by table."""
    totals = {kind: answer.total_of(kind) for kind, _ in _KINDS}
    bars = [
        charts.Bar(
            label=row["table_name"],
            values=tuple(float(row[kind]) for kind, _ in _KINDS),
            text=" ".join(f"{_SIGNS[kind]}{count(row[kind])}" for kind, _ in _KINDS if row[kind]),
            note=", ".join(f"{count(row[kind])} {kind}" for kind, _ in _KINDS if row[kind]),
        )
        for row in answer.rows
    ]
    chart = charts.bars(
        bars, name="Changes by table", about="Added, removed, changed.", tones=[tone for _, tone in _KINDS]
    )
    legend = tuple((tone, f"{_SIGNS[kind]} {kind}") for kind, tone in _KINDS if totals[kind])
    said = ", ".join(f"{count(totals[kind])} {kind}" for kind, _ in _KINDS if totals[kind])
    return Figure(answer=answer, finding=f"{said}.", charts=(chart,), legend=legend)


def changes_by_night(answer: Answer) -> Figure:
    """Show how much each night found other than the night before."""
    rows = answer.rows[::-1]
    series = [charts.Series(name=kind, values=tuple(row[kind] for row in rows), tone=tone) for kind, tone in _KINDS]
    chart = charts.columns(
        [day_of(row["day"]) for row in rows],
        series,
        name="Changes by night",
        about="Added at the bottom, then removed, then changed.",
        write=count,
    )
    return Figure(answer=answer, charts=(chart,), legend=tuple((tone, kind) for kind, tone in _KINDS))


def why_unchanged(catalog: Catalog) -> str:
    """Say what it means that no change is there: nothing to compare with, not compared, or nothing changed."""
    latest = catalog.latest()
    readings = Counter(entry.scope for snapshot in catalog.snapshots for entry in snapshot.scopes if entry.is_whole)
    again = {scope: snapshot for scope, snapshot in latest.items() if readings[scope] > 1}
    if not latest:
        return "No account-region was ever read whole: nothing to compare."
    if not again:
        return "First snapshot: nothing to compare with."
    if any(all(entry.table != CHANGES.name for entry in snapshot.files) for snapshot in again.values()):
        return "Not compared: the newest snapshot was written by a lexport that did not compare yet."
    return "Nothing changed since the snapshot before."
