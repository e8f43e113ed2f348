"""Complete words in bash, zsh and fish. Completion reads names of files alone: no request, no query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem, shell_complete

VARIABLE = "_LEXPORT_COMPLETE"
"""Set by the shell's script: click's protocol, e.g. ``bash_source`` prints the script and ``bash_complete`` words."""


def complete(cli: click.Group, instruction: str) -> int:
    """Print the script of a shell or the words that continue a command line; return the exit code."""
    try:
        return shell_complete(cli, {}, "lexport", VARIABLE, instruction)
    except (KeyError, ValueError):  # the words are missing or no UTF-8; a message would be written into what is typed
        return 1


def complete_value(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem] | None:
    """Return what can continue the value of an option or argument, or None if the kind of value is not known here."""
    for kind in (parameter.name or "", (parameter.metavar or "").strip("[]")):
        if kind in _PATHS:
            return [CompletionItem(incomplete, type=_PATHS[kind])]
        if kind in _NAMES:
            return [CompletionItem(name) for name in _NAMES[kind](context) if name.startswith(incomplete)]
    return None


def _tables(_context: click.Context) -> Iterable[str]:
    from lexport.tables.registry import BY_NAME

    return BY_NAME


def _views(_context: click.Context) -> list[str]:
    from lexport.query.shipped_views import sql_dir

    return [path.stem.partition("_")[2] for path in sorted(sql_dir().glob("[0-9]*_*.sql"))]


def _checks(context: click.Context) -> Iterator[str]:
    from lexport.query.shipped_views import sql_dir

    for folder in (sql_dir() / "checks", *(context.params.get("checks") or ())):
        yield from sorted(name.removesuffix(".sql") for name in _entries(Path(folder)) if name.endswith(".sql"))


def _frameworks(_context: click.Context) -> Iterable[str]:
    from lexport.query.checks.frameworks import FRAMEWORKS

    return FRAMEWORKS


def _snapshots(context: click.Context) -> list[str]:
    """Return the ids of the snapshots in DEST, the newest first; a bucket is not asked."""
    return _ids(context, "_runs", suffix=".json")


def _runs(context: click.Context) -> list[str]:
    """Return the ids of the runs in DEST that were not published, the newest first; a bucket is not asked."""
    published = {*_snapshots(context)}
    return [run for run in _ids(context, "_staging") if run not in published]


def _ids(context: click.Context, folder: str, *, suffix: str = "") -> list[str]:
    from lexport.model import is_ulid

    dest = context.params.get("dest")
    names = _entries(Path(dest, folder)) if isinstance(dest, str) else []
    ids = (name.removesuffix(suffix) for name in names if name.endswith(suffix))
    return sorted(filter(is_ulid, ids), reverse=True)


def _entries(folder: Path) -> list[str]:
    with suppress(OSError, ValueError):  # ValueError: a path with a NUL
        return [path.name for path in folder.iterdir()]
    return []


def _queries(context: click.Context) -> list[str]:
    return [*_views(context), *_tables(context)]


_PATHS = {"dest": "dir", "FILE": "file", "PATH": "file", "DIR": "dir", "FOLDER": "dir", "FILE|-": "file"}
"""Click's name of the kind of a path, by the name of a parameter or its metavar."""

_NAMES: Mapping[str, Callable[[click.Context], Iterable[str]]] = {
    "TABLE": _tables,
    "VIEW": _views,
    "CHECK": _checks,
    "FRAMEWORK": _frameworks,
    "query": _queries,
    "a": _snapshots,
    "b": _snapshots,
    "as_of": _snapshots,
    "since": _snapshots,
    "snapshot": _snapshots,
    "resume": _runs,
    "run": _runs,
}
"""The functions that list the names, by the name of a parameter or its metavar."""
