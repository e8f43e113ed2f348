"""``lexport status``: list the snapshots of a dataset, and check the age of the newest complete one."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import declare_command, duration, option
from lexport.cli._output import notify, print_rows
from lexport.settings import Destination

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


@declare_command("status", "lexport status fleet --max-age 26h", "lexport status fleet --output json")
@click.argument("dest")
@option(
    "Checks",
    "--max-age AGE",
    "Exit 1 if the newest complete snapshot is older than this.",
    type=duration,
    default="26h",
)
@output_option()
@csv_safe_option
@dest_options()
def command(dest: Destination, max_age: timedelta, output: str) -> int:
    """List the snapshots in DEST, newest first: age, completeness, rows, calls, throttles.

    The exit code is 1 if the newest complete snapshot is older than --max-age, or if there is none: use it for an
    alarm. To list without this check, give --max-age 36500d.
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
    with suppress(BrokenPipeError):  # the reader closed the pipe, as `| head` does; the exit code stays
        print_rows(names, rows, output=output)

    notify(*dataset.damage())
    newest = newest_complete(snapshots)
    if newest is None:
        notify("no snapshot in DEST is complete")
        return 1
    if now - newest.snapshot_at > max_age:
        age = format_age(now - newest.snapshot_at)
        notify(f"the newest complete snapshot is {age} old, more than {format_age(max_age)}")
        return 1
    return 0


def newest_complete(snapshots: Sequence[SnapshotStatus]) -> SnapshotStatus | None:
    """Find the newest complete snapshot. Snapshots of selected functions count only if there are no others."""
    fleet = [snapshot for snapshot in snapshots if snapshot.coverage != "selection"]
    return next((snapshot for snapshot in fleet or snapshots if snapshot.status == "complete"), None)


def _row(snapshot: SnapshotStatus, now: datetime) -> tuple[object, ...]:
    age_s = int((now - snapshot.snapshot_at).total_seconds())
    return tuple(age_s if name == "age_s" else getattr(snapshot, name) for name in _NAMES)
