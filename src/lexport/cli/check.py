"""``lexport check``: run the checks on a dataset, and exit 4 if there are findings."""

from __future__ import annotations

import json
import sys
from collections import Counter
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lexport.cli._config import CONFIG_FILE, read_own_tables
from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, csv_safe_option, is_typed, output_file_option, output_option
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify, open_output
from lexport.cli._rows.formats import FORMATS, SAFE_CSV, print_rows, write_rows
from lexport.errors import SettingsError
from lexport.query.checks.definition import SEVERITIES
from lexport.query.checks.finding import about, function
from lexport.settings import Destination
from lexport.tables.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from lexport.query.checks.definition import Check, Severity, Value
    from lexport.query.checks.finding import CheckResult, Finding
    from lexport.query.checks.waivers import Waiver

_FOUND = 4

_FORMATS = (*FORMATS, "sarif", "junit")
_COLUMNS = {
    "check": "check.name",
    "severity": "check.severity",
    "title": "check.title",
    **{name: name for name in ("account_id", "region", "function_name", "version", "subject", "arn", "details")},
    "remediation": "check.remediation",
    "fingerprint": "fingerprint",
    "references": "check.references",
}
"""The columns about a finding and the attributes that they show."""

_fields = attrgetter(*_COLUMNS.values())


@declare_command(
    "check", "lexport check fleet --fail-on critical", "lexport check fleet --output sarif -o lexport.sarif"
)
@argument("dest", required=False)
@option(
    "Checks",
    "--fail-on",
    "Exit 4 if an unwaived finding has at least this severity.",
    type=click.Choice(("none", *SEVERITIES)),
    default="high",
)
@option("Checks", "--check CHECK", "Run only this check.", multiple=True)
@option(
    "Checks",
    "--framework FRAMEWORK",
    "Run the checks of prowler, security-hub, aws-config or steampipe.",
    multiple=True,
)
@option("Checks", "--skip CHECK", "Skip this check.", multiple=True)
@option(
    "Checks",
    "--min-severity",
    "Run only checks with at least this severity.",
    type=click.Choice(SEVERITIES),
    default="low",
)
@option("Checks", "--checks DIR", "Also run your own checks from this folder.", multiple=True)
@option("Checks", "--list", "List the checks and run none.", "is_list", has_variable=False)
@output_option(_FORMATS)
@output_file_option()
@csv_safe_option
@option(
    "Output",
    "--sarif-limit N",
    "Write only the N most severe findings to SARIF; GitHub code scanning accepts 5000.",
    type=click.IntRange(min=1),
)
@dest_options()
def command(
    *,
    dest: Destination | None,
    fail_on: str,
    check: tuple[str, ...],
    framework: tuple[str, ...],
    skip: tuple[str, ...],
    min_severity: Severity,
    checks: tuple[str, ...],
    output: str,
    output_file: str | None,
    sarif_limit: int | None,
    is_list: bool,
) -> int:
    """Run the checks on the latest rows of each account-region in DEST.

    Thresholds and waivers are read from lexport.toml: [check.thresholds.NAME] and [[check.waivers]].
    """
    output = choose_format(output, output_file, _FORMATS)
    if sarif_limit is not None and output != "sarif" and is_typed("sarif_limit"):
        raise click.UsageError(f"--sarif-limit goes with --output sarif, not with {output}")
    if is_list:
        return _list(checks, check, skip, min_severity, frameworks=framework, output=output)
    if dest is None:
        raise click.UsageError("Missing argument 'DEST'.")
    thresholds, waivers = read_check_settings(checks)

    from lexport.cli._async import run_async
    from lexport.query.checks.run import check as run_checks

    result = run_async(
        lambda: run_checks(
            dest,
            own=checks,
            only=check,
            skip=skip,
            min_severity=min_severity,
            frameworks=framework,
            thresholds=thresholds,
            waivers=waivers,
        )
    )
    failing = () if fail_on == "none" else result.at_least(fail_on)  # type: ignore[arg-type] # click has chosen
    notify(*result.notices)
    try:
        with open_output(output_file) as stream:
            notices = _write(result, failing, output, stream, sarif_limit)
    except BrokenPipeError:
        if failing:
            sys.exit(_FOUND)  # the reader closed the pipe, as `| head` does; the findings still decide the exit code
        raise
    notify(*notices, _summary(result))
    return _FOUND if failing else 0


