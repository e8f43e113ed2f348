"""``lexport shard plan|read|commit``: a snapshot in three steps, for schedulers that start processes on many machines.

Each command prints one JSON object on standard output.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lexport.cli._dest_options import dest_options
from lexport.cli._fleet_options import (
    fleet_options,
    fleet_settings,
    group_readable_option,
    publication_options,
    reading_options,
)
from lexport.cli._options import Decorator, argument, choose_key_file, declare_command, option, parsed_by
from lexport.cli._output import notify
from lexport.cli._outputs.options import output_options
from lexport.cli._outputs.record import current_record
from lexport.cli._resource_options import resource_options
from lexport.cli.snapshot import note_lines, print_summary
from lexport.model import Scope, is_ulid
from lexport.settings import Destination, is_account_id
from lexport.tables.text import plural

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lexport.extract.progress import Report
    from lexport.model import ShardResult

T = TypeVar("T")

_REGION = re.compile(r"[a-z0-9-]{1,64}")


def _parse_run(text: str) -> str:
    if is_ulid(text):
        return text
    raise ValueError(f"{text} is not the whole id of a run, a ULID of 26 characters")


def _parse_account(text: str) -> str:
    if is_account_id(text):
        return text
    raise ValueError(f"{text} is not the id of an account, which has 12 digits")


def _parse_region(text: str) -> str:
    if _REGION.fullmatch(text):
        return text
    raise ValueError(f"{text} is not the name of a Region")


_PROFILE = option("Target", "--profile NAME", "Use this profile of ~/.aws/config.")
_RUN: Decorator = argument("run", type=parsed_by(_parse_run))


class _Steps(click.Group):
    """The steps, listed in the order in which they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands)


@click.group("shard", cls=_Steps, subcommand_metavar="plan|read|commit ...")
def command() -> None:
    """Take a snapshot in steps that any scheduler runs: plan once, read each account-region, commit once."""


@declare_command(
    "plan",
    "lexport shard plan s3://bucket/fleet --region eu-west-1,us-east-1",
    "lexport shard plan s3://bucket/fleet --region all --organization --account-role lexport-reader",
)
@argument("dest")
@fleet_options
@reading_options
@resource_options
@group_readable_option
@option(
    "Publication",
    "--run ULID",
    "Give the run this id; the plan of an id that was planned before is printed again.",
    type=parsed_by(_parse_run),
    has_variable=False,
)
@dest_options(writes=True)
def plan_command(dest: Destination, run: str | None, **options: Any) -> int:
    """Decide which account-regions a run reads, and leave the plan in DEST.

    Prints the id of the run, and the path of the plan: a JSON object for each account-region, one a line.
    """
    from lexport.dataset.layout import shards_path
    from lexport.extract.plan_shards import plan_shards

    settings = fleet_settings(options | {"snapshot_id": run})
    spec = _run(lambda report: plan_shards(dest, settings, report=report), left="nothing was planned")
    _print(
        {
            "run": spec.snapshot_id,
            "snapshot_at": spec.snapshot_at,
            "destination": dest.url if "://" in dest.url else str(Path(dest.url).absolute()),
            "shards": len(spec.shards),
            "shards_path": shards_path(spec.snapshot_id),
            "hash_key_id": spec.hash_key_id,
        }
    )
    return 0


@declare_command(
    "read",
    "lexport shard read s3://bucket/fleet 01KB0000000000000000000002 111122223333 eu-west-1",
    "lexport shard read fleet 01KB0000000000000000000002 111122223333 us-east-1 --hash-key-file hash.key",
)
@argument("dest")
@_RUN
@argument("account", type=parsed_by(_parse_account))
@argument("region", type=parsed_by(_parse_region))
@_PROFILE
@option(
    "Environment variables",
    "--hash-key-file FILE",
    "Read the key of the HMACs, that of the plan, from this file, in base64 as in LEXPORT_HASH_KEY.",
    type=click.Path(path_type=Path),
    callback=choose_key_file,
)
@dest_options(writes=True)
def read_command(dest: Destination, run: str, account: str, region: str, **own: Any) -> int:
    """Read one account-region of a planned run, and leave its rows and its result in DEST; print the result.

    Exit code 3 means that it was read with gaps, 1 that another attempt may read more: it goes on from what is staged.
    An account-region that is read by now takes no call.
    """
    from lexport.extract.shard_process import OwnAccess, read_planned_shard

    scope = Scope(account_id=account, region=region)
    result = _run(
        lambda report: read_planned_shard(dest, run, scope, OwnAccess(**own), report=report),
        left="what was read is kept; the same command goes on with it",
    )
    _print(result)
    code = _exit_code(result)
    if code == 1:
        notify(
            f"{scope} is not read whole: {plural(result.gaps, 'gap')}; the same command tries them again",
            level=logging.ERROR,
        )
    return code


def _exit_code(result: ShardResult) -> int:
    if not result.gaps and result.status in ("complete", "unavailable"):
        return 0
    return 3 if result.is_final or result.status == "denied" else 1


@declare_command(
    "commit",
    "lexport shard commit s3://bucket/fleet 01KB0000000000000000000002",
    "lexport shard commit s3://bucket/fleet 01KB0000000000000000000002 --allow-partial",
)
@argument("dest")
@_RUN
@_PROFILE
@publication_options
@dest_options(writes=True)
@output_options
def commit_command(dest: Destination, run: str, **options: Any) -> int:
    """Publish what the account-regions of a planned run have left in DEST, as one snapshot, and print what it has.

    An account-region that nobody has read is a gap; without --allow-partial, the exit code is then 1. A run that is
    published by now is printed again.
    """
    from lexport.pipeline import commit_shards

    manifest = _run(
        lambda report: commit_shards(dest, run, report=report, **options),
        left="nothing was published, and what was read is kept; the same command goes on with it",
    )
    current_record().manifest = manifest
    scopes = manifest.scopes
    _print(
        {
            "snapshot_id": manifest.snapshot_id,
            "snapshot_at": manifest.snapshot_at,
            "status": manifest.status,
            "gaps": manifest.gaps,
            "shards": len(scopes),
            "functions": sum(scope.functions for scope in scopes),
            "versions": sum(scope.versions for scope in scopes),
            "get_function_calls": sum(scope.get_function_calls for scope in scopes),
            "list_calls": sum(scope.list_calls for scope in scopes),
            "throttles": sum(scope.throttles for scope in scopes),
        }
    )
    return 3 if manifest.status == "partial" else 0


for step in (plan_command, read_command, commit_command):
    command.add_command(step)


def _run(work: Callable[[Report], Awaitable[T]], *, left: str) -> T:
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # see lexport snapshot
    from lexport.cli._async import choose_report, run_async
    from lexport.extract.event_loop import allow_many_files

    record = current_record()
    report = record.watch(choose_report())
    allow_many_files()
    try:
        return run_async(lambda: work(report), on_interrupt=lambda: left)
    finally:
        if record.progress is not None:
            print_summary(*note_lines(record.progress.notes))


def _print(value: object) -> None:
    import msgspec

    click.echo(msgspec.json.encode(value).decode())
