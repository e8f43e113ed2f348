"""``lexport open``: DuckDB's own shell with the views of a dataset."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import click

from lexport.cli._dest_options import dest_options
from lexport.cli._foreground import run_on_terminal
from lexport.cli._options import argument, declare_command
from lexport.cli._output import notify
from lexport.errors import RunError
from lexport.settings import Destination

_DATABASE = "fleet.duckdb"


@declare_command("open", "lexport open fleet", "lexport open s3://bucket/fleet --cache-size 20GB")
@argument("dest")
@dest_options()
def command(dest: Destination) -> None:
    """Open DuckDB's own shell (the program duckdb) with views of the dataset in DEST.

    The views are those of lexport views, in a database that is removed when the shell ends. It can be read and not
    changed. Without a terminal, the commands that do the same are printed.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo(f"lexport views {_as_arguments(dest)} --db {_DATABASE} && duckdb -readonly {_DATABASE}")
        return
    program = shutil.which("duckdb")
    if program is None:
        raise RunError(
            "there is no program duckdb on PATH; install DuckDB's command line (https://duckdb.org/install), or use:"
            f" lexport sql {shlex.quote(os.fspath(dest))}"
        )
    from lexport.cli._async import run_async
    from lexport.query.catalog import open_catalog
    from lexport.query.views import views
    from lexport.tables.registry import BY_NAME

    with tempfile.TemporaryDirectory(prefix="lexport-open-", ignore_cleanup_errors=True) as folder:
        database = Path(folder, _DATABASE)
        notify(f"preparing the views of {os.fspath(dest)}")
        run_async(lambda: views(dest, db=database))
        notify(*open_catalog(dest).notices(tables=BY_NAME))
        code = run_on_terminal([program, "-readonly", str(database)])
    if code:
        raise RunError(f"duckdb ended with {f'exit code {code}' if code > 0 else f'signal {-code}'}")


def _as_arguments(dest: Destination) -> str:
    """Write DEST and its options for a shell."""
    words = [os.fspath(dest)]
    if dest.dest_profile is not None:
        words += ["--dest-profile", dest.dest_profile]
    if dest.cache_values:
        words.append("--cache-values")
    return shlex.join(words)
