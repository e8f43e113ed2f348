"""``lexport feed``: write the rows that bring a warehouse up to date with the latest snapshots."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, BinaryIO

import click

from lexport.aws.logs import say
from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, output_option
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify, open_output
from lexport.cli._rows.values import arrow_rows
from lexport.query.value_text import json_text
from lexport.settings import Destination
from lexport.tables.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexport.query.feed import Feed, FeedScope


_FORMATS = ("jsonl", "parquet")


@declare_command(
    "feed",
    "lexport feed fleet -o all.jsonl",
    "lexport feed fleet --since 01KB5Z6T0Q4W8X2M7R9C1V3N5J --output parquet -o changes",
)
@argument("dest")
@option(
    "Queries",
    "--since ID",
    "Write only what changed since this snapshot: the next_since of the last feed that was loaded.",
)
@output_option(_FORMATS)
@option("Output", "-o, --output-file PATH", "Write to this file instead of stdout; for parquet, to this new folder.")
@dest_options()
def command(dest: Destination, since: str | None, output: str, output_file: str | None) -> None:
    """Write the rows to upsert, the keys to delete and the changes to append, from --since to the latest in DEST.

    The JSON lines are of type `feed`, then `scope` for each account-region, then `delete`, `upsert` and `change`, and
    last `end` with next_since; a feed without `end` is truncated. A scope of mode `whole` replaces all its rows in the
    warehouse. See docs/guides/feed.md.
    """
    output = choose_format(output, output_file, _FORMATS)
    if output == "parquet" and output_file is None:
        raise click.UsageError("--output parquet needs -o FOLDER")
    if output == "parquet":
        from lexport.query.feed import write_feed

        result = write_feed(dest, str(output_file), since)
        notify(*result.damage)
        totals = {"upserts": result.upserts, "deletes": result.deletes, "changes": result.changes}
        _report(result.scopes, since, result.next_since, **totals)
        return
    from lexport.query.feed import open_feed

    opened = open_feed(dest, since)
    notify(*opened.damage)
    with open_output(output_file) as stream:
        totals = write_lines(opened, stream)
    _report(opened.scopes, since, opened.next_since, **totals)


def write_lines(feed: Feed, stream: BinaryIO) -> dict[str, int]:
    """Write a feed as JSON lines; return the numbers of ``upserts``, ``deletes`` and ``changes``."""
    from lexport.query.feed import FORMAT

    def line(**record: object) -> None:
        stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")

    totals = {"upserts": 0, "deletes": 0, "changes": 0}
    line(type="feed", format=FORMAT, since=feed.since, next_since=feed.next_since)
    for scope in feed.scopes:
        line(type="scope", **asdict(scope))
    for part in feed.parts:
        names = [f"{json.dumps(name)}: " for name in part.rows.column_names]
        member = "key" if part.action == "delete" else "row"
        head = f'{{"type": "{part.action}", "table": "{part.table.name}", "{member}": {{'
        for row in arrow_rows(part.rows.to_batches()):
            cells = ", ".join(name + json_text(value) for name, value in zip(names, row, strict=True))
            stream.write(f"{head}{cells}}}}}\n".encode())
        totals[f"{part.action}s"] += len(part.rows)
    line(type="end", next_since=feed.next_since, **totals)
    return totals


def _report(
    scopes: Sequence[FeedScope], since: str | None, next_since: str, *, upserts: int, deletes: int, changes: int
) -> None:
    if since is None and not scopes:
        notify("nothing to feed: no account-region was ever read whole")
    for scope in scopes:
        if scope.reason is not None:
            notify(f"{scope.account_id} {scope.region} is not up to date: {scope.reason}")
    say(
        f"{plural(upserts, 'row')} to upsert, {deletes:,} to delete, {plural(changes, 'change')};"
        f" next: --since {next_since}"
    )
