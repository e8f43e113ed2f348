"""``lexport sbom``: what functions are made of, as CycloneDX."""

from __future__ import annotations

import click

from lexport.cli._options import option
from lexport.cli._output import open_output
from lexport.tables.text import plural


@click.command("sbom", short_help="Write what functions are made of, as CycloneDX.")
@click.argument("dest")
@option("--function", metavar="NAME|ARN", help="One function version instead of the fleet.")
@option("--version", metavar="VERSION", help="Its version.  [default: $LATEST]")
@option("-o", "--output-file", metavar="FILE", help="Write there instead of stdout; replaced once it is whole.")
def command(dest: str, function: str | None, version: str | None, output_file: str | None) -> None:
    """Write what the latest functions in DEST are made of, as CycloneDX 1.6 JSON.

    It needs packages that were looked into: lexport packages DEST --inspect. Function versions of which not all is
    known are named under compositions, as incomplete or unknown.
    """
    from lexport.artifacts.sbom import sbom
    from lexport.cli._async import run_async

    with open_output(None if output_file == "-" else output_file) as stream:
        result = run_async(lambda: sbom(dest, stream, function=function, version=version))
    for line in result.damage:
        click.echo(f"lexport: {line}", err=True)
    if result.incomplete:
        click.echo(
            f"lexport: of {result.incomplete:,} of {plural(result.functions, 'function version')} not all is known:"
            " images, packages or layers that were not looked into, that hold no manifest or something unread; packages"
            " has their dependencies_status, history.errors what was found (stage inspect)",
            err=True,
        )
