"""Declare options. A flag wins over the variable ``LEXPORT_<NAME>``, which wins over ``lexport.toml``."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import reduce, wraps
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from lexport.cli._config import CONFIG_FILE
from lexport.cli._help import Argument, Command, Group, Option
from lexport.cli._log_options import LOG_OPTIONS, say_early, set_up_logging
from lexport.errors import SettingsError
from lexport.tables.text import nearest
from lexport.tables.units import parse_duration, parse_size

KEY_VARIABLE = "LEXPORT_HASH_KEY"
NOTIFY_VARIABLE = "LEXPORT_NOTIFY_URL"

_PREFIX = "LEXPORT_"
_TEST_VARIABLES = {
    "LEXPORT_FAULTS",
    "LEXPORT_REQUIRE_ALL",
    "LEXPORT_TEST_WAITS",
    "LEXPORT_TORTURE",
    "LEXPORT_WRITE_GOLDEN",
}

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def option(
    group: Group, usage: str, text: str, name: str | None = None, *, has_variable: bool = True, **attributes: Any
) -> Decorator:
    """Declare an option. ``usage`` is its first column in the help, e.g. ``-o, --output-file FILE``.

    An option with neither a metavar nor a type is a flag. ``LEXPORT_OUTPUT_FILE`` can set ``--output-file`` too.
    """
    words = usage.split()
    flags = [word.rstrip(",") for word in words if word.startswith("-")]
    metavar = " ".join(words[len(flags) :]) or None
    long = flags[-1].split("/")[0].removeprefix("--")
    return click.option(
        *flags,
        *([name] if name else []),
        cls=Option,
        group=group,
        metavar=metavar,
        show_default="default" in attributes,
        help=f"{text.removesuffix('.')} (repeatable)." if attributes.get("multiple") else text,
        envvar=f"{_PREFIX}{long.replace('-', '_').upper()}" if has_variable else None,
        show_envvar=False,
        # Not False for the others: an option that is told so may stand without its value.
        **({"is_flag": True} if metavar is None and "type" not in attributes else {}) | attributes,
    )


def argument(name: str, **attributes: Any) -> Decorator:
    """Declare an argument, which the shell completes as it does options."""
    return click.argument(name, cls=Argument, **attributes)


def declare_options(options: Iterable[Decorator]) -> Decorator:
    """Declare several options on a command, in this order."""
    decorators = [*options]
    return lambda command: reduce(lambda declared, decorator: decorator(declared), reversed(decorators), command)


def declare_command(name: str, *examples: str) -> Callable[..., click.Command]:
    """Declare a command with examples of its use."""
    declared = click.command(name, cls=Command, examples=examples)

    def with_log_options(function: Callable[..., Any]) -> click.Command:
        @wraps(function)
        def logged(*arguments: Any, **options: Any) -> Any:
            set_up_logging(click.get_current_context())
            return function(*arguments, **options)

        command: click.Command = declared(logged)
        command.params.extend(LOG_OPTIONS)
        return command

    return with_log_options


def parsed_by(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a type of options that shows the message of the ValueError that ``parse`` raises."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return convert


duration = parsed_by(parse_duration)
size = parsed_by(parse_size)


# --- variables ----------------------------------------------------------------------------------------------------


def check_variables(environment: Mapping[str, str], commands: Callable[[], Mapping[str, click.Command]]) -> list[str]:
    """Return a warning for each ``LEXPORT_…`` variable that no option reads.

    Unknown variables are no error, because schedulers set their own. Raises SettingsError for a value that is not text.
    """
    given = {name for name in environment if name.startswith(_PREFIX)}
    for name in sorted(given):
        try:
            environment[name].encode()
        except UnicodeEncodeError:
            raise SettingsError(f"the variable {name} is not UTF-8 text", option=name) from None
    given -= {KEY_VARIABLE, NOTIFY_VARIABLE, *_TEST_VARIABLES}
    return list(_unknown(given, known_variables(commands()))) if given else []


def known_variables(commands: Mapping[str, click.Command]) -> set[str]:
    """Return the variables that options read, and those that are read elsewhere."""
    read = {
        option.envvar
        for command in commands.values()
        for option in command.get_params(click.Context(command))
        if isinstance(option, click.Option) and isinstance(option.envvar, str)
    }
    return read | {KEY_VARIABLE, NOTIFY_VARIABLE} | _TEST_VARIABLES


def _unknown(variables: Collection[str], settings: Collection[str]) -> Iterator[str]:
    names = {variable.removeprefix(_PREFIX) for variable in settings}
    for name in sorted(set(variables) - set(settings)):
        near = nearest(name.removeprefix(_PREFIX), names, most=1)
        hint = f"; did you mean {_PREFIX}{near[0]}?" if near else ""
        yield f"the variable {name} is no setting and is not read{hint}"


# --- where a value comes from -------------------------------------------------------------------------------------


def print_redirection(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Print a notice if ``lexport.toml`` decides where requests go: the file may come from someone else."""
    assert parameter.name is not None
    if value and context.get_parameter_source(parameter.name) is ParameterSource.DEFAULT_MAP:
        hosts = ", ".join(map(_host, (value,) if isinstance(value, str) else value))
        key = parameter.name.replace("_", "-")
        say_early(
            f"lexport: {Path(CONFIG_FILE).absolute()} says where requests go: [{context.info_name}] {key} = {hosts}",
            "info",
        )
    return value


def _host(address: str) -> str:
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
    except ValueError:
        return "an invalid address"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme else host


def choose_key_file(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Ignore a path to a key from a variable or ``lexport.toml`` if ``LEXPORT_HASH_KEY`` holds a key."""
    assert parameter.name is not None
    is_flag = context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE
    return value if is_flag or not os.environ.get(KEY_VARIABLE) else None
