"""Draw numbers as elements: bars as lists with SVG, lines and columns as SVG. Pure functions: no SQL, no page.

Horizontal positions are per cent of the width, heights are pixels: nothing is scaled, and texts keep their size on a
phone. Labels of bars are HTML, which wraps: no label is cut. Colours are classes of ``page.css``, for light and dark; a
text, a position or a pattern repeats their meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from xml.etree import ElementTree as ET

from lexport.query.report.format import cut
from lexport.query.report.markup import element

Format = Callable[[float], str]

_BAR = 10  # the height of a bar
_TOP, _PLOT, _FOOT = 18, 130, 22
_WIDEST_COLUMN = 6.0  # per cent of the plot
_NARROWEST = 0.4  # per cent of a bar: what is there can be seen
_SHORT = 20  # characters of a text that does not wrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: its label, the length of its parts by series, the text at its right end, and a note below its label."""

    label: str
    values: tuple[float, ...]
    text: str
    note: str = ""
    href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A name, a value for each day (None if it is not known), and the class of its colour."""

    name: str
    values: tuple[float | None, ...]
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One row of the calendar: the ends of its periods, in order, None if a date is not known."""

    label: str
    text: str
    note: str
    ends: tuple[date | None, date | None, date | None]


def bars(rows: Sequence[Bar], *, name: str, tones: Sequence[str] = ("s1",)) -> ET.Element:
    """Draw horizontal bars with their labels above them."""
    most = max((sum(row.values) for row in rows), default=0) or 1
    drawn = []
    for row in rows:
        parts, x = [element("rect", class_="track", x=0, y=0, width="100%", height=_BAR)], 0.0
        for value, tone in zip(row.values, tones, strict=True):
            width = max(_NARROWEST, 100 * value / most)
            if value:
                parts.append(element("rect", class_=f"part {tone}", x=_part(x), y=0, width=_part(width), height=_BAR))
                x += width
        drawn.append(_row(row.label, row.text, row.note, parts, height=_BAR, href=row.href))
    return element("ul", *drawn, class_="bars", aria_label=name)


def _row(
    label: str, text: str, note: str, parts: Sequence[ET.Element], *, height: int, href: str | None = None
) -> ET.Element:
    shown = cut(label)
    name = shown if href is None else link(shown, href)
    head = element(
        "div",
        element("span", name, class_="label"),
        element("span", text, class_="value short" if len(text) <= _SHORT else "value"),
        class_="row-head",
    )
    small = element("div", element("span", cut(note)), class_="row-note") if note else None
    bar = element("svg", *parts, class_="bar", width="100%", height=height, aria_hidden="true")
    return element("li", head, small, bar)


def link(text: str, href: str) -> ET.Element:
    """Return a link that opens in another tab and does not say where it comes from."""
    return element("a", text, href=href, target="_blank", rel="noopener noreferrer", title="Open in the AWS console")


def lines(
    days: Sequence[date], series: Sequence[Series], *, name: str, about: str, write: Format, kilo: int = 1000
) -> ET.Element:
    """Draw values over days as lines, with the axis from 0. The area under a single line is filled."""
    most = _round_up(max((value for item in series for value in item.values if value is not None), default=0), kilo)
    drawn = []
    for item in series:
        points = [(_spread(days, day), 100 - 100 * value / most) for day, value in _known(days, item.values)]
        path = "M" + "L".join(f"{10 * x:.1f} {y:.2f}" for x, y in points) if points else ""
        if len(series) == 1 and len(points) > 1:
            area = f"{path}L{10 * points[-1][0]:.1f} 100L{10 * points[0][0]:.1f} 100Z"
            drawn.append(element("path", class_=f"area {item.tone}", d=area))
        drawn.append(element("path", class_=f"line {item.tone}", d=path))
    dots = [
        element("circle", class_=item.tone, cx=_part(_spread(days, day)), cy=_TOP + _PLOT * (1 - value / most), r=3)
        for item in series
        for day, value in _known(days, item.values)[-1:]
    ]
    texts = _texts(series, lambda value: "not known" if value is None else write(value))
    return _over_days(days, texts, drawn, dots, most=most, name=name, about=about, write=write, place=_spread)


