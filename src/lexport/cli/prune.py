"""``lexport prune``: remove old snapshots by rules, or one by its id, and what dead runs left."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import argument, declare_command, duration, option
from lexport.cli._output import notify
from lexport.cli._rows.formats import print_rows
from lexport.settings import Destination
from lexport.tables.text import plural
from lexport.tables.units import format_age, format_bytes

if TYPE_CHECKING:
    from lexport.dataset.prune_order import Kind, PruneResult

_NAMES = ("action", "kind", "name", "at", "size_bytes", "reason")
_KINDS: tuple[tuple[Kind, str, str], ...] = (
    ("snapshot", "snapshot", "snapshots"),
    ("retirement", "retirement", "retirements"),
    ("packages", "run of packages", "runs of packages"),
    ("damaged", "damaged snapshot", "damaged snapshots"),
)
_COUNT = click.IntRange(min=0)


@declare_command(
    "prune",
    "lexport prune fleet --keep-within 30d --keep-weekly 8 --keep-monthly 12 --dry-run",
    "lexport prune fleet --keep-daily 30 --keep-monthly 12 --packages",
)
@argument("dest")
@option(
    "Rules", "--keep-within AGE", "Keep what is at most this much older than the newest of its group.", type=duration
)
@option("Rules", "--keep-last N", "Keep the newest N of each group.", type=_COUNT)
@option("Rules", "--keep-daily N", "Keep the newest of each of the last N days that have any.", type=_COUNT)
@option("Rules", "--keep-weekly N", "Keep the newest of each of the last N weeks.", type=_COUNT)
@option("Rules", "--keep-monthly N", "Keep the newest of each of the last N months.", type=_COUNT)
@option(
    "Removal",
    "--snapshot ID",
    "Remove this one alone, without rules: a snapshot, a damaged one too, or an unfinished run.",
    has_variable=False,
)
@option("Removal", "--packages", "Remove stored packages too that no snapshot names.", has_variable=False)
@option(
    "Removal", "--grace AGE", "Files stay this long after nothing shows or writes them.", type=duration, default="24h"
)
@option("Removal", "--dry-run", "Remove nothing, and show what would be removed and why.")
@output_option()
@csv_safe_option
@dest_options(writes=True)
def command(
    dest: Destination,
    *,
    keep_within: timedelta | None,
    keep_last: int | None,
    keep_daily: int | None,
    keep_weekly: int | None,
    keep_monthly: int | None,
    snapshot: str | None,
    packages: bool,
    grace: timedelta,
    dry_run: bool,
    output: str,
) -> None:
    """Remove the snapshots in DEST that no rule keeps, and what dead runs left.

    The rules are those of restic, for each group of snapshots of the same account-regions: a snapshot stays if any
    rule keeps it. The newest whole reading of an account-region is never removed, nor what a run builds on. A removed
    snapshot is not shown any more; its files go with the next prune after --grace. See docs/guides/retention.md.
    """
    from lexport.dataset.prune import run_prune
    from lexport.dataset.prune_order import PruneOrder
    from lexport.dataset.retention import KeepRules

    output = choose_format(output)
    order = PruneOrder(
        rules=KeepRules(
            within=keep_within,
            last=keep_last or 0,
            daily=keep_daily or 0,
            weekly=keep_weekly or 0,
            monthly=keep_monthly or 0,
        ),
        snapshot=snapshot,
        packages=packages,
        grace=grace,
        is_dry_run=dry_run,
    )
    result = run_prune(dest, order)
    print_rows(_NAMES, ([getattr(item, name) for name in _NAMES] for item in result.items), output=output)
    notify(*result.notes, _summary(result, grace))


def _summary(result: PruneResult, grace: timedelta) -> str:
    shown: tuple[Kind, ...] = ("snapshot", "retirement", "packages", "damaged")
    gone, freed = result.having("remove", *shown), result.having("remove", "run", "files", "package")
    later = (*gone, *result.having("wait"))
    counts = {kind: len(result.having("keep", kind)) for kind in shown}
    kept = " and ".join(
        plural(counts[kind], name, plural_name)
        for kind, name, plural_name in _KINDS
        if counts[kind] or kind == "snapshot"
    )
    return (
        f"{kept} kept, {len(gone):,} {'would be ' * result.is_dry_run}removed;"
        f" {format_bytes(sum(item.size_bytes for item in freed))} {'would be ' * result.is_dry_run}freed,"
        f" {format_bytes(sum(item.size_bytes for item in later))} by a prune after {format_age(grace)}"
    )