def read_check_settings(own: Sequence[str]) -> tuple[dict[str, dict[str, object]], tuple[Waiver, ...]]:
    """Read thresholds and waivers from ``lexport.toml``. Raises SettingsError that names the wrong key."""
    from lexport.query.checks.definition import fill_thresholds, load_checks
    from lexport.query.checks.waivers import parse_waivers
    from lexport.query.shipped_views import sql_dir

    config = read_own_tables("check")
    thresholds = config.get("thresholds", {})
    checks = load_checks(sql_dir() / "checks", [Path(folder) for folder in own])
    try:
        fill_thresholds(checks, thresholds)
        return thresholds, parse_waivers(config.get("waivers", []), checks={check.name for check in checks})
    except SettingsError as error:
        raise SettingsError(f"{CONFIG_FILE}: {error}", option=error.option) from error


def _list(
    own: Sequence[str],
    only: Sequence[str],
    skip: Sequence[str],
    min_severity: Severity,
    *,
    frameworks: Sequence[str],
    output: str,
) -> int:
    from lexport.query.checks.definition import choose, fill_thresholds, load_checks
    from lexport.query.shipped_views import sql_dir

    if output not in (*FORMATS, SAFE_CSV):
        raise click.UsageError(f"--list has no --output {output}; it has: {', '.join(FORMATS)}")
    thresholds, _ = read_check_settings(own)
    checks = load_checks(sql_dir() / "checks", [Path(folder) for folder in own])
    values = fill_thresholds(checks, thresholds)
    chosen = choose(checks, only=only, skip=skip, min_severity=min_severity, frameworks=frameworks, all_of_them=True)
    rows = [
        (check.severity, check.name, check.title, _thresholds(check, values[check.name]), ", ".join(check.references))
        for check in sorted(chosen, key=lambda check: (-SEVERITIES.index(check.severity), check.name))
    ]
    print_rows(("severity", "check", "title", "thresholds", "references"), rows, output=output)
    return 0


def _thresholds(check: Check, values: dict[str, Value]) -> str:
    return ", ".join(f"{name}: {json.dumps(value)} {check.thresholds[name].unit}" for name, value in values.items())


def _write(
    result: CheckResult, failing: Sequence[Finding], output: str, stream: BinaryIO, sarif_limit: int | None
) -> tuple[str, ...]:
    """Write the findings; return notices about limits of the format."""
    if output == "sarif":
        from lexport.query.checks.sarif import write_sarif

        return write_sarif(result, stream, limit=sarif_limit)
    if output == "junit":
        from lexport.query.checks.junit import write_junit

        write_junit(result, {finding.fingerprint for finding in failing}, stream)
    elif output == "table":
        rows = [_short(finding) for finding in result.findings]
        names = ("severity", "check", "account_id", "region", "function", "about", "waived_until", "references")
        write_rows(names, rows, output=output, stream=stream)
    else:
        *columns, references = _COLUMNS
        columns = [*columns, "waived_until", "waiver_reason", references]
        write_rows(columns, map(_row, result.findings), output=output, stream=stream)
    return ()


def _short(finding: Finding) -> tuple[str, ...]:
    check, waived = finding.check, "" if finding.waiver is None else str(finding.waiver.expires)
    where = finding.account_id, finding.region, function(finding)
    return check.severity, check.name, *where, about(finding), waived, ", ".join(check.references)


def _row(finding: Finding) -> tuple[Any, ...]:
    waiver = finding.waiver
    *values, references = _fields(finding)
    return *values, waiver and str(waiver.expires), waiver and waiver.reason, list(references)


def _summary(result: CheckResult) -> str:
    open_findings = [finding for finding in result.findings if finding.waiver is None]
    counts = Counter[str](finding.check.severity for finding in open_findings)
    counted = ", ".join(f"{counts[severity]:,} {severity}" for severity in reversed(SEVERITIES))
    waived = len(result.findings) - len(open_findings)
    unread = len({(item.account_id, item.region) for item in result.unjudged if item.is_unread})
    text = f"{plural(len(result.checks), 'check')}: {counted}; {waived:,} waived"
    return text + (f"; account-regions not read whole: {unread:,}" if unread else "")
