"""Figures: a sentence, a chart and its legend for each question. Every figure also has its table and its SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from xml.etree import ElementTree as ET

from lexport.query.report import charts
from lexport.query.report.format import count, percent
from lexport.query.report.markup import element
from lexport.query.report.questions import Answer, day_of
from lexport.tables.text import plural
from lexport.tables.units import short_size

SHOWN_BARS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One question of the report. ``finding`` summarizes the rows; ``legend`` pairs a tone with its meaning.

    ``empty`` explains the lack of rows, instead of the question's own text.
    """

    answer: Answer
    finding: str = ""
    charts: tuple[ET.Element, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    empty: str | None = None
    is_open: bool = False
    is_wide: bool = False


def runtimes(answer: Answer, *, today: date) -> Figure:
    """Draw the runtimes in use over the years, by their deprecation dates."""
    ending = [row for row in answer.rows if row["deprecation_date"]]
    ended = [row for row in ending if row["deprecation_date"] <= today]
    soon = [row for row in ending if row["status"] == "soon"]
    others = len(answer.rows) - len(ending)

    def versions(rows: Sequence[dict[str, Any]]) -> int:
        return sum(row["versions"] for row in rows)

    finding = (
        f"{plural(versions(ended), 'version')} on {plural(len(ended), 'deprecated runtime')}"
        if ended
        else "Nothing runs on a deprecated runtime"
    )
    if soon:
        finding += f"; {plural(versions(soon), 'more version')} on one that ends within 180 days"
    if others:
        finding += (
            f". Without a date: {plural(others, 'kind')}, {plural(versions(answer.rows) - versions(ending), 'version')}"
        )
    bars = [
        charts.Life(
            label=f"{row['runtime']} · {_ends(row['deprecation_date'], today)}",
            text=plural(row["functions"], "function"),
            note=_dates(row),
            ends=(row["deprecation_date"], row["block_create_date"], row["block_update_date"]),
        )
        for row in ending
    ]
    chart = charts.calendar(
        bars,
        today=today,
        name="Runtimes in use and their ends",
        about="One row per runtime over the years: supported, deprecated, closed to new functions, frozen.",
    )
    legend = (
        ("life", "supported"),
        ("ended", "deprecated: no more patches"),
        ("closed", "no new functions"),
        ("frozen", "no updates either"),
        ("today", "today"),
    )
    return Figure(answer=answer, finding=f"{finding}.", charts=(chart,) if bars else (), legend=legend, is_wide=True)


def _ends(day: date, today: date) -> str:
    return f"ended {day:%b %Y}" if day <= today else f"until {day:%b %Y}"


def _dates(row: dict[str, Any]) -> str:
    names = {
        "deprecation_date": "deprecated",
        "block_create_date": "no new functions",
        "block_update_date": "no updates",
        "successor": "move to",
    }
    dates = "".join(f"\n{name}: {row[key]}" for key, name in names.items() if row[key])
    return f"{row['runtime']}: {plural(row['functions'], 'function')}, {plural(row['versions'], 'version')}{dates}"


def trends(answer: Answer) -> Figure:
    """Draw functions, versions, code storage, calls and errors by day."""
    rows = answer.rows[::-1]
    days = [day_of(row["day"]) for row in rows]

    def series(name: str, tone: str, title: str = "") -> charts.Series:
        return charts.Series(name=title or name, values=tuple(row[name] for row in rows), tone=tone)

    drawn = [
        charts.lines(
            days,
            [series("versions", "s2"), series("functions", "s1")],
            name="Functions and versions",
            about="Functions, and versions with $LATEST, by day.",
            write=count,
        )
    ]
    if any(row["code_bytes"] is not None for row in rows):
        size_line = charts.lines(
            days,
            [series("code_bytes", "s3", "code storage")],
            name="Code storage",
            about="Code storage by day, as AWS counts it.",
            write=short_size,
            kilo=1024,
        )
        drawn.append(size_line)
    drawn.append(
        charts.columns(
            days,
            [
                charts.Series(
                    name="answered", values=tuple(row["calls"] - row["throttles"] for row in rows), tone="s4"
                ),
                series("throttles", "bad", "throttled"),
            ],
            name="Calls to AWS",
            about="Calls by day, and how many were throttled.",
            write=count,
        )
    )
    errors = [
        charts.Series(name="gaps", values=tuple(row["gaps"] for row in rows), tone="bad"),
        charts.Series(name="other errors", values=tuple(row["errors"] - row["gaps"] for row in rows), tone="warn"),
    ]
    drawn.append(
        charts.columns(
            days,
            errors,
            name="Errors",
            about="Errors by day: a gap is missing data, other errors lost nothing.",
            write=count,
        )
    )
    return Figure(answer=answer, finding=_growth(rows), charts=tuple(drawn), is_wide=True, legend=_TREND_LEGEND)


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
        return "One day so far: a trend begins with the second."
    first, last = rows[0], rows[-1]
    lost = sum(row["read_that_day"] < row["account_regions"] for row in rows)
    sentences = [
        f"Since {first['day']:%d %b %Y}: {_delta(first, last, 'functions')}, {_delta(first, last, 'versions')}"
    ]
    if lost:
        sentences.append(
            f"on {plural(lost, 'day')} of {count(len(rows))} not every known account-region was read whole"
        )
    return "; ".join(sentences) + "."


def _delta(first: dict[str, Any], last: dict[str, Any], name: str) -> str:
    return f"{last[name] - first[name]:+,} {name}"


def parts(answer: Answer) -> Figure:
    """Draw the account-regions by the status of their newest reading."""
    counts = Counter(row["status"] for row in answer.rows)
    order = ("complete", "partial", "denied", "unavailable")
    whole = counts["complete"]
    bad = len(answer.rows) - whole - counts["unavailable"]
    finding = (
        f"The newest attempt read {plural(whole, 'account-region')} whole."
        if not bad
        else f"{plural(bad, 'account-region')} of {count(len(answer.rows))} could not be read whole the last time."
    )
    legend = tuple((_STATUS[status], f"{status}: {count(counts[status])}") for status in order if counts[status])
    return Figure(
        answer=answer, finding=finding, charts=(_status_bar(counts, order),), legend=legend, is_open=bool(bad)
    )


_STATUS = {"complete": "good", "partial": "warnh", "denied": "bad", "unavailable": "none"}


def _status_bar(counts: Counter[str], order: Sequence[str]) -> ET.Element:
    present = [status for status in order if counts[status]]
    row = charts.Bar(
        label="account-regions",
        values=tuple(float(counts[status]) for status in present),
        text=", ".join(f"{count(counts[status])} {status}" for status in present),
    )
    return charts.bars(
        [row], name="Account-regions by status", about=row.text, tones=[_STATUS[status] for status in present]
    )


def storage(answer: Answer) -> Figure:
    """Draw how much code storage each account-region uses, and how much of it could be freed."""
    rows = [row for row in answer.rows if row["used_bytes"] is not None]
    shown = sorted(rows, key=lambda row: -(row["used_bytes"] or 0))[:SHOWN_BARS]
    freed = answer.total_of("prunable_bytes")
    drawn = [
        charts.Bar(
            label=f"{row['account_id']} {row['region']}",
            values=(
                max(0, row["used_bytes"] - (row["prunable_bytes"] or 0)),
                min(row["used_bytes"], row["prunable_bytes"] or 0),
            ),
            text=short_size(row["used_bytes"]),
            note=f"{percent(row['used_share'])} of {short_size(row['limit_bytes'])}"
            if row["limit_bytes"]
            else "limit not known",
        )
        for row in shown
    ]
    fullest = max(rows, key=lambda row: row["used_share"] or 0, default=None)
    finding = (
        f"{short_size(freed)} could be freed: old versions that no alias points to"
        if freed
        else "No old version could be deleted"
    )
    if fullest and fullest["used_share"] is not None:
        finding += f"; the fullest, {fullest['account_id']} {fullest['region']}, is at {percent(fullest['used_share'])}"
    chart = charts.bars(
        drawn,
        name="Code storage by account-region",
        about="Used bytes; the hatched end could be freed.",
        tones=("s3", "s3h"),
    )
    legend = (("s3", "in use"), ("s3h", "could be freed"))
    return Figure(answer=answer, finding=f"{finding}.", charts=(chart,) if drawn else (), legend=legend)


def big_functions(answer: Answer) -> Figure:
    """Draw the functions that use most code storage."""
    rows = [
        charts.Bar(
            label=row["function_name"],
            values=(
                (row["packages_bytes"] or 0) - (row["prunable_bytes"] or 0),
                row["prunable_bytes"] or 0,
            ),
            text=short_size(row["packages_bytes"] or 0),
            note=f"{plural(row['versions'], 'version')}, {row['account_id']} {row['region']}",
        )
        for row in answer.rows[:SHOWN_BARS]
    ]
    chart = charts.bars(
        rows,
        name="Functions by storage",
        about="Bytes of all versions' packages; the hatched end could be freed.",
        tones=("s3", "s3h"),
    )
    legend = (("s3", "kept"), ("s3h", "versions that no alias points to"))
    return Figure(answer=answer, finding=_first_of(answer, "functions"), charts=(chart,), legend=legend)


def roles(answer: Answer) -> Figure:
    """Draw the roles that most functions share."""
    rows = [
        charts.Bar(
            label=f"{row['account_id']} {str(row['role']).rsplit('/', 1)[-1]}",
            values=(row["functions"],),
            text=plural(row["functions"], "function"),
            note=str(row["role"]),
        )
        for row in answer.rows[:SHOWN_BARS]
    ]
    chart = charts.bars(rows, name="Roles shared by functions", about="Functions by role.", tones=("s2",))
    return Figure(answer=answer, finding=_first_of(answer, "roles"), charts=(chart,))


def _first_of(answer: Answer, what: str) -> str:
    return f"The first {SHOWN_BARS} of {count(answer.total)} {what}." if answer.total > SHOWN_BARS else ""


def memory(answer: Answer) -> Figure:
    """Draw functions by memory size, split by architecture."""
    by_size: dict[int, Counter[str]] = {}
    for row in answer.rows:
        by_size.setdefault(row["memory_mb"] or 0, Counter())[_instruction_set(row["architecture"])] += row["functions"]
    sets = ("x86_64", "arm64", "other")
    tones = ("s4", "s1", "none")
    total = sum(counts.total() for counts in by_size.values())
    arm = sum(counts["arm64"] for counts in by_size.values())
    shown = sorted(sorted(by_size.items(), key=lambda item: -item[1].total())[:SHOWN_BARS])
    rows = [
        charts.Bar(
            label=f"{memory_mb:,} MB" if memory_mb else "not stated",
            values=tuple(float(counts[name]) for name in sets),
            text=plural(counts.total(), "function"),
            note=", ".join(f"{count(counts[name])} {name}" for name in sets if counts[name]),
        )
        for memory_mb, counts in shown
    ]
    chart = charts.bars(rows, name="Functions by memory", about="Split by architecture, x86_64 first.", tones=tones)
    used = [
        (tone, name) for tone, name in zip(tones, sets, strict=True) if any(counts[name] for counts in by_size.values())
    ]
    finding = f"{percent(arm / total)} of the functions are on arm64." if total else ""
    if len(by_size) > len(shown):
        finding += f" The {len(shown)} most used of {len(by_size)} sizes are drawn."
    return Figure(answer=answer, finding=finding, charts=(chart,) if total else (), legend=tuple(used))


def _instruction_set(name: str) -> str:
    return name if name in {"x86_64", "arm64"} else "other"


_SHOWN_ACCOUNTS = 40


def places(answer: Answer) -> Figure:
    """Draw the number of functions by account and Region."""
    regions = sorted({row["region"] for row in answer.rows})
    functions: dict[str, dict[str, int]] = {}
    for row in answer.rows:
        functions.setdefault(row["account_id"], {})[row["region"]] = row["functions"] or 0
    ordered = sorted(functions.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    most = max((number for by_region in functions.values() for number in by_region.values()), default=0) or 1

    def field(number: int | None) -> ET.Element:
        if number is None:
            return element("td", "")
        return element("td", count(number), class_=f"heat h{-(-5 * number // most)}")

    head = element(
        "tr", element("th", "account", scope="col"), *(element("th", region, scope="col") for region in regions)
    )
    body = [
        element("tr", element("th", account, scope="row"), *(field(by_region.get(region)) for region in regions))
        for account, by_region in ordered[:_SHOWN_ACCOUNTS]
    ]
    grid = element("table", element("thead", head), element("tbody", *body), class_="matrix")
    wrapped = element(
        "div", grid, class_="scroll", tabindex="0", role="region", aria_label="Functions by account and Region"
    )
    finding = f"{plural(len(functions), 'account')} and {plural(len(regions), 'Region')}"
    if len(ordered) > _SHOWN_ACCOUNTS:
        finding += f"; the {_SHOWN_ACCOUNTS} largest accounts are drawn"
    return Figure(answer=answer, finding=f"{finding}.", charts=(wrapped,), is_wide=len(regions) > 3)  # noqa: PLR2004 - columns that fit into half the page


def packages(answer: Answer) -> Figure:
    """Draw packages by status: which are stored, and why the others are not."""
    rows = [
        charts.Bar(
            label=row["status"],
            values=(row["packages"],),
            text=plural(row["packages"], "package"),
            note=short_size(row["packages_bytes"] or 0),
        )
        for row in answer.rows
    ]
    chart = charts.bars(rows, name="Packages by status", about="Distinct packages by status.", tones=("s3",))
    total = plural(answer.total_of("packages"), "distinct package")
    return Figure(answer=answer, finding=f"{total}, {short_size(answer.total_of('packages_bytes'))}.", charts=(chart,))


def folded(answer: Answer) -> Figure:
    """Return a figure without a chart; its table is folded."""
    return Figure(answer=answer, is_wide=True)


def listing(answer: Answer) -> Figure:
    """Return a figure without a chart; its table is open."""
    return Figure(answer=answer, is_open=True, is_wide=True)
