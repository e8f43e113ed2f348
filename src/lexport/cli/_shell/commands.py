"""The dot commands of the SQL shell, and the settings that they change."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from lexport.cli._parameters import parse_parameter
from lexport.cli._rows.formats import FORMATS
from lexport.cli._rows.result import View, show_rows
from lexport.cli._shell.completion import Names
from lexport.errors import QueryError
from lexport.query.shipped_views import shipped_views
from lexport.tables import registry
from lexport.tables.text import did_you_mean

HELP = {
    ".tables": ("", "List the tables."),
    ".views": ("", "List the shipped views."),
    ".schema": ("[NAME]", "List the columns of a table or view, or of all tables."),
    ".mode": ("[FORMAT]", f"Write results in this format: {', '.join(FORMATS)}."),
    ".param": ("[NAME=VALUE]", "Give a value to $NAME in later queries, or list the values."),
    ".timer": ("on|off", "Show how long queries take."),
    ".trim": ("on|off", "Fit tables to the width of the terminal."),
    ".pager": ("on|off", "Show long results in a pager."),
    ".help": ("", "List these commands."),
    ".quit": ("", "Leave the shell, as Ctrl-D and .exit do."),
}
"""Each command with its argument and its meaning."""

HINT = ".mode line or .trim off shows all"


@dataclass(slots=True, kw_only=True)
class Settings:
    """How the shell runs queries and shows their results."""

    mode: str
    trim: bool
    pager: bool
    timer: bool = False
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def view(self) -> View:
        """How results are shown now."""
        return View(pager=self.pager, trim=self.trim, hint=HINT)


def all_names() -> Names:
    """Return what the shell completes."""
    tables = {table.name: table.meaning for table in registry.tables()}
    views = {view.name: view.question for view in shipped_views()}
    columns: dict[str, Sequence[str]] = {table.name: table.names() for table in registry.tables()}
    columns |= {view.name: tuple(view.columns) for view in shipped_views()}
    commands = {name: meaning for name, (_, meaning) in HELP.items()}
    switch = ("on", "off")
    words = {".schema": (*tables, *views), ".mode": FORMATS, ".timer": switch, ".trim": switch, ".pager": switch}
    return Names(tables=tables, views=views, columns=columns, commands=commands, words=words)


def run_command(line: str, settings: Settings) -> bool:
    """Run one dot command; return False if it leaves the shell. Raises QueryError."""
    name, _, rest = line.strip().partition(" ")
    argument = rest.strip()
    if name != ".param":  # whose value may end so
        name, argument = name.removesuffix(";"), argument.removesuffix(";").strip()
    if name in (".quit", ".exit"):
        return False
    act = _COMMANDS.get(name)
    if act is None:
        near = did_you_mean(name, _COMMANDS)
        raise QueryError(f"there is no command {name}{near or '; .help lists the commands'}")
    act(argument, settings)
    return True


def _list_tables(_argument: str, settings: Settings) -> None:
    rows = [(table.name, table.meaning) for table in registry.tables()]
    _show(("table", "meaning"), rows, settings)


def _list_views(_argument: str, settings: Settings) -> None:
    _show(("view", "question"), [(view.name, view.question) for view in shipped_views()], settings)


def _list_columns(argument: str, settings: Settings) -> None:
    name = argument.lower()
    for prefix in ("main.", "snapshot.", "history."):
        name = name.removeprefix(prefix)
    view = next((view for view in shipped_views() if view.name == name), None)
    if view is not None:
        _show(("column", "meaning"), list(view.columns.items()), settings)
        return
    if name and name not in registry.BY_NAME:
        near = did_you_mean(name, (*registry.BY_NAME, *(each.name for each in shipped_views())))
        raise QueryError(f"no table or view has the name {argument}{near}")
    tables = [registry.BY_NAME[name]] if name else registry.tables()
    rows = (
        (*(() if name else (table.name,)), column.name, column.type.value, column.unit, column.meaning)
        for table in tables
        for column in table.columns
    )
    _show((*(() if name else ("table",)), "column", "type", "unit", "meaning"), rows, settings)


def _set_mode(argument: str, settings: Settings) -> None:
    if argument and argument not in FORMATS:
        raise QueryError(f".mode {argument}: the formats are {', '.join(FORMATS)}{did_you_mean(argument, FORMATS)}")
    settings.mode = argument or settings.mode
    if not argument:
        click.echo(f".mode {settings.mode}")


def _set_parameter(argument: str, settings: Settings) -> None:
    if not argument:
        _show(("parameter", "value"), [(f"${name}", value) for name, value in settings.parameters.items()], settings)
        return
    try:
        name, value = parse_parameter(argument)
    except ValueError as error:
        raise QueryError(f".param: {error}") from error
    settings.parameters[name.lower()] = value


def _switch(attribute: str) -> Callable[[str, Settings], None]:
    def act(argument: str, settings: Settings) -> None:
        if argument not in ("", "on", "off"):
            raise QueryError(f".{attribute} is on or off, not {argument}")
        if argument:
            setattr(settings, attribute, argument == "on")
        else:
            click.echo(f".{attribute} {'on' if getattr(settings, attribute) else 'off'}")

    return act


def _help(_argument: str, settings: Settings) -> None:
    rows = [(f"{name} {argument}".rstrip(), meaning) for name, (argument, meaning) in HELP.items()]
    _show(("command", "meaning"), rows, settings)
    click.echo("A statement is one SELECT and ends with ; and Enter. The name of a table or view alone shows its rows.")


def _show(names: Sequence[str], rows: Iterable[Sequence[Any]], settings: Settings) -> None:
    """Show a list; the longest column is the last one, and is folded by the terminal."""
    view = View(pager=settings.pager, trim=False, hint=HINT)
    show_rows(names, rows, output="table", stream=sys.stdout.buffer, view=view)


_COMMANDS: dict[str, Callable[[str, Settings], None]] = {
    ".tables": _list_tables,
    ".views": _list_views,
    ".schema": _list_columns,
    ".mode": _set_mode,
    ".param": _set_parameter,
    ".timer": _switch("timer"),
    ".trim": _switch("trim"),
    ".pager": _switch("pager"),
    ".help": _help,
}
