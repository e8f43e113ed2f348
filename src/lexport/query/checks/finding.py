"""What checks find: values that travel from the dataset to a report, a table, SARIF or JUnit. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from lexport.query.checks.definition import SEVERITIES, Check, Severity
from lexport.query.checks.waivers import Waiver

IDENTITY = ("account_id", "region", "function_name", "version", "subject")
"""What a finding is about. Columns beside these tell more, and may change without making it another finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row of a check: what breaks the rule, and whether somebody accepted it.

    ``subject`` is what in the function is meant, where there is one: a variable, an alias, a layer, a tag key.
    ``arn`` is the function's, of the version where it is a published one.
    """

    check: Check
    account_id: str
    region: str
    function_name: str | None
    version: str | None
    subject: str | None
    details: dict[str, Any]
    arn: str | None
    waiver: Waiver | None

    @property
    def fingerprint(self) -> str:
        """Return what stays the same from night to night: a hash over check and identity, not over details."""
        parts = (self.check.name, *(getattr(self, name) for name in IDENTITY))
        text = "".join("-" if part is None else f"{len(part)}:{part}" for part in parts)  # no two ways to read it
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """Checks that cannot say all of an account-region, and why: that they find nothing there means nothing.

    ``is_unread`` says that the account-region as a whole was not read, not only a part left out that they look at.
    """

    account_id: str
    region: str
    checks: tuple[str, ...]
    reason: str
    is_unread: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What the checks found, worst first. ``notices`` say, one line each, what a reader should know besides."""

    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    unjudged: tuple[Unjudged, ...]
    notices: tuple[str, ...]

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of this severity or a worse one that nobody waived."""
        least = SEVERITIES.index(severity)
        return tuple(
            finding
            for finding in self.findings
            if finding.waiver is None and SEVERITIES.index(finding.check.severity) >= least
        )
