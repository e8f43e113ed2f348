"""Turn what one call of a declared resource returns into rows of its tables. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any

from lexport.errors import FlattenError
from lexport.extract.lossless import Inexact, LosslessReader, Notice, Plan, make_plan, parse_exactly
from lexport.extract.match_response import items_of
from lexport.extract.rows import Rows
from lexport.model import Reply
from lexport.tables.resource import Mask, Resource, Row, Subject
from lexport.tables.staged import ANSWER, child_source, staged_names
from lexport.tables.table import EXTRA_JSON, Table
from lexport.tables.text import plural

RUN_COLUMNS = ("fetched_at", "carried_forward", ANSWER)
_ROWS_OF_AN_ITEM = 16  # so many rows of a document take the memory of one item


def flatten_item(
    resource: Resource, reply: Reply, position: int, item: Any, values: Row, *, rows: Rows
) -> tuple[Row, list[Notice]]:
    """Turn one answer, or the item of a page at ``position``, into a row and its child rows, and append them.

    Shape: a column takes the value at its source, and one without a source that of ``values``. Child
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
    _fill(row, main, {**values, "extra_json": extra})
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
            shared = {name: row[name] for name in main.key} | {name: values[name] for name in RUN_COLUMNS}
            rows.append(table, *({**child, **shared}.get(name) for name in staged_names(table)))
    return row, reader.notices


def expand_document(
    resource: Resource, reply: Reply, subject: Subject, values: Row, *, mask: Mask, rows: Rows
) -> tuple[int, list[Notice]]:
    """Turn a response that is a document of its own into rows, as the resource does, and append them.

    Loses: presigned URLs, and what may be secret in fields that no column knows, as ``flatten_item`` does.
    Returns the number of rows of the first table, and the notices.
    """
    assert resource.expand is not None
    expansion = resource.expand(reply.document, subject, mask)
    reader = LosslessReader(0, masks_values=True, is_exact=True)
    for table in resource.tables:
        for row in expansion.rows.get(table.name, ()):
            append_row(table, {**values, **_storable(row, reader)}, rows=rows)
    made = sum(map(len, expansion.rows.values()))
    rows.items += 1 + made // _ROWS_OF_AN_ITEM
    notices = [Notice(code, message) for code, message in expansion.notices]
    notices += dict.fromkeys(reader.notices)
    if reply.cleaned:
        text = f"{plural(reply.cleaned, 'character')} that no table can hold replaced"
        notices.append(Notice("cleaned_text", text))
    return len(expansion.rows.get(resource.tables[0].name, ())), notices


def _storable(row: Row, reader: LosslessReader) -> Row:
    stored = {
        name: reader.clean_text(value, name) if value.__class__ is str else value
        for name, value in row.items()
        if name != EXTRA_JSON.name
    }
    if row.get(EXTRA_JSON.name):
        reader.extra = {}
        for path, value in row[EXTRA_JSON.name].items():
            reader.keep(path, value)
        stored[EXTRA_JSON.name] = reader.extra_json()
    return stored


def append_row(table: Table, values: Row, *, rows: Rows) -> None:
    """Append a row of some values; the other columns are NULL."""
    rows.append(table, *(values.get(name) for name in staged_names(table)))


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
    item: dict[str, Any] = items_of(parse_exactly(reply.body), resource.call)[position]
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
