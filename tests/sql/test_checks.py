"""Each shipped check finds exactly the expected rows.

All cases are in one dataset, each in a Region of its own and with the same function names, so that a join without the
Region would fail.
"""

import asyncio
import re
from collections import defaultdict
from pathlib import Path
from runpy import run_path

import pytest

import lexport
from lexport.query.checks.definition import load_checks
from lexport.query.shipped_views import sql_dir


def _load(name):
    return run_path(str(Path(__file__).with_name(f"{name}.py")))


ROWS = _load("check_rows")
A, AT, days = ROWS["A"], ROWS["AT"], ROWS["days"]
CASES = {
    name: case
    for file in ("code", "settings", "exposure")
    for name, case in _load(f"check_cases_{file}")["CASES"].items()
}
THRESHOLDS = {
    "required_tags": {"keys": ["owner", "team"]},
    "cross_account": {"trusted_accounts": ["999988887777"]},
    "foreign_layer": {"trusted_accounts": ["999988887777"]},
    "foreign_service_source": {"trusted_accounts": ["999988887777"]},
    "shared_role": {"functions": 2},
    "log_level_not_accepted": {"application_levels": ["INFO", "WARN"]},
    "settings_not_accepted": {"runtimes": ["python3.13"], "timeouts": ["3"]},
}
TESTED_ALONE = {"not_read_whole"}


def region(check, case):
    return re.sub("[^a-z0-9]+", "-", f"{check}-{case}".lower())


@pytest.fixture(scope="module")
def findings(tmp_path_factory, write_dataset):
    """Return the findings of all cases, by check and Region."""
    dest = tmp_path_factory.mktemp("checks")
    tables, scopes = defaultdict(list), []
    for (check, case), (rows, _) in CASES.items():
        scope = {"region": region(check, case)}
        scopes.append({**scope, **rows.get("scope", {})})
        for table, table_rows in rows.items():
            if table != "scope":
                tables[table] += [{**scope, **row} for row in table_rows]
    write_dataset(dest, [{"at": AT, "scopes": scopes, **tables}])
    by_region = defaultdict(list)
    every = [check.name for check in load_checks(sql_dir() / "checks")]
    for finding in asyncio.run(lexport.check(dest, only=every, thresholds=THRESHOLDS)).findings:
        by_region[finding.check.name, finding.region].append(
            (finding.function_name, finding.version, finding.subject, finding.details)
        )
        assert finding.account_id == A
    return by_region


@pytest.mark.parametrize(("check", "case"), CASES)
def test_rows(findings, check, case):
    """A check finds exactly the rows that break its rule, and none because a column is NULL."""
    _, expected = CASES[check, case]

    assert expected == findings[check, region(check, case)]


def test_every_check_has_cases():
    """Every shipped check has a case with a finding."""
    shipped = {check.name for check in load_checks(sql_dir() / "checks")}

    assert shipped - TESTED_ALONE == {check for (check, _), (_, expected) in CASES.items() if expected}


def test_not_read_whole(tmp_path, write_dataset):
    """Denied and partial account-regions are found, with their last whole reading; disabled Regions are not."""
    other = "444455556666"
    write_dataset(
        tmp_path,
        [
            {"at": days(1), "scopes": [{}, {"account_id": other, "region": "aws-global", "status": "denied"}]},
            {
                "at": AT,
                "status": "partial",
                "scopes": [
                    {"status": "partial"},
                    {"region": "us-east-1", "status": "denied"},
                    {"region": "af-south-1", "status": "unavailable"},
                    {"region": "eu-north-1", "status": "partial", "coverage": "selection"},
                    {"account_id": other, "region": "eu-west-1"},
                ],
            },
        ],
    )

    result = asyncio.run(lexport.check(tmp_path, only=["not_read_whole"]))

    newest = f"01K0{2:022d}"
    assert [(finding.account_id, finding.region, finding.details) for finding in result.findings] == [
        (A, "eu-west-1", {"status": "partial", "snapshot_id": newest, "last_whole_at": days(1)}),
        (A, "us-east-1", {"status": "denied", "snapshot_id": newest, "last_whole_at": None}),
    ]
    assert not any("aws-global" in line for line in result.notices)
    assert [(item.region, item.reason, item.is_unread) for item in result.unjudged] == [
        ("eu-west-1", "its newest reading is partial; a reading 24h older is judged", True),
        ("us-east-1", "never read whole (denied)", True),
    ]
