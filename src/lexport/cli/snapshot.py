"""``lexport snapshot DEST``: the fleet into the dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from lexport.cli.durations import duration
from lexport.cli.options import option
from lexport.errors import IncompleteError

if TYPE_CHECKING:
    from lexport.run import SnapshotResult

FAILURES_SHOWN = 10


@click.command("snapshot", short_help="Read the fleet and publish a snapshot.")
@click.argument("dest", type=click.Path(path_type=Path))
@option("--profile", help="Profile of ~/.aws/config.")
@option("--region", multiple=True, help="Region to read; repeatable, or `all`.")
@option("--endpoint-url", help="Send every call to this URL.")
@option("--function", multiple=True, help="Read this function only: name, name:qualifier or ARN; repeatable.")
@option("--functions-from", metavar="FILE|-", help="Read the functions listed here, one a line or CSV.")
@option(
    "--qualifiers",
    type=click.Choice(["latest", "published", "all"]),
    default="all",
    show_default=True,
    help="Versions.",
)
@option("--aliases/--no-aliases", default=True, show_default=True, help="List aliases: one call per function.")
@option(
    "--env",
    type=click.Choice(["keys", "values", "none"]),
    default="keys",
    show_default=True,
    help="What to keep of environment variables: names and HMACs, values too, or nothing.",
)
@option("--hash-key-file", type=click.Path(path_type=Path), help="Key of the HMACs; base64, as in LEXPORT_HASH_KEY.")
@option("--get-function-rate", type=float, default=100.0, show_default=True, help="AWS's GetFunction quota, calls/s.")
@option("--list-rate", type=float, default=15.0, show_default=True, help="AWS's quota of all other calls, calls/s.")
@option("--quota-share", type=float, default=0.8, show_default=True, help="How much of the quotas to use.")
@option("--incremental", is_flag=True, help="Take unchanged published versions over from the last snapshot.")
@option(
    "--refresh-after", type=duration, metavar="AGE", help="Fetch again what was taken over longer than this, as 7d."
)
@option("--allow-partial", is_flag=True, help="Publish although something could not be read (exit 3).")
@option("--group-readable", is_flag=True, help="Let the group read the dataset: 0640 and 0750.")
def command(dest: Path, **options: Any) -> int:
    """Read every function and version and publish a snapshot in DEST, a folder."""
    from lexport.cli.running import run_async
    from lexport.progress import report_live, report_plainly
    from lexport.run import snapshot
    from lexport.settings import SnapshotSettings

    settings = SnapshotSettings(
        regions=options.pop("region"),
        functions=options.pop("function"),
        get_function_rate_per_s=options.pop("get_function_rate"),
        list_rate_per_s=options.pop("list_rate"),
        **options,
    )
    report = report_live if sys.stderr.isatty() else report_plainly
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
    lines = [f"note: {note}" for note in result.notes]
    lines += [
        f"{scope.account_id} {scope.region}: {scope.status}, {scope.functions:,} functions,"
        f" {scope.versions:,} versions, {scope.aliases:,} aliases; {scope.get_function_calls:,} GetFunction"
        f" and {scope.list_calls:,} List* calls, {scope.throttles:,} throttled"
        for scope in done.scopes
    ]
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
    for line in lines:
        click.echo(line, err=True)
