"""Each shipped check, its rows in full.

All cases lie in one dataset, each in a Region of its own under the same function names: so a join that forgets the
Region would show.
"""

import asyncio
import re
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest

import lexport
from lexport.extract.secret_rules import secret_rule
from lexport.query.checks.definition import load_checks
from lexport.query.shipped_views import sql_dir

A = "111122223333"
AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
LATEST = "$LATEST"
THRESHOLDS = {
    "required_tags": {"keys": ["owner", "team"]},
    "foreign_layer": {"trusted_accounts": ["999988887777"]},
    "shared_role": {"functions": 2},
}
ROLE = f"arn:aws:iam::{A}:role/shared"


def days(number):
    return AT - timedelta(days=number)


def fn(name="f", version=LATEST, **more):
    return {"function_name": name, "version": version, **more}


def route(alias="live", version="1", weight=1.0, name="f"):
    return {"function_name": name, "alias": alias, "version": version, "weight": weight}


def layer(arn, name="f", version=LATEST, position=0):
    return {"function_name": name, "version": version, "position": position, "layer_arn": arn}


def var(name, rule=None, function="f", version=LATEST):
    return {"function_name": function, "version": version, "name": name, "secret_rule": rule}


def subnet(number, name="f", version=LATEST):
    return {"function_name": name, "version": version, "subnet_id": f"subnet-{number}"}


def tag(key, name="f"):
    return {"function_name": name, "key": key, "value": ""}


NAMED = secret_rule("DB_PASSWORD", "correct horse")  # the rule that knows no more than the name
OWN_LAYER = f"arn:aws:lambda:eu-west-1:{A}:layer:deps:"

