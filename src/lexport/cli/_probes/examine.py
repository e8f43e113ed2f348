"""All probes of a command, one after the other, and their findings as lines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from anyio import current_time, move_on_after, to_thread

from lexport.aws.policy import hub_policy, iam_policy
from lexport.aws.redact import clean_line
from lexport.aws.waits import scaled
from lexport.cli._probes.account import Facts, probe_account, typing_s
from lexport.cli._probes.dataset import probe_dest, probe_key
from lexport.cli._probes.findings import Add, Finding, missing_statements, not_tried, of_error
from lexport.dataset.manifest import Manifest
from lexport.errors import LexportError, SettingsError
from lexport.extract.accounts import read_accounts
from lexport.settings import Destination, SnapshotSettings, role_arn
from lexport.tables.registry import resources_read
from lexport.tables.text import visible
from lexport.tables.units import format_seconds

AWS_S = scaled(24.0)
ALL_S = scaled(32.0)
"""All probes together, the time not counted that a person takes to type a code."""

_WIDEST_SUBJECT = 22


@dataclass(slots=True, kw_only=True)
class Findings:
    """What was found so far; ``show`` gets each finding when it is found."""

    show: Callable[[Finding], None]
    found: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Keep a finding, without secrets, and show it."""
        self.found.append(finding)
        self.show(finding)


async def examine(settings: SnapshotSettings | None, dest: Destination | None, add: Add) -> Facts:
    """Try AWS, DEST and the key; without settings, AWS is not tried."""
    facts, started_s = Facts(), current_time()
    if settings is None:
        add(not_tried("AWS", "the settings are not good"))
        settings = SnapshotSettings()
    else:
        with move_on_after(AWS_S + typing_s()) as limit:
            await _examine_account(settings, facts, add)
        if limit.cancelled_caught:
            add(_late("calls", AWS_S))
    last: Manifest | None = None
    of_dest: list[Finding] = []
    if dest is not None:
        left_s = max(ALL_S - AWS_S, started_s + ALL_S - current_time())
        with move_on_after(left_s) as limit:
            blocking = partial(probe_dest, dest, settings.profile, of_dest.append)
            last = await to_thread.run_sync(blocking, abandon_on_cancel=True)
        for finding in tuple(of_dest):  # a thread that was given up adds no more
            add(finding)
        if limit.cancelled_caught:
            add(_late("DEST", left_s))
    probe_key(settings, last, add)
    return facts


async def _examine_account(settings: SnapshotSettings, facts: Facts, add: Add) -> None:
    try:
        accounts = await to_thread.run_sync(
            read_accounts, settings.accounts, settings.accounts_from, abandon_on_cancel=True
        )
    except SettingsError as error:
        add(of_error(error, "settings"))
        add(not_tried("AWS", "the settings are not good"))
        return
    await probe_account(settings, accounts, facts, add)


def _late(subject: str, limit_s: float) -> Finding:
    message = f"no answer within {format_seconds(limit_s)}"
    return Finding(level="error", subject=subject, outcome="unreachable", message=message)


def missing_policy(settings: SnapshotSettings, facts: Facts, found: list[Finding]) -> dict[str, Any] | None:
    """Return the policy that allows what was denied to the caller; None where nothing was."""
    policy = iam_policy(facts.partition, resources=resources_read(settings.for_manifest()))
    if settings.account_role is not None:
        with suppress(LexportError):
            hub = hub_policy(role_arn(settings.account_role, "*", facts.partition))
            policy = {**policy, "Statement": [*policy["Statement"], *hub["Statement"]]}
    return missing_statements(found, policy)


def line_of(finding: Finding) -> str:
    """Return a finding as a line for people."""
    return clean_line(visible(f"{finding.level:<8} {finding.subject:<{_WIDEST_SUBJECT}} {finding.message}"))
