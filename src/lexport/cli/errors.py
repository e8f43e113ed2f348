"""``lexport errors``: show what a run could not read, by kind."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify
from lexport.cli._rows.formats import print_rows
from lexport.settings import Destination
from lexport.tables.text import plural

if TYPE_CHECKING:
    from lexport.query.failures import RunFailures

_NAMES = (
    "account_id",
    "region",
    "stage",
    "operation",
    "error_code",
    "is_gap",
    "errors",
    "first_at",
    "last_at",
    "function_name",
    "qualifier",
    "message",
)
_STATES = {
    "complete": "published, complete",
    "partial": "published with gaps",
    "refused": "refused because of gaps, not published",
    "interrupted": "interrupted, not published",
    "planned": "planned, not published yet",
    "running": "still running, not published yet",
}


@declare_command(
    "errors", "lexport errors fleet", "lexport errors fleet --run 01KB5Z6T0Q4W8X2M7R9C1V3N5J --output json"
)
@argument("dest")
@option("Queries", "--run ID", "Show this run, also one that was not published.  [default: the newest run]")
@output_option()
@csv_safe_option
@dest_options()
def command(dest: Destination, run: str | None, output: str) -> None:
    """Show what a run in DEST could not read, by kind: account-region, stage, operation and code, with an example.

    The run may be published, refused because of gaps, interrupted or still running. Gaps come first, then the most
    frequent kinds. Single rows of a published run are in the table errors: lexport sql DEST "FROM snapshot.errors".
    """
    from lexport.cli._async import run_async
    from lexport.query.failures import failures

    output = choose_format(output)
    result = run_async(lambda: failures(dest, run))
    rows = [tuple(getattr(group, name) for name in _NAMES) for group in result.groups]
    with suppress(BrokenPipeError):  # the reader closed the pipe, as `| head` does
        print_rows(_NAMES, rows, output=output)
    notify(*_summary(dest, result))


def _summary(dest: Destination, result: RunFailures) -> Iterator[str]:
    title = f"run {result.snapshot_id} ({_STATES[result.state]})"
    if not result.errors:
        yield f"{title}: no errors"
        return
    yield f"{title}: {plural(result.errors, 'error')}, {plural(result.gaps, 'gap')}"
    if result.other_errors:
        yield f"{plural(result.other_errors, 'error')} of further kinds are counted and not shown"
    if result.state in ("complete", "partial"):
        where = f"snapshot_id = '{result.snapshot_id}'"
        yield f'every single one: lexport sql {shlex.quote(str(dest))} "FROM history.errors WHERE {where}"'
