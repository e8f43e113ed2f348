"""Figures of the findings of checks. Functions are counted before findings: one function can have hundreds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lexport.query.checks.definition import SEVERITIES, Check
from lexport.query.checks.finding import CheckResult, Finding, FunctionKey
from lexport.query.report import charts
from lexport.query.report.figures import SHOWN_BARS, Figure
from lexport.query.report.format import count
from lexport.query.report.labels import NO_OWNER, Labels, console_url
from lexport.query.report.questions import Answer, Question
from lexport.tables.text import first_of, plural

TONES = {"critical": "bad", "high": "warnh", "medium": "s1", "low": "none"}  # the worst first
SHOWN = ("critical", "high", "medium")
_FINDINGS = 400
_STEPS = 6
_EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One check that found something: the functions that break it, and the findings."""

    check: Check
    functions: frozenset[FunctionKey]
    places: frozenset[tuple[str, str]]
    findings: int

    @property
    def amount(self) -> str:
        """Write how much breaks it: functions, or account-regions where it is not about functions."""
        if self.functions:
            return plural(len(self.functions), "function")
        return plural(len(self.places), "account-region")


def open_findings(checked: CheckResult) -> list[Finding]:
    """Return the findings that no waiver accepts."""
    return [finding for finding in checked.findings if finding.waiver is None]


def broken_checks(checked: CheckResult) -> list[Broken]:
    """Return the checks that found something, the most severe first, those with most functions before others."""
    by_check: dict[str, list[Finding]] = defaultdict(list)
    for finding in open_findings(checked):
        by_check[finding.check.name].append(finding)
    broken = [
        Broken(
            check=found[0].check,
            functions=frozenset(key for finding in found if (key := finding.function_key) is not None),
            places=frozenset((finding.account_id, finding.region) for finding in found),
            findings=len(found),
        )
        for found in by_check.values()
    ]
    return sorted(
        broken,
        key=lambda one: (-SEVERITIES.index(one.check.severity), -len(one.functions), -one.findings, one.check.name),
    )


def worst_severity(checked: CheckResult) -> dict[FunctionKey, str]:
    """Return the most severe of each function's findings."""
    worst: dict[FunctionKey, str] = {}
    for finding in open_findings(checked):  # the most severe first
        if (key := finding.function_key) is not None:
            worst.setdefault(key, finding.check.severity)
    return worst


def count_functions(worst: Iterable[str]) -> Counter[str]:
    """Count functions by their most severe finding."""
    return Counter(worst)


def counted(counts: Mapping[str, int]) -> tuple[str, str]:
    """Write the most severe count, and the others as the beginning of a note."""
    texts = [f"{count(counts[name])} {name}" for name in SHOWN if counts[name]]
    return (texts[0] if texts else "none above low"), "".join(f"{text} · " for text in texts[1:])


# --- what to do first -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do: how much it is about, what is wrong, what to do, whom to ask, and where."""

    severity: str
    amount: str
    title: str
    remediation: str
    references: str
    owners: str
    examples: tuple[tuple[str, str | None], ...]


def first_steps(checked: CheckResult, labels: Labels) -> tuple[Step, ...]:
    """Return what to do first: the most severe checks, and among equals those with the most functions."""
    worth = [one for one in broken_checks(checked) if one.check.severity in SHOWN]
    return tuple(_step(one, labels) for one in worth[:_STEPS])


def _step(one: Broken, labels: Labels) -> Step:
    owners = ""
    if labels.owners is not None and one.functions:
        counts = Counter(map(labels.owner, one.functions))
        ordered = sorted(counts.items(), key=lambda item: (item[0] == NO_OWNER, -item[1], item[0]))
        owners = first_of([f"{owner} {count(number)}" for owner, number in ordered], 4)
    examples = [(key.function_name, console_url(key.region, key.function_name)) for key in sorted(one.functions)]
    if not examples:
        examples = [(labels.place(*place), None) for place in sorted(one.places)]
    return Step(
        severity=one.check.severity,
        amount=one.amount,
        title=one.check.title,
        remediation=one.check.remediation.replace("`", ""),
        references=", ".join(one.check.references),
        owners=owners,
        examples=tuple(examples[:_EXAMPLES]),
    )


