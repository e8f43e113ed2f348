"""``lexport feed``: write the rows that bring a warehouse up to date with the latest snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lexport.aws.logs import say
from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, is_typed, output_option
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify, open_output
from lexport.settings import Destination
from lexport.tables.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexport.query.feed import FeedScope


_FORMATS = ("jsonl", "parquet")


@declare_command(
    "feed",
    "lexport feed fleet -o all.jsonl",
    "lexport feed fleet --since 01KB5Z6T0Q4W8X2M7R9C1V3N5J --output parquet -o changes",
    "lexport feed fleet --apply duckdb --to warehouse.duckdb",
)
@argument("dest")
@option(
    "Queries",
    "--since ID",
    "Write only what changed since this snapshot: the next_since of the last feed that was loaded.",
)
@output_option(_FORMATS)
@option("Output", "-o, --output-file PATH", "Write to this file instead of stdout; for parquet, to this new folder.")
@option(
    "Warehouse",
    "--apply DATABASE",
    "Load the feed into this kind of database, from where that stands, in one transaction.",
    type=click.Choice(("postgres", "duckdb")),
)
@option(
    "Warehouse",
    "--to URL",
    "Load into this database, e.g. postgresql://user@host/name without a password, or a DuckDB file.",
)
@dest_options()
def command(
    *, dest: Destination, since: str | None, output: str, output_file: str | None, apply: str | None, to: str | None
) -> None:
    """Write the rows to upsert and the keys to delete, from --since to the latest in DEST.

    The JSON lines are of type `feed`, then `schema` for each table, `scope` for each account-region with news, `delete`
    and `upsert` for each row, and last `end` with next_since; a feed without `end` is truncated. A feed without --since
    replaces everything in the warehouse. With --apply, the database remembers up to where it is loaded, so that no
    --since is needed. See docs/guides/feed.md.
    """
    if apply is not None or to is not None:
        if apply is None or to is None:
            raise click.UsageError("--apply and --to go together: the kind of database, and its URL or file")
        if output_file is not None or is_typed("output"):
            raise click.UsageError("--apply loads the rows; leave --output and -o out")
        _apply(dest, apply, to, since)
        return
    output = choose_format(output, output_file, _FORMATS)
    if output == "parquet" and output_file is None:
        raise click.UsageError("--output parquet needs -o FOLDER")
    if output == "parquet":
        from lexport.query.feed import write_feed

        result = write_feed(dest, str(output_file), since)
        notify(*result.damage)
        _report(result.scopes, since, result.next_since, upserts=result.upserts, deletes=result.deletes)
        return
    from lexport.query.feed import open_feed, write_lines

    opened = open_feed(dest, since)
    notify(*opened.damage)
    with open_output(output_file) as stream:
        totals = write_lines(opened, stream)
    _report(opened.scopes, since, opened.next_since, **totals)


def _apply(dest: Destination, database: str, to: str, since: str | None) -> None:
    from lexport.query.warehouse.apply import apply_feed

    applied = apply_feed(dest, database, to, since=since, write_mode="hard-delete")
    notify(*applied.feed.damage, *applied.notes)
    for scope in applied.feed.scopes:
        _notify_reason(scope)
    feed = applied.feed
    say(
        f"{applied.warehouse}: {plural(feed.upserts, 'row')} loaded, {feed.deletes:,} deleted; up to {feed.next_since}"
        if applied.is_news
        else f"{applied.warehouse} is up to date: {feed.next_since}"
    )


def _report(scopes: Sequence[FeedScope], since: str | None, next_since: str, *, upserts: int, deletes: int) -> None:
    if since is None and not scopes:
        notify("no account-region was ever read whole, so the feed has no rows of the fleet")
    for scope in scopes:
        _notify_reason(scope)
    say(f"{plural(upserts, 'row')} to upsert, {deletes:,} to delete; next: --since {next_since}")


def _notify_reason(scope: FeedScope) -> None:
    if scope.reason is not None:
        notify(f"{scope.account_id} {scope.region} is not up to date: {scope.reason}")
