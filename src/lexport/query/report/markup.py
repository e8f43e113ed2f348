"""Texts -> elements -> HTML. Nothing else in this folder writes a ``<``: whatever a fleet says becomes a text node."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from lexport.tables.text import visible

Child = ET.Element | str | None


def element(name: str, /, *children: Child, **attributes: str | float | None) -> ET.Element:
    """Make an element; texts become text nodes, None is left out.

    Attribute names lose a final ``_`` and take ``-`` for the others: ``class_``, ``aria_label``.
    """
    made = ET.Element(
        name,
        {
            key.removesuffix("_").replace("_", "-"): visible(value, keep="\n")
            if isinstance(value, str)
            else f"{value:.6g}"
            for key, value in attributes.items()
            if value is not None
        },
    )
    last: ET.Element | None = None
    for child in children:
        if child is None:
            continue
        if isinstance(child, ET.Element):
            made.append(child)
            last = child
        elif last is None:
            made.text = (made.text or "") + _text(child)
        else:
            last.tail = (last.tail or "") + _text(child)
    return made


def raw_text(name: str, text: str, **attributes: str) -> ET.Element:
    """Make a ``style`` or ``script`` of ours, whose text HTML takes as it stands."""
    made = ET.Element(name, attributes)
    made.text = text
    return made


def to_html(root: ET.Element) -> str:
    """Write a document: texts and attributes escaped, void elements closed as HTML does."""
    return "<!doctype html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n"


def _text(text: str) -> str:
    return visible(text, keep="\n")


def shorten(text: str, most: int) -> str:
    """Cut a long text: a sentence at its end, a name in its middle, because names tell apart at both ends."""
    if len(text) <= most:
        return text
    if " " in text:
        return text[: most - 1].rstrip() + "…"
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"
