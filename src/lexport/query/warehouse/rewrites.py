"""What sqlglot does not translate from DuckDB, or translates into something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

_Rewrite = Callable[["exp.Expr"], "exp.Expr"]


def rewrite(tree: exp.Expr, dialect: str) -> exp.Expr:
    """Rewrite a query of DuckDB so that sqlglot writes the same in a dialect."""
    for change in _REWRITES.get(dialect, (_count_days,)):
        tree = tree.transform(change)
    return tree


def _count_days(node: exp.Expr) -> exp.Expr:
    """Write the days between two dates, which shipped SQL subtracts in a CAST to INTEGER, as a DATE_DIFF."""
    from sqlglot import exp

    if not isinstance(node, exp.Cast) or not node.to.is_type("int") or not isinstance(node.this, exp.Sub):
        return node
    days = node.this
    between = exp.DateDiff(this=days.this.copy(), expression=days.expression.copy(), unit=exp.var("DAY"))
    return exp.Cast(this=between, to=node.to.copy())


def _day_in_utc(node: exp.Expr) -> exp.Expr:
    """Take the day of an instant in UTC, and not in the time zone of the session."""
    from sqlglot import exp

    if not isinstance(node, exp.Cast) or not node.to.is_type("date") or isinstance(node.this, exp.Literal | exp.Null):
        return node
    return exp.Cast(this=exp.AtTimeZone(this=node.this.copy(), zone=exp.Literal.string("UTC")), to=node.to.copy())


def _split_for_bigquery(node: exp.Expr) -> exp.Expr:
    """Write SPLIT_PART as BigQuery's SPLIT with an index. BigQuery has no SPLIT_PART, and sqlglot 30 keeps it."""
    from sqlglot import exp

    if not isinstance(node, exp.SplitPart):
        return node
    parts = exp.Split(this=node.this, expression=node.args["delimiter"])
    offset = exp.Literal.number(int(node.args["part_index"].name) - 1)
    return exp.Bracket(this=parts, expressions=[offset], offset=0, safe=True)


def _split_for_clickhouse(node: exp.Expr) -> exp.Expr:
    """Write SPLIT_PART as an element of splitByString, which has no NULL."""
    from sqlglot import exp

    if not isinstance(node, exp.SplitPart):
        return node
    text, number = node.this, exp.Literal.number(int(node.args["part_index"].name))
    known = exp.Anonymous(this="assumeNotNull", expressions=[text.copy()])
    parts = exp.Anonymous(this="splitByString", expressions=[node.args["delimiter"].copy(), known])
    part = exp.Bracket(this=parts, expressions=[number], offset=1)
    return exp.Case().when(text.copy().is_(exp.null()).not_(), part)


def _split_for_sqlite(node: exp.Expr) -> exp.Expr:
    """Write SPLIT_PART as an element of a JSON list; SQLite splits no text."""
    from sqlglot import exp

    if not isinstance(node, exp.SplitPart):
        return node
    delimiter = node.args["delimiter"].name
    quoted = exp.Anonymous(this="JSON_QUOTE", expressions=[node.this.copy()])
    between = [quoted, exp.Literal.string(delimiter), exp.Literal.string(f'"{","}"')]
    parts = exp.Anonymous(this="REPLACE", expressions=between)
    listed = exp.DPipe(
        this=exp.DPipe(this=exp.Literal.string("["), expression=parts, safe=True),
        expression=exp.Literal.string("]"),
        safe=True,
    )
    path = exp.Literal.string(f"$[{int(node.args['part_index'].name) - 1}]")
    return exp.Anonymous(this="JSON_EXTRACT", expressions=[listed, path])


def _name_columns(node: exp.Expr) -> exp.Expr:
    """Name each column of a SELECT: ClickHouse calls ``f.region`` of a join so, with its table."""
    from sqlglot import exp

    if isinstance(node, exp.Select):
        shown = [
            exp.alias_(each.copy(), each.name) if isinstance(each, exp.Column) and each.table else each
            for each in node.expressions
        ]
        node.set("expressions", shown)
    return node


def _join_with_null(node: exp.Expr) -> exp.Expr:
    """Have ClickHouse join as everybody does: NULL where nothing is found, and not 0 or an empty text."""
    from sqlglot import exp

    if isinstance(node, exp.Query) and node.parent is None and any(join.side for join in node.find_all(exp.Join)):
        node.set("settings", [exp.column("join_use_nulls", quoted=False).eq(1)])
    return node


def _glob(node: exp.Expr) -> exp.Expr:
    """Write LIKE as SQLite's GLOB, because its LIKE takes ``A`` for ``a``."""
    from sqlglot import exp

    if not isinstance(node, exp.Like):
        return node
    pattern = node.expression.copy()
    if isinstance(pattern, exp.Literal):
        pattern = exp.Literal.string("".join(_GLOB.get(character, character) for character in pattern.name))
    else:
        for character, written in _GLOB.items():
            found = [exp.Literal.string(text) for text in (character, written)]
            pattern = exp.Anonymous(this="REPLACE", expressions=[pattern, *found])
    return exp.Glob(this=node.this.copy(), expression=pattern)


_GLOB = {"[": "[[]", "*": "[*]", "?": "[?]", "%": "*", "_": "?"}


_REWRITES: dict[str, tuple[_Rewrite, ...]] = {
    "duckdb": (_day_in_utc,),
    "postgres": (_day_in_utc,),
    "bigquery": (_count_days, _split_for_bigquery),
    "clickhouse": (_count_days, _split_for_clickhouse, _name_columns, _join_with_null),
    "sqlite": (_count_days, _split_for_sqlite, _glob),
}
"""The rewrites of each dialect that needs others than ``_count_days`` alone."""
