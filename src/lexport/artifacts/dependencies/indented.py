"""The subset of YAML that yarn and pnpm write -> nested mappings.

This is no YAML reader. Each line holds one key and perhaps its value; deeper lines belong to the key above; lists and
multi-line texts are skipped. Anything else raises ValueError, so that no key is skipped unnoticed.
"""

from __future__ import annotations

import re
from typing import Any

from lexport.artifacts.dependencies.documents import text_of

_KEY = r"(?P<key>\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'|@[^\s:]+|[^\s\"'#:?&*!|>%@`{\[-][^\"#]*?)"
_LINE = re.compile(_KEY + r":(?: +(?P<value>.*))?")
_SPACED = re.compile(r"(?P<key>[^:]+(?::[^\s:][^:]*)*):|(?P<name>\"[^\"]*\"|[^\s\"]+) (?P<value>\"[^\"]*\"|\S.*)")
_MAX_DEPTH = 16
_ANY_DEPTH = 2**31


def read_indented(body: bytes, *, is_spaced: bool = False) -> dict[str, Any]:
    """Return the document as mappings of texts, without quotes; raises ValueError.

    ``is_spaced``: a blank separates key and value, as in yarn.lock of version 1.
    """
    root: dict[str, Any] = {}
    open_at: list[tuple[int, dict[str, Any]]] = [(-1, root)]
    deepest, is_skipping = _ANY_DEPTH, False  # deeper lines are skipped in a list or text, and wrong below a value
    for line in text_of(body).splitlines():
        text = line.strip()
        depth = len(line) - len(line.lstrip(" "))
        if not text or (is_skipping and depth > deepest) or text.startswith("#") or text == "---":
            continue
        match = _SPACED.fullmatch(text) if is_spaced else _LINE.fullmatch(text)
        if text.startswith("- "):
            deepest, is_skipping = depth, True
            continue
        if match is None or depth > deepest or line[depth] == "\t":
            raise ValueError("a line that is no key and value")
        while open_at[-1][0] >= depth:
            open_at.pop()
        key = _bare(match["key"] or match["name"]) if is_spaced else _bare(match["key"])
        value = match["value"]
        below: dict[str, Any] = {}
        open_at[-1][1][key] = _bare(value) if value and value != "{}" else below
        if value:
            deepest, is_skipping = depth, value.startswith((">", "|"))
            if value.startswith(("&", "*", "!")) and not is_spaced:
                raise ValueError("a value that stands for another")
        else:
            deepest = _ANY_DEPTH
            open_at.append((depth, below))
            if len(open_at) > _MAX_DEPTH:
                raise ValueError("nested too deeply")
    return root


def _bare(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
