"""A finding in words, the same in every format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexport.query.value_text import plain

if TYPE_CHECKING:
    from lexport.query.checks.finding import Finding
    from lexport.query.checks.waivers import Waiver


def place(finding: Finding) -> str:
    """Say where: account, Region, and the function with its version where it is a published one."""
    return " ".join(part for part in (finding.account_id, finding.region, function(finding)) if part)


def function(finding: Finding) -> str:
    """Write the function as users type it: ``name``, or ``name:3``."""
    name = finding.function_name or ""
    return name if finding.version in {None, "$LATEST"} else f"{name}:{finding.version}"


def about(finding: Finding) -> str:
    """Say what of it: the subject, then the other columns that hold something."""
    told = [f"{name} {plain(value)}" for name, value in finding.details.items() if value is not None]
    return ", ".join([*([] if finding.subject is None else [finding.subject]), *told])


def waiver_text(waiver: Waiver) -> str:
    """Say why it was accepted, and until when."""
    return f"waived until {waiver.expires}: {waiver.reason}"
