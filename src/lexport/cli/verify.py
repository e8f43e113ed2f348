"""``lexport verify``: check that the files of a dataset exist and are as they were written."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from lexport.aws.logs import settings
from lexport.cli._async import can_draw
from lexport.cli._dest_options import dest_options
from lexport.cli._formats import choose_format, csv_safe_option, output_option
from lexport.cli._options import argument, declare_command, option
from lexport.cli._output import notify
from lexport.cli._rows.formats import print_rows
from lexport.cli._streams import terminal
from lexport.settings import Destination
from lexport.tables.text import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lexport.query.verify.files import VerifyProgress

DAMAGED = 4


@declare_command("verify", "lexport verify fleet", "lexport verify fleet --data --output json")
@argument("dest")
@option("Checks", "--data", "Read every row too, and check page checksums, row counts, columns, order and unique keys.")
@output_option()
@csv_safe_option
@dest_options()
def command(dest: Destination, *, data: bool, output: str) -> int:
    """Check that the files of DEST exist and are as they were written; exit 4 if something is damaged.

    It checks every manifest, the size and SHA-256 of every file that a manifest names, and every stored package. It
    prints one line per problem with the file, the kind of damage and how to go on. A note is no damage: it names a file
    that belongs to no commit.
    """
    from lexport.query.verify.files import VerifyProgress, find_damage

    output = choose_format(output)
    show = _show_live(terminal()) if can_draw() and settings().shows_progress else lambda _text: None
    progress = VerifyProgress()
    damaged = 0

    def watch(now: VerifyProgress) -> None:
        nonlocal progress
        progress = now
        show(_progress_text(now))

    def rows() -> Iterator[tuple[str, str, str, str, str]]:
        nonlocal damaged
        for item in find_damage(dest, data=data, watch=watch):
            damaged += not item.is_note
            show("")
            yield "note" if item.is_note else "damage", item.path, item.kind, item.detail, item.remedy
        show("")

    damage = rows()
    try:
        print_rows(("severity", "path", "kind", "detail", "remedy"), damage, output=output)
    except BrokenPipeError:  # the reader closed the pipe, as `| head` does; the exit code needs the rest
        for _ in damage:
            pass
    outcome = plural(damaged, "thing is damaged", "things are damaged") if damaged else "nothing is damaged"
    notify(f"{_progress_text(progress)} checked, {outcome}")
    return DAMAGED if damaged else 0


def _show_live(out: TextIO) -> Callable[[str], None]:
    """Overwrite the last line of a terminal; an empty text clears it."""
    return lambda text: print(f"\r\x1b[K{text}", end="", file=out, flush=True)


def _progress_text(now: VerifyProgress) -> str:
    return f"{now.files:,} of {plural(now.files_total, 'file')}, {now.size_bytes / 2**20:,.1f} MiB"
