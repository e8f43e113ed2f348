"""Write findings as SARIF 2.1.0, for code scanning. Source: OASIS SARIF 2.1.0; GitHub's "SARIF support"."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from lexport.model import __version__
from lexport.query.checks.finding import about, place
from lexport.query.checks.frameworks import help_urls
from lexport.query.checks.sarif_limits import MeasuredStream, beyond_limits, left_out, most_severe, tags_of
from lexport.tables.text import visible

if TYPE_CHECKING:
    from lexport.query.checks.definition import Check
    from lexport.query.checks.finding import CheckResult, Finding, Unjudged

_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.0", "low": "2.0"}  # GitHub's scale, 0 to 10


def write_sarif(result: CheckResult, out: BinaryIO, *, limit: int | None = None) -> tuple[str, ...]:
    """Write one run: a rule per check, a result per finding, a notification per ``Unjudged``.

    ``limit`` is the maximum of results; the most severe are written. Return sentences about limits that are exceeded.
    """
    findings = most_severe(result.findings, limit)
    cut = left_out(result.findings, findings)
    stream = MeasuredStream(out)
    index = {check.name: number for number, check in enumerate(result.checks)}
    stream.write(b'{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [{\n')
    for name, value in _describe_run(result, (cut,) if cut else ()).items():
        stream.write(f'"{name}": {_json(value)},\n'.encode())
    stream.write(b'"results": [')
    for number, finding in enumerate(findings):  # one by one, because there may be many
        line = _json(_result(finding, index[finding.check.name]))
        stream.write((",\n" if number else "\n").encode() + line.encode())
    stream.write(b"\n]}]}\n")
    exceeded = beyond_limits(result, results=len(findings), gzip_bytes=stream.end())
    return (*((cut,) if cut else ()), *exceeded)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _describe_run(result: CheckResult, warnings: tuple[str, ...]) -> dict[str, Any]:
    return {
        "tool": {"driver": {"name": "lexport", "version": __version__, "rules": [*map(_rule, result.checks)]}},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not any(item.is_unread for item in result.unjudged),
                "toolExecutionNotifications": [
                    *map(_notification, result.unjudged),
                    *({"level": "warning", "message": {"text": line}} for line in warnings),
                    *({"level": "note", "message": {"text": visible(line)}} for line in result.notices),
                ],
            }
        ],
    }


def _rule(check: Check) -> dict[str, Any]:
    url = next(help_urls(check.references), None)
    return {
        "id": check.name,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": f"{check.title}: {check.grain}."},
        "help": {"text": check.remediation},
        **({"helpUri": url} if url else {}),
        "defaultConfiguration": {"level": _LEVELS[check.severity]},
        "properties": {
            "tags": [*tags_of(check.references)],
            "references": list(check.references),
            "severity": check.severity,
            "security-severity": _SCORES[check.severity],
            "precision": "high",
        },
    }


def _result(finding: Finding, rule_index: int) -> dict[str, Any]:
    check = finding.check
    more = about(finding)
    text = f"{check.title}: {place(finding)}" + (f" ({more})" if more else "") + f". {check.remediation}"
    return {
        "ruleId": check.name,
        "ruleIndex": rule_index,
        "level": _LEVELS[check.severity],
        "message": {"text": visible(text)},
        "locations": [_location(finding)],
        "partialFingerprints": {
            "lexportFinding/v1": finding.fingerprint,
            "primaryLocationLineHash": f"{finding.fingerprint}:1",  # GitHub reads this one
        },
        # Every result has it: an empty list means that the result is not suppressed (SARIF 2.1.0, 3.27.23).
        "suppressions": []
        if finding.waiver is None
        else [{"kind": "external", "status": "accepted", "justification": visible(finding.waiver.text())}],
    }


def _location(finding: Finding) -> dict[str, Any]:
    """Write the function as a resource, and as a path, without which GitHub rejects the file."""
    parts = ("lambda", finding.account_id, finding.region, finding.function_name)
    uri = "/".join(_segment(part) for part in parts if part is not None)
    name = finding.arn or f"{finding.account_id}:{finding.region}"
    return {
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}},
        "logicalLocations": [
            {"name": visible(place(finding)), "fullyQualifiedName": visible(name), "kind": "resource"}
        ],
    }


def _segment(text: str) -> str:
    return quote(text, safe="").replace(".", "%2E") if set(text) <= {"."} else quote(text, safe="")


def _notification(item: Unjudged) -> dict[str, Any]:
    return {
        "level": "error" if item.is_unread else "warning",
        "message": {"text": visible(f"{item.account_id} {item.region}: {item.reason}")},
        "properties": {"checks": list(item.checks)},
    }
