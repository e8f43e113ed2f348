"""``lexport verify``: find out whether everything is there, and as it was written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

import click

from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import option
from lexport.cli._output import print_rows
from lexport.cli._streams import terminal
from lexport.tables.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lexport.query.verify.files import VerifyProgress

DAMAGED = 4


@click.command("verify", short_help="Check files, hashes, packages; with --data every row.")
@click.argument("dest")
@option("--data", is_flag=True, help="Read every row too: page checksums, counts, columns, order, unique keys.")
@output_option()
@csv_safe_option
def command(dest: str, *, data: bool, output: str) -> int:
    """Check that what DEST says it holds is there and as it was written: exit code 4 when something is damaged.

    Every manifest, the size and SHA-256 of every file that it names, and every stored package against its name. One
    line for each thing that is wrong: file and kind of damage. A note is no damage: a file that no commit names.
    """
    from lexport.query.verify.files import VerifyProgress, find_damage

    output = choose_format(output)
    show = _show_live(terminal()) if sys.stderr.isatty() else _show_nothing
    done = VerifyProgress()
    damaged = 0

    def watch(now: VerifyProgress) -> None:
        nonlocal done
        done = now
        show(_how_far(now))

    def rows() -> Iterator[tuple[str, str, str, str]]:
        nonlocal damaged
        for item in find_damage(dest, data=data, watch=watch):
            damaged += not item.is_note
            show("")
            yield "note" if item.is_note else "damage", item.path, item.kind, item.detail
        show("")

    found = rows()
    try:
        print_rows(("severity", "path", "kind", "detail"), found, output=output)
    except BrokenPipeError:  # the reader has gone, as with `| head`; what is damaged counts all the same
        for _ in found:
            pass
    outcome = plural(damaged, "thing is damaged", "things are damaged") if damaged else "nothing is damaged"
    click.echo(f"lexport: {_how_far(done)} checked, {outcome}", err=True)
    return DAMAGED if damaged else 0


def _show_live(out: TextIO) -> Callable[[str], None]:
    """Write a line of a terminal over; an empty one makes room for what comes."""
    return lambda text: print(f"\r\x1b[K{text}", end="", file=out, flush=True)


def _show_nothing(text: str) -> None:
    """Stay silent."""


def _how_far(now: VerifyProgress) -> str:
    return f"{now.files:,} of {plural(now.files_total, 'file')}, {now.size_bytes / 2**20:,.1f} MiB"
