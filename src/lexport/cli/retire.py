"""``lexport retire``: say that an account, or one of its Regions, has ended."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lexport.cli._dest_options import dest_options
from lexport.cli._fleet_options import group_readable_option
from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify
from lexport.cli._rows.formats import print_rows
from lexport.settings import Destination
from lexport.tables.text import plural

if TYPE_CHECKING:
    from lexport.dataset.retire import RetireResult

_NAMES = ("account_id", "region", "functions", "versions", "last_read_at", "last_snapshot_id")


@declare_command(
    "retire",
    "lexport retire fleet 111122223333 --dry-run",
    "lexport retire fleet 111122223333 eu-west-1",
)
@argument("dest")
@argument("account")
@argument("region", required=False)
@option("Publication", "--dry-run", "Retire nothing, and show what would be retired.", has_variable=False)
@group_readable_option
@output_option()
@csv_safe_option
@dest_options(writes=True)
def command(
    dest: Destination, *, account: str, region: str | None, dry_run: bool, group_readable: bool, output: str
) -> None:
    """Retire ACCOUNT in DEST, or one REGION of it: it was closed, it left, or the Region was switched off.

    From then on its functions are shown as deleted, and history keeps them. Nothing is removed and no call is made. A
    later snapshot that reads it whole brings it back. See docs/guides/retiring.md.
    """
    from lexport.cli._async import run_async
    from lexport.dataset.retire import retire

    output = choose_format(output)
    result = run_async(
        lambda: retire(dest, account, region, dry_run=dry_run, group_readable=group_readable),
        on_interrupt=lambda: "nothing was retired",
    )
    with suppress(BrokenPipeError):  # the reader closed the pipe, as `| head` does; it is retired all the same
        print_rows(_NAMES, ([getattr(scope, name) for name in _NAMES] for scope in result.scopes), output=output)
    notify(*result.notes, _summary(result))


def _summary(result: RetireResult) -> str:
    what = (
        f"{plural(len(result.scopes), 'account-region')} with"
        f" {plural(sum(scope.functions for scope in result.scopes), 'function')}"
    )
    if result.snapshot_id is None:
        return f"{what} would be retired"
    return f"{what} retired in {result.snapshot_id}"
