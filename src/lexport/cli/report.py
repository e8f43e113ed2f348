"""``lexport report``: write a report about the fleet as one HTML file."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from lexport.aws.logs import say
from lexport.cli._config import CONFIG_FILE, read_own_tables
from lexport.cli._dest_options import dest_options
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify, open_output
from lexport.cli.check import read_check_settings
from lexport.errors import RunError, SettingsError
from lexport.settings import Destination, is_account_id

if TYPE_CHECKING:
    from lexport.query.report import FleetReport

_HEAD_BYTES = 4096  # they contain the meta element that names the dataset


@declare_command(
    "report",
    "lexport report fleet --owner-tag team",
    'lexport report fleet --title "Lambda at Example" -o /srv/www/fleet.html',
)
@argument("dest")
@option("Contents", "--title TEXT", "Head the report with this title.  [default: Lambda fleet, and the name of DEST]")
@option("Contents", "--owner-tag KEY", "Group functions by the value of this tag, which names their owner.")
@option(
    "Output",
    "-o, --output-file FILE",
    "Write this HTML file, or - for stdout; an old file is replaced when the new one is complete."
    "  [default: the name of DEST, .html]",
)
@dest_options()
def command(*, dest: Destination, title: str | None, owner_tag: str | None, output_file: str | None) -> None:
    """Write a report about the dataset in DEST as one HTML file that needs no network.

    It shows what to do first, findings by function, runtimes by age, changes, trends and storage, each chart with its
    table and its SQL. The checks run as in lexport check, with the thresholds and waivers of lexport.toml; its table
    [report.account_names] gives accounts names. Exit 1 if no account-region was ever read whole: the page says so.
    """
    from lexport.cli._async import run_async

    for name, text in (("--title", title), ("--owner-tag", owner_tag)):
        if text is not None and not text.strip():
            raise click.UsageError(f"{name} is empty")
    thresholds, waivers = read_check_settings(())
    names = _read_account_names()
    if output_file is None:
        output_file = f"{_name_of(dest)}.html"
        check_replaceable(Path(output_file), dest)

    async def write() -> FleetReport:
        from lexport.query.report import report

        return await report(
            dest, title=title, owner_tag=owner_tag, account_names=names, thresholds=thresholds, waivers=waivers
        )

    written = run_async(write)
    page = written.html.encode()
    with open_output(output_file) as stream:
        stream.write(page)
    if output_file != "-":
        say(f"wrote {output_file} ({len(page) // 1024:,} KB); open it in a browser")
    notify(*written.notes)
    if not written.is_about_a_fleet:
        raise RunError(
            f"no account-region of {dest} has a whole reading to show, and the report says only that;"
            f" see: lexport errors {dest}"
        )


def _read_account_names() -> dict[str, str]:
    """Read ``[report.account_names]`` of ``lexport.toml``: names by account id. Raises SettingsError."""
    names = read_own_tables("report").get("account_names", {})
    key = f"{CONFIG_FILE}: [report.account_names]"
    if not isinstance(names, dict):
        raise SettingsError(f"{key}: write it as a table of ids and names", option=CONFIG_FILE)
    for account, name in names.items():
        if not is_account_id(account):
            raise SettingsError(f"{key}: {account} is no account: 12 digits", option=CONFIG_FILE)
        if not isinstance(name, str) or not name.strip():
            raise SettingsError(f'{key}: {account}: write the name in quotes: "payments"', option=CONFIG_FILE)
    return names


def _name_of(dest: Destination) -> str:
    from lexport.dataset.open_store import open_store
    from lexport.query.catalog import location

    return PurePosixPath(location(open_store(dest))).name or "fleet"


def check_replaceable(page: Path, dest: str | os.PathLike[str]) -> None:
    """Raise SettingsError if the file exists and is not a report about this dataset."""
    from lexport.dataset.open_store import open_store
    from lexport.query.catalog import location
    from lexport.query.report.contents import dataset_mark

    try:
        with page.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:  # the file does not exist, or writing it will fail with a message
        return
    mark = f'name="lexport-dataset" content="{dataset_mark(location(open_store(dest)))}"'
    if mark.encode() not in head:
        raise SettingsError(f"{page} exists and is not a report about {dest}; give another name with -o", option="-o")
