"""``lexport doctor [DEST]``: try everything that a snapshot needs, and say what is wrong."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from lexport.cli._config import config_error
from lexport.cli._dest_options import dest_options
from lexport.cli._fleet_options import fleet_options, fleet_settings
from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import argument, declare_command
from lexport.cli._output import notify
from lexport.cli._rows.formats import FORMATS, print_rows
from lexport.errors import SettingsError
from lexport.settings import Destination
from lexport.tables.choice import choose_resources
from lexport.tables.text import plural

if TYPE_CHECKING:
    from lexport.cli._probes.findings import Finding
    from lexport.settings import SnapshotSettings

_FORMATS = ("text", *FORMATS)


@declare_command(
    "doctor",
    "lexport doctor fleet --region eu-west-1",
    "lexport doctor --region all --output json",
)
@argument("dest", required=False)
@fleet_options
@output_option(_FORMATS)
@csv_safe_option
@dest_options(writes=True)
def command(dest: Destination | None, output: str, **options: Any) -> int:
    """Check credentials, clock, network, permissions, DEST, key and versions, one line each.

    It reads the options of lexport snapshot, also those of the table [snapshot] of lexport.toml. Each call is made
    once, and nothing is written: a file that shows whether DEST can be written is removed again.

    The exit code is 0 if a snapshot can be taken, 5 if credentials or permissions are wrong, and 1 if anything else
    is. Warnings do not count.
    """
    from lexport.cli._async import run_async
    from lexport.cli._probes.examine import Findings, examine, line_of, missing_policy
    from lexport.cli._probes.findings import NAMES, exit_code, row
    from lexport.cli._probes.machine import probe_settings, probe_versions

    output = choose_format(output, formats=_FORMATS)

    def show(finding: Finding) -> None:
        if output == "text":
            click.echo(line_of(finding))

    findings = Findings(show=show)
    settings, wrong = _settings(options)
    probe_versions(findings.add)
    probe_settings(config_error(), wrong, findings.add)
    facts = run_async(lambda: examine(settings, dest, findings.add))
    found = findings.found
    with suppress(BrokenPipeError):  # the reader closed the pipe, as `| head` does; the exit code stays
        if output != "text":
            print_rows(NAMES, map(row, found), output=output)
        elif settings is not None and (policy := missing_policy(settings, facts, found)) is not None:
            click.echo(f"\nThis policy is missing:\n{json.dumps(policy, indent=2)}")
    code = exit_code(found)
    errors, warnings = (sum(finding.level == level for finding in found) for level in ("error", "warning"))
    counts = f"{plural(errors, 'error')}, {plural(warnings, 'warning')}"
    notify(f"{'nothing is wrong' if code == 0 else 'something is wrong'}: {counts}", level=_level(code))
    return code


def _level(code: int) -> int:
    return logging.ERROR if code else logging.INFO


def _settings(options: dict[str, Any]) -> tuple[SnapshotSettings | None, SettingsError | None]:
    try:
        return choose_resources(fleet_settings(options)), None
    except SettingsError as error:
        return None, error
