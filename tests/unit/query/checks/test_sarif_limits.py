"""SARIF beyond the limits of code scanning: they are reported, and the file is cut by severity on request."""

import io
import json
import random
from datetime import date
from pathlib import Path

import pytest

from lexport.query.checks.definition import Check
from lexport.query.checks.finding import CheckResult, Finding
from lexport.query.checks.sarif import write_sarif
from lexport.query.checks.waivers import Waiver

SEVERITIES = ("critical", "high", "medium", "low")
WAIVER = Waiver(check="any", reason="known", expires=date(2026, 12, 31))


def check(name, severity="low", references=()):
    return Check(
        name=name,
        title=name,
        severity=severity,
        remediation="None.",
        grain="one row",
        references=tuple(references),
        thresholds={},
        columns={},
        query="",
        query_line=1,
        path=Path(f"{name}.sql"),
        is_shipped=True,
    )


CHECKS = tuple(check(f"is_{severity}", severity) for severity in SEVERITIES)


def finding(of, number, waiver=None):
    return Finding(
        check=of,
        account_id="111122223333",
        region="eu-west-1",
        function_name=f"f{number}",
        version=None,
        subject=None,
        details={},
        arn=None,
        waiver=waiver,
    )


def written(findings, checks=CHECKS, **options):
    """Write SARIF; return the names of its functions, its notifications and the returned sentences."""
    stream = io.BytesIO()
    result = CheckResult(checks=tuple(checks), findings=tuple(findings), unjudged=(), notices=())
    said = write_sarif(result, stream, **options)
    (run,) = json.loads(stream.getvalue())["runs"]
    places = [found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for found in run["results"]]
    told = [item["message"]["text"] for item in run["invocations"][0]["toolExecutionNotifications"]]
    return [place.rpartition("/")[2] for place in places], told, list(said)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (5_000, []),
        (5_001, ["code scanning keeps the 5,000 most severe results of 5,001: "]),
        (25_000, ["code scanning keeps the 5,000 most severe results of 25,000: "]),
        (25_001, ["code scanning refuses more than 25,000 results, and there are 25,001: "]),
    ],
)
def test_many_results(count, said):
    """Without a limit everything is written, and exceeded limits of code scanning are reported."""
    names, told, lines = written([finding(CHECKS[3], number) for number in range(count)])
    what_to_do = "leave some out with --min-severity, --skip or --sarif-limit 5000"

    assert len(names) == count
    assert lines == [f"{line}{what_to_do}" for line in said]
    assert told == []


def test_a_limit_keeps_the_most_severe():
    """The most severe findings stay in their order, waived ones are dropped first; omitted numbers are reported."""
    findings = [finding(CHECKS[3], 1), finding(CHECKS[0], 2, WAIVER), finding(CHECKS[1], 3), finding(CHECKS[2], 4)]
    findings += [finding(CHECKS[0], 5), finding(CHECKS[1], 6, WAIVER), finding(CHECKS[3], 7)]
    line = "--sarif-limit: 3 of 7 findings are in the SARIF file, left out: 1 critical, 1 high, 2 low"

    assert written(findings, limit=3) == (["f3", "f4", "f5"], [line], [line])
    assert written(findings, limit=7) == (["f1", "f2", "f3", "f4", "f5", "f6", "f7"], [], [])
    assert written(findings, limit=1)[0] == ["f5"]
    assert written(findings, limit=5)[0] == ["f1", "f3", "f4", "f5", "f7"]
    assert written([], limit=1) == ([], [], [])


@pytest.mark.parametrize(
    ("references", "said"),
    [
        (8, []),
        (9, ["code scanning shows 10 tags, and many has 11 with its references"]),
        (18, ["code scanning shows 10 tags, and many has 20 with its references"]),
        (19, ["code scanning refuses a rule of more than 20 tags, and many has 21 with its references"]),
    ],
)
def test_many_tags(references, said):
    """The tags of a user's rule have limits too."""
    many = check("many", references=[f"CWE-{number}" for number in range(references)])

    assert written([], checks=[many])[2] == said


def test_a_large_file():
    """The limit of 10 MB counts compressed bytes; a larger file is reported with its size."""
    dice = random.Random(1)
    noise = [dice.randbytes(50_000).hex() for _ in range(220)]
    large = [finding(check("is_low"), text) for text in noise]
    small = [finding(check("is_low"), "x" * 100_000) for _ in noise]
    ((line,),) = [written(large, checks=[check("is_low")])[2]]

    assert line.startswith("code scanning refuses more than 10 MB, and compressed the file has ")
    assert written(small, checks=[check("is_low")])[2] == []


def test_the_command(dest, lexport, tmp_path):
    """--sarif-limit shortens the file, not the exit code, with a notice; with another format it is wrong use."""
    names = ("--check", "deprecated_runtime", "--check", "untagged", "--fail-on", "low")
    whole = lexport("check", dest, *names, "-o", "whole.sarif")
    cut = lexport("check", dest, *names, "-o", "cut.sarif", "--sarif-limit", "1")
    results = {
        name: json.loads((tmp_path / f"{name}.sarif").read_bytes())["runs"][0]["results"] for name in ("whole", "cut")
    }

    assert (whole.code, cut.code) == (4, 4)
    assert [found["ruleId"] for found in results["whole"]] == ["deprecated_runtime", "untagged"]
    assert results["cut"] == results["whole"][:1]
    assert "lexport: --sarif-limit: 1 of 2 findings are in the SARIF file, left out: 1 low\n" in cut.err
    assert "--sarif-limit" not in whole.err
    wrong = lexport("check", dest, *names, "--output", "json", "--sarif-limit", "1")
    assert (wrong.code, wrong.out) == (2, b"")
    assert lexport("check", dest, "--sarif-limit", "0", "--output", "sarif").code == 2
