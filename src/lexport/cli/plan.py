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
    from lexport.extract.estimate import FleetPlan

_COUNTS = ("functions", "versions", "get_function_calls", "list_calls", "incremental_get_function_calls")
_TIMES = ("minimum_s", "incremental_minimum_s", "page_s")


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
    names = [name for name in rows[0] if dest is not None or not name.startswith("incremental_")] if rows else []
    with suppress(BrokenPipeError):  # the reader closed the pipe, as `| head` does; the exit code stays
        print_rows(names, [[row[name] for name in names] for row in rows], output=output)
    return 1 if planned.missing else 0


def _rows(planned: FleetPlan) -> list[dict[str, Any]]:
    rows = [asdict(scope) for scope in planned.scopes]
    for row in rows:
        row |= {f"{name}_calls": count for name, count in row.pop("resource_calls").items()}
    counts = [name for name in (rows[0] if rows else ()) if name in _COUNTS or name.endswith("_calls")]
    if len(rows) > 1:
        total: dict[str, Any] = {"account_id": "total", "region": None}
        for name in (*counts, *_TIMES):
            values = [row[name] for row in rows if row[name] is not None]
            total[name] = (sum(values) if name in counts else max(values)) if values else None
        rows.append({name: total[name] for name in rows[0]})
    return rows
