"""The installed command ``lexport check``: exit codes, lexport.toml and every format, with hostile names."""

import csv
import io
import json
import os
import subprocess
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

import pytest
from commands import LEXPORT, completed

pytestmark = pytest.mark.slow

AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
HOSTILE = 'f\x1b]0;owned\x07\n"<x>&\u202e]]>\ufffe'
ONLY = ("--check", "function_failed", "--check", "timeout_at_maximum")
OWN = """-- title: Outside of any VPC
-- severity: critical
-- remediation: Attach it to a VPC.
-- grain: one row per function, by its `$LATEST`
-- column account_id: account
-- column region: Region
-- column function_name: function
SELECT account_id, region, function_name
FROM functions
WHERE version = '$LATEST' AND vpc_config_vpc_id IS NULL
"""


def lexport(*arguments, cwd, **variables):
    return completed(*arguments, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"} | variables, cwd=cwd)


@pytest.fixture(scope="module")
def dest(tmp_path_factory, write_dataset):
    """Two functions in a Region read whole, and a Region that was denied."""
    folder = tmp_path_factory.mktemp("fleet")
    functions = [
        {"function_name": HOSTILE, "version": "$LATEST", "state": "Failed", "state_reason": HOSTILE},
        {"function_name": "g", "version": "$LATEST", "timeout": 900, "last_modified_at": AT},
    ]
    scopes = [{"function_count_reported": 2, "functions": 2}, {"region": "us-east-1", "status": "denied"}]
    write_dataset(folder, [{"at": AT, "functions": functions, "scopes": scopes, "account_settings": [{}]}])
    return folder


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (ONLY, 4),
        ((*ONLY, "--fail-on", "critical"), 0),
        ((*ONLY, "--fail-on", "none"), 0),
        (("--check", "timeout_at_maximum"), 0),
        (("--check", "timeout_at_maximum", "--fail-on", "low"), 4),
        (("--check", "timeout_at_maximum", "--min-severity", "high"), 2),
        (("--skip", "function_failed"), 4),  # by not_read_whole: nothing passes for want of data
        (("--skip", "function_failed", "--skip", "not_read_whole"), 0),
        (("--check", "nope"), 2),
        (("--fail-on", "bad"), 2),
        (("--checks", "nowhere"), 2),
    ],
)
def test_exit_codes(dest, tmp_path, arguments, code):
    """The command exits with 4 exactly when an open finding is at or above --fail-on."""
    assert lexport("check", dest, *arguments, cwd=tmp_path).returncode == code


def test_table(dest, tmp_path):
    """The table cannot control a terminal; account-regions that were not checked and the totals go to stderr."""
    done = lexport("check", dest, *ONLY, cwd=tmp_path)

    shown = 'f\\x1b]0;owned\\x07\\n"<x>&\\u202e]]>\\ufffe'
    assert [line.split(maxsplit=4) for line in done.stdout.decode().splitlines()[2:]] == [
        ["high", "function_failed", "111122223333", "eu-west-1", f"{shown}  state_reason {shown}"],
        ["low", "timeout_at_maximum", "111122223333", "eu-west-1", f"g{' ' * (len(shown) - 1)}  timeout 900"],
    ]
    assert done.stderr.decode().splitlines() == [
        "lexport: never read whole, so not in plain table names: 111122223333 us-east-1 (denied); see snapshot.errors",
        "lexport: 2 checks: 0 critical, 1 high, 0 medium, 1 low; 0 waived; account-regions not read whole: 1",
    ]


