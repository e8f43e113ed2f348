"""Turn what one call of a declared resource returns into rows of its tables. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any

from lexport.errors import FlattenError
from lexport.extract.lossless import Inexact, LosslessReader, Notice, Plan, make_plan, parse_exactly
from lexport.extract.rows import Rows
from lexport.model import Reply
from lexport.tables.resource import Resource, Row, Subject
from lexport.tables.staged import ANSWER, child_source, staged_names
from lexport.tables.table import Table


def flatten_item(
    resource: Resource, reply: Reply, position: int, item: Any, subject: Subject, *, answer: str, rows: Rows
) -> tuple[Row, list[Notice]]:
    """Turn one answer, or the item of a page at ``position``, into a row and its child rows, and append them.

    Shape: a column takes the value at its source. A column of the key without a source has what was requested. Child
    tables take the items of an array or the pairs of a map. The hook ``complete`` of the resource amends the rows.
    Loses: what the resource drops, and unknown fields of a table without ``extra_json``.
    Returns the row and the notices. Raises FlattenError for an item that has no value for the key of its table.
    """
    if item.__class__ is not dict:
        raise FlattenError(f"{resource.call.operation}: an item that is no object", code="invalid_item")
    main, *child_tables = resource.tables
    try:
        reader = _read(resource, item, is_exact=False)
        extra = reader.extra_json()
    except Inexact:
        reader = _read(resource, _exact_item(resource, reply, position), is_exact=True)
        extra = reader.extra_json()
    row: Row = dict(zip(staged_names(main), reader.row, strict=True))
    _fill(row, main, {**subject.columns(), "extra_json": extra, ANSWER: answer})
    missing = next(
        (column for column in main.columns if column.name in main.key and row[column.name] in (None, "")), None
    )
    if missing is not None:
        raise FlattenError(f"{resource.call.operation}: an item without {missing.name}", code="invalid_item")
    children = {table.name: _child_rows(table, reader) for table in child_tables}
    if resource.complete is not None:
        resource.complete(row, children)
    rows.append(main, *row.values())
    rows.items += 1
    for table in child_tables:
        for child in children[table.name]:
            shared = {name: row[name] for name in staged_names(table) if name in main.key or name == ANSWER}
            rows.append(table, *({**child, **shared}.get(name) for name in staged_names(table)))
    return row, reader.notices


def append_row(table: Table, subject: Subject, values: Row, *, answer: str, rows: Rows) -> None:
    """Append a row of some values; the other columns are NULL, but for those that tell what the row is about."""
    row: Row = {name: values.get(name) for name in staged_names(table)}
    _fill(row, table, {**subject.columns(), ANSWER: answer})
    rows.append(table, *row.values())


def _fill(row: Row, table: Table, values: Row) -> None:
    for name in (*(column.name for column in table.columns if not column.source), ANSWER):
        if name in row and row[name] is None:
            row[name] = values.get(name)


def _prefix(resource: Resource) -> str:
    page = resource.call.page
    return f"{page.items}[]." if page else ""


@cache
def _plan(resource: Resource) -> Plan:
    main, *children = resource.tables
    return make_plan(main, prefix=_prefix(resource), children=children, dropped=resource.dropped)


def _read(resource: Resource, item: dict[str, Any], *, is_exact: bool) -> LosslessReader:
    reader = LosslessReader(len(staged_names(resource.tables[0])), masks_values=True, is_exact=is_exact)
    reader.read(_plan(resource), item)
    return reader


def _exact_item(resource: Resource, reply: Reply, position: int) -> dict[str, Any]:
    document, page = parse_exactly(reply.body), resource.call.page
    item: dict[str, Any] = document[page.items][position] if page else document
    return item


def _child_rows(table: Table, reader: LosslessReader) -> list[Row]:
    """Return the rows of a child table, without the columns of the row that they belong to."""
    values = reader.children.get(table.name)
    if not values:
        return []
    source, shape = child_source(table)
    names = [column.name for column in table.columns if column.source]
    if shape == "objects":
        return [dict(zip(staged_names(table), child, strict=True)) for child in values]
    if shape == "texts":
        return [{names[0]: text} for text in values]
    cleaned = dict(zip(reader.clean_texts(list(values), source), values.values(), strict=True))
    return [dict(zip(names, pair, strict=True)) for pair in cleaned.items()]
