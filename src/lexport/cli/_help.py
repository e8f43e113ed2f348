"""Help pages: options and commands under the titles of their groups, then examples."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_TYPE = re.compile(r"(?<=is not )a valid (integer|float)(?: range)?\.$")

Group = Literal[
    "Target",
    "Accounts",
    "Functions",
    "Resources",
    "Environment variables",
    "Quota",
    "Incremental snapshots",
    "Packages",
    "Interrupted runs",
    "Several processes",
    "Publication",
    "Queries",
    "Rules",
    "Removal",
    "Shipped views",
    "Checks",
    "Contents",
    "Tables",
    "Warehouse",
    "Policy",
    "Fleet",
    "Server",
    "Object stores",
    "Output",
    "Messages",
]
"""The titles that options stand under. Each command shows them in the order in which it declares its options."""

Record = tuple[str, str]
Names = Callable[[], Sequence[str]]

_WIDEST_TERM = 30


class _Completed(click.Parameter):
    """An option or argument whose values the shell completes."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what can continue a value."""
        from lexport.cli._completion import complete_value

        known = complete_value(ctx, self, incomplete)
        return super().shell_complete(ctx, incomplete) if known is None else known


class Argument(_Completed, click.Argument):
    """An argument whose values the shell completes."""


class Option(_Completed, click.Option):
    """An option that stands under the title of its group.

    ``names`` lists what it takes: the help names them, and the shell completes each part of a list with commas. They
    are listed late, because resources may be registered after a command was declared.
    """

    def __init__(self, *args: Any, group: Group, names: Names | None = None, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.group = group
        self.names = names

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what can continue a value: each name, also as the last part of a list with commas."""
        if self.names is None:
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        begun, comma, last = incomplete.rpartition(",")
        return [CompletionItem(f"{begun}{comma}{name}") for name in self.names() if name.startswith(last)]

    def get_help_record(self, ctx: click.Context) -> Record | None:
        """Return the two columns of the help."""
        record = super().get_help_record(ctx)
        if record is None or self.names is None:
            return record
        return record[0], f"{record[1].removesuffix('.')}: {', '.join(self.names())}."


class Command(click.Command):
    """A command whose help shows options in groups, then examples."""

    def __init__(self, *args: Any, examples: Sequence[str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. An option whose value is still to be completed keeps no argument from being read."""
        if ctx.resilient_parsing and args and args[-1].startswith("-"):
            args = args[:-1]
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:  # one about an option without its value does not say of which command
            error.ctx = error.ctx or ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under the titles of their groups."""
        write_groups(formatter, option_groups(self, ctx))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples."""
        write_examples(formatter, self.examples)


def option_groups(command: click.Command, context: click.Context) -> dict[str, list[Record]]:
    """Return the help of each option under the title of its group; click's own options come last, under "Help"."""
    groups: dict[str, list[Record]] = {}
    others = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None and isinstance(parameter, Option):
            groups.setdefault(parameter.group, []).append(record)
        elif record is not None:
            others.append(record)
    return {**groups, "Help": others}


def write_groups(formatter: click.HelpFormatter, groups: Mapping[str, Iterable[Record]]) -> None:
    """Write each group as a section; the second columns of all sections begin at the same place."""
    listed = {title: list(records) for title, records in groups.items()}
    term_max = min(_WIDEST_TERM, formatter.width // 2)
    widths = {title: min(term_max, max(len(term) for term, _ in records)) for title, records in listed.items()}
    for title, records in listed.items():
        with formatter.section(title):
            formatter.write_dl(records, col_max=term_max, col_spacing=max(widths.values()) - widths[title] + 2)


def write_examples(formatter: click.HelpFormatter, examples: Iterable[str]) -> None:
    """Write the examples as they are: a line that is wrapped could not be copied."""
    with formatter.section("Examples"):
        for example in examples:
            formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def in_plain_words(message: str) -> str:
    """Return a message of click without its names of types."""
    message = message.replace("\n\t", " ")  # between the names of a choice
    return _TYPE.sub(lambda found: "a whole number." if found[1] == "integer" else "a number.", message)
