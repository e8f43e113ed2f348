"""Findings as text, the same in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexport.query.value_text import plain

if TYPE_CHECKING:
    from lexport.query.checks.finding import Finding
    from lexport.query.checks.waivers import Waiver


def place(finding: Finding) -> str:
    """Write account, Region and function, with the version if it is a published one."""
    return " ".join(part for part in (finding.account_id, finding.region, function(finding)) if part)


def function(finding: Finding) -> str:
    """Write the function as AWS commands take it: ``name``, or ``name:3``."""
    name = finding.function_name or ""
    return name if finding.version in {None, "$LATEST"} else f"{name}:{finding.version}"


def about(finding: Finding) -> str:
    """Write the subject, then the details that are not NULL."""
    details = [f"{name} {plain(value)}" for name, value in finding.details.items() if value is not None]
    return ", ".join([*([] if finding.subject is None else [finding.subject]), *details])


def waiver_text(waiver: Waiver) -> str:
    """Write the day until which the finding is waived, and the reason."""
    return f"waived until {waiver.expires}: {waiver.reason}"
