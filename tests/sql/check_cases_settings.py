"""Checks of settings, variables, tags and networks: rows by table, and the expected findings."""

from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

rows = SimpleNamespace(**run_path(str(Path(__file__).with_name("check_rows.py"))))
LATEST, ROLE, fn, route, var, subnet, tag, NAMED, layer, url = (
    rows.LATEST,
    rows.ROLE,
    rows.fn,
    rows.route,
    rows.var,
    rows.subnet,
    rows.tag,
    rows.NAMED,
    rows.layer,
    rows.url,
)

CASES = {
    ("not_in_vpc", "places"): (
        {
            "functions": [
                fn(),
                fn("v", vpc_config_vpc_id="vpc-1"),
                fn("s"),
                fn("e", vpc_config_vpc_id=""),
                fn(version="1"),
            ],
            "subnets": [subnet(1, "s")],
        },
        [("e", LATEST, None, {}), ("f", LATEST, None, {})],
    ),
    ("no_reserved_concurrency", "reserved"): (
        {"functions": [fn(), fn("zero", reserved_concurrent_executions=0), fn(version="1")]},
        [("f", LATEST, None, {})],
    ),
    ("no_insights_layer", "layers"): (
        {
            "functions": [fn(), fn("i", package_type="Image"), fn("y")],
            "layers": [layer("arn:aws:lambda:eu-west-1:111122223333:layer:LambdaInsightsExtension:38", "y")],
        },
        [("f", LATEST, None, {})],
    ),
    ("open_cors", "origins"): (
        {
            "function_urls": [
                url(cors_allow_origins='["*"]', auth_type="NONE", cors_allow_credentials=False),
                url("live", cors_allow_origins='["https://a.example", "https://*"]', auth_type="AWS_IAM"),
                url("one", cors_allow_origins='["https://a.example"]'),
                url("none"),
            ]
        },
        [
            ("f", LATEST, '["*"]', {"auth_type": "NONE", "cors_allow_credentials": False}),
            (
                "f",
                "live",
                '["https://a.example", "https://*"]',
                {"auth_type": "AWS_IAM", "cors_allow_credentials": None},
            ),
        ],
    ),
    ("url_without_authentication", "types"): (
        {"function_urls": [url(auth_type="NONE", function_url="https://a.example/"), url("live", auth_type="AWS_IAM")]},
        [("f", LATEST, "https://a.example/", {})],
    ),
    ("text_logs", "formats"): (
        {
            "functions": [
                fn(logging_config_log_format="Text"),
                fn("j", logging_config_log_format="JSON"),
                fn("n"),
                fn(version="1"),
            ]
        },
        [
            ("f", LATEST, None, {"logging_config_log_format": "Text"}),
            ("n", LATEST, None, {"logging_config_log_format": None}),
        ],
    ),
    ("log_level_not_accepted", "levels"): (
        {
            "functions": [
                fn(logging_config_log_format="JSON", logging_config_application_log_level="INFO"),
                fn("d", logging_config_log_format="JSON", logging_config_application_log_level="DEBUG"),
                fn("t", logging_config_log_format="Text"),
            ]
        },
        [("d", LATEST, "application", {"log_level": "DEBUG"})],
    ),
    ("settings_not_accepted", "settings"): (
        {
            "functions": [
                fn(runtime="python3.13", timeout=3),
                fn("i", package_type="Image", timeout=900),
                fn("o", runtime="python3.9", timeout=60),
            ]
        },
        [
            ("i", LATEST, "timeouts", {"setting_value": "900"}),
            ("o", LATEST, "runtimes", {"setting_value": "python3.9"}),
            ("o", LATEST, "timeouts", {"setting_value": "60"}),
        ],
    ),
    ("no_logging_settings", "settings"): (
        {
            "functions": [
                fn(),
                fn("g", logging_config_log_group="/aws/lambda/g"),
                fn("h", logging_config_log_format="Text"),
            ]
        },
        [("f", LATEST, None, {})],
    ),
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
}
"""By check and case: rows by table, and the findings as (function, version, subject, details)."""