# check, case -> rows by table, and the findings: (function, version, subject, details)
CASES = {
    ("account_settings_unreadable", "denied"): ({}, [(None, None, None, {})]),
    ("account_settings_unreadable", "read"): ({"scope": {"function_count_reported": 0}}, []),
    ("alias_missing_version", "gone"): (
        {
            "functions": [fn(), fn(version="2"), fn("g"), fn("g", "1")],
            "alias_routes": [route(version="1"), route("two", "2"), route("next", LATEST), route(name="g")],
        },
        [("f", "1", "live", {})],
    ),
    ("alias_missing_version", "versions_not_read"): ({"functions": [fn()], "alias_routes": [route()]}, []),
    ("canary_weight_left", "old"): (
        {
            "functions": [fn(), fn(version="1", last_modified_at=days(90)), fn(version="2", last_modified_at=days(7))],
            "alias_routes": [route(version="1", weight=0.9), route(version="2", weight=0.1), route("all", "2")],
        },
        [("f", None, "live", {"smallest_weight": 0.1, "newest_version_at": days(7)})],
    ),
    ("canary_weight_left", "young_or_done"): (
        {
            "functions": [fn(version="1", last_modified_at=days(90)), fn(version="2", last_modified_at=days(6))],
            "alias_routes": [
                route(version="1", weight=0.9),
                route(version="2", weight=0.1),
                route("done", "1", 1.0),
                route("done", "2", 0.0),
                route("unknown", "7", 0.5),
                route("unknown", "8", 0.5),
            ],
        },
        [],
    ),
    ("code_storage_near_limit", "near"): (
        {"account_settings": [{"code_size_used": 80, "code_size_limit": 100}]},
        [(None, None, None, {"code_size_used": 80, "code_size_limit": 100})],
    ),
    ("code_storage_near_limit", "far"): ({"account_settings": [{"code_size_used": 79, "code_size_limit": 100}]}, []),
    ("code_storage_near_limit", "unknown"): ({"account_settings": [{"code_size_used": 79}]}, []),
    ("debug_log_level", "levels"): (
        {
            "functions": [
                fn("debug", logging_config_application_log_level="DEBUG"),
                fn("trace", logging_config_application_log_level="TRACE"),
                fn("info", logging_config_application_log_level="INFO"),
                fn("text"),
            ]
        },
        [
            ("debug", LATEST, None, {"logging_config_application_log_level": "DEBUG"}),
            ("trace", LATEST, None, {"logging_config_application_log_level": "TRACE"}),
        ],
    ),
    ("deprecated_runtime", "runtimes"): (
        {
            "functions": [
                fn(runtime="python3.9"),
                fn(version="1", runtime="nodejs18.x"),
                fn(version="2", runtime="nodejs18.x"),
                fn("supported", runtime="python3.14"),
                fn("not_scheduled", runtime="nodejs26.x"),
                fn("image"),
                fn("unknown", runtime="python9.9"),
                fn("managed", runtime="python3.9", runtime_config_runtime_arn="arn:x"),
            ],
            "alias_routes": [route(version="1"), route("off", "2", 0.0)],
        },
        [
            (
                "f",
                LATEST,
                None,
                {"runtime": "python3.9", "deprecation_date": date(2025, 12, 15), "successor": "python3.14"},
            ),
            (
                "f",
                "1",
                None,
                {"runtime": "nodejs18.x", "deprecation_date": date(2025, 9, 1), "successor": "nodejs24.x"},
            ),
        ],
    ),
    ("runtime_update_block", "border"): (
        {
            "functions": [
                fn("blocked", runtime="python2.7"),
                fn("far", runtime="python3.9"),  # 2027-03-03, more than 90 days away
                fn("not_scheduled", runtime="nodejs26.x"),
                fn("managed", runtime="python2.7", runtime_config_runtime_arn="arn:x"),
                fn("near", runtime="python3.9", snapshot_at=datetime(2026, 12, 3, tzinfo=UTC)),
                fn("not_yet", runtime="python3.9", snapshot_at=datetime(2026, 12, 2, tzinfo=UTC)),
            ]
        },
        [
            (
                "blocked",
                LATEST,
                None,
                {"runtime": "python2.7", "block_update_date": date(2022, 5, 30), "successor": "python3.14"},
            ),
            (
                "near",
                LATEST,
                None,
                {"runtime": "python3.9", "block_update_date": date(2027, 3, 3), "successor": "python3.14"},
            ),
        ],
    ),
    ("runtime_ends_soon", "border"): (
        {
            "functions": [
                fn("past", runtime="python3.9"),
                fn("today", runtime="nodejs22.x", snapshot_at=datetime(2027, 4, 30, tzinfo=UTC)),
                fn("tomorrow", runtime="nodejs22.x", snapshot_at=datetime(2027, 4, 29, tzinfo=UTC)),
                fn("near", runtime="nodejs22.x", snapshot_at=datetime(2027, 1, 30, tzinfo=UTC)),
                fn("far", runtime="nodejs22.x", snapshot_at=datetime(2027, 1, 29, tzinfo=UTC)),
                fn("not_scheduled", runtime="nodejs26.x"),
                fn("managed", runtime="nodejs22.x", runtime_config_runtime_arn="arn:x"),
            ]
        },
        [
            (
                name,
                LATEST,
                None,
                {"runtime": "nodejs22.x", "deprecation_date": date(2027, 4, 30), "successor": "nodejs24.x"},
            )
            for name in ("near", "tomorrow")
        ],
    ),
    ("unknown_runtime", "runtimes"): (
        {
            "functions": [
                fn(runtime="python9.9"),
                fn("known", runtime="provided.al2023"),
                fn("image", package_type="Image"),
                fn("managed", runtime="mine", runtime_config_runtime_arn="arn:x"),
            ]
        },
        [("f", LATEST, None, {"runtime": "python9.9"})],
    ),
    ("x86_64_function", "runtimes"): (
        {
            "functions": [
                fn(name, package_type=package, architecture=architecture, runtime=runtime)
                for name, package, architecture, runtime in (
                    ("f", "Zip", "x86_64", "python3.13"),
                    ("arm", "Zip", "arm64", "python3.13"),
                    ("unsaid", "Zip", None, "python3.13"),
                    ("image", "Image", "x86_64", None),
                    ("compiled", "Zip", "x86_64", "provided.al2023"),
                    ("never", "Zip", "x86_64", "java8"),
                    ("past", "Zip", "x86_64", "python3.9"),
                    ("unknown", "Zip", "x86_64", "python9.9"),
                    ("no_date", "Zip", "x86_64", "nodejs26.x"),
                )
            ]
            + [
                fn("edge", package_type="Zip", architecture="x86_64", runtime="python3.13", master_arn="arn:x"),
            ]
        },
        [("f", LATEST, None, {"runtime": "python3.13"}), ("no_date", LATEST, None, {"runtime": "nodejs26.x"})],
    ),
    ("environment_unreadable", "denied"): (
        {
            "functions": [
                fn(environment_error_code="AccessDeniedException", kms_key_arn="arn:aws:kms:eu-west-1:1:key/k"),
                fn(version="1", environment_error_message="x"),
                fn(version="2", environment_error_code="x"),
                fn("g"),
            ],
            "alias_routes": [route(version="1")],
        },
        [
            (
                "f",
                LATEST,
                None,
                {"error_code": "AccessDeniedException", "kms_key_arn": "arn:aws:kms:eu-west-1:1:key/k"},
            ),
            ("f", "1", None, {"error_code": None, "kms_key_arn": None}),
        ],
    ),
    ("environment_without_customer_key", "keys"): (
        {
            "functions": [fn(kms_key_arn=""), fn("own", kms_key_arn="arn:k"), fn("empty"), fn(version="1")],
            "env_vars": [var("A"), var("B"), var("A", function="own"), var("A", version="1")],
        },
        [("f", LATEST, None, {"variables": 2})],
    ),
    ("ephemeral_storage_large", "border"): (
        {"functions": [fn(ephemeral_storage_size=4096), fn("g", ephemeral_storage_size=4095), fn("h")]},
        [("f", LATEST, None, {"ephemeral_storage_size": 4096})],
    ),
    ("foreign_layer", "accounts"): (
        {
            "functions": [fn(), fn("g"), fn(version="1"), fn(version="2")],
            "layers": [
                layer(OWN_LAYER + "1"),
                layer("arn:aws:lambda:eu-west-1:444455556666:layer:deps:1", position=1),
                layer("arn:aws:lambda:eu-west-1:999988887777:layer:fine:3", position=2),
                layer("arn:aws:lambda:::awslayer:AmazonLinux1703", position=3),
                layer("arn:aws-cn:lambda:cn-north-1:444455556666:layer:deps:1", version="1"),
                layer("arn:aws:lambda:eu-west-1:444455556666:layer:deps:1", version="2"),
            ],
            "alias_routes": [route(version="1")],
        },
        [
            ("f", LATEST, "arn:aws:lambda:eu-west-1:444455556666:layer:deps:1", {}),
            ("f", "1", "arn:aws-cn:lambda:cn-north-1:444455556666:layer:deps:1", {}),
        ],
    ),
    ("function_count_differs", "differs"): (
        {"scope": {"functions": 3, "function_count_reported": 4}},
        [(None, None, None, {"functions": 3, "reported": 4})],
    ),
    ("function_count_differs", "same"): ({"scope": {"functions": 3, "function_count_reported": 3}}, []),
    ("function_count_differs", "unknown"): ({"scope": {"functions": 3}}, []),
    ("function_failed", "states"): (
        {
            "functions": [
                fn(state="Failed", state_reason_code="InvalidSubnet", state_reason="gone"),
                fn(version="1", state="Failed"),
                fn(version="2", state="Failed"),
                fn("g", state="Active"),
                fn("h"),
            ],
            "alias_routes": [route(version="1"), route("off", "2", 0.0)],
        },
        [
            ("f", LATEST, None, {"state_reason_code": "InvalidSubnet", "state_reason": "gone"}),
            ("f", "1", None, {"state_reason_code": None, "state_reason": None}),
        ],
    ),
    ("function_inactive", "states"): (
        {"functions": [fn(state="Inactive", state_reason_code="Idle"), fn("g", state="Active"), fn("h")]},
        [("f", LATEST, None, {"state_reason_code": "Idle"})],
    ),
    ("memory_large", "border"): (
        {"functions": [fn(memory_size=4096), fn("g", memory_size=4095), fn("h"), fn(version="1", memory_size=9999)]},
        [("f", LATEST, None, {"memory_size": 4096})],
    ),
    ("no_dead_letter_target", "targets"): (
        {
            "functions": [
                fn(),
                fn("empty", dead_letter_config_target_arn=""),
                fn("set", dead_letter_config_target_arn="arn:aws:sqs:eu-west-1:111122223333:q"),
            ]
        },
        [("empty", LATEST, None, {}), ("f", LATEST, None, {})],
    ),
    ("not_modified", "border"): (
        {
            "functions": [
                fn(last_modified_at=days(730)),
                fn("g", last_modified_at=days(729)),
                fn("h"),
                fn(version="1", last_modified_at=days(900)),
            ]
        },
        [("f", LATEST, None, {"last_modified_at": days(730)})],
    ),
    ("old_layer_version", "versions"): (
        {
            "layers": [
                layer(OWN_LAYER + "9"),
                layer(OWN_LAYER + "10", name="g"),
                layer(OWN_LAYER + "11", name="g", version="1"),
                layer(f"arn:aws:lambda:eu-west-1:{A}:layer:deps2:1", position=1),
                layer("arn:aws:lambda:::awslayer:AmazonLinux1703", position=2),
                layer(OWN_LAYER + "9" * 40, name="h"),
                layer("no version:layer:x:", name="i"),
            ]
        },
        [("f", LATEST, OWN_LAYER + "9", {"newest_version": 10})],
    ),
    ("required_tags", "keys"): (
        {
            "functions": [fn(), fn("g"), fn("h"), fn("denied", tags_error_code="AccessDeniedException"), fn("g", "1")],
            "tags": [tag("owner"), tag("team"), tag("owner", "g"), tag("Team", "g")],
        },
        [("g", LATEST, "team", {}), ("h", LATEST, "owner", {}), ("h", LATEST, "team", {})],
    ),
    ("reservations_near_limit", "near"): (
        {"account_settings": [{"concurrent_executions_limit": 1000, "unreserved_concurrent_executions": 200}]},
        [(None, None, None, {"unreserved_concurrent_executions": 200, "concurrent_executions_limit": 1000})],
    ),
    ("reservations_near_limit", "far"): (
        {"account_settings": [{"concurrent_executions_limit": 1000, "unreserved_concurrent_executions": 201}]},
        [],
    ),
    ("secret_name_without_customer_key", "keys"): (
        {
            "functions": [fn(), fn("own", kms_key_arn="arn:k")],
            "env_vars": [var("DB_PASSWORD", NAMED), var("TOKEN", "github_token"), var("A"), var("P", NAMED, "own")],
        },
        [("f", LATEST, "DB_PASSWORD", {})],
    ),
    ("shared_role", "counts"): (
        {
            "functions": [
                fn(role=ROLE),
                fn("g", role=ROLE),
                fn("h", role="arn:own"),
                fn("h", "1", role="arn:own"),
                fn("i"),
            ]
        },
        [(None, None, ROLE, {"functions": 2})],
    ),
    ("single_subnet", "counts"): (
        {
            "subnets": [
                subnet(1),
                subnet(1, "g"),
                subnet(2, "g"),
                subnet(3, version="1"),
                subnet(4, version="2"),
            ],
            "alias_routes": [route(version="1")],
        },
        [("f", LATEST, None, {"subnet_id": "subnet-1"}), ("f", "1", None, {"subnet_id": "subnet-3"})],
    ),
    ("suspected_secret", "rules"): (
        {"env_vars": [var("T", "github_token", version="3"), var("P", NAMED), var("A")]},
        [("f", "3", "T", {"secret_rule": "github_token"})],
    ),
    ("tags_unreadable", "denied"): (
        {"functions": [fn(tags_error_code="AccessDeniedException"), fn("g", tags_error_message="x"), fn("h")]},
        [("f", LATEST, None, {"error_code": "AccessDeniedException"}), ("g", LATEST, None, {"error_code": None})],
    ),
    ("throttled_to_zero", "counts"): (
        {
            "functions": [
                fn(reserved_concurrent_executions=0),
                fn("g", reserved_concurrent_executions=1),
                fn("h"),
            ]
        },
        [("f", LATEST, None, {})],
    ),
    ("timeout_at_maximum", "border"): (
        {"functions": [fn(timeout=900), fn("g", timeout=899), fn("h")]},
        [("f", LATEST, None, {"timeout": 900})],
    ),
    ("tracing_off", "modes"): (
        {
            "functions": [
                fn(tracing_config_mode="PassThrough"),
                fn("g", tracing_config_mode="Active"),
                fn("h"),
                fn(version="1", tracing_config_mode="PassThrough"),
            ]
        },
        [
            ("f", LATEST, None, {"tracing_config_mode": "PassThrough"}),
            ("h", LATEST, None, {"tracing_config_mode": None}),
        ],
    ),
    ("unsigned_code", "mixed"): (
        {
            "functions": [
                fn("signed", package_type="Zip", signing_job_arn="arn:job"),
                fn("signed_too", package_type="Zip", signing_job_arn="arn:job"),
                fn(package_type="Zip"),
                fn("empty", package_type="Zip", signing_job_arn=""),
                fn("image", package_type="Image"),
                fn(version="1", package_type="Zip"),
            ]
        },
        [("empty", LATEST, None, {"signed_functions": 2}), ("f", LATEST, None, {"signed_functions": 2})],
    ),
    ("unsigned_code", "few_signed"): (
        {
            "functions": [
                fn(package_type="Zip"),
                fn("g", package_type="Zip"),
                fn("h", package_type="Zip", signing_job_arn="j"),
            ]
        },
        [],
    ),
    ("unsigned_code", "none_signed"): ({"functions": [fn(package_type="Zip")]}, []),
    ("untagged", "tags"): (
        {
            "functions": [
                fn(),
                fn("aws_only"),
                fn("tagged"),
                fn("denied", tags_error_code="AccessDeniedException"),
                fn("unsaid", tags_error_message="x"),
            ],
            "tags": [tag("aws:cloudformation:stack-name", "aws_only"), tag("owner", "tagged")],
        },
        [("aws_only", LATEST, None, {}), ("f", LATEST, None, {})],
    ),
    ("update_failed", "states"): (
        {
            "functions": [
                fn(last_update_status="Failed", last_update_status_reason_code="EniLimitExceeded"),
                fn("g", last_update_status="Successful"),
                fn("h"),
            ]
        },
        [
            (
                "f",
                LATEST,
                None,
                {"last_update_status_reason_code": "EniLimitExceeded", "last_update_status_reason": None},
            )
        ],
    ),
    ("update_stuck", "border"): (
        {
            "functions": [
                fn(last_update_status="InProgress", last_modified_at=days(2)),
                fn("past_midnight", last_update_status="InProgress", last_modified_at=AT - timedelta(hours=3)),
                fn("created", state="Pending", last_modified_at=days(3)),
                fn("carried", state="Pending", last_modified_at=days(5), fetched_at=days(5)),
                fn("undated", state="Pending"),
                fn("done", state="Active", last_update_status="Successful", last_modified_at=days(9)),
            ]
        },
        [
            ("created", LATEST, None, {"state": "Pending", "last_update_status": None, "last_modified_at": days(3)}),
            ("f", LATEST, None, {"state": None, "last_update_status": "InProgress", "last_modified_at": days(2)}),
        ],
    ),
}
ELSEWHERE = {"not_read_whole"}  # it has a test of its own


