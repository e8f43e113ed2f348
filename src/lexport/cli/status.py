"""``lexport status``: list the snapshots of a dataset, and check the age of the newest complete one."""

from __future__ import annotations

import logging
import shlex
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import argument, declare_command, duration, option
from lexport.cli._output import notify
from lexport.cli._rows.formats import print_rows
from lexport.errors import NoSnapshotError, SettingsError
from lexport.settings import RESUME_MAX_AGE, Destination
from lexport.tables.text import first_of, plural
from lexport.tables.units import format_age

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lexport.dataset.store import Store
    from lexport.query.catalog import Catalog
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
    "packages",
    "packages_stored",
    "size_bytes",
)

_SCOPE_NAMES = (
    *("age", "age_s", "account_id", "region", "last_whole_at", "last_status", "last_attempt_at", "is_retired"),
    *("retired_at", "functions", "last_whole_snapshot_id"),
)
_MOST_SCOPES = 100  # in a table for people

_STATES = {
    "running": "is running",
    "refused": "was refused because of gaps",
    "interrupted": "was interrupted",
    "planned": "is planned",
}
_MOST_NAMED = 3  # runs that are not published


@declare_command(
    "status",
    "lexport status fleet --max-age 26h",
    "lexport status fleet --output json",
    "lexport status fleet --resources",
    "lexport status fleet --scopes",
)
@argument("dest")
@option(
    "Checks",
    "--max-age AGE",
    "Exit 1 if the newest complete snapshot is older than this.",
    type=duration,
    default="26h",
)
@option("Contents", "--resources", "Show instead, for each account-region and resource, whether and when it was read.")
@option("Contents", "--scopes", "Show instead the account-regions by the age of their last whole reading.")
@output_option()
@csv_safe_option
@dest_options()
def command(dest: Destination, max_age: timedelta, output: str, *, resources: bool, scopes: bool) -> int:
    """List the snapshots in DEST, newest first: age, completeness, rows, calls, throttles.

    With --resources, the rows are those of the table scope_resources: of the last run that read each account-region.

    With --scopes, the rows are those of the view scope_ages, the oldest first; a table shows the first 100.

    Runs that are not published are lines on stderr: how far they came, and how to resume or to remove them.

    The exit code is 1 if the newest complete snapshot is older than --max-age, or if there is none: use it for an
    alarm. To list without this check, give --max-age 36500d.
    """
    from lexport.dataset.open_store import open_store
    from lexport.query.catalog import open_catalog
    from lexport.query.status import describe

    output = choose_format(output)
    now = datetime.now(UTC)
    try:
        dataset = open_catalog(dest)
    except NoSnapshotError:
        notify(*_unfinished(dest, open_store(dest), now))
        raise
    snapshots = describe(dataset)
    if resources and scopes:
        raise SettingsError("--resources and --scopes show different rows: give one of them", option="--scopes")
    if scopes:
        _print_scopes(dataset, output, now)
        return 0
    if resources:
        _print_resources(dataset, output)
        return 0
    rows = [_row(snapshot, now) for snapshot in snapshots]
    if output == "table":
        names: tuple[str, ...] = ("age", *(name for name in _NAMES if name not in ("age_s", "packages_stored")))
        rows = [_shown(snapshot, row, now) for snapshot, row in zip(snapshots, rows, strict=True)]
    else:
        names = _NAMES
    with suppress(BrokenPipeError):  # the reader closed the pipe, as `| head` does; the exit code stays
        print_rows(names, rows, output=output)

    notify(*dataset.damage(), *_unfinished(dest, dataset.store, now), *_old_scopes(dest, dataset, now))
    if dataset.is_ended:
        notify("every account-region is retired")
    newest = newest_complete(snapshots)
    if newest is None:
        notify("no snapshot in DEST is complete", level=logging.ERROR)
        return 1
    if now - newest.snapshot_at > max_age:
        age = format_age(now - newest.snapshot_at)
        notify(f"the newest complete snapshot is {age} old, more than {format_age(max_age)}", level=logging.ERROR)
        return 1
    return 0


def _print_scopes(dataset: Catalog, output: str, now: datetime) -> None:
    """Print the account-regions by age; a table for people has the oldest ones, other formats have all."""
    from lexport.query.status import scope_ages

    ages = scope_ages(dataset)
    shown = ages[:_MOST_SCOPES] if output == "table" else ages
    rows = []
    for age in shown:
        values = asdict(age)
        since = None if age.last_whole_at is None else now - age.last_whole_at
        values["age"] = None if since is None else format_age(since)
        values["age_s"] = None if since is None else int(since.total_seconds())
        rows.append(values)
    names = tuple(name for name in _SCOPE_NAMES if name != ("age_s" if output == "table" else "age"))
    with suppress(BrokenPipeError):
        print_rows(names, [[row[name] for name in names] for row in rows], output=output)
    more = len(ages) - len(shown)
    notify(
        *dataset.damage(),
        *([f"{plural(more, 'younger account-region')} not shown; --output json has all"] * (more > 0)),
    )


