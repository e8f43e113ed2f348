"""What the SQL shell offers when Tab is pressed: names of the dataset, keywords and dot commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

SPACES = ("snapshot", "history")
_KEYWORDS = tuple(
    "ALL AND ANTI AS ASC ASOF BETWEEN BY CASE CAST COUNT CROSS DESC DESCRIBE DISTINCT ELSE END EXCEPT EXCLUDE EXISTS"  # noqa: SIM905 - a list of words is easier to read
    " EXPLAIN FALSE FILTER FIRST FROM FULL GROUP HAVING ILIKE IN INNER INTERSECT INTERVAL IS JOIN LAST LEFT LIKE LIMIT"
    " MAX MIN NATURAL NOT NULL NULLS OFFSET ON OR ORDER OUTER OVER PARTITION PIVOT QUALIFY RECURSIVE REPLACE RIGHT"
    " SELECT SEMI SUM THEN TRUE UNION UNNEST UNPIVOT USING VALUES WHEN WHERE WINDOW WITH".split()
)
_RELATION_NEXT = re.compile(r"\b(?:FROM|JOIN|DESCRIBE)\s+\w*$", re.IGNORECASE)
_QUALIFIED = re.compile(r"(\w+)\.\w*$")
_WORD = re.compile(r"\w*$")
_ALIAS = r"\b{}\s+(?:AS\s+)?(\w+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Tables and views with their columns, and dot commands with the words that may follow; each name with a remark."""

    tables: Mapping[str, str]
    views: Mapping[str, str]
    columns: Mapping[str, Sequence[str]]
    commands: Mapping[str, str]
    words: Mapping[str, Sequence[str]]


def candidates(before: str, after: str, names: Names) -> Iterator[tuple[str, str]]:
    """Yield words, each with a remark, that can stand at the cursor between two texts; the likely ones first."""
    if before.startswith("."):
        command, has_argument, argument = before.partition(" ")
        found: Iterable[tuple[str, str]] = names.commands.items()
        if has_argument:
            found = ((word, "") for word in names.words.get(command, ()))
        yield from _beginning(argument.lstrip() if has_argument else command, found)
        return
    if before.count("'") % 2:  # within a text
        return
    match = _WORD.search(before)
    word = match[0] if match else ""
    qualified = _QUALIFIED.search(before)
    relations = {**names.tables, **names.views}
    if qualified is not None and qualified[1].lower() in SPACES:
        yield from _beginning(word, names.tables.items())
    elif qualified is not None:
        yield from _beginning(word, _columns(f"{before} {after}", names, qualified[1].lower()))
    elif _RELATION_NEXT.search(before):
        yield from _beginning(word, (*relations.items(), *((f"{space}.", "name space") for space in SPACES)))
    else:
        keywords = (one.lower() if word.islower() else one for one in _KEYWORDS)
        columns = _columns(f"{before} {after}", names, "")
        yield from _beginning(word, (*columns, *((one, "") for one in keywords), *relations.items()))


def _columns(text: str, names: Names, qualifier: str) -> Iterator[tuple[str, str]]:
    """Yield the columns of the tables and views that a text names; of a qualifier, those that it stands for."""
    words = dict.fromkeys(re.findall(r"\w+", text.lower()))
    named = [name for name in words if name in names.columns]
    if qualifier:
        meant = [
            name for name in named if name == qualifier or qualifier in re.findall(_ALIAS.format(name), text.lower())
        ]
        named = meant or named
    shown: dict[str, str] = {}
    for name in named:
        for column in names.columns[name]:
            shown.setdefault(column, name)
    yield from shown.items()


def _beginning(word: str, found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    shown = set()
    for name, remark in found:
        if name.lower().startswith(word.lower()) and name not in shown:
            shown.add(name)
            yield name, remark


class NamesCompleter(Completer):
    """Completes names for prompt_toolkit."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:  # noqa: ARG002
        """Yield the completions at the cursor."""
        before = document.text_before_cursor
        pattern: Any = re.compile(r"\S*$") if before.startswith(".") else _WORD
        typed = pattern.search(before)[0]
        for name, remark in candidates(before, document.text_after_cursor, self._names):
            yield Completion(name, start_position=-len(typed), display_meta=remark)
