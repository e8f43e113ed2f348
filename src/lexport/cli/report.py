"""``lexport report``: write a report about the fleet as one HTML file."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lexport.aws.logs import say
from lexport.cli._dest_options import dest_options
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import open_output
from lexport.cli.check import read_check_settings
from lexport.errors import SettingsError
from lexport.settings import Destination

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexport.query.checks.waivers import Waiver


_HEAD_BYTES = 4096  # they contain the meta element that names the dataset


@declare_command("report", "lexport report fleet", "lexport report fleet -o /srv/www/fleet.html")
@argument("dest")
@option(
    "Output",
    "-o, --output-file FILE",
    "Write this HTML file, or - for stdout; an old file is replaced when the new one is complete."
    "  [default: the name of DEST, .html]",
)
@dest_options()
def command(dest: Destination, output_file: str | None) -> None:
    """Write a report about the dataset in DEST as one HTML file that needs no network.

    It shows figures of the fleet, runtimes by age, findings, changes, trends and storage, each chart with its table and
    its SQL. The checks run as in lexport check, with the thresholds and waivers of lexport.toml.
    """
    from lexport.cli._async import run_async

    thresholds, waivers = read_check_settings(())
    if output_file is None:
        output_file = f"{_name_of(dest)}.html"
        check_replaceable(Path(output_file), dest)
    text = run_async(lambda: write_report(dest, thresholds, waivers)).encode()
    with open_output(output_file) as stream:
        stream.write(text)
    if output_file != "-":
        say(f"wrote {output_file} ({len(text) // 1024:,} KB); open it in a browser")


def _name_of(dest: Destination) -> str:
    from lexport.dataset.open_store import open_store
    from lexport.query.catalog import location

    return PurePosixPath(location(open_store(dest))).name or "fleet"


def check_replaceable(page: Path, dest: str | os.PathLike[str]) -> None:
    """Raise SettingsError if the file exists and is not a report about this dataset."""
    from lexport.dataset.open_store import open_store
    from lexport.query.catalog import location
    from lexport.query.report import dataset_mark

    try:
        with page.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:  # the file does not exist, or writing it will fail with a message
        return
    mark = f'name="lexport-dataset" content="{dataset_mark(location(open_store(dest)))}"'
    if mark.encode() not in head:
        raise SettingsError(f"{page} exists and is not a report about {dest}; give another name with -o", option="-o")


async def write_report(
    dest: str | os.PathLike[str],
    thresholds: Mapping[str, Mapping[str, object]] | None = None,
    waivers: Sequence[Waiver] = (),
) -> str:
    """Return the report as HTML. Checks run only if an account-region was read completely."""
    from lexport.query.catalog import open_catalog
    from lexport.query.checks.run import check
    from lexport.query.report import report

    is_checkable = bool(open_catalog(dest).latest())
    return await report(
        dest, checked=await check(dest, thresholds=thresholds, waivers=waivers) if is_checkable else None
    )
