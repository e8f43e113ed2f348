"""The options --output and --csv-safe, and the choice of the format: by --output, or by the suffix of the -o file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

import click

from lexport.cli._log_options import TYPED, rank
from lexport.cli._options import Decorator, option
from lexport.cli._rows.formats import FORMATS, SAFE_CSV

_SUFFIXES = {
    ".csv": ("csv",),
    ".json": ("json", "sarif"),
    ".jsonl": ("jsonl",),
    ".ndjson": ("jsonl",),
    ".parquet": ("parquet",),
    ".sarif": ("sarif",),
    ".xml": ("junit",),
}
"""The formats of files with each suffix, the default first."""
_NOT_WRITTEN = frozenset(".arrow .avro .feather .gz .html .ods .orc .tsv .xls .xlsx .yaml .yml .zip .zst".split())  # noqa: SIM905
"""Suffixes of formats that no command writes. With --output, they are allowed."""

_CSV_SAFE = "lexport.csv_safe"

csv_safe_option = option(
    "Output",
    "--csv-safe",
    "In CSV, put ' before text that a spreadsheet would run as a formula.",
    expose_value=False,
    callback=lambda context, _option, value: context.meta.update({_CSV_SAFE: value}),
)


def output_option(formats: Sequence[str] = FORMATS) -> Decorator:
    """Declare ``--output`` with these formats; the first is the default."""
    return option("Output", "--output", "Write in this format.", type=click.Choice(formats), default=formats[0])


def output_file_option(more: str = "") -> Decorator:
    """Declare ``-o``."""
    text = "Write to this file instead of stdout; an old file is replaced when the new one is complete."
    return option("Output", "-o, --output-file FILE", f"{text}{more}", callback=_check_output_file)


def _check_output_file(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse a place where no file can be, before the command does its work."""
    if value:
        from lexport.cli._output import check_output

        check_output(value)
    return value


def choose_format(output: str, path: str | None = None, formats: Sequence[str] = FORMATS) -> str:
    """Return the format of the running command, from its options --output, -o and --csv-safe.

    If --output and the suffix of -o differ, the one from the stronger source decides: a flag, then a variable, then
    ``lexport.toml``. Raises UsageError if both come from the same source.
    """
    chosen = _by_suffix(output, path, formats)
    if not click.get_current_context().meta.get(_CSV_SAFE):
        return chosen
    if chosen == "csv":
        return SAFE_CSV
    if is_typed("csv_safe"):
        raise click.UsageError(f"--csv-safe goes with --output csv, not with {chosen}")
    return chosen


def _by_suffix(output: str, path: str | None, formats: Sequence[str]) -> str:
    suffix = PurePath(path or "").suffix.lower()
    if suffix in _NOT_WRITTEN and not _rank("output"):
        names = ", ".join(formats)
        raise click.UsageError(
            f"-o {path}: {suffix} is not a format of this command: {names}. Choose one with --output"
        )
    if suffix not in _SUFFIXES or output in _SUFFIXES[suffix]:
        return output
    source, source_of_path = map(_rank, ("output", "output_file"))
    if source > source_of_path:
        return output
    if source == source_of_path:
        raise click.UsageError(f"--output {output} and -o {path} contradict each other; omit --output")
    if _SUFFIXES[suffix][0] not in formats:
        raise click.UsageError(f"-o {path}: {suffix} is not a format of this command: {', '.join(formats)}")
    return _SUFFIXES[suffix][0]


def is_typed(name: str) -> bool:
    """Return whether an option of the running command is given on its command line, not by a variable or a file."""
    return _rank(name) == TYPED


def _rank(name: str) -> int:
    return rank(click.get_current_context(), name)
