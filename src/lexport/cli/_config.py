"""``lexport.toml`` of the working folder -> defaults of the commands, each as its option takes it."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from lexport.errors import SettingsError

CONFIG_FILE = "lexport.toml"
MOST_BYTES = 2**20

_OWN_TABLES = {"check": ("thresholds", "waivers")}
"""What a command reads from its table of ``lexport.toml`` by itself, beside its options."""

_ACCOUNTS = ("accounts", "exclude_account")
"""Options whose values look like numbers, so that people write them as numbers, or as a list."""


def read_config(all_commands: Callable[[], Mapping[str, click.Command]]) -> dict[str, dict[str, Any]]:
    """Read the file: a table per command, keys as its options, ``-`` or ``_``.

    Raises SettingsError naming file, table and key for what no command knows, and for a value that its option refuses.
    """
    if not (tables := _load()):
        return {}
    commands = all_commands()
    defaults: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        if name in commands and not isinstance(table, dict):
            raise SettingsError(f"{CONFIG_FILE}: {name}: write it as a table: [{name}]", option=CONFIG_FILE)
        if name not in commands:
            raise SettingsError(
                f"{CONFIG_FILE}: [{name}] is no command; known: {', '.join(commands)}", option=CONFIG_FILE
            )
        own = _OWN_TABLES.get(name, ())
        given = {key: value for key, value in table.items() if key not in own}
        defaults[name] = _defaults(commands[name], name, given)
    return defaults


def read_own_tables(command: str) -> dict[str, Any]:
    """Read what a command reads from ``lexport.toml`` by itself."""
    table = _load().get(command, {})
    return {name: table[name] for name in _OWN_TABLES[command] if name in table}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name that was perhaps meant."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=0.75)), None)


def _load() -> dict[str, Any]:
    path = Path(CONFIG_FILE)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise SettingsError(f"{CONFIG_FILE}: is not a file", option=CONFIG_FILE)
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise SettingsError(f"{CONFIG_FILE}: is larger than 1 MiB", option=CONFIG_FILE)
        return tomllib.loads(raw.decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{CONFIG_FILE}: {error.strerror}", option=CONFIG_FILE) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{CONFIG_FILE}: is not UTF-8 text", option=CONFIG_FILE) from error
    except RecursionError as error:
        raise SettingsError(f"{CONFIG_FILE}: is nested too deeply", option=CONFIG_FILE) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{CONFIG_FILE}: {error}", option=CONFIG_FILE) from error


def _defaults(command: click.Command, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    options = {key: option for option in command.params if isinstance(option, click.Option) for key in _keys(option)}
    context = click.Context(command, info_name=name)
    found: dict[str, Any] = {}
    for key, value in given.items():
        option = options.get(key.replace("-", "_"))
        if option is None:
            near = nearest(key.replace("_", "-"), (known.replace("_", "-") for known in options))
            hint = f"; did you mean {near}?" if near else ""
            raise SettingsError(f"{CONFIG_FILE}: [{name}] has no option {key}{hint}", option=CONFIG_FILE)
        try:
            taken = as_given(option, value)
            option.type_cast_value(context, taken)
        except click.BadParameter as error:
            raise SettingsError(f"{CONFIG_FILE}: [{name}] {key}: {error.message}", option=CONFIG_FILE) from error
        except (TypeError, ValueError, OverflowError) as error:
            raise SettingsError(f"{CONFIG_FILE}: [{name}] {key}: {error}", option=CONFIG_FILE) from error
        assert option.name is not None
        found[option.name] = taken
    return found


def _keys(option: click.Option) -> set[str]:
    long = {part.removeprefix("--").replace("-", "_") for part in option.opts if part.startswith("--")}
    return long | {option.name or ""}


def as_given(option: click.Option, value: object) -> Any:
    """Turn a value of the file into what the option takes from a command line; raises ValueError where it is neither.

    Where many may be given, one is a list of one.
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
    raise ValueError(f"{_shown(value)} is not what is wanted here; write text or a number")


def _shown(value: object) -> str:
    """Show a value as the file has it."""
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
