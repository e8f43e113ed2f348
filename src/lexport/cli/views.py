"""``lexport views``: a DuckDB file whose views show a dataset."""

from __future__ import annotations

import click

from lexport.cli._options import option


@click.command("views", short_help="Write a DuckDB file with the same tables.")
@click.argument("dest")
@option("--db", required=True, metavar="FILE", help="DuckDB file to write; replaced if an earlier run wrote it.")
def command(dest: str, db: str) -> None:
    """Write a DuckDB file with views of the dataset in DEST, for the DuckDB command line and BI tools.

    The views look at DEST when they are queried: run this once, and again after an upgrade of lexport.
    """
    from lexport.cli._async import run_async
    from lexport.query.catalog import open_catalog
    from lexport.query.views import views
    from lexport.tables.registry import BY_NAME

    run_async(lambda: views(dest, db=db))
    for line in open_catalog(dest).notices(tables=BY_NAME):
        click.echo(f"lexport: {line}", err=True)
    click.echo(f"wrote {db}; try: duckdb {db} 'FROM runtimes'", err=True)
