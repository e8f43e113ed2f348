"""``lexport status``: the snapshots of a dataset, and whether the newest complete one is fresh enough."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import option
from lexport.cli._output import print_rows
from lexport.cli._units import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexport.query.status import SnapshotStatus

_NAMES = (
    "snapshot_id",
    "snapshot_at",
    "age_s",
    "status",
    "coverage",
    "scopes_complete",
    "scopes_total",
    "gaps",
    "functions",
    "versions",
    "get_function_calls",
    "list_calls",
    "throttles",
    "size_bytes",
)


@click.command("status", short_help="List the snapshots and how whole they are.")
@click.argument("dest")
@option(
    "--max-age", type=duration, default="26h", show_default=True, help="Exit with 1 when no complete one is younger."
)
@output_option()
@csv_safe_option
def command(dest: str, max_age: timedelta, output: str) -> int:
    """List the snapshots in DEST, newest first: age, completeness, rows, calls, throttles.

    Exit code 1 says that the newest complete one is older than --max-age, or that there is none: alarm on it. To list
    and nothing else, give --max-age 36500d.
    """
    from lexport.query.catalog import open_catalog
    from lexport.query.status import describe
    from lexport.tables.units import format_age

    output = choose_format(output)
    dataset = open_catalog(dest)
    snapshots = describe(dataset)
    now = datetime.now(UTC)
    rows = [_row(snapshot, now) for snapshot in snapshots]
    if output == "table":
        names: tuple[str, ...] = ("age", *(name for name in _NAMES if name != "age_s"))
        rows = [
            (format_age(now - snapshot.snapshot_at), *row[:2], *row[3:])
            for snapshot, row in zip(snapshots, rows, strict=True)
        ]
    else:
        names = _NAMES
    with suppress(BrokenPipeError):  # the reader has gone, as with `| head`; the age counts all the same
        print_rows(names, rows, output=output)

    for line in dataset.damage():
        click.echo(f"lexport: {line}", err=True)
    newest = newest_complete(snapshots)
    if newest is None:
        click.echo("lexport: no snapshot in DEST is complete", err=True)
        return 1
    if now - newest.snapshot_at > max_age:
        age = format_age(now - newest.snapshot_at)
        click.echo(f"lexport: the newest complete snapshot is {age} old, more than {format_age(max_age)}", err=True)
        return 1
    return 0


def newest_complete(snapshots: Sequence[SnapshotStatus]) -> SnapshotStatus | None:
    """Find the newest complete snapshot; a list of functions counts only where the fleet was never read."""
    fleet = [snapshot for snapshot in snapshots if snapshot.coverage != "selection"]
    return next((snapshot for snapshot in fleet or snapshots if snapshot.status == "complete"), None)


def _row(snapshot: SnapshotStatus, now: datetime) -> tuple[object, ...]:
    age_s = int((now - snapshot.snapshot_at).total_seconds())
    return tuple(age_s if name == "age_s" else getattr(snapshot, name) for name in _NAMES)
