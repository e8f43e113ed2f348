"""The commands of ``lexport``, each from the module of its name, imported when it is needed."""

from __future__ import annotations

import importlib
import os

import click

from lexport.cli._config import read_config
from lexport.cli._options import check_variables
from lexport.model import __version__
from lexport.tables.text import did_you_mean

COMMANDS = (
    "snapshot",
    "packages",
    "plan",
    "sql",
    "diff",
    "feed",
    "views",
    "report",
    "status",
    "check",
    "sbom",
    "verify",
    "schema",
    "iam-policy",
    "simulate",
    "demo",
)


class _Commands(click.Group):
    """The commands, each from the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"lexport.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of some arguments; an error names the command that may be meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"there is no command {args[0]!r}{did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lexport")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Turn an AWS Lambda fleet into a dataset, and ask it questions."""
    for line in check_variables(os.environ, _all_commands):
        click.echo(f"lexport: {line}", err=True)
    ctx.default_map = read_config(_all_commands)


def _all_commands() -> dict[str, click.Command]:
    with click.Context(cli) as context:
        found = {name: cli.get_command(context, name) for name in COMMANDS}
    return {name: command for name, command in found.items() if command is not None}
