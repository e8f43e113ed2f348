"""Checks of code, runtimes, layers and state: rows by table, and the expected findings."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

rows = SimpleNamespace(**run_path(str(Path(__file__).with_name("check_rows.py"))))
A, AT, LATEST, days, fn, route, layer, OWN_LAYER = (
    rows.A,
    rows.AT,
    rows.LATEST,
    rows.days,
    rows.fn,
    rows.route,
    rows.layer,
    rows.OWN_LAYER,
)

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
    ("secret_in_code", "in_use"): (
        {
            "functions": [
                fn(code_sha256="sA"),
                fn(version="1", code_sha256="sB"),
                fn(version="2", code_sha256="sB"),
                fn("g", code_sha256="sD"),
            ],
            "alias_routes": [route(version="1")],
            "layers": [layer(OWN_LAYER + "7", "g")],
            "layer_versions": [{"layer_arn": OWN_LAYER + "7", "code_sha256": "sC"}],
            "packages": [
                {"code_sha256": code, "sha256_hex": code, "secret_rules_version": 1}
                for code in ("sA", "sB", "sC", "sD")
            ],
            "package_secrets": [
                {"sha256_hex": code, "path": "a.py", "line": line, "rule": rule, "secret_rules_version": version}
                for code, line, rule, version in (
                    ("sA", 9, "jwt", 1),
                    ("sA", 3, "jwt", 1),
                    ("sB", 1, "npm_token", 1),
                    ("sC", 2, "jwt", 1),
                    ("sD", 1, "jwt", 0),
                )
            ],
        },
        [
            ("f", LATEST, "a.py: jwt", {"line": 3, "layer_arn": None}),
            ("f", "1", "a.py: npm_token", {"line": 1, "layer_arn": None}),
            ("g", LATEST, "a.py: jwt", {"line": 2, "layer_arn": OWN_LAYER + "7"}),
        ],
    ),
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
"""By check and case: rows by table, and the findings as (function, version, subject, details)."""
