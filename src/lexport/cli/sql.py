"""``lexport sql``: run one SELECT over a dataset, and write the result as a table, JSON, CSV or Parquet."""

from __future__ import annotations

import sys
from datetime import timedelta

import click

from lexport.aws.logs import say
from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, csv_safe_option, output_file_option, output_option
from lexport.cli._options import argument, declare_command, duration, option
from lexport.cli._output import notify, open_output
from lexport.cli._parameters import parameters_option
from lexport.cli._rows.formats import FORMATS
from lexport.cli._rows.result import View, write_result
from lexport.query.warehouse.dialects import DIALECTS
from lexport.settings import Destination
from lexport.tables.text import plural

_FORMATS = (*FORMATS, "parquet")
MOST_QUERY_BYTES = 16 * 2**20


@declare_command(
    "sql",
    'lexport sql fleet "SELECT runtime, COUNT(*) FROM functions GROUP BY ALL"',
    'lexport sql fleet "FROM deprecated_runtimes" -o deprecated.csv',
    "lexport sql fleet 'FROM functions WHERE memory_size >= $least' --param least=1024 --output line",
    "lexport sql --print runtimes --dialect athena",
)
@argument("dest", required=False)
@argument("query", required=False)
@output_option(_FORMATS)
@output_file_option(" The suffix .csv, .json, .jsonl or .parquet chooses the format.")
@csv_safe_option
@option(
    "Queries",
    "--max-skew AGE",
    "Warn when the account-regions' snapshots differ in age by more than this.",
    type=duration,
    default="36h",
)
@option("Queries", "--as-of WHEN", "Query the dataset as it was at this date, instant or snapshot id.")
@parameters_option
@option("Output", "--no-trim", "On a terminal, cut no long values and leave out no columns of a table.")
@option("Output", "--no-pager", "On a terminal, use no pager ($PAGER, or less) for a long result.")
@option(
    "Shipped views",
    "--print VIEW",
    "Print the SQL of a shipped view instead of running a query; needs no DEST.",
    "printed",
)
@option(
    "Shipped views", "--dialect", "Translate the printed SQL for this warehouse.", type=click.Choice(tuple(DIALECTS))
)
@dest_options()
def command(
    *,
    dest: Destination | None,
    query: str | None,
    output: str,
    output_file: str | None,
    max_skew: timedelta,
    printed: str | None,
    dialect: str | None,
    as_of: str | None,
    parameters: dict[str, str],
    no_trim: bool,
    no_pager: bool,
) -> None:
    """Run one SELECT over the dataset in DEST, or open a shell on a terminal if there is no QUERY.

    The QUERY "-" is read from stdin.

    <table> holds the latest rows of each account-region, snapshot.<table> those of the newest commit, and
    history.<table> those of all commits. With --as-of, later commits do not count; a date means the end of that day in
    UTC. lexport schema lists tables and columns.
    """
    if printed is not None:
        if query is not None:
            raise click.UsageError("--print takes no QUERY")
        _print_view(printed, dialect, output_file)
        return
    if dialect is not None:
        raise click.UsageError("--dialect needs --print VIEW")
    if dest is None:
        raise click.UsageError("Missing argument 'DEST'.")
    if query is None:
        _check_shell(output, output_file)
        from lexport.cli._shell.commands import Settings
        from lexport.cli._shell.run import run_shell

        settings = Settings(mode=output, trim=not no_trim, pager=not no_pager, parameters=parameters)
        run_shell(dest, as_of=as_of, max_skew=max_skew, settings=settings)
        return
    output = choose_format(output, output_file, _FORMATS)
    if output == "parquet" and output_file is None:
        raise click.UsageError("--output parquet needs -o FILE")
    text = _read_stdin() if query == "-" else query

    from lexport.query.sql import open_result
    from lexport.query.sql_text import UNPRINTED

    with open_result(dest, text, as_of=as_of, casts=UNPRINTED, parameters=parameters) as result:
        notify(*result.notices(max_skew=max_skew))
        with open_output(output_file) as stream:
            view = View(pager=not no_pager, trim=not no_trim, hint="--output line or --no-trim shows all")
            rows = write_result(result.reader, output=output, stream=stream, view=view)
    if sys.stderr.isatty():
        say(f"({plural(rows, 'row')})")


def _print_view(name: str, dialect: str | None, output_file: str | None) -> None:
    from lexport.query.shipped_views import find_view
    from lexport.query.warehouse.dialects import translate

    view = find_view(name)
    text = view.path.read_text(encoding="utf-8").strip()
    if dialect is not None:
        head = "\n".join(line for line in text.splitlines() if line.startswith("--"))
        text = f"{head}\n{translate(view.query, DIALECTS[dialect], name=view.path.name)}"
    with open_output(output_file) as stream:
        stream.write(f"{text}\n".encode())


def _check_shell(output: str, output_file: str | None) -> None:
    """Raise UsageError if there can be no shell, so that the QUERY is missing."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        reason = 'without a terminal there is no shell; the QUERY "-" is read from stdin'
    elif output_file is not None:
        reason = "-o writes the result of one query"
    elif output not in FORMATS:
        reason = f"the shell shows {', '.join(FORMATS)}, not {output}"
    else:
        return
    raise click.UsageError(f"Missing argument 'QUERY': {reason}")


def _read_stdin() -> str:
    raw = sys.stdin.buffer.read(MOST_QUERY_BYTES + 1)
    if len(raw) > MOST_QUERY_BYTES:
        raise click.UsageError(f"the query on stdin is larger than {MOST_QUERY_BYTES // 2**20} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"the query on stdin is not UTF-8: {error}") from error
