"""``lexport plan [DEST]``: estimate the calls and the time of a snapshot before it is taken."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lexport.cli._dest_options import dest_options
from lexport.cli._fleet_options import fleet_options, fleet_settings
from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import argument, declare_command
from lexport.cli._output import notify
from lexport.cli._resource_options import resource_options
from lexport.cli._rows.formats import print_rows
from lexport.errors import SettingsError
from lexport.settings import Destination

if TYPE_CHECKING:
    from lexport.extract.estimate import FleetPlan, ScopePlan

_AT_MOST = "_at_most"


@declare_command(
    "plan",
    "lexport plan --region eu-west-1,us-east-1",
    "lexport plan fleet --region all --output json",
)
@argument("dest", required=False)
@fleet_options
@resource_options
@output_option()
@csv_safe_option
@dest_options()
def command(dest: Destination | None, output: str, **options: Any) -> int:
    """List the fleet, and print how many calls a snapshot takes and the least time that AWS's quotas allow.

    Nothing is fetched or written. With the dataset DEST, the plan also shows what an incremental snapshot would take.
    Account-regions are read in parallel, so the total time is that of the slowest one.
    """
    from lexport.cli._async import choose_report, run_async
    from lexport.extract.event_loop import allow_many_files
    from lexport.pipeline import plan

    output = choose_format(output)
    if dest is None and options["changes_from"] is not None:
        raise SettingsError("--changes-from goes with DEST: an incremental run builds on its last snapshot")
    settings = fleet_settings(options | {"incremental": dest is not None})
    report = choose_report()
    allow_many_files()
    planned = run_async(lambda: plan(dest, settings, report=report))
    notify(*planned.notes)
    notify(*(f"missing from this plan: {line}" for line in planned.missing), level=logging.ERROR)
    rows = _rows(planned)
    if output == "table":
        rows = [_shown(row) for row in rows]
    names = [name for name in rows[0] if dest is not None or not name.startswith("incremental_")] if rows else []
    with suppress(BrokenPipeError):  # the reader closed the pipe, as `| head` does; the exit code stays
        print_rows(names, [[row[name] for name in names] for row in rows], output=output)
    return 1 if planned.missing else 0


def _rows(planned: FleetPlan) -> list[dict[str, Any]]:
    """Return a row for each account-region and their total. A number of calls has a column for what it is at most."""
    rows = [_row(scope) for scope in planned.scopes]
    names = dict.fromkeys(name for row in rows for name in row)
    rows = [{name: row.get(name) for name in names} for row in rows]
    if len(rows) > 1:
        total: dict[str, Any] = {}
        for name in names:
            values = [row[name] for row in rows]
            known = [value for value in values if value is not None]
            is_unknown = not known or (name.endswith(_AT_MOST) and len(known) < len(values))
            if name in ("account_id", "region") or is_unknown:
                total[name] = None
            else:
                total[name] = max(known) if name.endswith("_s") else sum(known)
        rows.append(total | {"account_id": "total"})
    return rows


def _row(scope: ScopePlan) -> dict[str, Any]:
    row = asdict(scope)
    resources, quotas, quota_s = (row.pop(name) for name in ("resource_calls", "quota_calls", "quota_s"))
    named = {f"{name.replace('-', '_')}_calls": calls for name, calls in resources.items()}
    named |= {f"{name}_quota_calls": calls for name, calls in quotas.items()}
    for name, calls in named.items():
        row |= {name: calls["least"], f"{name}{_AT_MOST}": calls["most"]}
    row |= {f"{name}_quota_s": seconds for name, seconds in quota_s.items()}
    if scope.dollars is None:
        del row["dollars"], row["dollars_at_most"]
    return row


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row for people: a number that is not known before is written as a range."""
    shown = {name: value for name, value in row.items() if not name.endswith(_AT_MOST)}
    for name, least in shown.items():
        most = row.get(f"{name}{_AT_MOST}", least)
        if most is None and f"{name}{_AT_MOST}" in row:
            shown[name] = f"{least} or more"
        elif most != least:
            shown[name] = f"{least} to {most}"
    return shown
