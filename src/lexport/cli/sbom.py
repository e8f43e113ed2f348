"""``lexport sbom``: write a software bill of materials as CycloneDX."""

from __future__ import annotations

from lexport.cli._dest_options import dest_options
from lexport.cli._formats import output_file_option
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify, open_output
from lexport.settings import Destination
from lexport.tables.text import plural


@declare_command(
    "sbom",
    "lexport sbom fleet -o fleet.cdx.json",
    "lexport sbom fleet --function billing --version 3 -o billing.cdx.json",
)
@argument("dest")
@option("Functions", "--function NAME|ARN", "Describe one version of this function, not the fleet.")
@option("Functions", "--version VERSION", "Describe this version of it.  [default: $LATEST]")
@output_file_option()
@dest_options()
def command(dest: Destination, function: str | None, version: str | None, output_file: str | None) -> None:
    """Write the dependencies of the latest functions in DEST as a CycloneDX 1.6 JSON document.

    It needs inspected packages: run lexport packages DEST --inspect first. Function versions whose dependencies are not
    all known are listed under compositions, as incomplete or unknown.
    """
    from lexport.artifacts.sbom import sbom
    from lexport.cli._async import run_async

    with open_output(None if output_file == "-" else output_file) as stream:
        result = run_async(lambda: sbom(dest, stream, function=function, version=version))
    notify(*result.damage)
    if result.incomplete:
        notify(
            f"of {result.incomplete:,} of {plural(result.functions, 'function version')}, not all dependencies"
            " are known: images, packages or layers that are not inspected, have no dependency manifest or could not be"
            " read; see dependencies_status in packages, and history.errors with stage inspect"
        )
