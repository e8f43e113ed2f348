"""Code, layers, aliases and runs: the rows of each view on the hand-written fleet, counted by hand."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

fleet = SimpleNamespace(**run_path(str(Path(__file__).with_name("fleet.py"))))
A, B, R, U, AT, MAY, JUNE, arn, role, layer = (
    fleet.A,
    fleet.B,
    fleet.R,
    fleet.U,
    fleet.AT,
    fleet.MAY,
    fleet.JUNE,
    fleet.arn,
    fleet.role,
    fleet.layer,
)

EXPECTED = {
    "prunable_versions": [
        (A, R, "job", "1", arn("job"), "nodejs22.x", "Zip", MAY, 4, "job-old", 7, False, 7),
        (A, R, "job", "2", arn("job"), "nodejs22.x", "Zip", MAY, 3, "job-old", 7, False, 0),
        (A, R, "web", "1", arn("web"), "python3.8", "Zip", MAY, 4, "api-$LATEST", 30, True, 0),
    ],
    "code_storage": [
        (A, R, 400, 100, 0.25, 300, 6, 16, 85, 47, 3, 7),
        (B, R, 400, 8, 0.02, 392, 2, 6, 5, 5, None, None),
        (A, U, None, None, None, None, 1, 1, 1, 1, 0, 0),
    ],
    "code_storage_by_function": [
        (A, R, "web", arn("web"), 6, 35, 34, 1, 0, JUNE),
        (A, R, "api", arn("api"), 1, 30, 30, 0, 0, MAY),
        (A, R, "job", arn("job"), 6, 18, 11, 2, 7, MAY),
        (B, R, "web", arn("web", B), 5, 5, 5, None, None, MAY),
        (A, R, "new", arn("new"), 1, 1, 1, 0, 0, MAY),
        (A, R, "own", arn("own"), 1, 1, 1, 0, 0, MAY),
        (A, U, "web", arn("web", A, U), 1, 1, 1, 0, 0, MAY),
        (A, R, "img", arn("img"), 1, 0, 0, 0, 0, MAY),
        (B, R, "img", arn("img", B), 1, 0, 0, None, None, MAY),
    ],
    "layer_usage": [
        (A, R, "arn:aws:lambda:::awslayer:AmazonLinux2023", None, None, None, True, None, None, 1, 1, 1, 2),
        (A, R, layer(10), "libs", 10, A, False, 10, 0, 1, 1, 1, 6),
        (A, R, layer(9), "libs", 9, A, False, 10, 1, 1, 1, 2, 5),
        (A, U, layer(1, region=U), "libs", 1, A, False, 1, 0, 1, 1, 1, 4),
        (B, R, layer(8), "libs", 8, A, True, 10, 2, 1, 1, 1, 5),
    ],
    "outdated_layers": [
        (A, R, "web", "$LATEST", layer(9), "libs", 9, 10, 1, "python3.9", MAY),
        (A, R, "web", "11", layer(9), "libs", 9, 10, 1, "python3.9", JUNE),
        (B, R, "web", "$LATEST", layer(8), "libs", 8, 10, 2, "python3.14", MAY),
    ],
    "foreign_layers": [
        (
            A,
            R,
            "job",
            "$LATEST",
            "arn:aws:lambda:::awslayer:AmazonLinux2023",
            None,
            2,
            False,
            "python3.14",
            role("job"),
            MAY,
        ),
        (B, R, "web", "$LATEST", layer(8), A, 5, True, "python3.14", role("web", B), MAY),
    ],
    "shared_code": [
        ("Image", "img-$LATEST", 2, 2, 2, 1, 0, arn("img"), MAY),
        ("Zip", "api-$LATEST", 2, 2, 1, 1, 30, arn("api"), MAY),
        ("Zip", "web-11", 2, 3, 2, 1, 1, arn("web"), JUNE),
        ("Zip", "web-2", 2, 2, 2, 1, 1, arn("web"), MAY),
    ],
    "image_digests": [
        (A, R, "r@sha256:1", "r:a", 1, 1, 1, 1, MAY),
        (B, R, "r@sha256:1", "r:b", 1, 1, 1, 1, MAY),
    ],
    "alias_lag": [
        (A, R, "web", "live", "10", "11", 1, "behind", False, "python3.9", MAY, MAY, arn("web")),
        (A, R, "web", "next", "$LATEST", "11", 0, "latest", True, "python3.9", MAY, MAY, arn("web")),
    ],
    "canary_aliases": [
        (A, R, "web", "live", "10", "2", 0.1, 205, arn("web")),
    ],
    "code_signing": [
        (A, R, "Image", None, 1, 1, 1),
        (A, R, "Zip", None, 5, 5, 15),
        (A, U, "Zip", "arn:aws:signer:p", 1, 1, 1),
        (B, R, "Image", None, 1, 1, 1),
        (B, R, "Zip", None, 1, 1, 5),
    ],
    "pinned_runtime_versions": [],  # too few functions have the same one; see test_fleet_views.py
    "errors_by_kind": [
        ("fetch", "GetFunction", "gone", False, 2, 1, 2, 2, 1, "b"),
        ("account", "GetAccountSettings", "AccessDenied", False, 1, 1, 1, 0, 2, "a"),
    ],
    "snapshot_cost": [
        ("01K00000000000000000000001", AT, A, R, "fleet", "complete", 6, 15, 15, 9, 1, None, 1.6, None, None),
        ("01K00000000000000000000001", AT, A, U, "fleet", "complete", 1, 1, 1, 1, None, None, 2.0, None, None),
        ("01K00000000000000000000001", AT, B, R, "fleet", "complete", 2, 5, 5, 1, None, None, 1.2, None, None),
    ],
}