def _old_scopes(dest: Destination, dataset: Catalog, now: datetime) -> Iterator[str]:
    """Yield a line where account-regions are shown from readings that are much older than the newest one."""
    from lexport.query.catalog import DEFAULT_MAX_SKEW

    latest = dataset.latest()
    newest = max((commit.snapshot_at for commit in latest.values()), default=now)
    old = {
        scope: commit.snapshot_at for scope, commit in latest.items() if newest - commit.snapshot_at > DEFAULT_MAX_SKEW
    }
    if old:
        named = [
            f"{scope} ({format_age(now - old[scope])})" for scope in sorted(old, key=lambda scope: (old[scope], scope))
        ]
        yield f"last read whole long ago: {first_of(named)}; see lexport status {shlex.quote(str(dest))} --scopes"


def _print_resources(dataset: Catalog, output: str) -> None:
    from lexport.query.resources import NAMES, read_resources, unread_lines
    from lexport.tables.registry import state_tables
    from lexport.tables.run import RETIRED

    attempts = dataset.last_attempts()
    last = {scope: snapshot for scope, (snapshot, entry) in attempts.items() if entry.status != RETIRED}
    rows = list(read_resources(dataset.store, last))
    with suppress(BrokenPipeError):
        print_rows(NAMES, [[row[name] for name in NAMES] for row in rows], output=output)
    notify(*dataset.damage(), *unread_lines(rows, state_tables()))
    told = {(row["account_id"], row["region"]) for row in rows}
    if silent := [str(scope) for scope in last if (scope.account_id, scope.region) not in told]:
        notify(f"an older lexport read {first_of(silent)}, and did not say which resources")


def newest_complete(snapshots: Sequence[SnapshotStatus]) -> SnapshotStatus | None:
    """Find the newest complete snapshot. Snapshots of selected functions count only if there are no others."""
    fleet = [snapshot for snapshot in snapshots if snapshot.coverage != "selection"]
    return next((snapshot for snapshot in fleet or snapshots if snapshot.status == "complete"), None)


def _row(snapshot: SnapshotStatus, now: datetime) -> tuple[object, ...]:
    age_s = int((now - snapshot.snapshot_at).total_seconds())
    return tuple(age_s if name == "age_s" else getattr(snapshot, name) for name in _NAMES)


def _shown(snapshot: SnapshotStatus, row: tuple[object, ...], now: datetime) -> tuple[object, ...]:
    """Return a row for people: the age in words, and the packages as "129 of 134"."""
    values = dict(zip(_NAMES, row, strict=True)) | {"age": format_age(now - snapshot.snapshot_at)}
    if snapshot.packages is not None:
        values["packages"] = f"{snapshot.packages_stored:,} of {snapshot.packages:,}"
    return tuple(values[name] for name in ("age", *_NAMES) if name not in ("age_s", "packages_stored"))


def _unfinished(dest: Destination, store: Store, now: datetime) -> Iterator[str]:
    """Yield a line for each of the newest runs that are not published, and how to go on."""
    from lexport.dataset.layout import shards_path
    from lexport.query.unfinished import describe_unfinished

    try:
        runs = describe_unfinished(store)
    except OSError as error:  # the snapshots are what an alarm is about
        yield f"the runs that are not published cannot be listed: {error.strerror or error}"
        return
    for run in runs[:_MOST_NAMED]:
        read = ""
        if run.shards_total is not None:
            read = f": {run.shards_done:,} of {plural(run.shards_total, 'account-region')} read"
        elif run.shards_done or run.snapshot_at is not None:
            read = f": {plural(run.shards_done, 'account-region')} read"
        begun = "" if run.snapshot_at is None else f", begun {format_age(now - run.snapshot_at)} ago"
        written = f", written {format_age(now - run.last_write_at)} ago"
        yield f"run {run.snapshot_id} {_STATES[run.state]}{read}{begun}{written}"
    if len(runs) > _MOST_NAMED:
        yield f"{plural(len(runs) - _MOST_NAMED, 'older run is', 'older runs are')} not published either"
    ended = next((run for run in runs if run.state != "running"), None)
    if ended is not None:
        where, one = shlex.quote(str(dest)), ended.snapshot_id
        yield f"to see what such a run could not read: lexport errors {where} --run {one}"
        if ended.is_stepwise:
            yield (
                f"to go on with it: lexport shard read {where} {one} ACCOUNT REGION for each line of"
                f" {where}/{shards_path(one)} that is not read, then lexport shard commit {where} {one}"
            )
        elif ended.snapshot_at is not None:
            age = now - ended.snapshot_at
            max_age = f" --resume-max-age {age.days + 2}d" if age > RESUME_MAX_AGE - timedelta(hours=1) else ""
            yield (
                "to go on with it, with the options that it began with:"
                f" lexport snapshot {where} --resume {one}{max_age}"
            )
        yield f"to remove it: lexport prune {where} --snapshot {one}"
