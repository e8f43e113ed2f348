"""``lexport init [DEST]``: find out what a snapshot needs, and write it to a new ``lexport.toml``."""

from __future__ import annotations

import json
import logging
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lexport.cli._config import CONFIG_FILE
from lexport.cli._dest_options import dest_options
from lexport.cli._fleet_options import fleet_options, fleet_settings
from lexport.cli._options import argument, declare_command
from lexport.cli._output import notify
from lexport.errors import SettingsError, WriteError
from lexport.settings import ALL_REGIONS, Destination
from lexport.tables.choice import choose_resources
from lexport.tables.text import first_of

if TYPE_CHECKING:
    from lexport.cli._probes.account import Facts
    from lexport.cli._probes.findings import Finding

_USUAL_DEST = "fleet"


@declare_command(
    "init",
    "lexport init",
    "lexport init s3://bucket/fleet --profile inventory",
    "lexport init fleet --account-role lexport-reader --organization",
)
@argument("dest", required=False)
@fleet_options
@dest_options(writes=True)
def command(dest: Destination | None, **options: Any) -> int:
    """Find the Regions that have functions, check what is allowed, and write lexport.toml.

    The file is written in the working directory and has comments; a file that is there is never changed. Nothing is
    asked. What is found is printed as lexport doctor prints it, and then the policy that is missing.

    The exit code is 0 if the file is written. Where nothing may be read, nothing is written, and it is 5.
    """
    from lexport.cli._async import run_async
    from lexport.cli._commands import all_commands
    from lexport.cli._probes.draft import config_text
    from lexport.cli._probes.examine import Findings, examine, line_of, missing_policy
    from lexport.cli._probes.findings import exit_code

    path = Path(CONFIG_FILE)
    _check_is_new(path)
    given = _given()
    settings = choose_resources(fleet_settings(options))
    if not settings.regions:
        settings = replace(settings, regions=(ALL_REGIONS,))

    def show(finding: Finding) -> None:
        with suppress(BrokenPipeError):
            click.echo(line_of(finding))

    findings = Findings(show=show)
    facts = run_async(lambda: examine(settings, dest, findings.add))
    if (policy := missing_policy(settings, facts, findings.found)) is not None:
        click.echo(f"\nThis policy is missing:\n{json.dumps(policy, indent=2)}\n")
    if not facts.functions_in:
        notify(f"no function can be listed, so {CONFIG_FILE} is not written; {_advice(policy)}", level=logging.ERROR)
        return exit_code(findings.found) or 1
    where = str(dest) if dest is not None else _USUAL_DEST
    text = config_text(_found(given, facts), all_commands(), dest=shlex.quote(where))
    _write_new(path, text.encode())
    notify(f"wrote {path.absolute()}", *_next_steps(where, is_allowed=policy is None))
    return 0


def _check_is_new(path: Path) -> None:
    if os.path.lexists(path):
        raise SettingsError(
            f"{path.absolute()} is there already and was not changed; edit it, or remove it and run lexport init again;"
            " lexport doctor checks it",
            option=CONFIG_FILE,
        )


def _given() -> dict[str, Any]:
    """Return the options that the user gave, by name, in a form that ``lexport.toml`` takes."""
    context = click.get_current_context()
    is_given = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    given = {name: value for name, value in context.params.items() if context.get_parameter_source(name) in is_given}
    given.pop("dest", None)
    return {name: _plain(value) for name, value in given.items()}


def _plain(value: Any) -> Any:
    return f"{value.total_seconds():g}s" if isinstance(value, timedelta) else value


def _found(given: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """Return the options for the file: those that were given, the profile, and the Regions that have functions."""
    found = dict(given)
    if profile := os.environ.get("AWS_PROFILE"):
        found.setdefault("profile", profile)
    full = tuple(region for region, has_functions in facts.functions_in.items() if has_functions)
    found.setdefault("region", full or (ALL_REGIONS,))
    return found


def _write_new(path: Path, body: bytes) -> None:
    """Create the file; one that is there by now, or a link, is left as it is. An interrupt leaves nothing."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        _check_is_new(path)
        raise
    except OSError as error:
        raise WriteError(f"cannot write {path.absolute()}: {error.strerror}", path=str(path)) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise WriteError(f"cannot write {path.absolute()}: {error.strerror}", path=str(path)) from error
        raise


def _advice(policy: object) -> str:
    if policy is not None:
        return "attach the policy above to the user or role, and run lexport init again"
    return "correct what is named as an error above, and run lexport init again"


def _next_steps(dest: str, *, is_allowed: bool) -> list[str]:
    steps = ["lexport plan", f"lexport snapshot {shlex.quote(dest)}"]
    missing = [] if is_allowed else ["attach the policy above first: without it, a snapshot has gaps"]
    return [*missing, f"next: {first_of(steps)}"]