def region(check, case):
    return re.sub("[^a-z0-9]+", "-", f"{check}-{case}".lower())


@pytest.fixture(scope="module")
def findings(tmp_path_factory, write_dataset):
    """The findings of all cases, by check and Region."""
    dest = tmp_path_factory.mktemp("checks")
    tables, scopes = defaultdict(list), []
    for (check, case), (rows, _) in CASES.items():
        place = {"region": region(check, case)}
        scopes.append({**place, **rows.get("scope", {})})
        for table, table_rows in rows.items():
            if table != "scope":
                tables[table] += [{**place, **row} for row in table_rows]
    write_dataset(dest, [{"at": AT, "scopes": scopes, **tables}])
    found = defaultdict(list)
    for finding in asyncio.run(lexport.check(dest, thresholds=THRESHOLDS)).findings:
        found[finding.check.name, finding.region].append(
            (finding.function_name, finding.version, finding.subject, finding.details)
        )
        assert finding.account_id == A
    return found


@pytest.mark.parametrize(("check", "case"), CASES)
def test_rows(findings, check, case):
    """A check finds exactly the rows that break its rule, and none because a column is NULL."""
    _, expected = CASES[check, case]

    assert expected == findings[check, region(check, case)]


def test_every_check_has_cases():
    """No check is shipped without rows that it finds."""
    shipped = {check.name for check in load_checks(sql_dir() / "checks")}

    assert shipped - ELSEWHERE == {check for (check, _), (_, expected) in CASES.items() if expected}


def test_not_read_whole(tmp_path, write_dataset):
    """What was denied or partial in its newest reading is found, with its last whole one; what is off is not."""
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

    found = asyncio.run(lexport.check(tmp_path, only=["not_read_whole"]))

    newest = f"01K0{2:022d}"
    assert [(finding.account_id, finding.region, finding.details) for finding in found.findings] == [
        (A, "eu-west-1", {"status": "partial", "snapshot_id": newest, "last_whole_at": days(1)}),
        (A, "us-east-1", {"status": "denied", "snapshot_id": newest, "last_whole_at": None}),
    ]
    assert not any("aws-global" in line for line in found.notices)
    assert [(item.region, item.reason, item.is_unread) for item in found.unjudged] == [
        ("eu-west-1", "its newest reading is partial; a reading 24h older is judged", True),
        ("us-east-1", "never read whole (denied)", True),
    ]
