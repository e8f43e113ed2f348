"""``lexport report``: one HTML file about the fleet."""

from __future__ import annotations

import click

from lexport.cli.options import option
from lexport.cli.output import open_output


@click.command("report", short_help="Write a report about the fleet as one HTML file.")
@click.argument("dest")
@option(
    "-o",
    "--output-file",
    metavar="FILE",
    default="fleet.html",
    show_default=True,
    help="HTML file to write, replaced once it is whole; - is stdout.",
)
def command(dest: str, output_file: str) -> None:
    """Write a report about the dataset in DEST: one HTML file that needs no network.

    The fleet at a glance, runtimes by age, trends, changes, findings, storage; each chart with its table and its SQL.
    """
    from lexport.cli.running import run_async
    from lexport.dataset.report import report

    text = run_async(lambda: report(dest)).encode()
    with open_output(None if output_file == "-" else output_file) as stream:
        stream.write(text)
    if output_file != "-":
        click.echo(f"wrote {output_file} ({len(text) // 1024:,} KB); open it in a browser", err=True)
