"""Write YAML that people read. Texts are plain where YAML takes them for nothing else, otherwise quoted as in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

Yaml = Mapping[str, "Yaml"] | Sequence["Yaml"] | str | int | bool | None

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[+A-Za-z][A-Za-z0-9_ ,;()/.'-]*")  # neither a colon nor a number sign
_NOT_TEXT = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_WIDTH = 110


def yaml_text(value: Yaml) -> str:
    """Write a value with an empty line between the entries of its lists of mappings."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Yaml) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _entry(f"{_scalar(name)}:", item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            first, *rest = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(head: str, item: Yaml) -> Iterator[str]:
    if isinstance(item, Mapping) and item:
        yield head
        yield from (f"  {line}" for line in _lines(item))
    elif isinstance(item, Sequence) and not isinstance(item, str):
        flow = f"{head} [{', '.join(_in_flow(each) for each in item)}]" if _is_flat(item) else ""
        if not item or 0 < len(flow) <= _WIDTH:
            yield flow or f"{head} []"
            return
        yield head
        yield from (f"  {line}" for line in _lines(item))
    else:
        yield f"{head} {'{}' if isinstance(item, Mapping) else _scalar(item)}"


def _is_flat(items: Sequence[Yaml]) -> bool:
    return all(item is None or isinstance(item, str | int) for item in items)


def _in_flow(item: Yaml) -> str:
    return item if isinstance(item, str) and _NAME.fullmatch(item) and _is_text(item) else json.dumps(item)


def _scalar(value: Yaml) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and _is_text(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_text(plain: str) -> bool:
    return plain.lower() not in _NOT_TEXT and plain.strip() == plain
