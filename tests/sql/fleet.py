"""A tiny hand-written fleet in two accounts and two Regions, with one thing of each kind and traps between them."""

from datetime import UTC, datetime

A, B = "111122223333", "111122223334"
R, U = "eu-west-1", "us-east-1"
AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
MAY, JUNE = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


def arn(name, account=A, region=R):
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def role(name, account=A):
    return f"arn:aws:iam::{account}:role/{name}"


def function(name, version="$LATEST", account=A, region=R, **fields):
    """Return a row of ``functions``: healthy, small and modern where nothing else is said."""
    return {
        "account_id": account,
        "region": region,
        "function_name": name,
        "version": version,
        "function_arn": arn(name, account, region),
        "runtime": "python3.14",
        "role": role(name, account),
        "package_type": "Zip",
        "architecture": "arm64",
        "code_sha256": f"{name}-{version}",
        "code_size": 1,
        "last_modified_at": MAY,
        "fetched_at": AT,
        "memory_size": 128,
        "timeout": 3,
        "ephemeral_storage_size": 512,
        "snap_start_apply_on": "PublishedVersions",
        "state": "Active",
        "last_update_status": "Successful",
        "carried_forward": False,
    } | fields


def child(function_name, version="$LATEST", account=A, region=R, **fields):
    return {"account_id": account, "region": region, "function_name": function_name, "version": version} | fields


def variable(function_name, name, hmac, length, version="$LATEST", **fields):
    given = {"name": name, "value_hmac": hmac, "value_length": length, "hash_key_id": "k1"}
    return child(function_name, version, **given | fields)


def route(name, alias, version, weight, **fields):
    return {"function_name": name, "alias": alias, "version": version, "weight": weight} | fields


def runs(version):
    return {"runtime_version_config_runtime_version_arn": version}


def layer(number, name="libs", account=A, region=R):
    return f"arn:aws:lambda:{region}:{account}:layer:{name}:{number}"


IMAGE = {"runtime": None, "package_type": "Image", "code_size": 0, "code_repository_type": "ECR"}
OTHER = {"account": B}

