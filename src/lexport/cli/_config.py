"""Read defaults of options from ``lexport.toml`` in the working folder."""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from lexport.cli._help import in_plain_words
from lexport.cli._log_options import LOG_OPTIONS
from lexport.errors import SettingsError
from lexport.tables.text import did_you_mean

CONFIG_FILE = "lexport.toml"
MOST_BYTES = 2**20

_OWN_TABLES = {"check": ("thresholds", "waivers"), "report": ("account_names",)}
"""The tables of ``lexport.toml`` that a command reads itself, besides its options."""

_REFUSED = ("notify_url", "notify_url_file")
"""Where a run reports to. The file may come from someone else, who would then get the summaries."""

_SHARED = {"doctor": "snapshot"}
"""Commands that have the defaults of another one, besides their own."""

_ERROR = "lexport.config_error"

_ACCOUNTS = ("accounts", "exclude_account")
"""Options whose values look like numbers, so that users write them as numbers or as lists of numbers."""


def read_config(all_commands: Callable[[], Mapping[str, click.Command]]) -> dict[str, dict[str, Any]]:
    """Read the file: one table per command, with the names of options as keys, written with ``-`` or ``_``.

    Options of logging may stand above all tables, for every command.
    Raises SettingsError that names file, table and key for an unknown command or option, and for a wrong value.
    """
    if not (tables := _load()):
        return {}
    commands = all_commands()
    names = {key for option in LOG_OPTIONS for key in _keys(option)}
    for_all = {key: tables.pop(key) for key in [*tables] if key.replace("-", "_") in names}
    defaults: dict[str, dict[str, Any]] = {}
    for name in commands if for_all else ():
        _table_of(name, defaults).update(_defaults(commands[name], name, for_all))
    for name, table in _of_commands(tables, commands):
        if name in commands and not isinstance(table, dict):
            raise SettingsError(f"{CONFIG_FILE}: {name}: write it as a table: [{name}]", option=CONFIG_FILE)
        if name not in commands:
            raise _unknown_table(name, table, commands)
        own = _OWN_TABLES.get(name, ())
        given = {key: value for key, value in table.items() if key not in own}
        _table_of(name, defaults).update(_defaults(commands[name], name, given))
    for name, other in _SHARED.items():
        known = {parameter.name for parameter in commands[name].params}
        shared = {key: value for key, value in defaults.get(other, {}).items() if key in known}
        if shared:
            defaults[name] = shared | defaults.get(name, {})
    return defaults


def _unknown_table(name: str, table: object, commands: Mapping[str, click.Command]) -> SettingsError:
    """Say what a name above all tables is: an option that stands outside its table, or an unknown command."""
    if not isinstance(table, dict):
        key = name.replace("-", "_")
        takers = [command for command, taker in commands.items() if key in _options(taker)]
        if takers:
            example = "snapshot" if "snapshot" in takers else takers[0]
            message = f"{name} stands above all tables; write it below the table of a command, for example [{example}]"
            return SettingsError(f"{CONFIG_FILE}: {message}", option=CONFIG_FILE)
    hint = did_you_mean(name, commands) or f"; the commands are: {', '.join(commands)}"
    return SettingsError(f"{CONFIG_FILE}: [{name}] is no command{hint}", option=CONFIG_FILE)


def keep_error(context: click.Context, error: SettingsError) -> None:
    """Keep the error of the file for the command, which shows it among other things that are wrong."""
    context.meta[_ERROR] = error


def config_error() -> SettingsError | None:
    """Return the error of the file that was kept for the running command."""
    error: SettingsError | None = click.get_current_context().meta.get(_ERROR)
    return error


