"""Figures of the findings of checks."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lexport.query.checks.definition import SEVERITIES
from lexport.query.checks.finding import CheckResult
from lexport.query.report import charts
from lexport.query.report.figures import SHOWN_BARS, Figure
from lexport.query.report.format import count
from lexport.query.report.questions import Answer, Question
from lexport.tables.text import plural

_TONES = {"critical": "bad", "high": "warnh", "medium": "s1", "low": "none"}
_FINDINGS = 400
_WORST_FIRST = SEVERITIES[::-1]


def findings(checked: CheckResult) -> tuple[Figure, Figure, Figure]:
    """Draw findings by check, functions with the most findings, and the list of findings."""
    return _by_check(checked), _worst_functions(checked), _one_by_one(checked)


def _by_check(checked: CheckResult) -> Figure:
    counted = Counter(finding.check.name for finding in checked.findings if finding.waiver is None)
    waived = Counter(finding.check.name for finding in checked.findings if finding.waiver is not None)
    unjudged = Counter(name for item in checked.unjudged for name in item.checks)
    ordered = sorted(
        checked.checks, key=lambda check: (_WORST_FIRST.index(check.severity), -counted[check.name], check.name)
    )
    rows: tuple[dict[str, Any], ...] = tuple(
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
    )
    answer = _answer(
        "findings",
        rows,
        title="Findings by severity",
        about="One bar per check with findings, the most severe first; not_judged_in counts the account-regions where "
        "a check lacked some of its data.",
        empty="No check ran.",
        query="\n\n".join(f"-- {check.name}\n{check.query.strip()}" for check in ordered),
    )
    broken = [row for row in rows if row["findings"]]
    by_severity = Counter[str]()
    for check in checked.checks:
        by_severity[check.severity] += counted[check.name]
    totals = ", ".join(
        f"{count(by_severity[severity])} {severity}" for severity in _WORST_FIRST if by_severity[severity]
    )
    severe = by_severity["critical"] + by_severity["high"]
    finding = totals or "No check found anything"
    if totals and not severe:
        finding += "; no findings at or above high"
    if sum(waived.values()):
        finding += f". {plural(sum(waived.values()), 'waived finding')} not counted"
    bars = [
        charts.Bar(
            label=row["title"],
            values=tuple(
                float(counted[row["check"]]) if row["severity"] == severity else 0.0 for severity in _WORST_FIRST
            ),
            text=f"{count(counted[str(row['check'])])} {row['severity']}",
            note=row["check"],
        )
        for row in broken
    ]
    chart = charts.bars(
        bars,
        name="Findings by check",
        about="The most severe checks first.",
        tones=[_TONES[severity] for severity in _WORST_FIRST],
    )
    legend = tuple((_TONES[severity], severity) for severity in _WORST_FIRST if by_severity[severity])
    return Figure(answer=answer, finding=f"{finding}.", charts=(chart,) if bars else (), legend=legend)


def _worst_functions(checked: CheckResult) -> Figure:
    by_function: dict[tuple[str, str, str], Counter[str]] = {}
    for finding in checked.findings:
        if finding.waiver is None and finding.function_name is not None:
            key = (finding.function_name, finding.account_id, finding.region)
            by_function.setdefault(key, Counter())[finding.check.severity] += 1
    ordered = sorted(by_function.items(), key=lambda item: ([-item[1][severity] for severity in _WORST_FIRST], item[0]))
    rows: tuple[dict[str, Any], ...] = tuple(
        {"function_name": name, "account_id": account, "region": region}
        | {severity: counts[severity] for severity in _WORST_FIRST}
        | {"findings": counts.total()}
        for (name, account, region), counts in ordered[:_FINDINGS]
    )
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
            values=tuple(float(counts[severity]) for severity in _WORST_FIRST),
            text=plural(counts.total(), "finding"),
            note=f"{account} {region}: "
            + ", ".join(f"{counts[severity]} {severity}" for severity in _WORST_FIRST if counts[severity]),
        )
        for (name, account, region), counts in ordered[:SHOWN_BARS]
    ]
    tones = [_TONES[severity] for severity in _WORST_FIRST]
    chart = charts.bars(bars, name="Functions by findings", about="Split by severity, the worst first.", tones=tones)
    legend = tuple(
        (_TONES[severity], severity) for severity in _WORST_FIRST if any(counts[severity] for _, counts in ordered)
    )
    finding_text = f"{plural(len(ordered), 'function')} with findings." if ordered else ""
    return Figure(answer=answer, finding=finding_text, charts=(chart,) if bars else (), legend=legend)


def _one_by_one(checked: CheckResult) -> Figure:
    rows: tuple[dict[str, Any], ...] = tuple(
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
    )
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


def _answer(
    name: str,
    rows: tuple[dict[str, Any], ...],
    *,
    title: str,
    about: str,
    empty: str,
    query: str,
    total: int | None = None,
) -> Answer:
    """Return rows about findings in the same form as the rows of a question."""
    question = Question(name=name, title=title, about=about, empty=empty, rows=_FINDINGS, query=query)
    names = tuple(rows[0]) if rows else ()
    return Answer(question=question, names=names, rows=rows, total=len(rows) if total is None else total)
