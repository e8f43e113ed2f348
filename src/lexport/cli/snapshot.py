"""``lexport snapshot DEST``: the fleet into the dataset."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import click

from lexport.cli._fleet_options import fleet_options, fleet_settings
from lexport.cli._options import option
from lexport.cli._package_options import package_lines, package_options, package_settings
from lexport.cli._units import duration
from lexport.errors import IncompleteError
from lexport.tables.text import agree, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexport.extract.failures import FailureKind
    from lexport.model import Failure
    from lexport.pipeline import SnapshotResult

FAILURES_SHOWN = 10
SCOPES_SHOWN = 20
NOTES_SHOWN = 20
_URGENCY = ("denied", "partial", "complete", "unavailable")


@click.command("snapshot", short_help="Read the fleet and publish a snapshot.")
@click.argument("dest")
@fleet_options
@option("--function", multiple=True, help="Read this function only: name, name:qualifier or ARN; repeatable.")
@option(
    "--functions-from",
    metavar="FILE|-",
    help="Read the functions listed here: one a line, CSV or a table, perhaps with a head such as function_name.",
)
@option("--incremental", is_flag=True, help="Take unchanged published versions over from the last snapshot.")
@option(
    "--refresh-after", type=duration, metavar="AGE", help="Fetch again what was taken over longer than this, as 7d."
)
@option("--packages", is_flag=True, help="Fetch the packages too, each once.")
@package_options
@option("--allow-partial", is_flag=True, help="Publish although something could not be read (exit 3).")
@option("--group-readable", is_flag=True, help="Let the group read the dataset: 0640 and 0750.")
def command(dest: str, **options: Any) -> int:
    """Read every function and version and publish a snapshot in DEST, a folder."""
    # Arrow's own allocator keeps some 50 MB that it does not use, and is no faster here. Read when pyarrow is imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from lexport.cli._async import allow_many_files, choose_report, run_async
    from lexport.pipeline import snapshot

    packages = package_settings(options, is_wanted=options.pop("packages"))
    settings = fleet_settings(options | {"functions": options.pop("function"), "packages": packages})
    report = choose_report()
    allow_many_files()
    try:
        result = run_async(lambda: snapshot(dest, settings, report=report), left="nothing was published")
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
    lines = note_lines(result.notes)
    lines += [
        f"{scope.account_id} {scope.region}: {scope.status}, {plural(scope.functions, 'function')},"
        f" {plural(scope.versions, 'version')}, {plural(scope.aliases, 'alias', 'aliases')};"
        f" {scope.get_function_calls:,} GetFunction and {scope.list_calls:,} List*"
        f" {agree(scope.list_calls, 'call')}, {scope.throttles:,} throttled"
        for scope in shown
    ]
    if len(shown) < len(done.scopes):
        by_status = Counter(scope.status for scope in done.scopes)
        counted = ", ".join(f"{count:,} {status}" for status, count in sorted(by_status.items()))
        lines.append(f"... {len(done.scopes):,} account-regions in all: {counted}; the table scopes has them all")
    lines += failure_lines(result.failures)
    if result.packages is not None:
        lines += package_lines(result.packages)
    functions = sum(scope.functions for scope in done.scopes)
    versions = sum(scope.versions for scope in done.scopes)
    verdict = f"published, {done.status}" if result.published else "NOT published"
    lines.append(
        f"snapshot {result.snapshot_id} {verdict}: {plural(functions, 'function')}, {plural(versions, 'version')}"
        f" in {result.duration_s:,.1f} s"
    )
    with suppress(OSError):  # nobody reads it; what is published stays published, and the exit code says so
        for line in lines:
            click.echo(line, err=True)


def note_lines(notes: Sequence[str]) -> list[str]:
    """Write the first notes of a run; a warning, which comes before them, is marked already."""
    more = [f"note: ... and {len(notes) - NOTES_SHOWN:,} more"] if len(notes) > NOTES_SHOWN else []
    return [note if note.startswith("warning: ") else f"note: {note}" for note in notes[:NOTES_SHOWN]] + more


def failure_lines(failures: Sequence[tuple[FailureKind, int, Failure]]) -> list[str]:
    """Write a line for each of the first kinds of failures, with one example."""
    lines = []
    for kind, count, example in failures[:FAILURES_SHOWN]:
        what = "missing" if kind.is_gap else "noted"
        item = ":".join(part for part in (example.function_name, example.qualifier) if part)
        lines.append(
            f"{what}: {count:,} x {kind.error_code} in {kind.operation or kind.stage}, {kind.scope.account_id}"
            f" {kind.scope.region}, e.g. {item and item + ': '}{example.message}"
        )
    if len(failures) > FAILURES_SHOWN:
        lines.append(f"... and {plural(len(failures) - FAILURES_SHOWN, 'more kind')}; the table errors has them all")
    return lines
