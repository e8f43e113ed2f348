"""The series of an account-region that may have data, kept in a file: there may be hundreds of thousands.

A series is a function as a whole, an alias or version of it that was called, or a version that ran for an alias.
CloudWatch has data only under exactly these combinations of dimensions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from lexport.model import LATEST

_PAGE_ROWS = 500
_LISTED = "SELECT * FROM listed ORDER BY name, dimension, qualifier, executed"
_EVERY = "SELECT * FROM every ORDER BY name, dimension, qualifier, executed"
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE known (name TEXT, dimension TEXT, qualifier TEXT, executed TEXT,
  PRIMARY KEY (name, dimension, qualifier, executed)) WITHOUT ROWID;
CREATE TABLE recent (name TEXT, dimension TEXT, qualifier TEXT, executed TEXT,
  PRIMARY KEY (name, dimension, qualifier, executed)) WITHOUT ROWID;
CREATE VIEW functions AS SELECT name FROM known WHERE dimension = 'function';
CREATE VIEW listed AS SELECT * FROM recent WHERE name IN (SELECT name FROM functions);
CREATE VIEW every AS SELECT * FROM known WHERE name IN (SELECT name FROM functions) UNION SELECT * FROM listed;
"""


class Series(NamedTuple):
    """One series; ``executed`` is empty but for a version that ran for an alias."""

    name: str
    dimension: str
    qualifier: str
    executed: str

    def dimensions(self) -> list[dict[str, str]]:
        """Return the dimensions as CloudWatch takes them."""
        pairs = [("FunctionName", self.name)]
        if self.dimension != "function":
            pairs.append(("Resource", f"{self.name}:{self.qualifier}"))
        if self.executed:
            pairs.append(("ExecutedVersion", self.executed))
        return [{"Name": name, "Value": value} for name, value in pairs]


def of_function(name: str) -> Series:
    """Return the series of a function as a whole."""
    return Series(name, "function", LATEST, "")


def of_qualifier(name: str, qualifier: str) -> Series:
    """Return the series of an alias or version."""
    is_version = qualifier == LATEST or qualifier.isdecimal()
    return Series(name, "version" if is_version else "alias", qualifier, "")


def of_route(name: str, alias: str, version: str) -> Series:
    """Return the series of a version that runs for an alias."""
    return Series(name, "executed_version", alias, version)


def listed_series(dimensions: Iterable[Any]) -> Series | None:
    """Return the series that a metric of ListMetrics is of; None for one of another kind."""
    pairs: list[tuple[Any, Any]] = [
        (pair.get("Name"), pair.get("Value")) for pair in dimensions if isinstance(pair, Mapping)
    ]
    values: dict[str, str] = {name: value for name, value in pairs if isinstance(name, str) and isinstance(value, str)}
    name, resource = values.pop("FunctionName", ""), values.pop("Resource", "")
    executed = values.pop("ExecutedVersion", "")
    if values or not name:
        return None
    if not resource:
        return None if executed else of_function(name)
    owner, _, qualifier = resource.rpartition(":")
    if owner != name or not qualifier:
        return None
    series = of_qualifier(name, qualifier)
    return of_route(name, qualifier, executed) if executed else series


class SeriesFile:
    """The series that are known from the fleet, and those that CloudWatch has listed; ``with`` closes the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
        self._path.unlink(missing_ok=True)

    def add_known(self, series: Iterable[Series]) -> None:
        """Add series of functions, aliases and versions of the fleet."""
        self._database.executemany("INSERT OR IGNORE INTO known VALUES (?, ?, ?, ?)", series)

    def add_recent(self, series: Iterable[Series]) -> None:
        """Add series that CloudWatch has listed."""
        self._database.executemany("INSERT OR IGNORE INTO recent VALUES (?, ?, ?, ?)", series)

    def counts(self) -> dict[str, int]:
        """Count the series of functions that there are, by dimension."""
        return dict(self._database.execute("SELECT dimension, COUNT(*) FROM every GROUP BY dimension"))

    def to_ask(self, *, is_listed_enough: bool) -> Iterator[Series]:
        """Yield the series to ask for, by function: those that were listed alone, where these are enough."""
        rows = self._database.execute(_LISTED if is_listed_enough else _EVERY)
        while page := rows.fetchmany(_PAGE_ROWS):
            yield from map(Series._make, page)
