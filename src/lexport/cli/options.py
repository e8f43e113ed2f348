"""How every option is declared: a flag wins over ``LEXPORT_<NAME>``, which wins over ``lexport.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lexport.errors import SettingsError

CONFIG_FILE = "lexport.toml"

_OWN_TABLES = {"check": ("thresholds", "waivers")}
"""What a command reads from its table of ``lexport.toml`` by itself, beside its options."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def option(*declarations: str, **attributes: Any) -> Decorator:
    """Declare an option that ``LEXPORT_<NAME>`` can set too; ``--quota-share`` is ``LEXPORT_QUOTA_SHARE``."""
    long = next(part for part in declarations if part.startswith("--")).split("/")[0]
    variable = "LEXPORT_" + long.removeprefix("--").replace("-", "_").upper()
    return click.option(*declarations, envvar=variable, show_envvar=False, **attributes)


def read_config(commands: dict[str, click.Command]) -> dict[str, dict[str, Any]]:
    """Read ``lexport.toml`` of the working folder: a table per command, keys as its options, ``-`` or ``_``.

    Raises SettingsError naming file and key for what no command knows.
    """
    defaults: dict[str, dict[str, Any]] = {}
    for name, table in _load().items():
        if name in commands and not isinstance(table, dict):
            raise SettingsError(f"{CONFIG_FILE}: {name}: write it as a table: [{name}]", option=CONFIG_FILE)
        if name not in commands:
            raise SettingsError(
                f"{CONFIG_FILE}: [{name}] is no command; known: {', '.join(commands)}", option=CONFIG_FILE
            )
        known = {parameter.name for parameter in commands[name].params if isinstance(parameter, click.Option)}
        own = _OWN_TABLES.get(name, ())
        values = {key.replace("-", "_"): value for key, value in table.items() if key not in own}
        for key in values:
            if key not in known:
                raise SettingsError(f"{CONFIG_FILE}: [{name}] has no option {key}", option=CONFIG_FILE)
        defaults[name] = values
    return defaults


def read_own_tables(command: str) -> dict[str, Any]:
    """Read what a command reads from ``lexport.toml`` by itself."""
    table = _load().get(command, {})
    return {name: table[name] for name in _OWN_TABLES[command] if name in table}


def _load() -> dict[str, Any]:
    path = Path(CONFIG_FILE)
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}", option=CONFIG_FILE) from error
