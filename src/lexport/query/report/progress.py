"""Figures of the findings over nights: how many functions, and what got better or worse."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from lexport.query.checks.definition import SEVERITIES, Check
from lexport.query.checks.finding import FunctionKey
from lexport.query.report import charts
from lexport.query.report.figures import Figure
from lexport.query.report.findings import SHOWN, TONES, counted, make_answer
from lexport.query.report.format import count, signed
from lexport.query.report.nights import Night
from lexport.tables.text import plural

_QUERY = "-- lexport check DEST --min-severity medium, over the files of each night alone"
_WEEK = timedelta(days=7)


def findings_by_night(nights: Sequence[Night], checks: Sequence[Check]) -> Figure:
    """Draw the functions with findings, a bar a night."""
    rows, drawn = [], []
    for night in nights:
        counts = night.by_severity(checks)
        read = len(night.scopes)
        rows.append(
            {
                "read_at": night.read_at,
                **{name: counts[name] for name in SHOWN},
                "functions": len(night.functions),
                "account_regions": read,
            }
        )
        text, others = counted(counts)
        partial = f" · {read} of {plural(night.tried, 'account-region')} read whole" if read < night.tried else ""
        drawn.append(
            charts.Bar(
                label=f"{night.read_at:%a %d %b %Y}",
                values=tuple(counts[name] for name in SHOWN),
                text=text,
                note=f"{others}{night.read_at:%H:%M} UTC · {plural(len(night.functions), 'function')}{partial}",
            )
        )
    answer = make_answer(
        "findings_by_night",
        rows,
        title="Findings, night by night",
        about="Functions by their worst finding: the last night, the one before, and those a week and more before. Each"
        " night is judged from its own files, by today's rules and waivers.",
        empty="No night was read whole.",
        query=_QUERY,
    )
    tones = tuple(TONES[name] for name in SHOWN)
    chart = charts.bars(drawn, name="Functions with findings by night", tones=tones)
    legend = tuple((TONES[name], name) for name in SHOWN)
    finding = _since(nights, checks)
    return Figure(answer=answer, finding=finding, charts=(chart,) if drawn else (), legend=legend)


def _since(nights: Sequence[Night], checks: Sequence[Check]) -> str:
    if len(nights) < 2:  # noqa: PLR2004 - a change has two ends
        return "One night so far."
    first, last = (night.by_severity(checks) for night in (nights[-1], nights[0]))
    return (
        f"Since {nights[-1].day:%d %b %Y}: {', '.join(f'{signed(last[name] - first[name])} {name}' for name in SHOWN)}."
    )


def what_got_better(nights: Sequence[Night], checks: Sequence[Check]) -> Figure:
    """Compare the last night with the one before and with that of a week before, rule by rule."""
    pairs = _pairs(nights)
    rows, sentences = [], []
    for when, before, now in pairs:
        both = now.scopes & before.scopes
        fixed_ever, new_ever = set[FunctionKey](), set[FunctionKey]()
        for check in sorted(checks, key=lambda check: (-SEVERITIES.index(check.severity), check.name)):
            then, today = (_within(night.found[check.name], night, both) for night in (before, now))
            fixed, new = then - today, today - then
            fixed_ever |= fixed
            new_ever |= new
            if fixed or new:
                gone = len([key for key in fixed if key not in now.functions])
                rows.append(
                    {
                        "since": when,
                        "severity": check.severity,
                        "check": check.name,
                        "functions_before": len(then),
                        "better": len(fixed),
                        "of_them_deleted": gone,
                        "worse": len(new),
                        "functions_now": len(today),
                    }
                )
        better = plural(len(fixed_ever), "function got", "functions got")
        worse = plural(len(new_ever), "function", "functions")
        sentences.append(f"Since {when} ({before.day:%d %b}): {better} better, {worse} worse.")
    answer = make_answer(
        "better",
        rows,
        title="What got better",
        about="Functions that no longer break a rule, and those that break one that they did not break before, in the"
        " account-regions that were read whole on both nights.",
        empty="One night so far: there is nothing to compare with.",
        query=_QUERY,
    )
    if pairs and not rows:
        return Figure(answer=answer, empty=f"{' '.join(sentences)} No function changed sides.")
    drawn = [
        charts.Bar(
            label=_title(checks, str(row["check"])),
            values=(int(str(row["better"])), int(str(row["worse"]))),
            text=f"{count(row['better'])} better, {count(row['worse'])} worse",  # type: ignore[arg-type]
            note=f"{row['severity']} · {count(row['functions_before'])} then, {count(row['functions_now'])} now",  # type: ignore[arg-type]
        )
        for row in rows
        if row["since"] == pairs[-1][0]
    ]
    chart = charts.bars(drawn, name=f"Functions since {pairs[-1][0]}" if pairs else "", tones=("good", "bad"))
    legend = (("good", f"better since {pairs[-1][0]}"), ("bad", "worse")) if pairs else ()
    return Figure(answer=answer, finding=" ".join(sentences), charts=(chart,) if drawn else (), legend=legend)


def _title(checks: Sequence[Check], name: str) -> str:
    return next(check.title for check in checks if check.name == name)


def _within(found: frozenset[FunctionKey], night: Night, scopes: frozenset[object]) -> frozenset[FunctionKey]:
    places = {(scope.account_id, scope.region) for scope in night.scopes if scope in scopes}
    return frozenset(key for key in found if key[:2] in places)


def _pairs(nights: Sequence[Night]) -> list[tuple[str, Night, Night]]:
    """Return the last night with the one before it, and with the newest that is a week older, each with its name."""
    if len(nights) < 2:  # noqa: PLR2004 - nothing to compare
        return []
    last, before = nights[:2]
    pairs = [("last night", before, last)]
    week = next((night for night in nights if night.day <= last.day - _WEEK), None)
    if week is not None and week is not before:
        pairs.append(("last week", week, last))
    return pairs