# --- figures ----------------------------------------------------------------------------------------------------------


def findings_by_check(checked: CheckResult) -> Figure:
    """Draw one bar per check, as long as the functions that break it; low ones are in the table alone."""
    broken = {one.check.name: one for one in broken_checks(checked)}
    waived = Counter(finding.check.name for finding in checked.findings if finding.waiver is not None)
    unjudged = Counter(name for item in checked.unjudged for name in item.checks)
    rest = [check for check in checked.checks if check.name not in broken]
    ordered = [
        *(one.check for one in broken.values()),
        *sorted(rest, key=lambda check: (-SEVERITIES.index(check.severity), check.name)),
    ]
    rows = [
        {
            "severity": check.severity,
            "check": check.name,
            "functions": len(broken[check.name].functions) if check.name in broken else 0,
            "findings": broken[check.name].findings if check.name in broken else 0,
            "waived": waived[check.name],
            "not_judged_in": unjudged[check.name],
            "remediation": check.remediation,
            "references": ", ".join(check.references),
        }
        for check in ordered
    ]
    answer = make_answer(
        "findings",
        rows,
        title="Rules that functions break",
        about="Functions by rule, the most severe rules first. A function counts once for each rule, however many of"
        " its versions or variables break it.",
        empty="No check ran.",
        query="\n\n".join(f"-- {check.name}\n{check.query.strip()}" for check in ordered),
    )
    severities = count_functions(worst_severity(checked).values())
    drawn = [_bar(one) for one in broken.values() if one.check.severity in SHOWN]
    finding = ", ".join(f"{count(severities[name])} {name}" for name in SHOWN if severities[name])
    finding = f"Functions by their worst finding: {finding}" if finding else "No finding above low"
    if not broken:
        finding = "No check found anything"
    low = [one for one in broken.values() if one.check.severity == "low"]
    if low:
        functions = frozenset[FunctionKey]().union(*(one.functions for one in low))
        finding += f". {plural(len(low), 'low rule')} ({plural(len(functions), 'function')}) are in the table alone"
    if sum(waived.values()):
        finding += f". {plural(sum(waived.values()), 'waived finding')} not counted"
    tones = tuple(TONES[name] for name in SHOWN)
    chart = charts.bars(drawn, name="Functions by rule", tones=tones)
    legend = tuple((TONES[name], name) for name in SHOWN if any(one.check.severity == name for one in broken.values()))
    return Figure(answer=answer, finding=f"{finding}.", charts=(chart,) if drawn else (), legend=legend, is_wide=True)


def _bar(one: Broken) -> charts.Bar:
    length = len(one.functions) or len(one.places)
    return charts.Bar(
        label=one.check.title,
        values=tuple(length if severity == one.check.severity else 0 for severity in SHOWN),
        text=one.amount,
        note=f"{one.check.severity} · {plural(one.findings, 'finding')}",
    )


def worst_functions(checked: CheckResult, labels: Labels) -> Figure:
    """Draw the functions with the most severe findings."""
    by_function: dict[FunctionKey, Counter[str]] = defaultdict(Counter)
    for finding in open_findings(checked):
        if (key := finding.function_key) is not None and finding.check.severity in SHOWN:
            by_function[key][finding.check.severity] += 1
    ordered = sorted(by_function.items(), key=lambda item: ([-item[1][name] for name in SHOWN], item[0]))
    rows = [
        {"function_name": key.function_name, "account_id": key.account_id, "region": key.region}
        | ({} if labels.owners is None else {"owner": labels.owner(key)})
        | {name: counts[name] for name in SHOWN}
        for key, counts in ordered[:_FINDINGS]
    ]
    answer = make_answer(
        "worst_functions",
        rows,
        title="Functions to look at first",
        about="Findings by function, all versions together, without low ones.",
        empty="No function has a finding above low.",
        query="-- lexport check DEST --min-severity medium --output json, counted by function",
        total=len(ordered),
    )
    drawn = [
        charts.Bar(
            label=key.function_name,
            values=tuple(counts[name] for name in SHOWN),
            text=plural(counts.total(), "finding"),
            note=labels.place(key.account_id, key.region),
            href=console_url(key.region, key.function_name),
        )
        for key, counts in ordered[:SHOWN_BARS]
    ]
    text = f"{plural(len(ordered), 'function')} with findings above low." if ordered else ""
    chart = charts.bars(drawn, name="Functions by findings", tones=tuple(TONES[name] for name in SHOWN))
    legend = tuple((TONES[name], name) for name in SHOWN)
    return Figure(answer=answer, finding=text, charts=(chart,) if drawn else (), legend=legend)


