"""Read one file of ``sql/``: its head and its SELECT.

The head are the comment lines above the query, one fact a line: ``-- title: text`` or ``-- column name: text``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lexport.errors import ViewError

_LINE = re.compile(r"-- (?P<word>[a-z]+)(?: (?P<name>\w+))?: (?P<text>\S.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlFile:
    """The facts of a head by word, ``named`` facts by word and name, and the line of each, counted from 1.

    ``query`` is the SELECT without its semicolon; its first line is line ``query_line`` of the file.
    """

    path: Path
    facts: dict[str, str]
    named: dict[str, dict[str, str]]
    lines: dict[tuple[str, str | None], int]
    query: str
    query_line: int

    def error(self, text: str, *, word: str, name: str | None = None) -> ViewError:
        """Return the error for one line of the head."""
        return head_error(self.path, self.lines.get((word, name), 1), text)


def head_error(path: Path, line: int, text: str) -> ViewError:
    """Return an error that names the file and the line."""
    return ViewError(f"{path.name}, line {line}: {text}", sql_file=path.name)


def read_sql_file(path: Path, *, facts: Collection[str], named: Collection[str]) -> SqlFile:
    """Read a file whose head may have these facts and named facts, each once. Raises ViewError for any other line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ViewError(f"{path.name} cannot be read: {error}", sql_file=path.name) from error
    texts: dict[tuple[str, str | None], str] = {}
    line_numbers: dict[tuple[str, str | None], int] = {}
    head = 0
    for line in lines:
        if not line.startswith("--"):
            break
        head += 1
        match = _LINE.fullmatch(line)
        if match is None or match["word"] not in (facts if match["name"] is None else named):
            raise head_error(path, head, f"not a line of the head: {line}")
        key = (match["word"], match["name"])
        if key in texts:
            raise head_error(path, head, f"this fact is given twice: {line}")
        texts[key], line_numbers[key] = match["text"], head
    return SqlFile(
        path=path,
        facts={word: text for (word, name), text in texts.items() if name is None},
        named={
            kind: {name: text for (word, name), text in texts.items() if word == kind and name is not None}
            for kind in named
        },
        lines=line_numbers,
        query="\n".join(lines[head:]).rstrip().removesuffix(";"),
        query_line=head + 1,
    )
