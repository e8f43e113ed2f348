"""The options of logging. Every command has them, and so has ``lexport`` itself, before the command's name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from lexport.cli._help import Option
from lexport.errors import SettingsError

_GIVEN = "lexport.log_options"
_RANKS = {ParameterSource.COMMANDLINE: 3, ParameterSource.ENVIRONMENT: 2, ParameterSource.DEFAULT_MAP: 1}
TYPED = _RANKS[ParameterSource.COMMANDLINE]

FORMATS = ("text", "json")
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}  # those of logging, which the help does not import


def rank(context: click.Context, name: str) -> int:
    """Return the rank of where an option's value comes from: ``TYPED``, a variable, ``lexport.toml``, 0 for none."""
    source = context.get_parameter_source(name)
    return _RANKS.get(source, 0) if source else 0


def _take(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Keep the value that counts: a typed one before the environment, and that before ``lexport.toml``."""
    assert option.name is not None
    given = context.meta.setdefault(_GIVEN, {})
    own = rank(context, option.name)
    if own and own >= given.get(option.name, (0, None))[0]:
        given[option.name] = (own, value)


def _option(*flags: str, text: str, **more: Any) -> Option:
    variable = f"LEXPORT_{flags[-1].removeprefix('--').replace('-', '_').upper()}"
    return Option(
        flags, group="Messages", help=text, envvar=variable, expose_value=False, is_eager=True, callback=_take, **more
    )


LOG_OPTIONS = (
    _option("-v", "--verbose", text="Say more: -v what is done, -vv every detail, that of libraries too.", count=True),
    _option("-q", "--quiet", text="Print errors alone.", is_flag=True),
    _option(
        "--log-level",
        metavar="LEVEL",
        text="Log lines of at least this level: debug, info, warning or error.",
        type=click.Choice([*LEVELS], case_sensitive=False),
    ),
    _option(
        "--log-format",
        metavar="FORMAT",
        text="Write each line on stderr as text, or as a JSON object (json).",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
    ),
    _option("--log-file", text="Append the log to this file instead of showing it.", metavar="FILE"),
)


def set_up_logging(context: click.Context) -> None:
    """Set up logging as the options say. Raises UsageError for options that contradict each other."""
    from lexport.aws.logs import LogSettings, set_up

    given: Mapping[str, tuple[int, Any]] = context.meta.get(_GIVEN, {})
    ranks = {name: given[name][0] for name in ("verbose", "quiet", "log_level") if name in given and given[name][1]}
    file = given["log_file"][1] if "log_file" in given else None
    highest = [name for name, rank in ranks.items() if rank == max(ranks.values())]
    if len(highest) > 1 and (file is None or "quiet" not in highest):
        flags = {"verbose": "-v", "quiet": "-q", "log_level": "--log-level"}
        raise click.UsageError(f"{' and '.join(flags[name] for name in highest)} contradict each other", context)
    level = None
    if "verbose" in highest:
        level = LEVELS["info" if given["verbose"][1] == 1 else "debug"]
    elif "log_level" in ranks and ("log_level" in highest or file is not None):
        level = LEVELS[given["log_level"][1]]
    is_json = "log_format" in given and given["log_format"][1] == "json"
    set_up(LogSettings(level=level, quiet="quiet" in highest, format="json" if is_json else "text", file=file or None))


def say_early(line: str, level: str, *, arguments: Sequence[str] | None = None, **fields: object) -> None:
    """Say something about the command line itself, such as that an option is wrong, wherever logging is not set up."""
    from lexport.aws.logs import LogSettings, is_set_up, say, set_up

    if not is_set_up():
        context = click.get_current_context(silent=True)
        words = arguments or (context.find_root().obj if context else None) or ()
        form, file = _last(words, "--log-format", "LEXPORT_LOG_FORMAT"), _last(words, "--log-file", "LEXPORT_LOG_FILE")
        early = LogSettings(format="json" if form == "json" else "text", file=file or None)
        try:
            set_up(early)
        except SettingsError:  # the command itself says so
            set_up(replace(early, file=None))
    say(line, LEVELS[level], **fields)


def _last(arguments: Sequence[str], flag: str, variable: str) -> str:
    value = os.environ.get(variable, "")
    typed = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for argument, following in zip(typed, [*typed[1:], ""], strict=False):  # without any, there are none
        if argument == flag:
            value = following
        elif argument.startswith(f"{flag}="):
            value = argument.partition("=")[2]
    return value
