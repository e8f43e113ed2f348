"""The command reads moto's server: every row equals the created function, despite moto's deviations from AWS."""

import base64
import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
from aiobotocore.session import get_session

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

FUNCTIONS, VERSIONS = 32, 3
ACCOUNT, REGION = "123456789012", "eu-west-1"
REPOSITORY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop"
IMAGE = f"{REPOSITORY}:2026-11"
COMMON = {"account_id": ACCOUNT, "region": REGION}


def package(text):
    """A zip with one file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), text)
    return packed.getvalue()


class Made:
    """The expected rows by table, built from the arguments of the calls that created the fleet."""

    def __init__(self):
        self.rows = {
            name: []
            for name in (
                "functions",
                "aliases",
                "alias_routes",
                "tags",
                "env_vars",
                "layers",
                "subnets",
                "security_groups",
                "event_source_mappings",
                "event_invoke_configs",
            )
        }

    def version(self, look, number, spec, answer, layer_sizes):
        """Note one version; its times come from the response of the call that created it."""
        name, key = spec["FunctionName"], COMMON | {"function_name": spec["FunctionName"], "version": number}
        is_image, vpc = spec.get("PackageType") == "Image", spec.get("VpcConfig")
        code = IMAGE.encode() if is_image else spec["Code"]["ZipFile"]
        digest = hashlib.sha256(code)
        sha256 = digest.hexdigest() if is_image else base64.b64encode(digest.digest()).decode()
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        image = spec.get("ImageConfig", {})
        row = key | {
            "function_arn": arn,
            "runtime": spec.get("Runtime"),
            "role": spec["Role"],
            "handler": spec.get("Handler"),
            "code_size": 0 if is_image else len(code),
            "description": spec["Description"],
            "timeout": spec["Timeout"],
            "memory_size": spec["MemorySize"],
            "last_modified": answer["LastModified"],
            "last_modified_at": datetime.fromisoformat(answer["LastModified"]),
            "code_sha256": sha256,
            "package_type": "Image" if is_image else "Zip",
            "architecture": spec["Architectures"][0],
            "state": "Active",
            "last_update_status": "Successful",
            "ephemeral_storage_size": spec["EphemeralStorage"]["Size"],
            "tracing_config_mode": spec["TracingConfig"]["Mode"],
            "kms_key_arn": spec.get("KMSKeyArn"),
            "vpc_config_vpc_id": "vpc-123abc" if vpc else None,  # moto's constant
            "snap_start_apply_on": "None",
            "snap_start_optimization_status": "Off",
            "image_config_entry_point": _json(image.get("EntryPoint")),
            "image_config_command": _json(image.get("Command")),
            "image_config_working_directory": image.get("WorkingDirectory"),
            "code_repository_type": "ECR" if is_image else "S3",
            "code_image_uri": IMAGE if is_image else None,
            "code_resolved_image_uri": f"{REPOSITORY}@sha256:{sha256}" if is_image else None,
            "reserved_concurrent_executions": spec.get("reserved"),  # moto sends it with versions too
            "carried_forward": False,
        }
        self.rows["functions"].append(row)
        self.rows["env_vars"] += [
            key
            | {
                "name": variable,
                "value": value,
                "value_length": len(value),
                "value_hmac": look.hash_of(value),
                "hash_key_id": look.hash_key_id(),
                "secret_rule": None,
            }
            for variable, value in spec.get("Environment", {}).get("Variables", {}).items()
        ]
        self.rows["layers"] += [
            key | {"position": position, "layer_arn": layer, "code_size": layer_sizes[layer]}
            for position, layer in enumerate(spec.get("Layers", ()))
        ]
        if vpc:
            self.rows["subnets"] += [key | {"subnet_id": subnet} for subnet in vpc["SubnetIds"]]
            self.rows["security_groups"] += [key | {"security_group_id": group} for group in vpc["SecurityGroupIds"]]

    def alias(self, name, spec, answer):
        """Note one alias; its revision comes from the answer."""
        key = COMMON | {"function_name": name, "alias": spec["Name"]}
        self.rows["aliases"].append(
            key
            | {
                "function_version": spec["FunctionVersion"],
                "description": spec["Description"],
                "revision_id": answer["RevisionId"],
                "carried_forward": False,
            }
        )
        weights = spec.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        routes = {spec["FunctionVersion"]: 1 - sum(weights.values()), **weights}
        self.rows["alias_routes"] += [
            key | {"version": version, "weight": routes[version], "carried_forward": False} for version in routes
        ]

    def event_source(self, name, answer):
        """Note one event source mapping."""
        self.rows["event_source_mappings"].append(
            COMMON
            | {
                "uuid": answer["UUID"],
                "event_source_mapping_arn": answer.get("EventSourceMappingArn"),
                "function_name": name,
                "qualifier": "$LATEST",
                "event_source_arn": answer["EventSourceArn"],
                "event_source_type": "sqs",
                "state": answer["State"],
                "state_transition_reason": answer["StateTransitionReason"],
                "batch_size": 5,
                "last_modified_at": answer["LastModified"].astimezone(UTC),
                "extra_json": '{"Tags":{}}',  # moto's own
                "carried_forward": False,
            }
        )

    def invoke_config(self, name, spec, answer):
        """Note the settings of asynchronous invocations of one function."""
        self.rows["event_invoke_configs"].append(
            COMMON
            | {
                "function_name": name,
                "qualifier": "$LATEST",
                "maximum_retry_attempts": spec["MaximumRetryAttempts"],
                "maximum_event_age_in_seconds": spec["MaximumEventAgeInSeconds"],
                "on_failure_destination": spec["DestinationConfig"]["OnFailure"]["Destination"],
                "last_modified_at": answer["LastModified"].astimezone(UTC),
                "carried_forward": False,
            }
        )


def _json(texts):
    return None if texts is None else json.dumps(texts, separators=(",", ":"))


def plan(number, role, layers):
    """Return arguments of CreateFunction; the number decides which settings there are. ``reserved`` is not sent."""
    spec = {
        "FunctionName": f"shop-{number:02d}",
        "Role": role,
        "Description": "" if number % 5 == 0 else f"Größe {number}",
        "Timeout": 3 + number,
        "MemorySize": 128 + 64 * number,
        "Architectures": ["arm64" if number % 3 else "x86_64"],
        "EphemeralStorage": {"Size": 512 + number},
        "TracingConfig": {"Mode": "Active" if number % 2 else "PassThrough"},
    }
    if number == 7:
        image = {"EntryPoint": ["/entry.sh", "-v"], "Command": ["app.handler"], "WorkingDirectory": "/var/task"}
        return spec | {"PackageType": "Image", "Code": {"ImageUri": IMAGE}, "ImageConfig": image}
    spec |= {"Runtime": "python3.13", "Handler": "app.handler", "Code": {"ZipFile": package(f"{number}.0")}}
    if number % 4:
        spec["Environment"] = {"Variables": {"STAGE": "prod", "QUEUE": f"jobs-{number}"}}
    if number % 6 == 0:
        spec["KMSKeyArn"] = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{number}"
    if number % 3 == 0:
        spec["Layers"] = layers[: 1 + number % 2]
    if number % 7 == 1:
        spec["VpcConfig"] = {"SubnetIds": ["subnet-b", "subnet-a"], "SecurityGroupIds": [f"sg-{number}"]}
    if number % 9 == 2:
        spec["reserved"] = number
    return spec


async def fill(url, look):
    """Create the fleet and return what was created."""
    made, session = Made(), get_session()
    options = {
        "region_name": REGION,
        "endpoint_url": url,
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
    }
    async with session.create_client("iam", **options) as iam:
        role = (await iam.create_role(RoleName="runner", AssumeRolePolicyDocument="{}"))["Role"]["Arn"]
    async with session.create_client("sqs", **options) as sqs:
        url_of_queue = (await sqs.create_queue(QueueName="orders"))["QueueUrl"]
        attributes = await sqs.get_queue_attributes(QueueUrl=url_of_queue, AttributeNames=["QueueArn"])
        queue = attributes["Attributes"]["QueueArn"]
    async with session.create_client("lambda", **options) as aws:
        sizes = {}
        for name in ("base", "libs"):
            content = package(name * 9)
            layer = await aws.publish_layer_version(LayerName=name, Content={"ZipFile": content})
            sizes[layer["LayerVersionArn"]] = len(content)
        for number in range(FUNCTIONS):
            spec = plan(number, role, list(sizes))
            name = spec["FunctionName"]
            tags = {"team": f"t{number % 3}", "ключ": ""} if number % 2 else {}
            sent = {key: value for key, value in spec.items() if key != "reserved"}
            answer = await aws.create_function(**sent, Tags=tags)
            if "reserved" in spec:
                await aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=spec["reserved"])
            made.rows["tags"] += [
                COMMON | {"function_name": name, "key": key, "value": value} for key, value in tags.items()
            ]
            for version in range(1, VERSIONS + 1):
                spec["MemorySize"] += 1
                await aws.update_function_configuration(FunctionName=name, MemorySize=spec["MemorySize"])
                published = await aws.publish_version(FunctionName=name)
                made.version(look, str(version), spec, published, sizes)
            made.version(look, "$LATEST", spec, answer, sizes)
            for alias in (
                {"Name": "live", "FunctionVersion": "2", "Description": "what customers see"},
                {
                    "Name": "canary",
                    "FunctionVersion": "1",
                    "Description": "",
                    "RoutingConfig": {"AdditionalVersionWeights": {"3": 0.25}},
                },
            )[: number % 3]:
                made.alias(name, alias, await aws.create_alias(FunctionName=name, **alias))
        for name in ("shop-01", "shop-02"):
            source = await aws.create_event_source_mapping(FunctionName=name, EventSourceArn=queue, BatchSize=5)
            made.event_source(name, source)
            spec = {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60}
            spec["DestinationConfig"] = {"OnFailure": {"Destination": queue}}
            await aws.put_function_event_invoke_config(FunctionName=name, **spec)
            listed = await aws.list_function_event_invoke_configs(FunctionName=name)
            made.invoke_config(name, spec, listed["FunctionEventInvokeConfigs"][0])
    return made


async def test_every_row(moto, run_lexport, look, tmp_path):
    """Every row of every table equals the fleet that was created in moto."""
    made = await fill(moto, look)

    done = await run_lexport(
        *("snapshot", tmp_path / "fleet", "--endpoint-url", moto, "--region", REGION, "--env", "values"),
        *("--get-function-rate", "1000", "--list-rate", "1000"),
        *("--with", "invoke-configs", "--without", "code-signing"),  # moto has no list of code signing configurations
    )

    assert (done.code, done.out) == (0, ""), done.err
    rows = look.read_rows(tmp_path / "fleet")
    for table, created in made.rows.items():
        key = ("account_id", "region", *(look.sorted_by | look.sorted_by_around)[table])
        expected = sorted(created, key=lambda row, key=key: tuple(row[name] for name in key))
        empty = dict.fromkeys(look.facts(rows[table])[0])

        for right, row in zip(expected, look.facts(rows[table]), strict=True):
            assert empty | right == row, table
    assert len(rows["functions"]) == FUNCTIONS * (1 + VERSIONS)
    assert [] == rows["file_systems"] == rows["account_settings"]
    assert [(row["operation"], row["is_gap"]) for row in rows["errors"]] == [("GetAccountSettings", False)]
    assert [row["status"] for row in rows["scopes"]] == ["complete"]
