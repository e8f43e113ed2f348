"""Figures of the findings of checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lexport.query.checks.definition import SEVERITIES
from lexport.query.checks.finding import CheckResult
from lexport.query.report import charts
from lexport.query.report.figures import SHOWN_BARS, Figure, listed
from lexport.query.report.format import count
from lexport.query.report.questions import Answer, Question
from lexport.tables.text import plural

_TONES = {"critical": "bad", "high": "warnh", "medium": "s1", "low": "none"}  # the worst first
_FINDINGS = 400


def findings(checked: CheckResult) -> tuple[Figure, Figure, Figure]:
    """Draw findings by check, functions with the most findings, and the list of findings."""
    return _by_check(checked), _worst_functions(checked), _one_by_one(checked)


def _by_check(checked: CheckResult) -> Figure:
    counted = Counter(finding.check.name for finding in checked.findings if finding.waiver is None)
    waived = Counter(finding.check.name for finding in checked.findings if finding.waiver is not None)
    unjudged = Counter(name for item in checked.unjudged for name in item.checks)
    ordered = sorted(
        checked.checks, key=lambda check: (-SEVERITIES.index(check.severity), -counted[check.name], check.name)
    )
    rows = [
        {
            "severity": check.severity,
            "check": check.name,
            "title": check.title,
            "findings": counted[check.name],
            "waived": waived[check.name],
            "not_judged_in": unjudged[check.name],
            "remediation": check.remediation,
        }
        for check in ordered
    ]
    answer = _answer(
        "findings",
        rows,
        title="Findings by severity",
        about="One bar per check with findings, the most severe first; not_judged_in counts the account-regions where "
        "a check lacked some of its data.",
        empty="No check ran.",
        query="\n\n".join(f"-- {check.name}\n{check.query.strip()}" for check in ordered),
    )
    by_severity = Counter[str](finding.check.severity for finding in checked.findings if finding.waiver is None)
    finding = listed(by_severity, _TONES) or "No check found anything"
    if by_severity and not by_severity["critical"] + by_severity["high"]:
        finding += "; no findings at or above high"
    if sum(waived.values()):
        finding += f". {plural(sum(waived.values()), 'waived finding')} not counted"
    bars = [
        charts.Bar(
            label=check.title,
            values=tuple(counted[check.name] if severity == check.severity else 0 for severity in _TONES),
            text=f"{count(counted[check.name])} {check.severity}",
            note=check.name,
        )
        for check in ordered
        if counted[check.name]
    ]
    about = "The most severe checks first."
    return _figure(answer, f"{finding}.", bars, by_severity, name="Findings by check", about=about)


def _figure(
    answer: Answer, finding: str, bars: list[charts.Bar], by_severity: Counter[str], *, name: str, about: str
) -> Figure:
    """Draw bars that have one part per severity."""
    chart = charts.bars(bars, name=name, about=about, tones=tuple(_TONES.values()))
    legend = tuple((tone, severity) for severity, tone in _TONES.items() if by_severity[severity])
    return Figure(answer=answer, finding=finding, charts=(chart,) if bars else (), legend=legend)


def _worst_functions(checked: CheckResult) -> Figure:
    by_function: dict[tuple[str, str, str], Counter[str]] = {}
    for finding in checked.findings:
        if finding.waiver is None and finding.function_name is not None:
            key = (finding.function_name, finding.account_id, finding.region)
            by_function.setdefault(key, Counter())[finding.check.severity] += 1
    ordered = sorted(by_function.items(), key=lambda item: ([-item[1][severity] for severity in _TONES], item[0]))
    rows = [
        {"function_name": name, "account_id": account, "region": region}
        | {severity: counts[severity] for severity in _TONES}
        | {"findings": counts.total()}
        for (name, account, region), counts in ordered[:_FINDINGS]
    ]
    answer = _answer(
        "worst_functions",
        rows,
        title="Functions by findings",
        about="Functions with the most severe findings first; all versions count together.",
        empty="No function breaks a rule.",
        query="-- lexport check DEST --output json, counted by function",
        total=len(ordered),
    )
    bars = [
        charts.Bar(
            label=name,
            values=tuple(counts[severity] for severity in _TONES),
            text=plural(counts.total(), "finding"),
            note=f"{account} {region}: "
            + ", ".join(f"{counts[severity]} {severity}" for severity in _TONES if counts[severity]),
        )
        for (name, account, region), counts in ordered[:SHOWN_BARS]
    ]
    totals = sum(by_function.values(), Counter[str]())
    text = f"{plural(len(ordered), 'function')} with findings." if ordered else ""
    about = "Split by severity, the worst first."
    return _figure(answer, text, bars, totals, name="Functions by findings", about=about)


def _one_by_one(checked: CheckResult) -> Figure:
    rows = [
        {
            "severity": finding.check.severity,
            "check": finding.check.name,
            "account_id": finding.account_id,
            "region": finding.region,
            "function_name": finding.function_name,
            "version": finding.version,
            "subject": finding.subject,
            "details": ", ".join(f"{name} {value}" for name, value in finding.details.items() if value is not None),
            "waived_until": None if finding.waiver is None else finding.waiver.expires,
        }
        for finding in checked.findings[:_FINDINGS]
    ]
    answer = _answer(
        "finding_list",
        rows,
        title="Findings, one by one",
        about="The most severe first. Waivers and thresholds are set in lexport.toml.",
        empty="No check found anything.",
        query="-- lexport check DEST --output json\n-- runs the SELECTs shown under Findings by severity",
        total=len(checked.findings),
    )
    return Figure(answer=answer, is_wide=True)


def _answer(name: str, rows: Sequence[dict[str, Any]], total: int | None = None, **texts: str) -> Answer:
    """Return rows about findings in the same form as the rows of a question. ``texts`` are fields of ``Question``."""
    question = Question(name=name, rows=_FINDINGS, **texts)
    names = tuple(rows[0]) if rows else ()
    return Answer(question=question, names=names, rows=tuple(rows), total=len(rows) if total is None else total)
