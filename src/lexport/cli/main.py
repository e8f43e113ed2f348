"""Arguments -> exit code. Errors become one line and a code here, and nowhere else; commands are imported late."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from lexport import __version__
from lexport.cli.options import CONFIG_FILE, read_config
from lexport.errors import LexportError, RunError

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


def run(arguments: Sequence[str] | None = None) -> int:  # noqa: PLR0911 - one for each way to end
    """Run one command and return its exit code."""
    try:
        # Not cli.main(): it would answer a closed pipe with exit code 1.
        with cli.make_context("lexport", list(sys.argv[1:] if arguments is None else arguments)) as context:
            code = cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        _say(error.format_message())
        return 2
    except click.exceptions.Exit as done:
        return done.exit_code
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
    with suppress(OSError):  # nobody reads it, and the exit code says it too
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints errors


def main() -> NoReturn:
    """Run the command line of this process, and end the process with its exit code.

    The interpreter is not torn down: all files are closed by then, and compiled libraries spoil an exit code or print
    after the last line while it happens (pyreqwest 0.15's thread, duckdb 2.0's leak notices).
    """
    try:
        code = run()
    except SystemExit as end:  # a signal ended the run
        code = end.code if isinstance(end.code, int) else 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed by whoever read it
            stream.flush()
    os._exit(code)
