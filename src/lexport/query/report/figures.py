"""Figures: a sentence, a chart and its legend for each question. Every figure also has its table and its SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from xml.etree import ElementTree as ET

from lexport.query.catalog import Catalog
from lexport.query.report import charts
from lexport.query.report.format import count, percent
from lexport.query.report.markup import element
from lexport.query.report.questions import Answer, day_of
from lexport.tables.run import CHANGES
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

    finding = "Nothing runs on a deprecated runtime"
    if ended:
        finding = f"{plural(versions(ended), 'version')} on {plural(len(ended), 'deprecated runtime')}"
    if soon:
        finding += f"; {plural(versions(soon), 'more version')} on one that ends within 180 days"
    if others:
        finding += (
            f". Without a date: {plural(others, 'kind')}, {plural(versions(answer.rows) - versions(ending), 'version')}"
        )
    bars = [
        charts.Life(
            label=f"{row['runtime']} · {'ended' if row in ended else 'until'} {row['deprecation_date']:%b %Y}",
            text=plural(row["functions"], "function"),
            note=_dates(row),
            ends=(row["deprecation_date"], row["block_create_date"], row["block_update_date"]),
        )
        for row in ending
    ]
    about = "One row per runtime over the years: supported, deprecated, closed to new functions, frozen."
    chart = charts.calendar(bars, today=today, name="Runtimes in use and their ends", about=about)
    return Figure(
        answer=answer, finding=f"{finding}.", charts=(chart,) if bars else (), legend=_RUNTIME_LEGEND, is_wide=True
    )


_RUNTIME_LEGEND = (
    ("life", "supported"),
    ("ended", "deprecated: no more patches"),
    ("closed", "no new functions"),
    ("frozen", "no updates either"),
    ("today", "today"),
)


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
    drawn.append(charts.columns(days, calls, name="Calls to AWS", about=about, write=count))
    about = "Errors by day: a gap is missing data, other errors lost nothing."
    drawn.append(charts.columns(days, errors, name="Errors", about=about, write=count))
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
    growth = ", ".join(f"{last[name] - first[name]:+,} {name}" for name in ("functions", "versions"))
    unread = f"; on {plural(lost, 'day')} of {count(len(rows))} not every known account-region was read whole"
    return f"Since {first['day']:%d %b %Y}: {growth}{unread if lost else ''}."


def listed(counts: Mapping[str, int], names: Iterable[str]) -> str:
    """Write the counts that are not 0, as in ``3 complete, 1 denied``."""
    return ", ".join(f"{count(counts[name])} {name}" for name in names if counts[name])


def parts(answer: Answer) -> Figure:
    """Draw the account-regions by the status of their newest reading."""
    counts = Counter(row["status"] for row in answer.rows)
    whole = counts["complete"]
    bad = len(answer.rows) - whole - counts["unavailable"]
    finding = f"The newest attempt read {plural(whole, 'account-region')} whole."
    if bad:
        finding = f"{plural(bad, 'account-region')} of {count(len(answer.rows))} could not be read whole the last time."
    legend = tuple((tone, f"{status}: {count(counts[status])}") for status, tone in _STATUS.items() if counts[status])
    text = listed(counts, _STATUS)
    bar = charts.Bar(label="account-regions", values=tuple(counts[status] for status in _STATUS), text=text)
    chart = charts.bars([bar], name="Account-regions by status", about=text, tones=tuple(_STATUS.values()))
    return Figure(answer=answer, finding=finding, charts=(chart,), legend=legend, is_open=bool(bad))


_STATUS = {"complete": "good", "partial": "warnh", "denied": "bad", "unavailable": "none"}


def storage(answer: Answer) -> Figure:
    """Draw how much code storage each account-region uses, and how much of it could be freed."""
    rows = [row for row in answer.rows if row["used_bytes"] is not None]
    shown = sorted(rows, key=lambda row: -row["used_bytes"])[:SHOWN_BARS]
    freed = answer.total_of("prunable_bytes")
    drawn = [
        charts.Bar(
            label=f"{row['account_id']} {row['region']}",
            values=(max(0, row["used_bytes"] - _prunable(row)), min(row["used_bytes"], _prunable(row))),
            text=short_size(row["used_bytes"]),
            note=f"{percent(row['used_share'])} of {short_size(row['limit_bytes'])}"
            if row["limit_bytes"]
            else "limit not known",
        )
        for row in shown
    ]
    fullest = max(rows, key=lambda row: row["used_share"] or 0, default=None)
    finding = "No old version could be deleted"
    if freed:
        finding = f"{short_size(freed)} could be freed: old versions that no alias points to"
    if fullest and fullest["used_share"] is not None:
        finding += f"; the fullest, {fullest['account_id']} {fullest['region']}, is at {percent(fullest['used_share'])}"
    about = "Used bytes; the hatched end could be freed."
    chart = charts.bars(drawn, name="Code storage by account-region", about=about, tones=("s3", "s3h"))
    legend = (("s3", "in use"), ("s3h", "could be freed"))
    return Figure(answer=answer, finding=f"{finding}.", charts=(chart,) if drawn else (), legend=legend)


def _prunable(row: dict[str, Any]) -> int:
    return row["prunable_bytes"] or 0


def big_functions(answer: Answer) -> Figure:
    """Draw the functions that use most code storage."""
    rows = [
        charts.Bar(
            label=row["function_name"],
            values=((row["packages_bytes"] or 0) - _prunable(row), _prunable(row)),
            text=short_size(row["packages_bytes"] or 0),
            note=f"{plural(row['versions'], 'version')}, {row['account_id']} {row['region']}",
        )
        for row in answer.rows[:SHOWN_BARS]
    ]
    about = "Bytes of all versions' packages; the hatched end could be freed."
    chart = charts.bars(rows, name="Functions by storage", about=about, tones=("s3", "s3h"))
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
        architecture = row["architecture"] if row["architecture"] in _SETS else "other"
        by_size.setdefault(row["memory_mb"] or 0, Counter())[architecture] += row["functions"]
    shown = sorted(sorted(by_size.items(), key=lambda item: -item[1].total())[:SHOWN_BARS])
    rows = [
        charts.Bar(
            label=f"{memory_mb:,} MB" if memory_mb else "not stated",
            values=tuple(counts[name] for name in _SETS),
            text=plural(counts.total(), "function"),
            note=listed(counts, _SETS),
        )
        for memory_mb, counts in shown
    ]
    about = "Split by architecture, x86_64 first."
    chart = charts.bars(rows, name="Functions by memory", about=about, tones=tuple(_SETS.values()))
    totals = sum(by_size.values(), Counter[str]())
    total = totals.total()
    legend = tuple((tone, name) for name, tone in _SETS.items() if totals[name])
    finding = f"{percent(totals['arm64'] / total)} of the functions are on arm64." if total else ""
    if len(by_size) > len(shown):
        finding += f" The {len(shown)} most used of {len(by_size)} sizes are drawn."
    return Figure(answer=answer, finding=finding, charts=(chart,) if total else (), legend=legend)


_SETS = {"x86_64": "s4", "arm64": "s1", "other": "none"}
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


_KINDS = {"added": "s1", "removed": "bad", "changed": "s4"}
_SIGNS = {"added": "+", "removed": "\u2212", "changed": "~"}


def changes(answer: Answer) -> Figure:
    """Draw how many rows were added, removed and changed, by table."""
    totals = {kind: answer.total_of(kind) for kind in _KINDS}
    bars = [
        charts.Bar(
            label=row["table_name"],
            values=tuple(row[kind] for kind in _KINDS),
            text=" ".join(f"{_SIGNS[kind]}{count(row[kind])}" for kind in _KINDS if row[kind]),
            note=listed(row, _KINDS),
        )
        for row in answer.rows
    ]
    chart = charts.bars(bars, name="Changes by table", about="Added, removed, changed.", tones=tuple(_KINDS.values()))
    legend = tuple((tone, f"{_SIGNS[kind]} {kind}") for kind, tone in _KINDS.items() if totals[kind])
    return Figure(answer=answer, finding=f"{listed(totals, _KINDS)}.", charts=(chart,), legend=legend)


def changes_by_night(answer: Answer) -> Figure:
    """Draw how many changes each night found."""
    rows = answer.rows[::-1]
    days = [day_of(row["day"]) for row in rows]
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
    if any(all(entry.table != CHANGES.name for entry in snapshot.files) for snapshot in read_twice.values()):
        return "Not compared: the newest snapshot was written by an older lexport, which did not compare."
    return "Nothing changed since the snapshot before."