def columns(days: Sequence[date], series: Sequence[Series], *, name: str, about: str, write: Format) -> ET.Element:
    """Draw one stacked column a day."""
    most = _round_up(max((sum(value or 0 for value in row) for row in _rows(series)), default=0), 1000)
    width = 10 * min(_WIDEST_COLUMN, _day_width(days) * 0.8)
    below = [0.0] * len(days)
    drawn = []
    for item in series:
        steps = []
        for number, (day, value) in enumerate(zip(days, item.values, strict=True)):
            if value:
                height = 100 * value / most
                x, y = 10 * _center(days, day) - width / 2, 100 - below[number] - height
                steps.append(f"M{x:.1f} {y:.2f}h{width:.1f}v{height:.2f}h-{width:.1f}z")
                below[number] += height
        drawn.append(element("path", class_=item.tone, d="".join(steps)))
    texts = _texts(series, lambda value: write(value or 0))
    return _over_days(days, texts, drawn, [], most=most, name=name, about=about, write=write, place=_center)


def calendar(rows: Sequence[Life], *, today: date, name: str) -> ET.Element:
    """Draw a bar for each row: supported, deprecated, no new functions, no updates. A line marks today."""
    ends = [end for row in rows for end in row.ends if end]
    first = max(min([*ends, today]), today - timedelta(days=3 * 365)) - timedelta(days=120)
    last = max([*ends, today]) + timedelta(days=120)
    span = (last - first).days

    def position(day: date) -> float:
        return min(100.0, max(0.0, 100 * (day - first).days / span))

    behind = []
    for year in range(first.year + 1, last.year + 1):
        x = _part(position(date(year, 1, 1)))
        behind.append(element("line", class_="grid", x1=x, x2=x, y1=18, y2="100%"))
        behind.append(element("text", str(year), class_="tick", x=x, y=11))
    now = _part(position(today))
    behind.append(element("line", class_="today", x1=now, x2=now, y1=16, y2="100%"))
    drawn = []
    for row in rows:
        edges = [0.0, *(position(end) if end else None for end in row.ends), 100.0]
        parts = []
        for index, tone in enumerate(("life", "ended", "closed", "frozen")):
            start = edges[index]
            if start is None:
                continue
            stop = next(edge for edge in edges[index + 1 :] if edge is not None)
            height, lower = ((6, 4), (10, 2), (10, 2), (4, 5))[index]
            if stop > start:
                width = _part(stop - start)
                parts.append(element("rect", class_=tone, x=_part(start), y=lower, width=width, height=height))
        if row.ends[0] and row.ends[0] > first:
            mark = element("path", class_="mark", d="M0 -7L6 0L0 7L-6 0Z")
            parts.append(element("svg", mark, x=_part(position(row.ends[0])), y=7, class_="at"))
        drawn.append(_row(row.label, row.text, row.note, parts, height=14))
    axis = element("svg", *behind, class_="chart behind", width="100%", height="100%", aria_hidden="true")
    return element("div", axis, element("ul", *drawn, class_="bars lives", aria_label=name), class_="calendar")


def sparkline(values: Sequence[float | None]) -> ET.Element | None:
    """Draw the shape of a trend, without numbers; None if there are fewer than two values."""
    known = [(number, value) for number, value in enumerate(values) if value is not None]
    if len(known) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    low, high = min(value for _, value in known), max(value for _, value in known)
    spread = (high - low) or 1
    points = " ".join(f"{100 * x / (len(values) - 1):.1f},{22 - 20 * (y - low) / spread:.1f}" for x, y in known)
    line = element("polyline", class_="line s1", points=points)
    return element("svg", line, class_="spark", viewBox="0 0 100 24", preserveAspectRatio="none", aria_hidden="true")