@pytest.mark.parametrize(("fail_on", "code"), [("high", 4), ("none", 0)])
def test_closed_pipe(dest, tmp_path, fail_on, code):
    """A reader that has gone does not turn a finding into a success."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [LEXPORT, "check", dest, *ONLY, "--fail-on", fail_on],
        stdout=writer,
        stderr=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        check=False,
    )
    os.close(writer)

    assert (done.returncode, b"Traceback" in done.stderr) == (code, False)


def test_json_and_csv(dest, tmp_path):
    """JSON, JSON lines and CSV say the same, text as it is."""
    answers = {name: lexport("check", dest, *ONLY, "--output", name, cwd=tmp_path).stdout for name in ("json", "jsonl")}
    table = lexport("check", dest, *ONLY, "--output", "csv", cwd=tmp_path).stdout.decode()

    rows = json.loads(answers["json"])
    assert rows == [json.loads(line) for line in answers["jsonl"].splitlines()]
    assert rows[0] == {
        "check": "function_failed",
        "severity": "high",
        "title": "Function cannot run",
        "account_id": "111122223333",
        "region": "eu-west-1",
        "function_name": HOSTILE,
        "version": "$LATEST",
        "subject": None,
        "arn": f"arn:aws:lambda:eu-west-1:111122223333:function:{HOSTILE}",
        "details": {"state_reason_code": None, "state_reason": HOSTILE},
        "remediation": "Repair the key, subnet, role or image that the reason names, and update the function.",
        "fingerprint": rows[0]["fingerprint"],
        "waived_until": None,
        "waiver_reason": None,
        "references": [],
    }
    assert [row["function_name"] for row in csv.DictReader(io.StringIO(table, newline=""))] == [HOSTILE, "g"]


def test_waivers_and_thresholds(dest, tmp_path):
    """lexport.toml waives findings and sets thresholds; waived findings are shown, and do not decide the exit code."""
    day = AT.date() + timedelta(days=30)
    (tmp_path / "lexport.toml").write_text(
        f"""
        [check]
        fail-on = "low"
        check = ["function_failed", "timeout_at_maximum"]
        [check.thresholds.timeout_at_maximum]
        seconds = 901
        [[check.waivers]]
        check = "function_failed"
        region = "eu-*"
        reason = "being replaced"
        expires = {day}
        """
    )
    done = lexport("check", dest, "--output", "json", cwd=tmp_path)

    assert done.returncode == 0
    assert [(row["check"], row["waived_until"], row["waiver_reason"]) for row in json.loads(done.stdout)] == [
        ("function_failed", str(day), "being replaced")
    ]
    assert b"2 checks: 0 critical, 0 high, 0 medium, 0 low; 1 waived" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[check.waivers]]\ncheck = 'untagged'", "lexport.toml: check.waivers[1].reason: is missing"),
        (
            "[check.thresholds.untagged]\ndays = 1",
            "lexport.toml: check.thresholds.untagged.days: the check has no such",
        ),
        ("[check.thresholds]\nnope = {}", "lexport.toml: check.thresholds.nope: no check has that name"),
        ("[check]\nthresholds = 3", "lexport.toml: check.thresholds: write it as tables"),
        ("[check]\nnope = 3", "lexport.toml: [check] has no option nope"),
        ("[sql]\nwaivers = 3", "lexport.toml: [sql] has no option waivers"),
    ],
)
def test_bad_toml(dest, tmp_path, text, message):
    """A wrong lexport.toml is wrong use, named by key."""
    (tmp_path / "lexport.toml").write_text(text)
    done = lexport("check", dest, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr.decode()


def test_sarif(dest, tmp_path):
    """SARIF has what its standard and code scanning require: rules, locations, fingerprints and suppressions."""
    day = AT.date() + timedelta(days=30)
    (tmp_path / "lexport.toml").write_text(
        f"[[check.waivers]]\ncheck = 'timeout_at_maximum'\nreason = 'batch'\nexpires = {day}"
    )
    done = lexport("check", dest, *ONLY, "--output", "sarif", "-o", "found.sarif", cwd=tmp_path)
    log = json.loads((tmp_path / "found.sarif").read_bytes())

    assert (done.returncode, done.stdout, log["version"], len(log["runs"])) == (4, b"", "2.1.0", 1)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["function_failed", "timeout_at_maximum"]
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)
    failed, slow = run["results"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == [failed["ruleId"], slow["ruleId"]]
    assert (failed["level"], slow["level"]) == ("error", "note")
    assert (failed["suppressions"], slow["suppressions"]) == (
        [],
        [{"kind": "external", "status": "accepted", "justification": f"waived until {day}: batch"}],
    )
    (location,) = slow["locations"]
    assert location == {
        "physicalLocation": {
            "artifactLocation": {"uri": "lambda/111122223333/eu-west-1/g"},
            "region": {"startLine": 1},
        },
        "logicalLocations": [
            {
                "name": "111122223333 eu-west-1 g",
                "fullyQualifiedName": "arn:aws:lambda:eu-west-1:111122223333:function:g",
                "kind": "resource",
            }
        ],
    }
    hostile = failed["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert hostile == "lambda/111122223333/eu-west-1/f%1B%5D0%3Bowned%07%0A%22%3Cx%3E%26%E2%80%AE%5D%5D%3E%EF%BF%BE"
    assert failed["message"]["text"].isprintable()
    fingerprints = [result["partialFingerprints"] for result in run["results"]]
    assert len({each["lexportFinding/v1"] for each in fingerprints}) == 2
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0] == {
        "level": "error",
        "message": {"text": "111122223333 us-east-1: never read whole (denied)"},
        "properties": {"checks": ["function_failed", "timeout_at_maximum"]},
    }


def test_junit(dest, tmp_path):
    """JUnit is well formed: findings that decide the exit code are failures, and unread account-regions are errors."""
    done = lexport("check", dest, *ONLY, "--check", "untagged", "--fail-on", "high", "--output", "junit", cwd=tmp_path)
    root = ET.fromstring(done.stdout)

    shown = {
        suite.get("name"): [(case.get("name"), [child.tag for child in case]) for case in suite.iterfind("testcase")]
        for suite in root
    }
    hostile = 'f\\x1b]0;owned\\x07\\n"<x>&\\u202e]]>\\ufffe'
    place, denied = "111122223333 eu-west-1", ("111122223333 us-east-1", ["error"])
    assert shown == {
        "function_failed": [(f"{place} {hostile}", ["failure"]), denied],
        "timeout_at_maximum": [(f"{place} g", ["skipped"]), denied],
        "untagged": [(f"{place} {hostile}", ["skipped"]), (f"{place} g", ["skipped"]), denied],
    }
    assert dict(root.attrib) == {
        "name": "lexport check",
        "tests": "7",
        "failures": "1",
        "errors": "3",
        "skipped": "3",
    }
    assert root.find("testsuite/testcase/failure").get("message") == "high: Function cannot run"
    named = [
        (each.get("name"), each.get("value")) for each in root.iterfind("testsuite[@name='untagged']/properties/*")
    ]
    assert named == [("reference", "Security Hub Lambda.6")]


def test_frameworks(dest, tmp_path):
    """--framework runs the checks of one framework, with --check others too, and each output names the controls.

    A check that is off by default runs there and where it is named, and nowhere else. An unknown name is wrong use.
    """

    def names(*arguments):
        done = lexport("check", dest, *arguments, "--fail-on", "none", "--output", "json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return {each["check"]: each["references"] for each in json.loads(done.stdout)}

    hub = names("--framework", "security-hub")
    more = names("--framework", "security-hub", "--check", "timeout_at_maximum", "--skip", "untagged")
    unknown = lexport("check", dest, "--framework", "cis", cwd=tmp_path)
    nothing = lexport("check", dest, "--framework", "prowler", "--check", "nothing", cwd=tmp_path)
    table = lexport("check", dest, "--framework", "aws-config", "--fail-on", "none", cwd=tmp_path)
    log = json.loads(lexport("check", dest, "--framework", "steampipe", "--output", "sarif", cwd=tmp_path).stdout)
    listed = lexport("check", "--list", "--framework", "prowler", "--output", "json", cwd=tmp_path)

    assert hub.keys() == {"not_in_vpc", "tracing_off", "untagged"}
    assert "Security Hub Lambda.3" in hub["not_in_vpc"]
    assert more.keys() == {"not_in_vpc", "tracing_off", "timeout_at_maximum"}
    assert "not_in_vpc" not in names()
    assert names("--check", "not_in_vpc").keys() == {"not_in_vpc"}
    assert unknown.returncode == nothing.returncode == 2
    assert "there are: prowler, security-hub, aws-config, steampipe" in unknown.stderr.decode()
    assert b"AWS Config lambda-inside-vpc" in table.stdout
    rules = {rule["id"]: rule for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert rules["not_in_vpc"]["helpUri"] == "https://hub.prowler.com/check/awslambda_function_inside_vpc"
    assert "Steampipe lambda_function_in_vpc" in rules["not_in_vpc"]["properties"]["references"]
    assert "Steampipe lambda_function_in_vpc" in rules["not_in_vpc"]["properties"]["tags"]
    assert {"internet", "open_cors", "secret_in_code"} < {each["check"] for each in json.loads(listed.stdout)}


def test_what_was_not_read_does_not_pass(tmp_path, write_dataset):
    """Function URLs that were denied, and packages that were not searched, are named with the checks that need them."""
    functions = [
        {"function_name": name, "version": "$LATEST", "code_sha256": name, "package_type": "Zip"} for name in ("f", "g")
    ]
    write_dataset(
        tmp_path,
        [
            {
                "at": AT,
                "functions": functions,
                **{table: [] for table in ("function_urls", "policy_statements", "policy_conditions")},
                "scope_resources": [
                    {"resource": "urls", "status": "denied"},
                    {"resource": "policies", "status": "complete"},
                ],
                "packages": [
                    {"code_sha256": "f", "sha256_hex": "f", "secrets_status": "complete", "secret_rules_version": 1}
                ],
            }
        ],
    )
    (manifest,) = (tmp_path / "_runs").iterdir()
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"options": {"with": ["urls", "policies"]}}))
    asked = ("--check", "open_cors", "--check", "secret_in_code")
    done = lexport("check", tmp_path, *asked, "--output", "junit", cwd=tmp_path)
    root = ET.fromstring(done.stdout)
    skipped = {each.get("name"): each.find("testcase/skipped").get("message") for each in root}

    assert skipped["open_cors"] == "not judged: urls were denied"
    assert "1 of 2 packages and layers was not searched whole for secrets" in skipped["secret_in_code"]
    assert "not judged there in full: open_cors" in done.stderr.decode()


def test_own_checks(dest, tmp_path):
    """A check of the user's runs beside the shipped ones, and can be waived; a bad one names file and line."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "outside_vpc.sql").write_text(OWN)
    good = lexport("check", dest, "--checks", "mine", "--check", "outside_vpc", "--output", "jsonl", cwd=tmp_path)
    (tmp_path / "mine" / "outside_vpc.sql").write_text(OWN.replace("vpc_config_vpc_id", "vpc_id"))
    bad = lexport("check", dest, "--checks", "mine", cwd=tmp_path)

    assert good.returncode == 4
    assert [json.loads(line)["function_name"] for line in good.stdout.splitlines()] == [HOSTILE, "g"]
    assert bad.returncode == 2
    assert "outside_vpc.sql, line 10: " in bad.stderr.decode()


@pytest.mark.wheel
def test_list(tmp_path):
    """--list needs no dataset, and shows the thresholds that lexport.toml sets."""
    (tmp_path / "lexport.toml").write_text("[check.thresholds.required_tags]\nkeys = ['owner']")
    done = lexport("check", "--list", "--check", "required_tags", "--output", "json", cwd=tmp_path)

    assert json.loads(done.stdout) == [
        {
            "severity": "medium",
            "check": "required_tags",
            "title": "Lacks a required tag",
            "thresholds": 'keys: ["owner"] tag keys',
            "references": "",
        }
    ]
    assert lexport("check", cwd=tmp_path).returncode == 2
    assert lexport("check", "--list", "--output", "sarif", cwd=tmp_path).returncode == 2


def test_no_snapshot(tmp_path):
    """Without a snapshot nothing passes."""
    done = lexport("check", tmp_path, cwd=tmp_path)

    assert done.returncode == 1
    assert b"holds no snapshot yet" in done.stderr
