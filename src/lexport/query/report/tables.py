"""Write the rows of an answer as a table that can be sorted, filtered and copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from lexport.query.report.charts import link
from lexport.query.report.format import cell, count
from lexport.query.report.labels import Labels, console_url
from lexport.query.report.markup import element
from lexport.query.report.questions import Answer
from lexport.query.report.words import column_words
from lexport.tables.text import plural

PRINTED_ROWS = 20  # page.css hides the others on paper

_TONES = {
    "good": ("complete", "supported", "added"),
    "warn": ("partial", "soon", "medium", "changed", "deprecated"),
    "bad": ("denied", "create_blocked", "update_blocked", "removed", "critical", "high"),
    "none": ("unavailable", "low", "info"),
}
_BADGES = {value: tone for tone, values in _TONES.items() for value in values}
_LONG = 26  # characters; longer texts wrap
_BADGE_COLUMNS = {"status", "severity", "kind"}


def write_table(answer: Answer, labels: Labels, *, is_open: bool) -> ET.Element:
    """Write a table that unfolds; its headings are words, its cells keep the exact values."""
    names = answer.names
    numeric = [_is_numeric([row[name] for row in answer.rows]) for name in names]
    head = element(
        "tr",
        *(
            element("th", column_words(name), scope="col", data_name=name, class_="number" if is_number else None)
            for name, is_number in zip(names, numeric, strict=True)
        ),
    )
    rows = [
        element("tr", *(_cell(name, row, labels, is_number) for name, is_number in zip(names, numeric, strict=True)))
        for row in answer.rows
    ]
    title = answer.question.title
    table = element("table", element("thead", head), element("tbody", *rows), aria_label=title)
    scroll = element("div", table, class_="scroll", tabindex="0", role="region", aria_label=f"Table: {title}")
    cut = f"The first {count(len(rows))} of {count(answer.total)} rows; the SQL below returns all."
    more = element("p", cut, class_="more") if answer.total > len(rows) else None
    printed = f"The first {PRINTED_ROWS} of {count(answer.total)} rows; the file itself has {count(len(rows))}."
    on_paper = element("p", printed, class_="on-paper") if len(rows) > PRINTED_ROWS else None
    summary = element("summary", f"Table, {plural(answer.total, 'row')}")
    details = element("details", summary, scroll, more, on_paper, class_="data")
    if is_open:
        details.set("open", "")
    return details


def badge(value: str, text: str) -> ET.Element:
    """Write a state with its colour and sign."""
    return element("span", text, class_=f"badge {_BADGES.get(value, 'none')}")


def _is_numeric(values: Sequence[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)


def _cell(name: str, row: Mapping[str, Any], labels: Labels, is_number: bool) -> ET.Element:  # noqa: FBT001 - one of three in step
    value = row[name]
    shown, raw = cell(name, value, labels)
    if value is None:
        absent = "absent number" if is_number else "absent"
        return element("td", element("span", shown, title="no value"), class_=absent, data_v=raw)
    if name in _BADGE_COLUMNS and value in _BADGES:
        return element("td", badge(value, shown), data_v=raw)
    class_ = "number" if is_number else "long" if len(shown) > _LONG else None
    if name == "function_name" and isinstance(row.get("region"), str):
        version = row.get("version")
        href = console_url(row["region"], str(value), version if isinstance(version, str) else None)
        if href is not None:
            return element("td", link(shown, href), class_=class_, data_v=raw)
    return element("td", shown, class_=class_, data_v=raw)
