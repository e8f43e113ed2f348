"""The results of checks, and their texts, which are the same in every format. Pure values."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from lexport.query.checks.definition import SEVERITIES, Check, Severity
from lexport.query.checks.waivers import Waiver
from lexport.query.html import paragraph, table_html
from lexport.query.value_text import plain
from lexport.tables.text import plural

IDENTITY = ("account_id", "region", "function_name", "version", "subject")
"""The columns that identify a finding. Other columns are details: if they change, it is still the same finding."""


class FunctionKey(NamedTuple):
    """A function of the fleet."""

    account_id: str
    region: str
    function_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row of a check: what breaks the rule, and the waiver that accepts it, if there is one.

    ``subject`` is the part of the function that breaks the rule: a variable, an alias, a layer, a tag key. ``arn`` is
    that of the function, or of its version if that is a published one.
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
    def function_key(self) -> FunctionKey | None:
        """The function that breaks the rule; None where the finding is about an account-region."""
        return None if self.function_name is None else FunctionKey(self.account_id, self.region, self.function_name)

    @property
    def fingerprint(self) -> str:
        """Return a hash over check and identity, which stays the same from snapshot to snapshot if details change."""
        parts = (self.check.name, *(getattr(self, name) for name in IDENTITY))
        text = "".join("-" if part is None else f"{len(part)}:{part}" for part in parts)  # unambiguous
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """Checks that lack data of an account-region, and the reason: no finding there does not mean no violation.

    ``is_unread`` means that the account-region was not read whole. Otherwise only a part is missing that these
    checks look at.
    """

    account_id: str
    region: str
    checks: tuple[str, ...]
    reason: str
    is_unread: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The findings, most severe first, waived ones included.

    ``checks`` are those that ran. ``unjudged`` says which of them lack data of an account-region. ``notices`` are
    sentences about the age of the data and about waivers.
    """

    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    unjudged: tuple[Unjudged, ...]
    notices: tuple[str, ...]

    def _repr_html_(self) -> str:
        """Show the findings in a notebook: how many of each severity, then the most severe."""
        waived = sum(finding.waiver is not None for finding in self.findings)
        counts = Counter(finding.check.severity for finding in self.findings if finding.waiver is None)
        counted = ", ".join(f"{counts[severity]:,} {severity}" for severity in reversed(SEVERITIES) if counts[severity])
        rows = (
            (finding.check.severity, finding.check.name, place(finding), about(finding))
            for finding in self.findings
            if finding.waiver is None
        )
        return (
            paragraph(f"{plural(len(self.checks), 'check')}: {counted or 'no findings'}; {waived:,} waived")
            + table_html(("severity", "check", "where", "about"), rows, total=counts.total(), noun="finding")
            + "".join(map(paragraph, self.notices))
        )

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the unwaived findings that have at least this severity."""
        least = SEVERITIES.index(severity)
        return tuple(
            finding
            for finding in self.findings
            if finding.waiver is None and SEVERITIES.index(finding.check.severity) >= least
        )


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