def _table_of(name: str, defaults: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the table of a command; "shard plan" is within that of "shard"."""
    place = defaults
    for part in name.split(" "):
        place = place.setdefault(part, {})
    return place


def _of_commands(tables: Mapping[str, Any], commands: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Yield each table with the name of its command; ``[shard.plan]`` is that of ``lexport shard plan``."""
    for name, table in tables.items():
        if isinstance(table, dict) and any(command.startswith(f"{name} ") for command in commands):
            yield from ((f"{name} {step}", inner) for step, inner in table.items())
        else:
            yield name, table


def read_own_tables(command: str) -> dict[str, Any]:
    """Return the tables of ``lexport.toml`` that the command reads itself."""
    table = _load().get(command, {})
    return {name: table[name] for name in _OWN_TABLES[command] if name in table}


def _load() -> dict[str, Any]:
    path = Path(CONFIG_FILE)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SettingsError(f"{CONFIG_FILE}: is not a file", option=CONFIG_FILE)
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise SettingsError(f"{CONFIG_FILE}: is larger than 1 MiB", option=CONFIG_FILE)
        text = raw.decode("utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{CONFIG_FILE}: {error.strerror}", option=CONFIG_FILE) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{CONFIG_FILE}: is not UTF-8 text", option=CONFIG_FILE) from error
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise SettingsError(f"{CONFIG_FILE}: is nested too deeply", option=CONFIG_FILE) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{CONFIG_FILE}: {error}", option=CONFIG_FILE) from error


def _defaults(command: click.Command, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    options = _options(command)
    context = click.Context(command, info_name=name)
    defaults: dict[str, Any] = {}
    for key, value in given.items():
        option = options.get(key.replace("-", "_"))
        if key.replace("-", "_") in _REFUSED:
            raise SettingsError(
                f"{CONFIG_FILE}: [{name}] {key} is not read from this file, which may come from someone else; set"
                " LEXPORT_NOTIFY_URL or --notify-url-file",
                option=CONFIG_FILE,
            )
        if option is None:
            hint = did_you_mean(key.replace("_", "-"), (name.replace("_", "-") for name in options))
            raise SettingsError(f"{CONFIG_FILE}: [{name}] has no option {key}{hint}", option=CONFIG_FILE)
        try:
            taken = as_given(option, value)
            option.type_cast_value(context, taken)
        except click.BadParameter as error:
            raise SettingsError(
                f"{CONFIG_FILE}: [{name}] {key}: {in_plain_words(error.message)}", option=CONFIG_FILE
            ) from error
        except (TypeError, ValueError, OverflowError) as error:
            raise SettingsError(f"{CONFIG_FILE}: [{name}] {key}: {error}", option=CONFIG_FILE) from error
        assert option.name is not None
        defaults[option.name] = taken
    return defaults


def _options(command: click.Command) -> dict[str, click.Option]:
    return {key: option for option in command.params if isinstance(option, click.Option) for key in _keys(option)}


def _keys(option: click.Option) -> set[str]:
    long = {part.removeprefix("--").replace("-", "_") for part in option.opts if part.startswith("--")}
    return long | {option.name or ""}


def as_given(option: click.Option, value: object) -> Any:
    """Convert a value of the file to the text, number or list that the option takes from a command line.

    Raises ValueError for a value of a wrong type. A repeatable option also takes a single value.
    """
    if option.multiple:
        return [_item(option, item) for item in (value if isinstance(value, list) else [value])]
    if isinstance(value, list) and option.name in _ACCOUNTS:
        return ",".join(_item(option, item) for item in value)
    return _item(option, value)


def _item(option: click.Option, value: object) -> Any:
    if isinstance(option.type, click.types.BoolParamType):
        if isinstance(value, bool):
            return value
        raise ValueError(f"{_shown(value)} is neither true nor false")
    if option.nargs > 1:
        parts = value if isinstance(value, list) else [value]
        return [_text(part, is_number_fine=True) for part in parts]
    is_text = isinstance(option.type, click.Path | click.types.StringParamType) and option.name not in _ACCOUNTS
    return _text(value, is_number_fine=not is_text)


def _text(value: object, *, is_number_fine: bool) -> str:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("holds a NUL character")
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if is_number_fine:
            return str(value)
        raise ValueError(f'{value} is a number; if it is meant as text, write it in quotes: "{value}"')
    raise ValueError(f"{_shown(value)} is neither text nor a number")


def _shown(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "a table"
        case list():
            return "a list"
        case str():
            return f'"{value}"'
    return str(value)
