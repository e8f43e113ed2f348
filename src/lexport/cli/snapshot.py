"""``lexport snapshot DEST``: the fleet into the dataset."""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from lexport.cli.durations import duration
from lexport.cli.fleet import fleet_options, fleet_settings
from lexport.cli.options import option
from lexport.errors import IncompleteError

if TYPE_CHECKING:
    from lexport.run import SnapshotResult

FAILURES_SHOWN = 10
SCOPES_SHOWN = 20
NOTES_SHOWN = 20
_URGENCY = ("denied", "partial", "complete", "unavailable")


@click.command("snapshot", short_help="Read the fleet and publish a snapshot.")
@click.argument("dest", type=click.Path(path_type=Path))
@fleet_options
@option("--function", multiple=True, help="Read this function only: name, name:qualifier or ARN; repeatable.")
@option("--functions-from", metavar="FILE|-", help="Read the functions listed here, one a line or CSV.")
@option("--incremental", is_flag=True, help="Take unchanged published versions over from the last snapshot.")
@option(
    "--refresh-after", type=duration, metavar="AGE", help="Fetch again what was taken over longer than this, as 7d."
)
@option("--allow-partial", is_flag=True, help="Publish although something could not be read (exit 3).")
@option("--group-readable", is_flag=True, help="Let the group read the dataset: 0640 and 0750.")
def command(dest: Path, **options: Any) -> int:
    """Read every function and version and publish a snapshot in DEST, a folder."""
    # Arrow's own allocator keeps some 50 MB that it does not use, and is no faster here. Read when pyarrow is imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from lexport.cli.running import allow_many_files, run_async
    from lexport.progress import report_live, report_plainly
    from lexport.run import snapshot

    settings = fleet_settings(options | {"functions": options.pop("function")})
    report = report_live if sys.stderr.isatty() else report_plainly
    allow_many_files()
    try:
        result = run_async(lambda: snapshot(dest, settings, report=report))
    except IncompleteError as error:
        summarize(cast("SnapshotResult", error.result))
        raise
    summarize(result)
    return 3 if result.manifest.status == "partial" else 0


def summarize(result: SnapshotResult) -> None:
    """Say on standard error what was read, what it cost, and what is missing and why."""
    done = result.manifest
    shown = done.scopes
    if len(shown) > SCOPES_SHOWN:  # what needs a look first
        shown = tuple(sorted(shown, key=lambda scope: _URGENCY.index(scope.status))[:SCOPES_SHOWN])
    lines = [f"note: {note}" for note in result.notes[:NOTES_SHOWN]]
    if len(result.notes) > NOTES_SHOWN:
        lines.append(f"note: ... and {len(result.notes) - NOTES_SHOWN:,} more")
    lines += [
        f"{scope.account_id} {scope.region}: {scope.status}, {scope.functions:,} functions,"
        f" {scope.versions:,} versions, {scope.aliases:,} aliases; {scope.get_function_calls:,} GetFunction"
        f" and {scope.list_calls:,} List* calls, {scope.throttles:,} throttled"
        for scope in shown
    ]
    if len(shown) < len(done.scopes):
        by_status = Counter(scope.status for scope in done.scopes)
        counted = ", ".join(f"{count:,} {status}" for status, count in sorted(by_status.items()))
        lines.append(f"... {len(done.scopes):,} account-regions in all: {counted}; the table scopes has them all")
    for kind, count, example in result.failures[:FAILURES_SHOWN]:
        what = "missing" if kind.is_gap else "noted"
        item = ":".join(part for part in (example.function_name, example.qualifier) if part)
        lines.append(
            f"{what}: {count:,} x {kind.error_code} in {kind.operation or kind.stage}, {kind.scope.account_id}"
            f" {kind.scope.region}, e.g. {item and item + ': '}{example.message}"
        )
    if len(result.failures) > FAILURES_SHOWN:
        lines.append(f"... and {len(result.failures) - FAILURES_SHOWN} more kinds; the table errors has them all")
    functions = sum(scope.functions for scope in done.scopes)
    versions = sum(scope.versions for scope in done.scopes)
    verdict = f"published, {done.status}" if result.published else "NOT published"
    lines.append(
        f"snapshot {result.snapshot_id} {verdict}: {functions:,} functions, {versions:,} versions"
        f" in {result.duration_s:,.1f} s"
    )
    with suppress(OSError):  # nobody reads it; what is published stays published, and the exit code says so
        for line in lines:
            click.echo(line, err=True)
