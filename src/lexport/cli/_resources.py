"""The option ``--with``: it exists if there are resources that a snapshot reads only on request."""

from __future__ import annotations

import click

from lexport.cli._help import Command, Group, Option
from lexport.tables.registry import optional_resources


class ResourceCommand(Command):
    """A command with ``--with``. Resources may be registered after the command was declared."""

    resource_group: Group = "Functions"

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the declared options and ``--with``."""
        names = [resource.name for resource in optional_resources()]
        if not names:
            return super().get_params(ctx)
        option = Option(
            ["--with", "with_resources"],
            group=self.resource_group,
            type=click.Choice(names),
            multiple=True,
            envvar="LEXPORT_WITH",
            help="Also read this resource (repeatable).",
        )
        return [*super().get_params(ctx), option]


class PolicyCommand(ResourceCommand):
    """The same for a command that prints a policy."""

    resource_group: Group = "Policy"