def owners(checked: CheckResult, labels: Labels, tag: str, query: str) -> Figure:
    """Draw the owners of functions by the most severe findings of these."""
    worst = worst_severity(checked)
    by_owner: dict[str, Counter[str]] = defaultdict(Counter)
    for key, owner in (labels.owners or {}).items():
        by_owner[owner]["functions"] += 1
        by_owner[owner][worst.get(key, "none")] += 1
    ordered = sorted(by_owner.items(), key=lambda item: ([-item[1][name] for name in SHOWN], item[0]))
    rows = [
        {"owner": owner, "functions": counts["functions"]} | {name: counts[name] for name in SHOWN}
        for owner, counts in ordered[:_FINDINGS]
    ]
    answer = make_answer(
        "owners",
        rows,
        title="Owners",
        about=f"Functions by the value of their tag {tag}, each counted by its most severe finding.",
        empty=f"No function is known, so none has the tag {tag}.",
        query=query,
        total=len(ordered),
    )
    drawn = [
        charts.Bar(
            label=owner,
            values=tuple(counts[name] for name in SHOWN),
            text=counted(counts)[0],
            note=f"{counted(counts)[1]}of {plural(counts['functions'], 'function')}",
        )
        for owner, counts in ordered[:SHOWN_BARS]
    ]
    without = by_owner[NO_OWNER]["functions"] if NO_OWNER in by_owner else 0
    named = len(by_owner) - (NO_OWNER in by_owner)
    finding = f"{plural(named, 'owner')}; {plural(without, 'function has', 'functions have')} no tag {tag}."
    chart = charts.bars(drawn, name="Functions with findings by owner", tones=tuple(TONES[name] for name in SHOWN))
    legend = tuple((TONES[name], name) for name in SHOWN)
    return Figure(answer=answer, finding=finding, charts=(chart,) if drawn else (), legend=legend)


def finding_list(checked: CheckResult, labels: Labels) -> Figure:
    """List the findings, the most severe first."""
    rows: list[dict[str, Any]] = [
        {
            "severity": finding.check.severity,
            "check": finding.check.name,
            "account_id": finding.account_id,
            "region": finding.region,
            "function_name": finding.function_name,
            "version": finding.version,
        }
        | ({} if labels.owners is None else {"owner": _owner(finding, labels)})
        | {
            "subject": finding.subject,
            "details": ", ".join(f"{name} {value}" for name, value in finding.details.items() if value is not None),
            "waived_until": None if finding.waiver is None else finding.waiver.expires,
        }
        for finding in checked.findings[:_FINDINGS]
    ]
    answer = make_answer(
        "finding_list",
        rows,
        title="Findings, one by one",
        about="The most severe first. Waivers and thresholds are set in lexport.toml.",
        empty="No check found anything.",
        query="-- lexport check DEST --output json\n-- runs the SELECTs shown under the rules",
        total=len(checked.findings),
    )
    return Figure(answer=answer, is_wide=True)


def _owner(finding: Finding, labels: Labels) -> str | None:
    key = finding.function_key
    return None if key is None else labels.owner(key)


def make_answer(name: str, rows: Sequence[Mapping[str, Any]], total: int | None = None, **texts: str) -> Answer:
    """Return rows about findings in the same form as the rows of a question. ``texts`` are fields of ``Question``."""
    question = Question(name=name, rows=_FINDINGS, **texts)
    names = tuple(rows[0]) if rows else ()
    return Answer(
        question=question,
        names=names,
        rows=tuple(dict(row) for row in rows),
        total=len(rows) if total is None else total,
    )
