"""Elements and HTML. No other file of this folder writes a ``<``: every text of a dataset becomes a text node."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from lexport.tables.text import visible

Child = ET.Element | str | None


def element(name: str, /, *children: Child, **attributes: str | float | None) -> ET.Element:
    """Create an element. Texts become text nodes; None is left out.

    In the names of attributes a final ``_`` is removed and other ``_`` become ``-``: ``class_``, ``aria_label``.
    """
    created = ET.Element(
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
            created.append(child)
            last = child
        elif last is None:
            created.text = (created.text or "") + _text(child)
        else:
            last.tail = (last.tail or "") + _text(child)
    return created


def raw_text(name: str, text: str, **attributes: str) -> ET.Element:
    """Create a ``style`` or ``script`` element, whose text is not escaped in HTML. For our own text only."""
    created = ET.Element(name, attributes)
    created.text = text
    return created


def to_html(root: ET.Element) -> str:
    """Write a document with escaped texts and attributes; void elements have no end tag."""
    return "<!doctype html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n"


def _text(text: str) -> str:
    return visible(text, keep="\n")
