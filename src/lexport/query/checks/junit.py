"""Write findings as JUnit XML, for CI: one suite per check, one case per finding, one for a check without findings.

A case fails exactly if the finding makes the exit code 4. A waived finding, or one below ``--fail-on``, is skipped. An
account-region that was not read is an error.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO
from xml.sax.saxutils import escape, quoteattr

from lexport.query.checks.finding import about, place
from lexport.tables.text import visible

if TYPE_CHECKING:
    from lexport.query.checks.definition import Check
    from lexport.query.checks.finding import CheckResult, Finding

_Case = tuple[str, str, str, str]  # name, outcome, its message, its text


def write_junit(result: CheckResult, failing: set[str], stream: BinaryIO) -> None:
    """Write the report. ``failing`` are the fingerprints of the findings that make the exit code 4."""
    findings: dict[str, list[Finding]] = defaultdict(list)
    for finding in result.findings:
        findings[finding.check.name].append(finding)
    suites = [(check, list(_cases(check, findings[check.name], result, failing))) for check in result.checks]
    every = [case for _, cases in suites for case in cases]
    stream.write(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="lexport check"{_counts(every)}>\n'.encode()
    )
    for check, cases in suites:
        stream.write(f"<testsuite name={_attribute(check.name)}{_counts(cases)}>\n".encode())
        stream.write(_properties(check).encode())
        stream.writelines(_write_case(check, case).encode() for case in cases)
        stream.write(b"</testsuite>\n")
    stream.write(b"</testsuites>\n")


def _cases(check: Check, findings: list[Finding], result: CheckResult, failing: set[str]) -> Iterator[_Case]:
    for finding in findings:
        yield _case(finding, is_failure=finding.fingerprint in failing)
    for item in result.unjudged:
        if check.name in item.checks:
            name = f"{item.account_id} {item.region}"
            yield name, "error" if item.is_unread else "skipped", f"not judged: {item.reason}", ""
    if not findings:
        yield check.title, "", "", ""


def _case(finding: Finding, *, is_failure: bool) -> _Case:
    check = finding.check
    name = place(finding) + (f" {finding.subject}" if finding.subject is not None else "")
    text = "\n".join(part for part in (about(finding), check.remediation) if part)
    if finding.waiver is not None:
        return name, "skipped", finding.waiver.text(), text
    if is_failure:
        return name, "failure", f"{check.severity}: {check.title}", text
    return name, "skipped", f"{check.severity}, below --fail-on: {check.title}", text


def _properties(check: Check) -> str:
    """Write the same controls in other catalogues; a suite has its properties before its cases."""
    if not check.references:
        return ""
    shown = "".join(f'<property name="reference" value={_attribute(text)}/>\n' for text in check.references)
    return f"<properties>\n{shown}</properties>\n"


def _write_case(check: Check, case: _Case) -> str:
    name, outcome, message, text = case
    start = f"<testcase classname={_attribute(f'lexport.{check.name}')} name={_attribute(name)}"
    if not outcome:
        return f"{start}/>\n"
    kind = f" type={_attribute(check.severity)}" if outcome != "skipped" else ""
    shown = escape(visible(text, keep="\n"))
    return f"{start}><{outcome} message={_attribute(message)}{kind}>{shown}</{outcome}></testcase>\n"


def _counts(cases: list[_Case]) -> str:
    number = Counter(outcome for _, outcome, _, _ in cases)
    return (
        f' tests="{len(cases)}" failures="{number["failure"]}" errors="{number["error"]}" skipped="{number["skipped"]}"'
    )


def _attribute(text: str) -> str:
    return quoteattr(visible(text))  # XML has no way to write control characters
