"""Figures of the fleet: a sentence, a chart and its legend for each question. Each also has its table and its SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from xml.etree import ElementTree as ET

from lexport.query.report import charts
from lexport.query.report.format import count, percent
from lexport.query.report.labels import Labels, console_url
from lexport.query.report.markup import element
from lexport.query.report.questions import Answer
from lexport.query.report.words import value_words
from lexport.tables.text import plural
from lexport.tables.units import short_size

SHOWN_BARS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One question of the report. ``finding`` summarizes the rows; ``legend`` pairs a tone with its meaning.

    ``empty`` explains the lack of rows, instead of the question's own text; ``is_open`` shows the table at once.
    """

    answer: Answer
    finding: str = ""
    charts: tuple[ET.Element, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    empty: str | None = None
    is_open: bool = False
    is_wide: bool = False


def listed(counts: Mapping[str, int], names: Iterable[str]) -> str:
    """Write the counts that are not 0, as in ``3 whole, 1 denied``."""
    return ", ".join(f"{count(counts[name])} {value_words(name)}" for name in names if counts[name])


# --- runtimes ---------------------------------------------------------------------------------------------------------

_RUNTIME_LEGEND = (
    ("life", "supported"),
    ("ended", "deprecated: no more patches"),
    ("closed", "no new functions"),
    ("frozen", "no updates either"),
    ("today", "day of the snapshot"),
)


def runtimes(answer: Answer, *, today: date) -> Figure:
    """Draw the runtimes in use over the years, by their deprecation dates."""
    ending = [row for row in answer.rows if row["deprecation_date"]]
    ended = [row for row in ending if row["deprecation_date"] <= today]
    soon = [row for row in ending if row["status"] == "soon"]
    undated = [row for row in answer.rows if not row["deprecation_date"]]

    def functions(rows: Sequence[dict[str, Any]]) -> int:
        return sum(row["functions"] for row in rows)

    finding = "Nothing runs on a deprecated runtime"
    if ended:
        finding = f"{plural(functions(ended), 'function')} on {plural(len(ended), 'deprecated runtime')}"
    if soon:
        finding += f"; {plural(functions(soon), 'more function')} on one that ends within 180 days"
    if undated:
        names = ", ".join(sorted({row["runtime"] for row in undated}))
        finding += f". AWS gives no date for {names}: {plural(functions(undated), 'function')}"
    bars = [
        charts.Life(
            label=f"{row['runtime']} · {'ended' if row in ended else 'until'} {row['deprecation_date']:%b %Y}",
            text=plural(row["functions"], "function"),
            note=f"move to {row['successor']}" if row["successor"] and row["status"] != "supported" else "",
            ends=(row["deprecation_date"], row["block_create_date"], row["block_update_date"]),
        )
        for row in ending
    ]
    chart = charts.calendar(bars, today=today, name="Runtimes in use and the end of their support")
    return Figure(
        answer=answer, finding=f"{finding}.", charts=(chart,) if bars else (), legend=_RUNTIME_LEGEND, is_wide=True
    )


# --- account-regions --------------------------------------------------------------------------------------------------

_STATUS = {"complete": "good", "partial": "warnh", "denied": "bad", "unavailable": "none"}
_SHOWN_ACCOUNTS = 40
_SHOWN_REGIONS = 7
_SAME = 2  # the tone of fields that are all equal


def parts(answer: Answer) -> Figure:
    """Draw the account-regions by the status of their newest reading."""
    counts = Counter(row["status"] for row in answer.rows)
    bad = len(answer.rows) - counts["complete"] - counts["unavailable"]
    finding = f"The newest attempt read {plural(counts['complete'], 'account-region')} whole."
    if bad:
        finding = f"{plural(bad, 'account-region')} of {count(len(answer.rows))} could not be read whole the last time."
    legend = tuple(
        (tone, f"{value_words(status)}: {count(counts[status])}") for status, tone in _STATUS.items() if counts[status]
    )
    bar = charts.Bar(
        label="Account-regions",
        values=tuple(counts[status] for status in _STATUS),
        text=listed(counts, _STATUS),
    )
    chart = charts.bars([bar], name="Account-regions by state", tones=tuple(_STATUS.values()))
    return Figure(answer=answer, finding=finding, charts=(chart,), legend=legend, is_open=bool(bad), is_wide=bool(bad))


def places(answer: Answer, *, labels: Labels) -> Figure:
    """Draw the number of functions by account and Region; the Regions with the fewest functions share a column."""
    by_region: Counter[str] = Counter()
    functions: dict[str, dict[str, int]] = {}
    for row in answer.rows:
        number = row["functions"] or 0
        by_region[row["region"]] += number
        functions.setdefault(row["account_id"], {})[row["region"]] = number
    order = sorted(by_region, key=lambda region: (-by_region[region], region))
    shown = order if len(order) <= _SHOWN_REGIONS + 1 else order[:_SHOWN_REGIONS]
    others = frozenset(order) - frozenset(shown)
    accounts = sorted(functions.items(), key=lambda item: (-sum(item[1].values()), item[0]))

    def numbers(of_account: Mapping[str, int]) -> list[int | None]:
        rest = [of_account[region] for region in others if region in of_account]
        known = [of_account.get(region) for region in shown]
        return [*known, *([sum(rest) if rest else None] if others else [])]

    rows = [(account, numbers(of_account)) for account, of_account in accounts[:_SHOWN_ACCOUNTS]]
    present = [number for _, row in rows for number in row if number is not None]
    most, is_same = max(present, default=0) or 1, len(set(present)) <= 1

    def field(number: int | None) -> ET.Element:
        if number is None:
            return element("td", "·", class_="absent", title="no functions, or never read")
        return element("td", count(number), class_=f"heat h{_SAME if is_same else -(-5 * number // most)}")

    names = [*shown, *([f"{len(others)} other Regions"] if others else [])]
    head = element("tr", element("th", "Account", scope="col"), *(element("th", name, scope="col") for name in names))
    body = [
        element("tr", element("th", labels.account(account), scope="row", title=account), *map(field, row))
        for account, row in rows
    ]
    grid = element("table", element("thead", head), element("tbody", *body), class_="matrix")
    wrapped = element(
        "div", grid, class_="scroll", tabindex="0", role="region", aria_label="Functions by account and Region"
    )
    finding = f"{plural(len(functions), 'account')} and {plural(len(by_region), 'Region')}"
    if len(accounts) > _SHOWN_ACCOUNTS:
        finding += f"; the {_SHOWN_ACCOUNTS} largest accounts are drawn"
    return Figure(answer=answer, finding=f"{finding}.", charts=(wrapped,), is_wide=True)


# --- storage ----------------------------------------------------------------------------------------------------------


def storage(answer: Answer, *, labels: Labels) -> Figure:
    """Draw how much code storage each account-region uses, and how much of it could be freed."""
    rows = [row for row in answer.rows if row["used_bytes"] is not None]
    shown = sorted(rows, key=lambda row: -row["used_bytes"])[:SHOWN_BARS]
    freed = answer.total_of("prunable_bytes")
    drawn = [
        charts.Bar(
            label=labels.place(row["account_id"], row["region"]),
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
        place = labels.place(fullest["account_id"], fullest["region"])
        finding += f"; the fullest, {place}, is at {percent(fullest['used_share'])}"
    chart = charts.bars(drawn, name="Code storage by account-region", tones=("s3", "s3h"))
    legend = (("s3", "in use"), ("s3h", "could be freed"))
    return Figure(answer=answer, finding=f"{finding}.", charts=(chart,) if drawn else (), legend=legend)


def _prunable(row: dict[str, Any]) -> int:
    return row["prunable_bytes"] or 0


def big_functions(answer: Answer, *, labels: Labels) -> Figure:
    """Draw the functions that use most code storage."""
    rows = [
        charts.Bar(
            label=row["function_name"],
            values=((row["packages_bytes"] or 0) - _prunable(row), _prunable(row)),
            text=short_size(row["packages_bytes"] or 0),
            note=f"{labels.place(row['account_id'], row['region'])} · {plural(row['versions'], 'version')}",
            href=console_url(row["region"], row["function_name"]),
        )
        for row in answer.rows[:SHOWN_BARS]
    ]
    chart = charts.bars(rows, name="Functions by storage", tones=("s3", "s3h"))
    legend = (("s3", "kept"), ("s3h", "versions that no alias points to"))
    return Figure(answer=answer, finding=_first_of(answer, "functions"), charts=(chart,), legend=legend)


def roles(answer: Answer, *, labels: Labels) -> Figure:
    """Draw the roles that most functions share."""
    rows = [
        charts.Bar(
            label=str(row["role"]).rsplit("/", 1)[-1],
            values=(row["functions"],),
            text=plural(row["functions"], "function"),
            note=labels.account(row["account_id"]),
        )
        for row in answer.rows[:SHOWN_BARS]
    ]
    chart = charts.bars(rows, name="Roles shared by functions", tones=("s2",))
    return Figure(answer=answer, finding=_first_of(answer, "roles"), charts=(chart,))


def _first_of(answer: Answer, what: str) -> str:
    return f"The first {SHOWN_BARS} of {count(answer.total)} {what}." if answer.total > SHOWN_BARS else ""


# --- memory and packages ----------------------------------------------------------------------------------------------

_SETS = {"x86_64": "s4", "arm64": "s1", "other": "none"}


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
            note=", ".join(f"{count(counts[name])} {name}" for name in _SETS if counts[name]),
        )
        for memory_mb, counts in shown
    ]
    chart = charts.bars(rows, name="Functions by memory", tones=tuple(_SETS.values()))
    totals = sum(by_size.values(), Counter[str]())
    total = totals.total()
    legend = tuple((tone, name) for name, tone in _SETS.items() if totals[name])
    finding = f"{percent(totals['arm64'] / total)} of the functions are on arm64." if total else ""
    if len(by_size) > len(shown):
        finding += f" The {len(shown)} most used of {len(by_size)} sizes are drawn."
    return Figure(answer=answer, finding=finding, charts=(chart,) if total else (), legend=legend)


def packages(answer: Answer) -> Figure:
    """Draw packages by status: which are stored, and why the others are not."""
    rows = [
        charts.Bar(
            label=value_words(str(row["status"])),
            values=(row["packages"],),
            text=plural(row["packages"], "package"),
            note=short_size(row["packages_bytes"] or 0),
        )
        for row in answer.rows
    ]
    chart = charts.bars(rows, name="Packages by state", tones=("s3",))
    total = plural(answer.total_of("packages"), "distinct package")
    return Figure(answer=answer, finding=f"{total}, {short_size(answer.total_of('packages_bytes'))}.", charts=(chart,))


def tag_keys(answer: Answer) -> Figure:
    """Draw the keys of tags that most functions have."""
    rows = [
        charts.Bar(label=row["tag_key"], values=(row["functions"],), text=plural(row["functions"], "function"))
        for row in answer.rows[:SHOWN_BARS]
    ]
    chart = charts.bars(rows, name="Functions by tag", tones=("s2",))
    return Figure(answer=answer, finding=_first_of(answer, "keys"), charts=(chart,))
