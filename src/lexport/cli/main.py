"""Arguments -> exit code. Errors become one line and a code here, and nowhere else; commands are imported late."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from lexport import __version__
from lexport.cli.options import CONFIG_FILE, read_config
from lexport.errors import LexportError, RunError

COMMANDS = ("snapshot", "plan", "sql", "views", "status", "schema", "iam-policy", "simulate", "demo")


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


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lexport")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Turn an AWS Lambda fleet into a dataset, and ask it questions."""
    if Path(CONFIG_FILE).exists():
        ctx.default_map = read_config({name: _find(ctx, name) for name in COMMANDS})


def _find(ctx: click.Context, name: str) -> click.Command:
    command = cli.get_command(ctx, name)
    assert command is not None
    return command


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        code = cli.main(args=arguments, prog_name="lexport", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "lexport"
        _say(f"{where}: {error.format_message()} (see {where} --help)")
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    except RunError as error:
        _say(f"lexport: {error}")
        return error.exit_code
    except LexportError as error:
        _say(f"lexport: {error}")
        return 1
    except BrokenPipeError:
        # The reader has gone, as with `| head`; keep the interpreter from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - the one place that prints errors


def main() -> NoReturn:
    """Run the command line of this process."""
    sys.exit(run())
