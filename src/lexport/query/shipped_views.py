"""The shipped views: the files of ``sql/``, each one SELECT below a head with question, grain and columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lexport.errors import SettingsError, ViewError
from lexport.query.sql_file import read_sql_file
from lexport.tables import registry
from lexport.tables.text import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedView:
    """One file of ``sql/``: the question, grain and columns of its head, and its SELECT."""

    name: str
    path: Path
    question: str
    grain: str
    columns: dict[str, str]
    query: str


def sql_dir() -> Path:
    """Return the folder of the shipped views: in the wheel ``lexport/sql``, in a checkout the top-level ``sql``."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "sql"
    return installed if installed.is_dir() else package.parents[1] / "sql"


@cache
def shipped_views() -> tuple[ShippedView, ...]:
    """Read every shipped view, in the order of the file names."""
    return tuple(read_view(path) for path in sorted(sql_dir().glob("[0-9]*_*.sql")))


RUNS_SQL = ("query", "query_table")
"""Table functions that take SQL or a table name as a text."""
BY_OTHER_MEANS = frozenset(
    ("information_schema", "pg_catalog", "duckdb_views", "duckdb_columns", "sqlite_master", "show", *RUNS_SQL)
)


_TEXT = re.compile(r"'(?:[^']|'')*'")


def named_views(
    views: Iterable[ShippedView], statement: str, *, by_other_means: bool = True
) -> tuple[ShippedView, ...]:
    """Return the views that a statement names, and the views that those read, in order.

    Binding every view takes longer than most queries. A statement that reads DuckDB's own catalog, and so may find any
    view, gets all of them unless ``by_other_means`` is false.
    """
    every = tuple(views)
    words = _words(statement)
    if by_other_means and not BY_OTHER_MEANS.isdisjoint(words):
        return every
    named: list[ShippedView] = []
    for view in reversed(every):  # a view reads only earlier ones
        if view.name in words:
            named.append(view)
            words |= _words(view.query)
    return tuple(reversed(named))


def tables_read(query: str) -> set[str]:
    """Return the names of the tables that a query may read, also through shipped views: every word that is a name.

    A text in a query may be SQL (see RUNS_SQL); one in a shipped view is a value, even if it is the name of a table.
    """
    texts = (query, *(_TEXT.sub("", view.query) for view in named_views(shipped_views(), query)))
    return {table.name for table in registry.tables()} & {word for text in texts for word in _words(text)}


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def find_view(name: str) -> ShippedView:
    """Return a shipped view by its name. Raises SettingsError, which names similar ones."""
    views = {view.name: view for view in shipped_views()}
    if name not in views:
        near = did_you_mean(name, views) or "; docs/reference/views.md lists them"
        raise SettingsError(f"none of the {len(views)} views has the name {name}{near}", option="--print")
    return views[name]


def read_view(path: Path) -> ShippedView:
    """Read the file of a view. Raises ViewError if its head lacks question, grain or columns."""
    file = read_sql_file(path, facts=("question", "grain"), named=("column",))
    if not {"question", "grain"} <= file.facts.keys() or not file.named["column"]:
        raise ViewError(f"{path.name}: its head lacks question, grain or columns", sql_file=path.name)
    return ShippedView(
        name=path.stem.split("_", 1)[1],
        path=path,
        question=file.facts["question"],
        grain=file.facts["grain"],
        columns=file.named["column"],
        query=file.query,
    )
