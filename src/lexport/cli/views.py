"""``lexport views``: write a DuckDB file with views of a dataset."""

from __future__ import annotations

from lexport.aws.logs import say
from lexport.cli._dest_options import dest_options
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify
from lexport.settings import Destination


@declare_command(
    "views", "lexport views fleet --db fleet.duckdb", "lexport views /srv/lexport/fleet --db /srv/bi/fleet.duckdb"
)
@argument("dest")
@option("Output", "--db FILE", "Write this DuckDB file; replace it only if lexport wrote it.", required=True)
@option(
    "Output",
    "--copy-to FOLDER",
    "Keep the copies of an object store's files in this folder.  [default: FILE.files]",
)
@dest_options()
def command(dest: Destination, db: str, copy_to: str | None) -> None:
    """Write a DuckDB file with views of the dataset in DEST, for the DuckDB command line and BI tools.

    The views read DEST when they are queried. Run this command once, and again after each upgrade of lexport. Of a DEST
    in an object store they read copies: each run of this command downloads what is new.
    """
    from lexport.cli._async import run_async
    from lexport.query.catalog import open_catalog
    from lexport.query.views import copy_folder, views
    from lexport.tables.registry import BY_NAME

    run_async(lambda: views(dest, db=db, copy_to=copy_to))
    catalog = open_catalog(dest)
    notify(*catalog.notices(tables=BY_NAME))
    if catalog.store.moved is not None:
        folder = copy_folder(db) if copy_to is None else copy_to
        notify(f"the views read the copies in {folder}, up to snapshot {catalog.newest.snapshot_id}")
    say(f"wrote {db}; try: duckdb {db} 'FROM runtimes'")
