"""``lexport packages DEST``: download the deployment packages of a dataset's functions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lexport.cli._dest_options import dest_options
from lexport.cli._fleet_options import access_options, cluster_options, fleet_settings
from lexport.cli._options import argument, declare_command, option
from lexport.cli._outputs.options import output_options
from lexport.cli._package_options import package_lines, package_options, package_settings
from lexport.cli.snapshot import (
    failure_lines,
    misses_packages,
    note_lines,
    print_summary,
    run_and_summarize,
    worker_lines,
)
from lexport.settings import Destination

if TYPE_CHECKING:
    from lexport.artifacts.packages import PackagesResult


@declare_command(
    "packages",
    "lexport packages fleet --inspect --secrets",
    "lexport packages fleet --packages-for latest --layers --max-package-size 100MB",
)
@argument("dest")
@access_options
@package_options
@option("Packages", "--inspect", "Read the stored packages and write their files and dependencies as tables.")
@option("Packages", "--secrets", "With --inspect, also search their text for secrets; no secret is stored.")
@cluster_options
@option(
    "Publication",
    "--require packages",
    "Make a package that cannot be downloaded a gap; without it, a snapshot is complete without them.",
    multiple=True,
)
@option("Publication", "--allow-partial", "Publish even if something required could not be downloaded, and exit 3.")
@option(
    "Publication",
    "--group-readable",
    "Let the group read what is written: modes 0640 and 0750 instead of 0600 and 0700.",
)
@dest_options(writes=True)
@output_options
def command(dest: Destination, **options: Any) -> int:
    """Download the deployment packages of the latest functions in DEST, each distinct package once.

    Each package is verified and stored under its hash; stored packages are not downloaded again. --region and
    --accounts choose among the functions of the dataset.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # as in lexport snapshot
    from lexport.artifacts.packages import packages

    looks = {name: options.pop(name) for name in ("inspect", "secrets")}
    chosen = package_settings(options, is_downloading=True, **looks)
    settings = fleet_settings(options | {"packages": chosen})
    return run_and_summarize(lambda report: packages(dest, settings, report=report), summarize)


def summarize(result: PackagesResult) -> None:
    """Print on standard error what was downloaded, and what is missing and why."""
    verdict = f"published, {result.manifest.status}" if result.published else "NOT published"
    print_summary(
        *note_lines(result.notes),
        *failure_lines(result.failures),
        *package_lines(result.packages, result.manifest, is_gap=misses_packages(result.failures)),
        *worker_lines(result.workers),
        f"packages {result.snapshot_id} {verdict} in {result.duration_s:,.1f} s",
    )