def _over_days(
    days: Sequence[date],
    texts: Sequence[str],
    drawn: Sequence[ET.Element],
    over: Sequence[ET.Element],
    *,
    most: float,
    name: str,
    about: str,
    write: Format,
    place: Callable[[Sequence[date], date], float],
) -> ET.Element:
    """Add the axes, and for each day an invisible field that shows its text.

    ``drawn`` has 1000 by 100 units and is stretched, while lines keep their width; ``over`` is not stretched.
    """
    plot = element(
        "svg", *drawn, x=0, y=_TOP, width="100%", height=_PLOT, viewBox="0 0 1000 100", preserveAspectRatio="none"
    )
    base = _TOP + _PLOT
    levels = [(share, base - share * _PLOT) for share in (0.0, 0.5, 1.0)]
    grid = [element("line", class_="grid", x1=0, x2="100%", y1=y, y2=y) for _, y in levels]
    named = (1.0,) if place is _center else (0.5, 1.0)  # columns would cover the one in the middle
    axis = [
        element("text", write(_whole(most * share)), class_="axis", x=0, y=y - 4)
        for share, y in levels
        if share in named
    ]
    axis += [
        element("text", f"{days[0]:%d %b %Y}", class_="axis", x=0, y=base + 16),
        element("text", f"{days[-1]:%d %b %Y}", class_="axis end", x="100%", y=base + 16),
    ]
    width = _day_width(days)
    fields = [
        element(
            "rect",
            element("title", f"{day:%a %d %b %Y}\n{text}"),
            class_="hit",
            x=_part(start),
            y=_TOP,
            width=_part(min(100.0, place(days, day) + width / 2) - start),
            height=_PLOT,
        )
        for day, text in zip(days, texts, strict=True)
        for start in (max(0.0, place(days, day) - width / 2),)
    ]
    return _svg([*grid, plot, *over, *axis, *fields], name=name, about=about, height=base + _FOOT)


def _known(days: Sequence[date], values: Sequence[float | None]) -> list[tuple[date, float]]:
    return [(day, value) for day, value in zip(days, values, strict=True) if value is not None]


def _rows(series: Sequence[Series]) -> list[tuple[float | None, ...]]:
    return list(zip(*(item.values for item in series), strict=True))


def _texts(series: Sequence[Series], write: Callable[[float | None], str]) -> list[str]:
    return [
        "\n".join(f"{item.name}: {write(value)}" for item, value in zip(series, row, strict=True))
        for row in _rows(series)
    ]


def _day_width(days: Sequence[date]) -> float:
    return 100 / ((days[-1] - days[0]).days + 1)


def _center(days: Sequence[date], day: date) -> float:
    return _day_width(days) * ((day - days[0]).days + 0.5)


def _spread(days: Sequence[date], day: date) -> float:
    """Return the position of a day on an axis from the first day to the last."""
    return 100 * (day - days[0]).days / max(1, (days[-1] - days[0]).days)


def _round_up(value: float, kilo: int) -> float:
    """Return the end of an axis: a round number above the greatest value, whose half is round too."""
    unit = 1.0
    while value >= unit * kilo:
        unit *= kilo
    scaled = value / unit
    if unit == 1.0 and scaled < 10:  # noqa: PLR2004 - few things are counted one by one
        return 2 * (int(scaled) // 2 + 1)
    step = float(10 ** (len(str(int(scaled))) - 1)) / 5
    return unit * step * (int(scaled / step) + 1)


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def _part(share: float) -> str:
    return f"{share:.2f}".rstrip("0").rstrip(".") + "%"


def _svg(drawn: Sequence[ET.Element], *, name: str, about: str, height: float) -> ET.Element:
    titled = [element("title", name), element("desc", about)]
    return element("svg", *titled, *drawn, class_="chart", role="img", width="100%", height=height)
