"""The questions of the report: the files of ``sql/report/`` and the rows of each. The report shows the SQL that ran."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from lexport.errors import ViewError
from lexport.query.shipped_views import sql_dir
from lexport.query.sql import QuerySession
from lexport.query.sql_file import read_sql_file
from lexport.query.sql_text import quote_text

_ROWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One SELECT with its title and text. ``empty`` explains the lack of rows; ``rows`` is the maximum shown."""

    name: str
    title: str
    about: str
    empty: str
    rows: int
    query: str

    def with_values(self, **values: str) -> Question:
        """Return the question with texts for its parameters, as ``$owner_tag``."""
        query = self.query
        for name, value in values.items():
            query = query.replace(f"${name}", quote_text(value))
        return replace(self, query=query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The first rows of a question in their order, and the number of all rows."""

    question: Question
    names: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    total: int

    def total_of(self, name: str) -> int:
        """Return the sum of a column; NULL counts as 0."""
        return sum(row[name] or 0 for row in self.rows)


def read_question(path: Path) -> Question:
    """Read one file. Raises ViewError if its head is incomplete."""
    file = read_sql_file(path, facts=("title", "about", "empty", "rows"), named=())
    if not {"title", "about", "empty"} <= file.facts.keys():
        raise ViewError(f"report/{path.name}: its head lacks title, about or empty", sql_file=path.name)
    return Question(
        name=path.stem,
        title=file.facts["title"],
        about=file.facts["about"],
        empty=file.facts["empty"],
        rows=int(file.facts.get("rows", _ROWS)),
        query=file.query.strip(),
    )


def questions() -> dict[str, Question]:
    """Return every question of the report by its name."""
    return {path.stem: read_question(path) for path in sorted((sql_dir() / "report").glob("*.sql"))}


def answer_question(session: QuerySession, question: Question) -> Answer:
    """Run the SQL of a question. Rows beyond the maximum are counted and not kept."""
    reader = session.read(question.query, is_ours=True)
    rows: list[dict[str, Any]] = []
    total = 0
    for batch in reader:
        total += batch.num_rows
        if len(rows) < question.rows:
            rows += batch.slice(0, question.rows - len(rows)).to_pylist()
    return Answer(question=question, names=tuple(reader.schema.names), rows=tuple(rows), total=total)


def day_of(value: date | datetime) -> date:
    """Return the day of a date or of an instant."""
    return value.date() if isinstance(value, datetime) else value
