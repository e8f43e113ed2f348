"""``lexport packages DEST``: the packages of the dataset's functions, into its store."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import click

from lexport.cli._fleet_options import access_options, fleet_settings
from lexport.cli._options import option
from lexport.cli._package_options import package_lines, package_options, package_settings
from lexport.cli.snapshot import failure_lines, note_lines
from lexport.errors import IncompleteError

if TYPE_CHECKING:
    from lexport.artifacts.run import PackagesResult


@click.command("packages", short_help="Fetch the packages of a snapshot's functions, each once.")
@click.argument("dest")
@access_options
@package_options
@option("--inspect", is_flag=True, help="Look into what is stored: files and dependencies, as tables.")
@option("--allow-partial", is_flag=True, help="Publish although something could not be fetched (exit 3).")
@option("--group-readable", is_flag=True, help="Let the group read what is written: 0640 and 0750.")
def command(dest: str, **options: Any) -> int:
    """Fetch each distinct package that the latest functions in DEST refer to, verify it, and store it by its hash.

    What is stored already costs nothing. --region and --accounts choose among the functions of the dataset.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # as in lexport snapshot
    from lexport.artifacts.run import packages
    from lexport.cli._async import allow_many_files, choose_report, run_async

    chosen = package_settings(options, is_wanted=True, is_inspected=options.pop("inspect"))
    settings = fleet_settings(options | {"packages": chosen})
    report = choose_report()
    allow_many_files()
    try:
        result = run_async(lambda: packages(dest, settings, report=report), left="nothing was published")
    except IncompleteError as error:
        summarize(cast("PackagesResult", error.result))
        raise
    summarize(result)
    return 3 if result.manifest.status == "partial" else 0


def summarize(result: PackagesResult) -> None:
    """Say on standard error what was fetched and what is missing and why."""
    verdict = f"published, {result.manifest.status}" if result.published else "NOT published"
    lines = [
        *note_lines(result.notes),
        *failure_lines(result.failures),
        *package_lines(result.packages),
        f"packages {result.snapshot_id} {verdict} in {result.duration_s:,.1f} s",
    ]
    with suppress(OSError):  # nobody reads it; the exit code says it too
        for line in lines:
            click.echo(line, err=True)
