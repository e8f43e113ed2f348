"""The text of a new ``lexport.toml``: what was found as lines that count, other usual options as comments. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import click

_WIDTH = 100

COMMANDS = {
    "snapshot": "lexport snapshot {dest}",
    "plan": "lexport plan",
    "packages": "lexport packages {dest}",
}
"""The tables that hold what was found, and the command that reads each."""

_USUAL: dict[str, dict[str, Any]] = {
    "snapshot": {
        "region": "eu-west-1,us-east-1",
        "profile": "inventory",
        "account-role": "lexport-reader",
        "organization": True,
        "exclude-account": ["111122223333"],
        "incremental": True,
        "refresh-after": "7d",
        "packages": True,
        "layers": True,
        "env": "keys",
        "hash-key-file": "/etc/lexport/hash.key",
        "quota-share": 0.5,
        "deadline": "5h",
        "allow-partial": True,
        "summary-file": "/var/lib/lexport/summary.json",
        "metrics-file": "/var/lib/node_exporter/lexport.prom",
    },
    "status": {"max-age": "26h"},
    "check": {"fail-on": "medium"},
    "report": {"title": "Lambda fleet", "owner-tag": "team"},
}
"""Options that many set, with an example each."""

SECRETS = ("external_id",)
"""Options that are not written, though they are given: others can read the file."""

_HEAD = """\
# Written by lexport init. lexport reads this file in the working directory; lexport doctor checks it.
# A table has the name of a command, a key that of an option: lexport COMMAND --help shows all of them.
# A flag counts before a LEXPORT_... variable, and that before this file. A line that begins with # is a comment.
# Keep secrets out of it: the key of the HMACs is read from LEXPORT_HASH_KEY or from --hash-key-file, the external id
# of a role from LEXPORT_EXTERNAL_ID, and AWS credentials as the AWS CLI finds them.
"""


def config_text(found: Mapping[str, Any], commands: Mapping[str, click.Command], *, dest: str) -> str:
    """Write the file. ``found`` are values by the names of options, as the command line parses them."""
    lines = [_HEAD.rstrip()]
    for name, shown in COMMANDS.items():
        lines += ["", f"[{name}]  # {_one_line(shown.format(dest=dest))}", *_found(found, commands[name])]
        if name in _USUAL:
            lines += _usual(found, commands[name], _USUAL[name])
    for name, examples in _USUAL.items():
        if name not in COMMANDS:
            lines += ["", f"# [{name}]", *_usual({}, commands[name], examples)]
    return "\n".join(lines) + "\n"


def _found(found: Mapping[str, Any], command: click.Command) -> Iterator[str]:
    for option in _options(command):
        if option.name in found and option.name not in SECRETS:
            yield f"{_key(option)} = {_value(option, found[option.name])}"


def _usual(found: Mapping[str, Any], command: click.Command, examples: Mapping[str, Any]) -> Iterator[str]:
    by_key = {_key(option): option for option in _options(command)}
    for key, example in examples.items():
        option = by_key.get(key)
        if option is None or option.name in found:
            continue
        yield "#"
        yield from textwrap.wrap(option.help or "", _WIDTH, initial_indent="# ", subsequent_indent="# ")
        yield f"# {key} = {_toml(example)}"


def _options(command: click.Command) -> Iterator[click.Option]:
    yield from (parameter for parameter in command.params if isinstance(parameter, click.Option))


def _key(option: click.Option) -> str:
    return next(part for part in option.opts if part.startswith("--")).removeprefix("--")


def _value(option: click.Option, value: Any) -> str:
    if option.name == "region":
        return _toml(",".join(value))
    if option.multiple:
        return _toml(list(value))
    return _toml(value)


def _toml(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
