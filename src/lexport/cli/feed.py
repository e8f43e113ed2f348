"""``lexport feed``: what a warehouse has to load to be where the latest reading is."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, BinaryIO

import click

from lexport.cli._formats import choose_format, output_option
from lexport.cli._options import option
from lexport.cli._output import open_output
from lexport.cli._values import arrow_rows
from lexport.query.value_text import json_text
from lexport.tables.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexport.query.feed import Feed, FeedScope


_FORMATS = ("jsonl", "parquet")


@click.command("feed", short_help="Give a warehouse what is new since the last snapshot it loaded.")
@click.argument("dest")
@option("--since", metavar="ID", help="The last snapshot that was loaded, as the last feed named it; none: everything.")
@output_option(_FORMATS)
@option("-o", "--output-file", metavar="PATH", help="Write there: a file, for parquet a folder that is not there yet.")
def command(dest: str, since: str | None, output: str, output_file: str | None) -> None:
    """Give rows to upsert, keys to delete and changes to append: from where --since ended to the latest in DEST.

    JSON lines: first `feed`, then a `scope` for each account-region, then `delete`, `upsert` and `change`, last `end`
    with next_since; a feed without it is cut off. A scope of mode `whole` replaces all there is of it. See
    docs/guides/feed.md.
    """
    output = choose_format(output, output_file, _FORMATS)
    if output == "parquet" and output_file is None:
        raise click.UsageError("--output parquet needs -o FOLDER")
    if output == "parquet":
        from lexport.query.feed import write_feed

        result = write_feed(dest, str(output_file), since)
        _say(result.damage)
        _report(
            result.scopes,
            since,
            result.next_since,
            upserts=result.upserts,
            deletes=result.deletes,
            changes=result.changes,
        )
        return
    from lexport.query.feed import open_feed

    found = open_feed(dest, since)
    _say(found.damage)
    with open_output(output_file) as stream:
        counts = write_lines(found, stream)
    _report(
        found.scopes,
        since,
        found.next_since,
        upserts=counts["upsert"],
        deletes=counts["delete"],
        changes=counts["change"],
    )


def write_lines(found: Feed, stream: BinaryIO) -> Counter[str]:
    """Write a feed as JSON lines; return the rows by what is to be done with them."""
    from lexport.query.feed import FORMAT

    def line(**record: object) -> None:
        stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")

    counts: Counter[str] = Counter()
    line(type="feed", format=FORMAT, since=found.since, next_since=found.next_since)
    for scope in found.scopes:
        line(type="scope", **asdict(scope))
    for part in found.parts:
        names = [f"{json.dumps(name)}: " for name in part.rows.column_names]
        what = "key" if part.action == "delete" else "row"
        head = f'{{"type": "{part.action}", "table": "{part.table.name}", "{what}": {{'
        for row in arrow_rows(part.rows.to_batches()):
            cells = ", ".join(name + json_text(value) for name, value in zip(names, row, strict=True))
            stream.write(f"{head}{cells}}}}}\n".encode())
        counts[part.action] += len(part.rows)
    line(
        type="end",
        next_since=found.next_since,
        upserts=counts["upsert"],
        deletes=counts["delete"],
        changes=counts["change"],
    )
    return counts


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        click.echo(f"lexport: {line}", err=True)


def _report(
    scopes: Sequence[FeedScope], since: str | None, next_since: str, *, upserts: int, deletes: int, changes: int
) -> None:
    if since is None and not scopes:
        click.echo("lexport: nothing to feed: no account-region was ever read whole", err=True)
    for scope in scopes:
        if scope.reason is not None:
            click.echo(f"lexport: {scope.account_id} {scope.region} is not up to date: {scope.reason}", err=True)
    click.echo(
        f"{plural(upserts, 'row')} to upsert, {deletes:,} to delete, {plural(changes, 'change')};"
        f" next: --since {next_since}",
        err=True,
    )
