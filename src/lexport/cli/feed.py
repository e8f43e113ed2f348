"""``lexport feed``: write the rows that bring a warehouse up to date with the latest snapshots."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from lexport.aws.logs import say
from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, is_typed, output_option
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify, open_output
from lexport.query.warehouse.location import PLACEHOLDER
from lexport.query.warehouse.native_tables import NATIVE_DIALECTS
from lexport.settings import Destination
from lexport.tables.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexport.query.feed import Compression, FeedScope, Output, WriteMode


_FORMATS = ("jsonl", "parquet", "csv")


@declare_command(
    "feed",
    "lexport feed fleet -o all.jsonl",
    "lexport feed fleet --since 01KB5Z6T0Q4W8X2M7R9C1V3N5J --output parquet -o changes",
    "lexport feed fleet --apply duckdb --to warehouse.duckdb",
    "lexport feed fleet --script snowflake -o first",
    "lexport feed fleet --output csv --compress zstd -o s3://bucket/feeds/first",
)
@argument("dest")
@option(
    "Queries",
    "--since ID",
    "Write only what changed since this snapshot: the next_since of the last feed that was loaded.",
)
@option("Queries", "--soft-delete", "Have deleted rows kept, with the time in the column deleted_at.")
@option("Queries", "--scd2", "Have former rows of the fleet kept, with the times in valid_from and valid_to.")
@output_option(_FORMATS)
@option("Output", "--compress", "Compress JSON lines or CSV; Parquet always is.", type=click.Choice(("zstd",)))
@option(
    "Output",
    "-o, --output-file PATH",
    "Write to this file instead of stdout; for parquet and csv, to this new folder. s3://bucket/prefix/name works too.",
)
@option(
    "Warehouse",
    "--apply DATABASE",
    "Load the feed into this kind of database, from where that stands, in one transaction.",
    type=click.Choice(("postgres", "duckdb")),
)
@option(
    "Warehouse",
    "--script",
    "Write to the new folder -o also load.sql, which loads the feed into this warehouse.",
    type=click.Choice(tuple(NATIVE_DIALECTS)),
)
@option(
    "Warehouse",
    "--to URL",
    "Load into this database, e.g. postgresql://user@host/name without a password, or a DuckDB file.",
)
@dest_options(writes=True)
def command(
    *,
    dest: Destination,
    since: str | None,
    soft_delete: bool,
    scd2: bool,
    output: str,
    compress: Compression | None,
    output_file: str | None,
    apply: str | None,
    script: str | None,
    to: str | None,
) -> None:
    """Write the rows to upsert and the keys to delete, from --since to the latest in DEST.

    The JSON lines are of type `feed`, then `schema` for each table, `scope` for each account-region with news, `delete`
    and `upsert` for each row, and last `end` with next_since; a feed without `end` is truncated. A feed without --since
    replaces everything in the warehouse. With --apply, the database remembers up to where it is loaded, so that no
    --since is needed. See docs/guides/feed.md.
    """
    if soft_delete and scd2:
        raise click.UsageError("--soft-delete and --scd2 are two ways to keep old rows; choose one")
    write_mode: WriteMode = "soft-delete" if soft_delete else "scd2" if scd2 else "hard-delete"
    source, target = _places(dest, output_file)
    if apply is not None or to is not None or script is not None:
        _check_warehouse(apply, to, script, output_file, is_format_given=is_typed("output") or compress is not None)
        if apply is not None and to is not None:
            _apply(source, apply, to, since, write_mode)
        elif script is not None and target is not None:
            _write_script(source, target, since, write_mode, script)
        return
    name, kind = _format(output, output_file)
    compress = compress or ("zstd" if name != output_file else None)
    if kind == "parquet" and compress is not None:
        notify("Parquet files are compressed with zstd already; --compress changes nothing")
    if target is not None and (kind != "jsonl" or isinstance(target, Destination)):
        from lexport.query.feed import write_feed

        result = write_feed(source, target, since, output=kind, compress=compress, write_mode=write_mode)
        notify(*result.damage)
        _report(result.scopes, since, result.next_since, upserts=result.upserts, deletes=result.deletes)
        return
    from lexport.query.feed import open_feed, open_lines, write_lines

    with open_output(output_file) as stream:
        if compress is not None and stream.isatty():
            raise click.UsageError("compressed lines are not for a terminal; choose a file with -o")
        opened = open_feed(source, since, write_mode=write_mode)
        notify(*opened.damage)
        with open_lines(stream, compress) as lines:
            totals = write_lines(opened, lines)
    _report(opened.scopes, since, opened.next_since, **totals)


def _check_warehouse(
    apply: str | None, to: str | None, script: str | None, output_file: str | None, *, is_format_given: bool
) -> None:
    """Raise UsageError where the options for a warehouse contradict each other."""
    if script is None:
        if apply is None or to is None:
            raise click.UsageError("--apply and --to go together: the kind of database, and its URL or file")
        if output_file is not None or is_format_given:
            raise click.UsageError("--apply loads the rows; leave --output, --compress and -o out")
    elif apply is not None or to is not None:
        raise click.UsageError("--apply loads the rows, --script writes how to; leave one of them out")
    elif output_file is None:
        raise click.UsageError("--script needs -o FOLDER")
    elif is_format_given:
        raise click.UsageError("--script chooses the format of the files; leave --output and --compress out")


def _apply(dest: Destination, database: str, to: str, since: str | None, write_mode: WriteMode) -> None:
    from lexport.query.warehouse.apply import apply_feed

    applied = apply_feed(dest, database, to, since=since, write_mode=write_mode)
    notify(*applied.feed.damage, *applied.notes)
    for scope in applied.feed.scopes:
        _notify_reason(scope)
    feed = applied.feed
    say(
        f"{applied.warehouse}: {plural(applied.upserts, 'row')} loaded, {feed.deletes:,} deleted{_ended(feed.scopes)};"
        f" up to {feed.next_since}"
        if applied.is_news
        else f"{applied.warehouse} is up to date: {feed.next_since}"
    )


def _write_script(
    dest: Destination, target: str | Destination, since: str | None, write_mode: WriteMode, dialect: str
) -> None:
    from lexport.query.feed import write_feed
    from lexport.query.warehouse.load_script import is_placed, script_of

    result = write_feed(
        dest,
        target,
        since,
        output="csv" if dialect == "postgres" else "parquet",
        write_mode=write_mode,
        script=script_of(NATIVE_DIALECTS[dialect], target),
    )
    notify(*result.damage)
    if not is_placed(NATIVE_DIALECTS[dialect], target):
        notify(
            f"{dialect} reads from a bucket: copy the folder there, and replace {PLACEHOLDER} in load.sql by its place"
        )
    _report(result.scopes, since, result.next_since, upserts=result.upserts, deletes=result.deletes)


def _format(output: str, output_file: str | None) -> tuple[str | None, Output]:
    """Return the path without ``.zst``, and the format. Raises UsageError where -o is missing or contradicts it."""
    name = None if output_file is None else output_file.removesuffix(".zst")
    match choose_format(output, name, _FORMATS):
        case "jsonl":
            return name, "jsonl"
        case kind if output_file is None:
            raise click.UsageError(f"--output {kind} needs -o FOLDER")
        case "csv":
            return name, "csv"
        case _:
            return name, "parquet"


def _places(dest: Destination, output_file: str | None) -> tuple[Destination, str | Destination | None]:
    """Return what is read and what is written; the settings of encryption are for a bucket that is written to."""
    from lexport.query.feed.target import is_in_bucket

    if output_file is not None and is_in_bucket(output_file):
        return replace(dest, sse=None, kms_key=None), replace(dest, url=output_file)
    if dest.sse is not None or dest.kms_key is not None:
        raise click.UsageError("--dest-sse and --dest-kms-key are for -o s3://bucket/prefix/name")
    return dest, output_file


def _report(scopes: Sequence[FeedScope], since: str | None, next_since: str, *, upserts: int, deletes: int) -> None:
    if since is None and not scopes:
        notify("no account-region was ever read whole, so the feed has no rows of the fleet")
    for scope in scopes:
        _notify_reason(scope)
    say(f"{plural(upserts, 'row')} to upsert, {deletes:,} to delete{_ended(scopes)}; next: --since {next_since}")


def _ended(scopes: Sequence[FeedScope]) -> str:
    """Say of how many account-regions all rows go, which are not counted one by one."""
    ended = sum(scope.mode == "gone" for scope in scopes)
    return f", and all rows of {plural(ended, 'account-region')} that ended" if ended else ""


def _notify_reason(scope: FeedScope) -> None:
    if scope.reason is not None:
        notify(f"{scope.account_id} {scope.region} is not up to date: {scope.reason}")
