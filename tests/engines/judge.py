"""Compare the names, shipped views and checks in an engine with those of ``lexport sql``, row by row.

``make dialects ENGINE=chdb`` runs it with the engine in a folder of its own. Exit 1: an engine differs where it should
not.
"""

# ruff: noqa: BLE001 - each engine has errors of its own

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
from fleet import write_fleet

from engines import ENGINES, Engine, Rows
from lexport.query.checks.definition import Value, fill_thresholds, load_checks
from lexport.query.shipped_views import shipped_views, sql_dir
from lexport.query.sql import QuerySession, open_query_session
from lexport.query.warehouse.external_tables import PARTITION
from lexport.tables import registry

KNOWN = {
    "polars": {
        "conversion from `duration": "the difference of two dates is a duration there, and no number of days",
        "pattern must be a string literal": "LIKE takes no pattern from columns there",
        "EXISTS subquery is not currently supported": "EXISTS is not supported there in this place",
        "was not found": "it reads a view that is named here",
    }
}
"""What engines cannot do, by a part of their message."""
FUNCTIONS = {"spark": 20}  # a query takes it seconds, whatever the number of rows


def main(name: str) -> int:
    """Judge one engine; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="lexport-engines-") as folder:
        dest = Path(folder, "fleet")
        anyio.run(write_fleet, dest, FUNCTIONS.get(name, 60))
        started = time.perf_counter()
        with open_query_session(dest) as session:
            rows_here = {each: _read(session, f"SELECT * FROM {each}") for each in _names()}
            engine = ENGINES[name](dest, Path(folder))
            unexplained = 0
            for what, results in (
                ("names", [(each, *_compare(each, rows_here, engine)) for each in _tables()]),
                ("views", [(each, *_compare(each, rows_here, engine)) for each in _views()]),
                ("checks", list(_judge_checks(session, engine))),
            ):
                wrong = [(each, why) for each, is_equal, why in results if not is_equal]
                unexplained += sum(_reason(name, why) is None for _, why in wrong)
                for each, why in wrong:
                    print(f"  {each}: {_reason(name, why) or ' '.join(why.split())[:300]}")
                empty = sum(not rows_here[each][1] for each, *_ in results if each in rows_here)
                print(
                    f"{engine.version}: {len(results) - len(wrong)} of {len(results)} {what} equal, {empty} are empty"
                )
        print(f"{time.perf_counter() - started:.0f} s")
    return 1 if unexplained else 0


def _tables() -> list[str]:
    return [f"{space}.{table.name}" for space in ("history", "snapshot", "main") for table in registry.tables()]


def _views() -> list[str]:
    return [f"main.{view.name}" for view in shipped_views()]


def _names() -> list[str]:
    return [*_tables(), *_views()]


def _read(session: QuerySession, query: str) -> Rows:
    table = session.read(query).read_all()
    return table.column_names, [tuple(row.values()) for row in table.to_pylist()]


def _compare(name: str, rows_here: dict[str, Rows], engine: Engine) -> tuple[bool, str]:
    if name in engine.failed:
        return False, engine.failed[name]
    columns, rows = rows_here[name]
    try:
        found_columns, found = engine.read(name)
    except Exception as error:
        return False, str(error)
    if found_columns[-1] == PARTITION and columns[-1] != PARTITION:
        found_columns, found = found_columns[:-1], [row[:-1] for row in found]
    return _is_equal(columns, rows, found_columns, found)


def _judge_checks(session: QuerySession, engine: Engine) -> Iterator[tuple[str, bool, str]]:
    checks = load_checks(sql_dir() / "checks")
    values = fill_thresholds(checks, {})
    for check in checks:
        tables = _threshold_tables(values[check.name])
        for table, query in tables.items():
            session.connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {query}")
        columns, rows = _read(session, check.query)
        try:
            found_columns, found = engine.check(check.query, tables)
        except Exception as error:
            yield check.name, False, str(error)
            continue
        yield check.name, *_is_equal(columns, rows, found_columns, found)


def _threshold_tables(thresholds: Any) -> dict[str, str]:
    """Write the queries of the two tables that checks read their thresholds from."""
    numbers = [
        f"CAST({value!r} AS {_type(value)}) AS {name}" for name, value in thresholds.items() if _is_number(value)
    ]
    items = [
        f"SELECT '{name}' AS name, '{item}' AS item"
        for name, value in thresholds.items()
        if not _is_number(value)
        for item in value
    ]
    none = "SELECT 'none' AS name, 'none' AS item"
    return {
        "thresholds": f"SELECT {', '.join(numbers) or '0 AS none'}",
        "threshold_items": " UNION ALL ".join(items or [none]),
    }


def _is_number(value: Value) -> bool:
    return not isinstance(value, tuple)


def _type(value: Value) -> str:
    return "DOUBLE" if isinstance(value, float) else "BIGINT"


def _is_equal(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], found_columns: Sequence[str], found: Sequence[Sequence[Any]]
) -> tuple[bool, str]:
    if list(columns) != list(found_columns):
        return False, f"it has the columns {', '.join(found_columns)}"
    if len(rows) != len(found):
        return False, f"it has {len(found)} rows, not {len(rows)}"
    for here, there in zip(_sorted(rows), _sorted(found), strict=True):
        if not all(map(_is_same, here, there)):
            return False, f"it has {there}, not {here}"
    return True, ""


def _sorted(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    plain = [[value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in row] for row in rows]
    return sorted(plain, key=lambda row: repr([f"{value:.6g}" if isinstance(value, float) else value for value in row]))


def _is_same(here: Any, there: Any) -> bool:
    if isinstance(here, float) and isinstance(there, float):
        return math.isclose(here, there, rel_tol=1e-9)
    return bool(here == there)


def _reason(engine: str, message: str) -> str | None:
    return next((reason for part, reason in KNOWN.get(engine, {}).items() if part in message), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
