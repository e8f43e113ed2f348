"""``lexport diff``: print what changed between two snapshots, as text for people or as rows for programs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, BinaryIO

from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import argument, declare_command
from lexport.cli._output import notify
from lexport.cli._rows.formats import write_rows
from lexport.query.value_text import instant, json_text
from lexport.settings import Destination
from lexport.tables.registry import BY_NAME, state_tables
from lexport.tables.table import SCOPE_KEY
from lexport.tables.text import plural, visible

if TYPE_CHECKING:
    import pyarrow as pa

    from lexport.query.diff import ScopeDiff

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_ECHOES = {"revision_id", "last_modified", "last_modified_at", "config_sha256"}
"""Columns that change whenever something else changes; the text does not show them."""
_COMPARED = ("compared", "retired")
_LONGEST = 120  # characters of a value in the text

_Change = dict[str, Any]


@declare_command("diff", "lexport diff fleet", "lexport diff fleet yesterday today --output json")
@argument("dest")
@argument("a", required=False)
@argument("b", required=False)
@output_option(("text", "json", "jsonl", "csv"))
@csv_safe_option
@dest_options()
def command(dest: Destination, a: str | None, b: str | None, output: str) -> None:
    """Show what changed in DEST from A to B.

    A and B are snapshot ids, prefixes of ids, dates (2026-11-20, today, yesterday: the end of that day in UTC) or
    instants (2026-11-20T06:00:00Z). Without A and B, the last complete snapshot of each account-region is compared
    with the one before it; without B, with the one at A. Account-regions that were not read completely are listed, and
    are not compared.
    """
    from lexport.query.diff import COLUMNS, compare

    output = choose_format(output)
    compared = compare(dest, a, b)
    scopes, batches = compared.scopes, compared.changes
    notify(*compared.damage)
    left_out = [scope for scope in scopes if scope.state not in _COMPARED]
    if not scopes:
        notify("nothing to compare: no account-region has a whole reading by then")
    rows = (dict(zip(COLUMNS, row, strict=True)) for batch in batches for row in _rows(batch))
    stream = sys.stdout.buffer
    if output == "text":
        for line in chain(_report(scopes, rows), map(_left_out, left_out)):
            stream.write((visible(line) + "\n").encode())
    elif output == "json":
        _write_json(scopes, rows, stream)
    else:
        notify(*map(_left_out, left_out))
        write_rows(COLUMNS, (tuple(row.values()) for row in rows), output=output, stream=stream)
    stream.flush()


def _rows(batch: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _write_json(scopes: Iterable[ScopeDiff], rows: Iterable[_Change], stream: BinaryIO) -> None:
    """Write one object: ``scopes`` with their state, then ``changes``, one row at a time."""
    described = [asdict(scope) for scope in scopes]
    stream.write(b'{"scopes": [' + b",\n ".join(json_text(scope).encode() for scope in described) + b'],\n"changes": [')
    stream.writelines(
        (",\n " if number else "\n ").encode() + json_text(row).encode() for number, row in enumerate(rows)
    )
    stream.write(b"]}\n")


# --- text for people ----------------------------------------------------------------------------------------------


def _report(scopes: Iterable[ScopeDiff], rows: Iterable[_Change]) -> Iterator[str]:
    compared = {(scope.account_id, scope.region): scope for scope in scopes if scope.state in _COMPARED}
    counts: Counter[tuple[str, str]] = Counter()
    changed = 0
    for place, in_scope in groupby(rows, key=lambda row: (row["account_id"], row["region"])):
        scope = compared[place]
        assert scope.from_at is not None
        why = f", {scope.reason}" if scope.reason else ""
        yield f"{' '.join(place)}: {instant(scope.from_at)} -> {instant(scope.to_at)}{why}"
        for name, of_function in groupby(in_scope, key=lambda row: row["key"].partition("/")[0]):
            group = list(of_function)
            things = {(row["table_name"], row["kind"], row["key"]) for row in group}
            counts.update((table, kind) for table, kind, _ in things)
            changed += bool(name) and any(_is_of_function(row["table_name"]) for row in group)
            yield from (f"  {line}" for line in _lines(name, group))
    if counts:
        parts = [
            " ".join(
                [
                    table.plural or table.name.replace("_", " "),
                    *(f"{_SIGNS[kind]}{of_kind[kind]:,}" for kind in _SIGNS if of_kind[kind]),
                ]
            )
            for table in state_tables()
            if any((of_kind := {kind: counts[table.name, kind] for kind in _SIGNS}).values())
        ]
        yield f"{plural(changed, 'function differs', 'functions differ')}: {', '.join(parts)}"
    elif compared:
        yield f"nothing changed in {plural(len(compared), 'account-region')}"


def _is_of_function(table: str) -> bool:
    return BY_NAME[table].key[len(SCOPE_KEY)] == "function_name"


def _left_out(scope: ScopeDiff) -> str:
    return f"not compared: {scope.account_id} {scope.region}, {scope.reason}"


def _lines(name: str, rows: list[_Change]) -> Iterator[str]:
    versions: dict[str, list[str]] = {"added": [], "removed": []}
    for row in rows:
        if row["table_name"] == "functions" and row["kind"] in versions:
            versions[row["kind"]].append(row["key"].partition("/")[2])
    for kind, numbers in versions.items():
        if "$LATEST" in numbers:
            yield f"{_SIGNS[kind]} {name} ({plural(len(numbers), 'version')})"
        else:
            yield from (
                f"{_SIGNS[kind]} {name}:{number}" for number in sorted(numbers, key=lambda text: (len(text), text))
            )
    moved = {  # what a changed value names may be a child row, which came or went with it
        (row["table_name"], row["key"], version)
        for row in rows
        if row["column_name"] is not None and row["column_name"] == BY_NAME[row["table_name"]].main_column
        for version in (row["old_value"], row["new_value"])
    }
    shown: set[str] = set()
    echoes = []
    for key, of_thing in groupby(rows, key=lambda row: (row["table_name"], row["key"], row["kind"])):
        table, text, kind = key
        if table == "functions" and kind != "changed":
            continue
        declared = BY_NAME[table]
        parts = text.split("/", len(declared.key) - len(SCOPE_KEY) - 1) if text else [""]
        parent = declared.parent.name if declared.parent else None
        if kind != "changed" and (parent, "/".join(parts[:-1]), parts[-1]) in moved:
            continue
        facts = {row["column_name"]: (row["old_value"], row["new_value"]) for row in of_thing}
        what = _what(table, parts)
        lines = [f"{_SIGNS[kind]} {what}{fact}" for fact in _facts(table, kind, facts)]
        if lines:
            shown.add(parts[0])
        else:
            echoes.append(f"~ {what}" + "".join(f" {fact}" for fact in sorted(facts)))
        yield from lines
    if not shown and not any(versions.values()):
        yield from echoes


def _what(table: str, parts: list[str]) -> str:
    if table == "layers":
        parts = [*parts[:2], parts[2].partition(":layer:")[2] or parts[2]]
    return BY_NAME[table].title_of(parts)


def _facts(table: str, kind: str, facts: dict[str, tuple[str | None, str | None]]) -> Iterator[str]:
    """Say what changed about one thing, without what merely follows from it."""
    if kind != "changed":
        yield ""
        return
    match table:
        case "env_vars":
            if "value_hmac" in facts or "value_length" in facts:
                old, new = facts.get("value_length", (None, None))
                yield " value changed" + (f", length {old} -> {new}" if old != new else "")
            facts = {name: pair for name, pair in facts.items() if name == "secret_rule"}
        case "layers" if "layer_arn" in facts:
            old, new = ((arn or "").rpartition(":")[2] for arn in facts["layer_arn"])
            yield f" {old} -> {new}"
            facts = {name: pair for name, pair in facts.items() if name == "position"}
        case _ if (name := BY_NAME[table].main_column) in facts:
            yield f" {_shown(facts[name][0])} -> {_shown(facts[name][1])}"
            facts = {other: pair for other, pair in facts.items() if other != name}
    for name, (old, new) in facts.items():
        if name not in _ECHOES:
            yield f" {name} {_shown(old)} -> {_shown(new)}" if old != new else f" {name} changed"


def _shown(value: str | None) -> str:
    if value is None:
        return "unset"
    return f"{value[:_LONGEST]}…" if len(value) > _LONGEST else value or '""'
