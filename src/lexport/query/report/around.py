"""Figures of what is around the functions: who can use them, which are not used, and what they cost at least.

Where a run read nothing of it, or could not, the figures say so: unread is never safe, unused or free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexport.query.report import charts
from lexport.query.report.figures import SHOWN_BARS, Figure
from lexport.query.report.labels import Labels, console_url
from lexport.query.report.questions import Answer
from lexport.tables.text import plural

Unread = Mapping[str, Any]
"""The row of the question ``around``: how many functions there are, and of how many what is unread."""

_SAFE = {"none", "own_account", "own_service", "dead_principal", "limited", "url_broken", "unread"}
_WITH = {"policies": "--with policies,urls", "urls": "--with urls", "use": "--with usage"}
_NAMES = {"policies": "Policies", "urls": "Function URLs", "use": "Use"}


def exposure(answer: Answer, *, unread: Unread) -> Figure:
    """Draw functions by the worst that a policy or a function URL allows."""
    bars = [
        charts.Bar(
            label=row["verdict"],
            values=(row["functions"],),
            text=plural(row["functions"], "function"),
            note=row["who_can_use"],
        )
        for row in answer.rows[: 2 * SHOWN_BARS]
    ]
    by_others = sum(row["policies_judged"] for row in answer.rows if row["verdict"].rstrip("?") not in _SAFE)
    finding = "No policy lets anybody else in."
    if by_others:
        finding = f"{plural(by_others, 'policy', 'policies')} or function URLs let others in, or may."
    chart = charts.bars(bars, name="Functions by who can use them", tones=("s2",))
    return Figure(
        answer=answer,
        finding=" ".join((finding, *_why(unread, "policies"), *_why(unread, "urls"))),
        charts=(chart,) if bars else (),
        empty=_not_read(unread, "policies"),
        is_wide=True,
    )


def listing(answer: Answer, *, unread: Unread, of: str) -> Figure:
    """List functions, and say of how many it is not known."""
    return Figure(
        answer=answer,
        finding=" ".join((f"{plural(answer.total, 'row')}.", *_why(unread, of))),
        empty=_empty(answer, unread, of),
        is_open=bool(answer.rows),
        is_wide=True,
    )


def cost(answer: Answer, *, unread: Unread, labels: Labels) -> Figure:
    """Draw the functions that cost most."""
    bars = [
        charts.Bar(
            label=row["function_name"],
            values=(row["usd_per_30_days"],),
            text=f"${row['usd_per_30_days']:,.2f}",
            note=f"{labels.place(row['account_id'], row['region'])} · {plural(row['invocations'], 'call')}",
            href=console_url(row["region"], row["function_name"]),
        )
        for row in answer.rows[:SHOWN_BARS]
    ]
    chart = charts.bars(bars, name="Functions by cost", tones=("s3",))
    total = f"At least ${answer.rows[0]['usd_of_all']:,.2f} in 30 days." if answer.rows else ""
    return Figure(
        answer=answer,
        finding=" ".join((total, *_why(unread, "use"))),
        charts=(chart,) if bars else (),
        empty=_empty(answer, unread, "use"),
        is_wide=True,
    )


def _why(unread: Unread, of: str) -> list[str]:
    """Say of how many functions it is not known, and why."""
    said = []
    if unread[f"{of}_not_read"]:
        said.append(
            f"{_NAMES[of]} not read for {plural(unread[f'{of}_not_read'], 'function')}: {_WITH[of]} reads them."
        )
    if unread[f"{of}_failed"]:
        said.append(f"{_NAMES[of]} could not be read for {plural(unread[f'{of}_failed'], 'function')}.")
    return said


def _not_read(unread: Unread, of: str) -> str | None:
    if unread["functions"] and unread[f"{of}_not_read"] == unread["functions"]:
        return f"Not read: lexport snapshot {_WITH[of]} reads it."
    return None


def _empty(answer: Answer, unread: Unread, of: str) -> str:
    return _not_read(unread, of) or " ".join((answer.question.empty, *_why(unread, of)))
