"""All probes of a command, one after the other, and their findings as lines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from anyio import move_on_after, to_thread

from lexport.aws.policy import hub_policy, iam_policy
from lexport.aws.redact import clean_line
from lexport.aws.waits import scaled
from lexport.cli._probes.account import Facts, probe_account
from lexport.cli._probes.dataset import probe_dest
from lexport.cli._probes.findings import Add, Finding, missing_statements, not_tried
from lexport.errors import LexportError, SettingsError
from lexport.extract.accounts import read_accounts
from lexport.settings import Destination, SnapshotSettings, role_arn
from lexport.tables.registry import resources_read
from lexport.tables.text import visible

DEST_S = scaled(12.0)

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
    facts = Facts()
    if settings is None:
        add(not_tried("AWS", "the settings are not good"))
    else:
        accounts: tuple[str, ...] = ()
        try:
            accounts = await to_thread.run_sync(read_accounts, settings.accounts, settings.accounts_from)
        except SettingsError as error:
            add(Finding(level="error", subject="settings", outcome="wrong", message=str(error)))
        facts = await probe_account(settings, accounts, add)
    blocking = partial(probe_dest, dest, settings or SnapshotSettings(), add)
    with move_on_after(DEST_S) as limit:
        await to_thread.run_sync(blocking, abandon_on_cancel=True)
    if limit.cancelled_caught:
        message = f"no answer within {DEST_S:g} s"
        add(Finding(level="error", subject="DEST", outcome="unreachable", message=message))
    return facts


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
