"""The commands of ``lexport``. Each command stands in the module of its name, which is imported when it is needed."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import click

from lexport.cli._config import keep_error, read_config
from lexport.cli._help import option_groups, write_examples, write_groups
from lexport.cli._log_options import LOG_OPTIONS, say_early
from lexport.cli._options import check_variables
from lexport.errors import SettingsError
from lexport.tables.text import did_you_mean

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMAND_GROUPS = {
    "Read AWS": {
        "snapshot": "Read the fleet and publish a snapshot.",
        "packages": "Download the deployment packages of a snapshot's functions.",
        "plan": "Estimate the calls and the time of a snapshot.",
        "shard": "Take a snapshot in steps that any scheduler runs: plan, read, commit.",
    },
    "Query": {
        "sql": "Run one SELECT over a dataset, or open a SQL shell.",
        "open": "Open DuckDB's own shell with views of a dataset.",
        "diff": "Show what changed between two snapshots.",
        "status": "List the snapshots and check the age of the newest complete one.",
        "errors": "Show what a run could not read, by kind.",
        "schema": "List all tables and columns, or print them as DDL for a warehouse.",
    },
    "Check": {
        "check": "Run the checks on a dataset; exit 4 if there are findings.",
        "verify": "Check the files of a dataset against their hashes.",
    },
    "Deliver": {
        "views": "Write a DuckDB file with views of a dataset.",
        "feed": "Write the rows that a warehouse has not loaded yet.",
        "load-files": "Write what warehouses need to load the files of one run.",
        "publish": "Add the committed files to tables of Iceberg or DuckLake.",
        "report": "Write a report about the fleet as one HTML file.",
        "sbom": "Write a software bill of materials as CycloneDX.",
    },
    "Remove": {
        "prune": "Remove old snapshots by rules, and what dead runs left.",
        "retire": "Show an account or a Region that has ended as history alone.",
    },
    "Set up and try": {
        "init": "Find out what a snapshot needs, and write lexport.toml.",
        "doctor": "Check credentials, permissions, network, DEST and key.",
        "iam-policy": "Print the least IAM policy that a snapshot needs.",
        "simulate": "Serve a simulated AWS on this machine.",
        "demo": "Take a snapshot of a simulated fleet and query it, without an account.",
    },
}
"""The commands with one line of help each: listing them imports no command."""

COMMANDS = tuple(name for group in COMMAND_GROUPS.values() for name in group)

_WITH_ANY_CONFIG = ("doctor", "init")
"""Commands that run although ``lexport.toml`` is wrong."""

EXAMPLES = ("lexport demo", "lexport snapshot fleet --region eu-west-1", 'lexport sql fleet "FROM runtimes"')


class _Commands(click.Group):
    """The command line as a whole."""

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
        """Find the command that the arguments name; the error for an unknown one suggests a command."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"there is no command {args[0]!r}{did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that begin so; no command is imported."""
        from click.shell_completion import CompletionItem

        lines = [each for group in COMMAND_GROUPS.values() for each in group.items() if each[0].startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=line) for name, line in lines), *options]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and the options under the titles of their groups."""
        commands = {title: list(lines.items()) for title, lines in COMMAND_GROUPS.items()}
        write_groups(formatter, {**commands, **option_groups(self, ctx)})

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        write_examples(formatter, EXAMPLES)


def _print_version(ctx: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value:
        from lexport.cli._version import version_text

        click.echo(version_text())
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the versions of lexport, Python and the libraries, and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Turn an AWS Lambda fleet into a dataset of Parquet files, and query it with SQL."""
    for line in check_variables(os.environ, all_commands):
        say_early(f"lexport: {line}", "warning")
    try:
        ctx.default_map = read_config(all_commands)
    except SettingsError as error:
        if ctx.invoked_subcommand not in _WITH_ANY_CONFIG:
            raise
        keep_error(ctx, error)


cli.params.extend(LOG_OPTIONS)


def all_commands() -> dict[str, click.Command]:
    """Return every command that does something; those of a group have its name before their own."""
    found: dict[str, click.Command] = {}
    with click.Context(cli) as context:
        for name in COMMANDS:
            command = cli.get_command(context, name)
            if isinstance(command, click.Group):
                found |= {f"{name} {step}": each for step, each in command.commands.items()}
            elif command is not None:
                found[name] = command
    return found
