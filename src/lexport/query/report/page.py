"""Write the HTML file. It makes no request; the content security policy allows its style and script by their hashes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree as ET

from lexport.query.report.figures import Figure
from lexport.query.report.format import cell, count
from lexport.query.report.markup import element, raw_text, to_html
from lexport.tables.text import plural


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One number at the top of the page."""

    name: str
    value: str
    note: str = ""
    is_alarm: bool = False
    spark: ET.Element | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and its figures."""

    name: str
    title: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The contents of a report. ``dataset`` identifies the dataset, see ``dataset_mark``."""

    title: str
    dataset: str
    subtitle: str
    notices: tuple[str, ...]
    is_loud: bool
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    footer: tuple[str, ...]


def write_page(page: Page) -> str:
    """Write the page as the text of an HTML file."""
    style, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="lexport-dataset", content=page.dataset),
        element("title", page.title),
        raw_text("style", style),
    )
    main = element(
        "main",
        _notices(page),
        element("dl", *map(_tile, page.tiles), class_="tiles"),
        *map(_section, page.sections),
        class_="wrap",
    )
    heading = element("div", element("h1", page.title), element("p", page.subtitle))
    links = [element("a", section.title, href=f"#{section.name}") for section in page.sections]
    body = element(
        "body",
        _patterns(),
        element("header", element("div", heading, class_="wrap"), class_="top"),
        element("nav", element("div", *links, class_="wrap"), aria_label="Parts of the report"),
        main,
        element("footer", *(element("p", line) for line in page.footer), class_="wrap"),
        raw_text("script", script),
    )
    return to_html(element("html", head, body, lang="en"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _notices(page: Page) -> ET.Element | None:
    if not page.notices:
        return None
    heading = element("strong", "This report is not whole." if page.is_loud else "Before you read on")
    lines = element("ul", *(element("li", line) for line in page.notices))
    return element("div", heading, lines, class_="notice loud" if page.is_loud else "notice", role="note")


def _tile(tile: Tile) -> ET.Element:
    note = element("span", tile.note, class_="note alarm" if tile.is_alarm else "note") if tile.note else None
    return element("div", element("dt", tile.name), element("dd", tile.value), note, tile.spark, class_="tile")


def _section(section: Section) -> ET.Element:
    figures = element("div", *map(_figure, section.figures), class_="figures")
    return element("section", element("h2", section.title), figures, id=section.name)


def _figure(figure: Figure) -> ET.Element:
    question = figure.answer.question
    about = element("p", question.about, class_="about")
    parts: list[ET.Element | None] = [element("h3", question.title)]
    if figure.answer.rows:
        parts += [element("p", figure.finding, class_="finding") if figure.finding else None, about]
        if figure.charts:
            drawn = map(_captioned, figure.charts) if len(figure.charts) > 1 else figure.charts
            parts += [element("div", *drawn, class_="charts"), _legend(figure)]
        parts.append(_data(figure))
    else:
        parts += [about, element("p", figure.empty or question.empty, class_="empty")]
    source = element("pre", element("code", question.query), tabindex="0")
    parts.append(element("details", element("summary", "SQL"), source, class_="sql"))
    return element(
        "article", *parts, class_="figure wide" if figure.is_wide else "figure", id=f"figure-{question.name}"
    )


def _captioned(chart: ET.Element) -> ET.Element:
    return element("figure", element("figcaption", chart.findtext("title")), chart)


def _legend(figure: Figure) -> ET.Element | None:
    if not figure.legend:
        return None
    items = []
    for tone, meaning in figure.legend:
        mark = (
            element("line", class_="today", x1=7, x2=7, y1=-2, y2=12)
            if tone == "today"
            else element("rect", class_=tone, width=14, height=10, rx=2)
        )
        items.append(element("li", element("svg", mark, aria_hidden="true"), meaning))
    return element("ul", *items, class_="legend")


def _data(figure: Figure) -> ET.Element:
    answer = figure.answer
    names = answer.names
    numeric = [_is_numeric([row[name] for row in answer.rows]) for name in names]
    head = element(
        "tr",
        *(
            element("th", name, scope="col", class_="number" if is_number else None)
            for name, is_number in zip(names, numeric, strict=True)
        ),
    )
    rows = [
        element("tr", *(_cell(name, row[name], is_number) for name, is_number in zip(names, numeric, strict=True)))
        for row in answer.rows
    ]
    title = answer.question.title
    table = element("table", element("thead", head), element("tbody", *rows), aria_label=title)
    scroll = element("div", table, class_="scroll", tabindex="0", role="region", aria_label=f"Table: {title}")
    cut = f"The first {count(len(rows))} of {count(answer.total)} rows; the SQL below returns all."
    more = element("p", cut, class_="more") if answer.total > len(rows) else None
    summary = element("summary", f"Table, {plural(answer.total, 'row')}")
    details = element("details", summary, scroll, more, class_="data")
    if figure.is_open:
        details.set("open", "")
    return details


def _is_numeric(values: Sequence[Any]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)


_TONES = {
    "good": ("complete", "supported", "added"),
    "warn": ("partial", "soon", "medium", "changed", "deprecated"),
    "bad": ("denied", "create_blocked", "update_blocked", "removed", "critical", "high"),
    "none": ("unavailable", "low", "info"),
}
_BADGES = {value: tone for tone, values in _TONES.items() for value in values}
_LONG = 60  # characters; longer texts wrap
_BADGE_COLUMNS = {"status", "severity", "kind"}


def _cell(name: str, value: Any, is_number: bool) -> ET.Element:  # noqa: FBT001 - one of three in step
    shown, raw = cell(name, value)
    if value is None:
        absent = "absent number" if is_number else "absent"
        return element("td", element("span", shown, title="no value"), class_=absent, data_v=raw)
    if name in _BADGE_COLUMNS and value in _BADGES:
        return element("td", element("span", shown, class_=f"badge {_BADGES[value]}"))
    class_ = "number" if is_number else "long" if len(shown) > _LONG else None
    return element("td", shown, class_=class_, data_v=raw)


def _patterns() -> ET.Element:
    def hatch(tone: str) -> ET.Element:
        paper = element("rect", class_="hatch-paper", width=6, height=6)
        line = element("path", class_=f"hatch-{tone}", d="M-1 1L1 -1M0 6L6 0M5 7L7 5", stroke_width=2)
        return element("pattern", paper, line, id=f"hatch-{tone}", width=6, height=6, patternUnits="userSpaceOnUse")

    return element(
        "svg", element("defs", hatch("s3"), hatch("warn"), hatch("bad")), class_="patterns", aria_hidden="true"
    )
