"""``lexport publish``: name the committed files in the tables of an Iceberg catalog or of a DuckLake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify
from lexport.cli._rows.formats import print_rows
from lexport.cli._signals import Interrupted
from lexport.settings import Destination
from lexport.tables.text import plural

if TYPE_CHECKING:
    from lexport.query.publish.result import PublishResult

_NAMES = ("table", "is_new", "snapshots_added", "files_added", "rows_added", "snapshots_deleted", "rows")
_FORMATS = ("iceberg", "ducklake")


@declare_command(
    "publish",
    "lexport publish fleet iceberg --catalog sqlite:///catalog.db",
    "lexport publish fleet iceberg --catalog sqlite:///catalog.db --namespace lambda --dry-run",
    "lexport publish fleet ducklake --catalog metadata.ducklake",
)
@argument("dest")
@argument("table_format", metavar="FORMAT", type=click.Choice(_FORMATS))
@option(
    "Publication",
    "--catalog NAME",
    "Publish into this catalog: a name or URL of pyiceberg (sqlite:///catalog.db), or the database of a DuckLake.",
    required=True,
)
@option("Publication", "--namespace NAME", "Publish the tables into this namespace.", default="lexport")
@option("Publication", "--dry-run", "Publish nothing, and show what would be added and deleted.")
@output_option()
@csv_safe_option
@dest_options()
def command(dest: Destination, *, table_format: str, catalog: str, namespace: str, dry_run: bool, output: str) -> None:
    """Add the files of DEST's commits to the tables of a catalog, and delete there what was pruned.

    FORMAT is `iceberg` or `ducklake`. Files are named where they are, and none is copied. A second publication adds
    nothing, and one that was interrupted is continued by the next. Passwords and tokens come from the environment or
    from files of the library. See docs/guides/open-table-formats.md.
    """
    output = choose_format(output)
    if table_format == "iceberg":
        from lexport.query.publish.need_pyiceberg import need_pyiceberg

        need_pyiceberg()
        from lexport.query.publish.iceberg import publish_iceberg as publish
    else:
        from lexport.query.publish.ducklake import publish_ducklake as publish

    try:
        result = publish(dest, catalog=catalog, namespace=namespace, is_dry_run=dry_run)
    except Interrupted as ended:
        raise Interrupted(ended.number, "what was published stays; the same command goes on with it") from None
    print_rows(_NAMES, ([getattr(table, name) for name in _NAMES] for table in result.tables), output=output)
    notify(*result.notes, _summary(result))


def _summary(result: PublishResult) -> str:
    added, rows, gone = (
        sum(getattr(table, name) for table in result.tables)
        for name in ("files_added", "rows_added", "snapshots_deleted")
    )
    would = "would be " * result.is_dry_run
    deleted = max((table.snapshots_deleted for table in result.tables), default=0) if gone else 0
    return (
        f"{plural(added, 'file')} of {plural(rows, 'row')} {would}added,"
        f" the rows of {plural(deleted, 'snapshot')} {would}deleted"
    )
