"""Write the HTML file. It makes no request; the content security policy allows its style and script by their hashes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.resources import files
from itertools import groupby
from xml.etree import ElementTree as ET

from lexport.query.report.charts import link
from lexport.query.report.figures import Figure
from lexport.query.report.findings import Step
from lexport.query.report.format import cut
from lexport.query.report.labels import Labels
from lexport.query.report.markup import element, raw_text, to_html
from lexport.query.report.tables import badge, write_table


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
    short_title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The contents of a report. ``dataset`` identifies the dataset, see ``dataset_mark``.

    ``read_at`` is the time of the snapshot: its age is computed when the page is opened. ``oldest_at`` is that of the
    oldest part, where it differs. ``steps`` say what to do first; None where nothing was judged.
    """

    title: str
    dataset: str
    read_at: datetime
    oldest_at: datetime | None
    subtitle: str
    notices: tuple[str, ...]
    is_loud: bool
    tiles: tuple[Tile, ...]
    steps: tuple[Step, ...] | None
    sections: tuple[Section, ...]
    footer: tuple[str, ...]
    labels: Labels = field(default_factory=Labels)


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
        element("dl", *map(_tile, page.tiles), class_="tiles") if page.tiles else None,
        None if page.steps is None else _steps(page.steps),
        *(_section(section, page.labels) for section in page.sections),
        class_="wrap",
    )
    heading = element("div", element("h1", page.title), *_dates(page))
    names = [(section.name, section.short_title or section.title) for section in page.sections]
    links = [
        element("a", title, href=f"#{name}")
        for name, title in [*([] if page.steps is None else [("first", _FIRST)]), *names]
    ]
    body = element(
        "body",
        _patterns(),
        element("header", element("div", heading, class_="wrap"), class_="top"),
        element("nav", element("div", *links, class_="wrap"), aria_label="Parts of the report")
        if len(links) > 1
        else None,
        main,
        element("footer", *(element("p", line) for line in page.footer), class_="wrap"),
        raw_text("script", script),
    )
    return to_html(element("html", head, body, lang="en"))


_FIRST = "What to do first"


def _dates(page: Page) -> tuple[ET.Element, ET.Element | None, ET.Element]:
    """Write when the data was read. The script adds the age: one that is written here would be wrong tomorrow."""
    read = element("p", "Snapshot of ", _time(page.read_at), class_="read")
    oldest = None
    if page.oldest_at is not None:
        oldest = element("p", "The oldest part was read on ", _time(page.oldest_at), class_="read")
    return read, oldest, element("p", page.subtitle)


def _time(at: datetime) -> ET.Element:
    return element("time", f"{at:%d %b %Y %H:%M} UTC", datetime=f"{at:%Y-%m-%dT%H:%M:%SZ}")


def _steps(steps: Sequence[Step]) -> ET.Element:
    if steps:
        shown = element("ol", *map(_step, steps), class_="steps")
    else:
        shown = element("p", "No check found anything above low.", class_="empty")
    return element("section", element("h2", _FIRST), element("div", shown, class_="card"), id="first")


def _step(step: Step) -> ET.Element:
    where: list[ET.Element | str] = ["For example "] if len(step.examples) > 1 else ["It is "]
    for number, (name, href) in enumerate(step.examples):
        where += [", "] if number else []
        where.append(cut(name) if href is None else link(cut(name), href))
    head = element(
        "p", element("strong", step.amount), " ", badge(step.severity, step.severity), element("br"), step.title
    )
    owners = element("p", f"Owners: {step.owners}", class_="note") if step.owners else None
    references = element("p", f"Also: {step.references}", class_="note") if step.references else None
    return element(
        "li",
        head,
        element("div", element("p", step.remediation), element("p", *where, class_="note"), owners, references),
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _notices(page: Page) -> ET.Element | None:
    if not page.notices:
        return None
    heading = element("strong", "This report is not whole." if page.is_loud else "Before you read on")
    lines = element("ul", *(element("li", line) for line in page.notices))
    return element("div", heading, lines, class_="notice loud" if page.is_loud else "notice", role="note")


def _tile(tile: Tile) -> ET.Element:
    note = element("dd", tile.note, class_="note") if tile.note else None
    spark = None if tile.spark is None else element("dd", tile.spark, class_="shape")
    class_ = "tile alarm" if tile.is_alarm else "tile"
    return element("div", element("dt", tile.name), element("dd", tile.value), note, spark, class_=class_)


def _section(section: Section, labels: Labels) -> ET.Element:
    rows = [
        _figure(replace(row, is_wide=True), labels) if isinstance(row, Figure) else _columns(row, labels)
        for row in arrange(section.figures)
    ]
    return element("section", element("h2", section.title), *rows, id=section.name)


_HOLE = 150  # pixels that one column may be higher than the other

Columns = tuple[list[Figure], list[Figure]]


def arrange(figures: Sequence[Figure]) -> list[Figure | Columns]:
    """Put the figures of half a page into two columns that are about as high; one alone becomes wide."""
    arranged: list[Figure | Columns] = []
    for is_wide, run in groupby(figures, key=lambda figure: figure.is_wide):
        found = [*run]
        if is_wide or len(found) == 1:
            arranged += found
            continue
        columns: Columns = ([], [])
        for figure in sorted(found, key=_height, reverse=True):
            min(columns, key=lambda column: sum(map(_height, column))).append(figure)
        heights = [sum(map(_height, column)) for column in columns]
        tallest = columns[heights.index(max(heights))]
        alone = [tallest.pop()] if max(heights) - min(heights) > _HOLE and len(found) > 2 else []  # noqa: PLR2004 - a pair stays
        arranged += [columns, *alone]
    return arranged


def _height(figure: Figure) -> int:
    """Estimate the height of a figure in pixels."""
    bars = sum(
        34 + 14 * (bar.find("div[@class='row-note']") is not None) for c in figure.charts for bar in c.iter("li")
    )
    svg = sum(200 for chart in figure.charts if chart.tag == "svg")
    return 190 + bars + svg


def _columns(columns: Columns, labels: Labels) -> ET.Element:
    drawn = (element("div", *(_figure(figure, labels) for figure in column), class_="column") for column in columns)
    return element("div", *drawn, class_="figures")


def _figure(figure: Figure, labels: Labels) -> ET.Element:
    question = figure.answer.question
    about = element("p", question.about, class_="about")
    parts: list[ET.Element | None] = [element("h3", question.title)]
    if figure.answer.rows:
        parts += [element("p", figure.finding, class_="finding") if figure.finding else None, about]
        if figure.charts:
            drawn = map(_captioned, figure.charts) if len(figure.charts) > 1 else figure.charts
            parts += [element("div", *drawn, class_="charts"), _legend(figure)]
        parts.append(write_table(figure.answer, labels, is_open=figure.is_open))
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


def _patterns() -> ET.Element:
    def hatch(tone: str) -> ET.Element:
        paper = element("rect", class_="hatch-paper", width=6, height=6)
        line = element("path", class_=f"hatch-{tone}", d="M-1 1L1 -1M0 6L6 0M5 7L7 5", stroke_width=2)
        return element("pattern", paper, line, id=f"hatch-{tone}", width=6, height=6, patternUnits="userSpaceOnUse")

    return element(
        "svg", element("defs", hatch("s3"), hatch("warn"), hatch("bad")), class_="patterns", aria_hidden="true"
    )
