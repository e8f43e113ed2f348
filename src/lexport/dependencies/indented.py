"""The part of YAML that yarn and pnpm write -> mappings within mappings.

Not a reader of YAML: keys and values a line each, deeper lines belong to the key above. What is outside of that is a
wrong value, so that nothing is passed over in silence.
"""

from __future__ import annotations

import re
from typing import Any

from lexport.dependencies.text import text_of

_KEY = r"(?P<key>\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'|@[^\s:]+|[^\s\"'#:?&*!|>%@`{\[-][^\"#]*?)"
_LINE = re.compile(_KEY + r":(?: +(?P<value>.*))?")
_SPACED = re.compile(r"(?P<key>[^:]*(?::[^\s:][^:]*)*):|(?P<name>\"[^\"]*\"|[^\s\"]+) (?P<value>\"[^\"]*\"|\S.*)")
_MOST_DEEP = 16
_NOTHING = 2**31


def read_indented(body: bytes, *, is_spaced: bool = False) -> dict[str, Any]:
    """Read a document. ``is_spaced``: key and value stand a blank apart, as in yarn.lock of version 1.

    Values are texts as they are written, without their quotes. Raises ValueError.
    """
    root: dict[str, Any] = {}
    open_at: list[tuple[int, dict[str, Any]]] = [(-1, root)]
    passed_over = _NOTHING  # deeper lines than this belong to a text of several lines, or to a list
    for line in text_of(body).splitlines():
        text = line.strip()
        depth = len(line) - len(line.lstrip(" "))
        if not text or depth > passed_over or text.startswith("#") or text == "---":
            continue
        passed_over = _NOTHING
        if text.startswith("- "):
            passed_over = depth
            continue
        match = _SPACED.fullmatch(text) if is_spaced else _LINE.fullmatch(text)
        if match is None:
            raise ValueError("a line that is no key and value")
        while open_at[-1][0] >= depth:
            open_at.pop()
        key = _bare(match["key"] or match["name"]) if is_spaced else _bare(match["key"])
        value = match["value"]
        if value:
            open_at[-1][1][key] = _bare(value)
            passed_over = depth
        else:
            below: dict[str, Any] = {}
            open_at[-1][1][key] = below
            open_at.append((depth, below))
            if len(open_at) > _MOST_DEEP:
                raise ValueError("nested too deeply")
    return root


def _bare(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