FLEET = {
    "at": AT,
    "scopes": [
        {"aliases": 2, "functions": 6, "versions": 15, "get_function_calls": 15, "list_calls": 9, "throttles": 1},
        {"region": U, "aliases": 0, "functions": 1, "versions": 1, "get_function_calls": 1, "list_calls": 1},
        {"account_id": B, "functions": 2, "versions": 5, "get_function_calls": 5, "list_calls": 1},  # aliases not read
    ],
    "account_settings": [
        {
            "concurrent_executions_limit": 1000,
            "unreserved_concurrent_executions": 750,
            "code_size_limit": 400,
            "code_size_used": 100,
        },
        {
            "account_id": B,
            "concurrent_executions_limit": 10,
            "unreserved_concurrent_executions": 10,
            "code_size_limit": 400,
            "code_size_used": 8,
        },
    ],  # that of us-east-1 was denied
    "functions": [
        # web: versions whose numbers do not sort as text; 1 has the code of api, 2 and 10 are routed to
        function("web", runtime="python3.9", code_sha256="web-11", reserved_concurrent_executions=250, timeout=900),
        function("web", "1", runtime="python3.8", code_sha256="api-$LATEST", code_size=30),
        function("web", "2", runtime="python3.9", **runs("old")),
        function("web", "9", runtime="python3.9", **runs("usual")),
        function("web", "10", runtime="python3.9", **runs("old"), carried_forward=True),
        function("web", "11", runtime="python3.9", last_modified_at=JUNE, **runs("usual")),
        # job: no aliases; 1 and 2 hold the same code, which nobody else does
        function("job", reserved_concurrent_executions=0, snap_start_apply_on="None", memory_size=10240),
        function("job", "1", code_sha256="job-old", code_size=7, runtime="nodejs22.x"),
        function("job", "2", code_sha256="job-old", code_size=7, runtime="nodejs22.x"),
        function("job", "3", **runs("new")),
        function("job", "4", **runs("new"), carried_forward=None),
        function("job", "5", state="Inactive", state_reason_code="Idle"),
        # api: x86_64, in a VPC with one subnet, tags denied, variables denied
        function(
            "api",
            code_size=30,
            runtime="nodejs24.x",
            architecture="x86_64",
            role=role("web"),
            tags_error_code="AccessDeniedException",
            environment_error_code="AccessDeniedException",
            environment_error_message="no",
            kms_key_arn="arn:aws:kms:key/1",
            vpc_config_vpc_id="vpc-1",
            tracing_config_mode="Active",
            logging_config_log_format="JSON",
            logging_config_log_group="/shared",
            ephemeral_storage_size=1024,
            snap_start_apply_on=None,
        ),
        # an image; an unknown runtime; a customer-managed one that is called like AWS's
        function("img", **IMAGE, architecture="x86_64", code_resolved_image_uri="r@sha256:1", code_image_uri="r:a"),
        function("new", runtime="python9.9", last_update_status="InProgress", kms_key_arn="", snap_start_apply_on=None),
        function("own", runtime="python3.8", runtime_config_runtime_arn="arn:own", snap_start_apply_on=None),
        # the same name elsewhere is another function
        function(
            "web",
            region=U,
            runtime="dotnet8",
            architecture="x86_64",
            snap_start_apply_on=None,
            dead_letter_config_target_arn="arn:aws:sqs:q",
            signing_job_arn="arn:aws:signer:j",
            signing_profile_version_arn="arn:aws:signer:p",
            logging_config_log_group="/aws/lambda/web",
        ),
        function("web", **OTHER, code_sha256="web-11", role=role("web", B), **runs("other")),
        function("web", "1", **OTHER),
        function("web", "2", **OTHER),
        function("web", "3", **OTHER),
        function("web", "4", **OTHER),
        function("img", **OTHER, **IMAGE, code_resolved_image_uri="r@sha256:1", code_image_uri="r:b"),
    ],
    "aliases": [
        {"function_name": "web", "alias": "live", "function_version": "10"},
        {"function_name": "web", "alias": "next", "function_version": "$LATEST"},
    ],
    "alias_routes": [
        route("web", "live", "10", 0.9),
        route("web", "live", "2", 0.1),
        route("web", "next", "$LATEST", 1.0),
    ],
    "tags": [
        {"function_name": "web", "key": "team", "value": "a"},
        {"function_name": "job", "key": "team", "value": ""},
        {"account_id": B, "function_name": "img", "key": "team", "value": "b"},
    ],
    "env_vars": [
        variable("web", "DB_PASSWORD", "aa", 8, secret_rule="secret_name"),
        variable("web", "DB_PASSWORD", "aa", 8, "11", secret_rule="secret_name"),
        variable("web", "STAGE", "bb", 4),
        variable("job", "PASSWORD", "aa", 8, secret_rule="secret_name"),
        variable("job", "STAGE", "bb", 4),  # too short to tell
        variable("web", "DB_PASSWORD", "aa", 8, **OTHER, hash_key_id="k2", secret_rule="secret_name"),  # another key
        variable("web", "HOST", "cc", 20, region=U),
        variable("web", "HOST", "cc", 20, **OTHER),
        variable("own", "NONE", None, 20),
        variable("new", "NONE", None, 20),
    ],
    "layers": [
        child("web", position=0, layer_arn=layer(9), code_size=5),
        child("web", "11", position=0, layer_arn=layer(9), code_size=5),
        child("job", position=0, layer_arn=layer(10), code_size=6),
        child("job", position=1, layer_arn="arn:aws:lambda:::awslayer:AmazonLinux2023", code_size=2),
        child("web", **OTHER, position=0, layer_arn=layer(8), code_size=5, signing_job_arn="j"),
        child("web", region=U, position=0, layer_arn=layer(1, region=U), code_size=4),
    ],
    "subnets": [
        child("api", subnet_id="subnet-1"),
        child("web", subnet_id="subnet-1"),
        child("web", subnet_id="subnet-2"),
        child("web", "11", subnet_id="subnet-2"),
        child("web", region=U, subnet_id="subnet-1"),
    ],
    "security_groups": [child("api", security_group_id="sg-1"), child("web", **OTHER, security_group_id="sg-1")],
    "file_systems": [child("own", position=0, arn="arn:fs")],
    "errors": [
        {"stage": "fetch", "operation": "GetFunction", "function_name": "x", "error_code": "gone", "is_gap": False},
        {"stage": "fetch", "operation": "GetFunction", "function_name": "y", "error_code": "gone", "is_gap": False}
        | {"message": "b", "attempts": 1, "region": U},
        {"stage": "account", "operation": "GetAccountSettings", "error_code": "AccessDenied", "is_gap": False}
        | {"message": "a", "attempts": 2, "region": U},
    ],
}
