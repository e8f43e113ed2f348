"""Answers as AWS words them, and their rows in full."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lexport.errors import FlattenError
from lexport.extract.decode import decode_function, decode_listed
from lexport.extract.flatten import Rules, flatten_carried, flatten_function
from lexport.extract.hash_key import HashKey
from lexport.extract.rows import Rows, ValueHasher
from lexport.model import FunctionRef, Scope

SEED = json.loads((Path(__file__).parents[2] / "data" / "seed_get_function.json").read_bytes())
ARN = "arn:aws:lambda:us-west-2:123456789012:function:my-function"
KEY = b"0123456789abcdef"
KEY_ID = hmac.new(KEY, b"lexport hash key id", hashlib.sha256).hexdigest()[:16]
LINK = "https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIA%2Fs3&X-Amz-Security-Token=t0k3n&X-Amz-Signature=5161"


CUT = "[query removed]"
USER = "[user removed]@"


def digest(value):
    return hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()[:32]


def configured(**fields):
    """An answer with a name, a version and these fields of ``Configuration``."""
    return {"Configuration": {"FunctionName": "my-function", "Version": "1", **fields}}


def function_row(**cells):
    return {"function_name": "my-function", "version": "1", "carried_forward": False, **cells}


def extra(rows):
    return json.loads(rows["functions"][0]["extra_json"])


# --- kinds of functions, in full ------------------------------------------------------------------------------------


def test_the_seed_example(flatten):
    """The example that this project was asked to be built from comes through whole."""
    rows, version, findings = flatten(SEED)

    assert findings == []
    assert version == "$LATEST"
    assert rows == {
        "functions": [
            {
                "function_name": "my-function",
                "version": "$LATEST",
                "function_arn": "arn:aws:lambda:us-west-2:123456789012:function:my-function",
                "runtime": "nodejs12.x",
                "role": "arn:aws:iam::123456789012:role/lambda-role",
                "handler": "index.handler",
                "code_size": 5797206,
                "description": "Process image objects from Amazon S3.",
                "timeout": 15,
                "memory_size": 256,
                "last_modified": "2020-04-10T19:06:32.563+0000",
                "last_modified_at": datetime(2020, 4, 10, 19, 6, 32, 563000, UTC),
                "code_sha256": "YFgDgEKG3ugvF1+pX64gV6tu9qNuIYNUdgJm8nCxsm4=",
                "revision_id": "b75dcd81-xmpl-48a8-a75a-93ba8b5b9727",
                "state": "Active",
                "last_update_status": "Successful",
                "tracing_config_mode": "Active",
                "kms_key_arn": "arn:aws:kms:us-west-2:123456789012:key/b0844d6c-xmpl-4463-97a4-d49f50839966",
                "code_repository_type": "S3",
                "carried_forward": False,
            }
        ],
        "env_vars": [
            {
                "function_name": "my-function",
                "version": "$LATEST",
                "name": "BUCKET",
                "value_length": 23,
                "value_hmac": digest("my-bucket-1xpuxmplzrlbh"),
                "hash_key_id": KEY_ID,
            },
            {
                "function_name": "my-function",
                "version": "$LATEST",
                "name": "PREFIX",
                "value_length": 7,
                "value_hmac": digest("inbound"),
                "hash_key_id": KEY_ID,
            },
        ],
        "tags": [{"function_name": "my-function", "key": "DEPARTMENT", "value": "Assets"}],
    }


def test_an_image_function(flatten):
    """An image has no runtime and no handler; its overrides are JSON arrays, in order."""
    rows, _, findings = flatten(
        {
            "Configuration": {
                "FunctionName": "my-function",
                "FunctionArn": ARN + ":1",
                "Version": "1",
                "CodeSize": 0,
                "PackageType": "Image",
                "Architectures": ["arm64"],
                "CodeSha256": "9f" * 32,
                "ImageConfigResponse": {
                    "ImageConfig": {
                        "EntryPoint": ["/lambda-entrypoint.sh", "--x"],
                        "Command": [],
                        "WorkingDirectory": "/var/task",
                    }
                },
            },
            "Code": {
                "RepositoryType": "ECR",
                "ImageUri": "123456789012.dkr.ecr.us-west-2.amazonaws.com/app:v3",
                "ResolvedImageUri": "123456789012.dkr.ecr.us-west-2.amazonaws.com/app@sha256:" + "9f" * 32,
            },
        },
        qualifier="1",
    )

    assert findings == []
    assert rows == {
        "functions": [
            function_row(
                function_arn=ARN,
                code_size=0,
                package_type="Image",
                architecture="arm64",
                code_sha256="9f" * 32,
                image_config_entry_point='["/lambda-entrypoint.sh","--x"]',
                image_config_command="[]",
                image_config_working_directory="/var/task",
                code_repository_type="ECR",
                code_image_uri="123456789012.dkr.ecr.us-west-2.amazonaws.com/app:v3",
                code_resolved_image_uri="123456789012.dkr.ecr.us-west-2.amazonaws.com/app@sha256:" + "9f" * 32,
            )
        ]
    }


def test_self_managed_code(flatten):
    """Code that stays in the customer's bucket has no link but an object."""
    rows, _, findings = flatten(
        configured(PackageType="Zip")
        | {
            "Code": {
                "RepositoryType": "S3",
                "ResolvedS3Object": {"S3Bucket": "code", "S3Key": "app/1.zip", "S3ObjectVersion": "3sL4kqtJlcpXro"},
                "SourceKMSKeyArn": "arn:aws:kms:us-west-2:123456789012:key/1",
            }
        }
    )

    assert findings == []
    assert rows == {
        "functions": [
            function_row(
                package_type="Zip",
                code_repository_type="S3",
                code_resolved_s3_object_bucket="code",
                code_resolved_s3_object_key="app/1.zip",
                code_resolved_s3_object_version="3sL4kqtJlcpXro",
                code_source_kms_key_arn="arn:aws:kms:us-west-2:123456789012:key/1",
            )
        ]
    }


def test_errors_inside_an_answer(flatten):
    """What AWS could not read itself stands in columns of its own; it is denied, not absent."""
    rows, _, findings = flatten(
        configured(
            Environment={"Error": {"ErrorCode": "AccessDeniedException", "Message": "kms:Decrypt"}},
            ImageConfigResponse={"Error": {"ErrorCode": "InvalidImage", "Message": "gone"}},
            RuntimeVersionConfig={"Error": {"ErrorCode": "RuntimeError", "Message": "unknown"}},
        )
        | {
            "Code": {"RepositoryType": "S3", "Error": {"ErrorCode": "KMSAccessDenied", "Message": "no key"}},
            "TagsError": {"ErrorCode": "AccessDeniedException", "Message": "lambda:ListTags"},
        }
    )

    assert findings == []
    assert rows == {
        "functions": [
            function_row(
                environment_error_code="AccessDeniedException",
                environment_error_message="kms:Decrypt",
                image_config_error_code="InvalidImage",
                image_config_error_message="gone",
                runtime_version_config_error_code="RuntimeError",
                runtime_version_config_error_message="unknown",
                code_repository_type="S3",
                code_error_code="KMSAccessDenied",
                code_error_message="no key",
                tags_error_code="AccessDeniedException",
                tags_error_message="lambda:ListTags",
            )
        ]
    }


def test_attached_to_a_vpc_and_a_file_system(flatten):
    """Each subnet, security group, layer and file system is a row."""
    rows, _, findings = flatten(
        configured(
            VpcConfig={
                "SubnetIds": ["subnet-2", "subnet-1"],
                "SecurityGroupIds": ["sg-1"],
                "VpcId": "vpc-1",
                "Ipv6AllowedForDualStack": False,
            },
            Layers=[
                {"Arn": "arn:aws:lambda:us-west-2:123456789012:layer:a:1", "CodeSize": 2**40},
                {"Arn": "arn:aws:lambda:::awslayer:b", "SigningProfileVersionArn": "p", "SigningJobArn": "j"},
            ],
            FileSystemConfigs=[
                {"Arn": "arn:aws:s3files:x", "LocalMountPath": "/mnt/x", "S3FilesConfig": {"DirectS3Read": "AUTO"}}
            ],
        )
    )
    of_version = {"function_name": "my-function", "version": "1"}

    assert findings == []
    assert rows == {
        "functions": [function_row(vpc_config_vpc_id="vpc-1", vpc_config_ipv6_allowed_for_dual_stack=False)],
        "subnets": [{**of_version, "subnet_id": "subnet-1"}, {**of_version, "subnet_id": "subnet-2"}],
        "security_groups": [{**of_version, "security_group_id": "sg-1"}],
        "layers": [
            {
                **of_version,
                "position": 0,
                "layer_arn": "arn:aws:lambda:us-west-2:123456789012:layer:a:1",
                "code_size": 2**40,
            },
            {
                **of_version,
                "position": 1,
                "layer_arn": "arn:aws:lambda:::awslayer:b",
                "signing_profile_version_arn": "p",
                "signing_job_arn": "j",
            },
        ],
        "file_systems": [
            {
                **of_version,
                "position": 0,
                "arn": "arn:aws:s3files:x",
                "local_mount_path": "/mnt/x",
                "s3_files_config_direct_s3_read": "AUTO",
            }
        ],
    }


def test_detached_from_a_vpc(flatten):
    """After detaching, AWS sends empty lists and "": no child rows, and "" stays ""."""
    rows, _, findings = flatten(configured(VpcConfig={"SubnetIds": [], "SecurityGroupIds": [], "VpcId": ""}))

    assert findings == []
    assert rows == {"functions": [function_row(vpc_config_vpc_id="")]}


def test_durable_tenant_and_managed_functions(flatten):
    """The newest kinds of functions, those included that botocore does not know, have their columns."""
    rows, _, findings = flatten(
        configured(
            DurableConfig={"KMSKeyArn": "k", "RetentionPeriodInDays": 14, "ExecutionTimeout": 31622400},
            TenancyConfig={"TenantIsolationMode": "PER_TENANT"},
            CapacityProviderConfig={
                "LambdaManagedInstancesCapacityProviderConfig": {
                    "CapacityProviderArn": "arn:aws:lambda:us-west-2:123456789012:capacity-provider:p",
                    "PerExecutionEnvironmentMaxConcurrency": 16,
                    "ExecutionEnvironmentMemoryGiBPerVCpu": 4,
                }
            },
            ConfigSha256="c",
            RuntimeConfig={"RuntimeArn": "arn:aws:lambda:us-west-2:123456789012:runtime/r", "RuntimeAlias": "live"},
            AcceleratorConfig={"AcceleratorMemorySize": 24},
            Runtime="custom",
            State="ActiveNonInvocable",
            LastUpdateStatusReasonCode="Creating",
        )
    )

    assert findings == []
    assert rows == {
        "functions": [
            function_row(
                durable_config_kms_key_arn="k",
                durable_config_retention_period_in_days=14,
                durable_config_execution_timeout=31622400,
                tenancy_config_tenant_isolation_mode="PER_TENANT",
                capacity_provider_arn=("arn:aws:lambda:us-west-2:123456789012:capacity-provider:p"),
                capacity_provider_per_environment_max_concurrency=16,
                capacity_provider_environment_memory_gib_per_vcpu=4.0,
                config_sha256="c",
                runtime_config_runtime_arn="arn:aws:lambda:us-west-2:123456789012:runtime/r",
                runtime_config_runtime_alias="live",
                accelerator_config_accelerator_memory_size=24,
                runtime="custom",
                state="ActiveNonInvocable",
                last_update_status_reason_code="Creating",
            )
        ]
    }


def test_reserved_concurrency_of_zero_is_real(flatten):
    """0 means that every invocation is blocked; it is not NULL."""
    rows, _, _ = flatten({"Concurrency": {"ReservedConcurrentExecutions": 0}, "Tags": {}, "Configuration": {}})

    assert rows == {
        "functions": [
            {
                "function_name": "asked-for",
                "version": "$LATEST",
                "reserved_concurrent_executions": 0,
                "carried_forward": False,
            }
        ]
    }


def test_every_null_is_absence(flatten):
    """An answer of explicit nulls equals an empty one."""
    nulls = {
        "Configuration": dict.fromkeys(["VpcConfig", "Layers", "Environment", "Runtime", "Architectures", "New"]),
        "Code": None,
        "Tags": None,
        "Concurrency": None,
        "New": None,
    }

    assert flatten(nulls) == flatten({})


# --- key, version, ARN ----------------------------------------------------------------------------------------------


def test_the_qualifier_leaves_the_arn(flatten):
    """``function_arn`` is the function's own, whichever version or alias was asked for."""
    for arn in (ARN, ARN + ":1", ARN + ":live", ARN + ":$LATEST"):
        rows, _, _ = flatten(configured(FunctionArn=arn))

        assert rows["functions"][0]["function_arn"] == ARN


@pytest.mark.parametrize("text", ["", "my-function", "a:b:c:d:e:f:g:h", ARN + ":1:2", "arn:"])
def test_what_is_no_arn_stays_whole(flatten, text):
    """Nothing is cut off a text that is no qualified ARN."""
    rows, _, _ = flatten(configured(FunctionArn=text))

    assert rows["functions"][0]["function_arn"] == text


def test_the_version_that_was_asked_for(flatten):
    """Where the answer tells no version, the number that was asked for is it; for an alias nobody knows."""
    assert flatten({})[1] == "$LATEST"
    assert flatten({}, qualifier="7")[1] == "7"
    with pytest.raises(FlattenError) as lost:
        flatten({}, qualifier="live")
    assert lost.value.code == "no_version"


def test_an_alias_is_keyed_by_the_version_that_came_back(flatten):
    """The row of a call by alias is the version's row."""
    rows, version, _ = flatten(configured(FunctionArn=ARN + ":live"), qualifier="live")

    assert version == "1"
    assert rows["functions"] == [function_row(function_arn=ARN)]


def test_published_drops_the_row_and_keeps_the_tags(flatten):
    """``--qualifiers published`` calls the function unqualified for its tags and drops its ``$LATEST`` row only."""
    rows, version, _ = flatten(SEED, keep_latest=False)

    assert version == "$LATEST"
    assert rows == {"tags": [{"function_name": "my-function", "key": "DEPARTMENT", "value": "Assets"}]}
    assert flatten(configured(), keep_latest=False)[0] == {"functions": [function_row()]}


# --- what does not fit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "type_"),
    [
        ("Timeout", True, "boolean"),
        ("Timeout", "15", "string"),
        ("Timeout", 15.0, "number"),
        ("Timeout", 2**31, "number"),
        ("Timeout", -(2**31) - 1, "number"),
        ("CodeSize", 2**63, "number"),
        ("CodeSize", 2**70, "number"),
        ("Runtime", 3, "number"),
        ("Runtime", ["x"], "array"),
        ("Runtime", {"a": None}, "object"),
        ("Layers", {"Arn": "x"}, "object"),
        ("VpcConfig", "vpc-1", "string"),
        ("Architectures", ["x86_64", "arm64"], "array"),
        ("Architectures", "x86_64", "string"),
        ("Architectures", [1], "array"),
    ],
)
def test_a_wrong_type(flatten, field, value, type_):
    """A wrong type is NULL, kept raw and exact under its path, and said, without its value."""
    rows, _, findings = flatten(configured(**{field: value}))

    assert extra(rows) == {f"Configuration.{field}": value}
    assert set(rows["functions"][0]) == {*function_row(), "extra_json"}
    assert len(findings) == 1
    assert findings[0].startswith(f"wrong_type: Configuration.{field}: wanted ")
    assert findings[0].endswith(f", got {type_}")


def test_bounds_fit(flatten):
    """The greatest and the least integers of a column fit."""
    rows, _, findings = flatten(configured(Timeout=2**31 - 1, MemorySize=-(2**31), CodeSize=2**63 - 1))

    assert findings == []
    assert rows["functions"] == [function_row(timeout=2**31 - 1, memory_size=-(2**31), code_size=2**63 - 1)]


def test_wrong_items_of_lists(flatten):
    """A wrong item is kept under its place, the right ones beside it have their rows, positions stay."""
    rows, _, findings = flatten(
        configured(VpcConfig={"SubnetIds": ["a", 1, None, "b"]}, Layers=["x", {"Arn": "y", "New": {"k": [1]}}, None])
    )

    assert extra(rows) == {"Configuration.VpcConfig.SubnetIds[1]": 1, "Configuration.Layers[0]": "x"}
    assert [row["subnet_id"] for row in rows["subnets"]] == ["a", "b"]
    assert rows["layers"] == [
        {
            "function_name": "my-function",
            "version": "1",
            "position": 1,
            "layer_arn": "y",
            "extra_json": '{"New":{"k":[1]}}',
        }
    ]
    assert findings == [
        "wrong_type: Configuration.VpcConfig.SubnetIds[1]: wanted text, got number",
        "wrong_type: Configuration.Layers[0]: wanted object, got string",
    ]


def test_a_wrong_type_inside_a_list_item_says_where(flatten):
    """A finding in a child row names the item's place."""
    _, _, findings = flatten(configured(Layers=[{}, {"CodeSize": "big"}]))

    assert findings == ["wrong_type: Configuration.Layers[1].CodeSize: wanted int64, got string"]


def test_unknown_fields(flatten):
    """Unknown fields of any shape are in extra_json under paths that can be told apart, sorted."""
    rows, _, findings = flatten(
        {
            "New": 1,
            "": 2,
            "a.b": 3,
            "a": {"b": 4},
            "Configuration": {
                "FunctionName": "my-function",
                "Version": "1",
                "New": {"x": [1.5, None, True]},
                "": "empty",
                "[0]": "brackets",
                'q"': "quote",
                "ключ": "ключ",
                "VpcConfig": {"": 5},
            },
        }
    )

    assert findings == []
    assert extra(rows) == {
        "New": 1,
        '[""]': 2,
        '["a.b"]': 3,
        "a": {"b": 4},
        "Configuration.New": {"x": [1.5, None, True]},
        'Configuration.[""]': "empty",
        'Configuration.["[0]"]': "brackets",
        'Configuration.["q\\""]': "quote",
        'Configuration.["ключ"]': "ключ",
        'Configuration.VpcConfig.[""]': 5,
    }
    assert list(extra(rows)) == sorted(extra(rows))


def test_numbers_beyond_64_bits_stay_exact(flatten):
    """An integer that no fast parser holds is kept digit by digit, wherever it stands."""
    rows, _, _ = flatten(configured(New={"n": [10**30, 2**64 - 1, -(2**63), 1e300, 0.1]}))

    assert (
        '{"n":[1000000000000000000000000000000,18446744073709551615,-9223372036854775808,1e+300,0.1]}'
        in (rows["functions"][0]["extra_json"])
    )


def test_an_instant_that_is_none(flatten):
    """A text that is no instant stays in ``last_modified``, NULL beside it, and is said; "" is not worth a word."""
    rows, _, findings = flatten(configured(LastModified="yesterday"))
    empty, _, silent = flatten(configured(LastModified=""))
    naive, _, said = flatten(configured(LastModified="2020-04-10T19:06:32.563"))

    assert rows["functions"] == [function_row(last_modified="yesterday")]
    assert findings == ["wrong_type: Configuration.LastModified: wanted an ISO 8601 instant, got other text"]
    assert (empty["functions"], silent) == ([function_row(last_modified="")], [])
    assert naive["functions"] == [function_row(last_modified="2020-04-10T19:06:32.563")]
    assert said == findings


@pytest.mark.parametrize(
    "text", ["2020-04-10T19:06:32.563+0000", "2020-04-10T19:06:32.563Z", "2020-04-10T21:06:32.563+02:00"]
)
def test_instants_in_any_offset(flatten, text):
    """AWS's own form, with ``Z`` or with another offset: the same instant, and the text as sent."""
    rows, _, findings = flatten(configured(LastModified=text))

    assert findings == []
    assert rows["functions"] == [
        function_row(last_modified=text, last_modified_at=datetime(2020, 4, 10, 19, 6, 32, 563000, UTC))
    ]


def test_cleaned_text_is_said(flatten):
    """NUL and lone surrogates are replaced and counted."""
    rows, _, findings = flatten(configured(Description="a\x00b\ud800"))

    assert rows["functions"] == [function_row(description="a\ufffdb\ufffd")]
    assert findings == ["cleaned_text: 2 characters that no table can hold replaced"]


def test_nested_too_deep(flatten):
    """An unknown field nested beyond what can be kept is outlined and said; the row is not lost."""
    deep = b"[" * 900 + b"]" * 900
    body = b'{"Configuration":{"FunctionName":"my-function","Version":"1","New":' + deep + b',"Timeout":3}}'
    rows, _, findings = flatten(body)

    assert rows["functions"][0]["timeout"] == 3
    assert extra(rows) == {"Configuration.New": {"type": "array", "length": 1}}
    assert findings == ["too_deep: Configuration.New: nested too deep to be kept"]


def test_nested_deep_is_kept(flatten):
    """What orjson cannot write, the standard library can."""
    nest = json.loads("[" * 300 + "]" * 300)
    rows, _, findings = flatten(configured(New=nest))

    assert findings == []
    assert extra(rows) == {"Configuration.New": nest}


def test_too_deep_to_be_read_exactly(flatten):
    """An answer that needs the exact parser and is too deep for it is one lost item, not a crash."""
    deep = b"[" * 900 + b"]" * 900
    with pytest.raises(FlattenError) as lost:
        flatten(b'{"Configuration":{"Big":' + b"9" * 30 + b',"New":' + deep + b"}}")
    assert lost.value.code == "too_deep"


# --- secrets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", ["keys", "values", "none"])
@pytest.mark.parametrize(
    "code", [{"Location": LINK}, {"Location": "https://plain.example/CANARY"}, {"Location": {"CANARY": LINK}}, [LINK]]
)
def test_the_download_link_is_nowhere(flatten, env, code):
    """``Code.Location`` is dropped in every mode, whatever it is."""
    shown = repr(flatten(configured() | {"Code": code}, env=env))

    assert [part for part in ("CANARY", "AKIA", "t0k3n", "5161", "X-Amz-Signature=") if part in shown] == []


def test_links_anywhere_are_removed_cell_by_cell(flatten):
    """A signed link in any other text is replaced, its neighbours stay, and a finding says where, without it."""
    rows, _, findings = flatten(
        configured(
            Description=f"get {LINK} soon",
            New={f"k {LINK}": [LINK]},
            VpcConfig={"SubnetIds": [LINK]},
            Layers=[{"Arn": LINK}],
            ImageConfigResponse={"ImageConfig": {"Command": ["curl", LINK]}},
        )
        | {"Tags": {LINK: LINK}, LINK: 1, "Code": {LINK: 2}},
        env="values",
    )
    shown = repr((rows, findings))

    assert [part for part in ("AKIA", "t0k3n", "5161", "X-Amz-Signature=") if part in shown] == []
    assert rows["functions"][0]["description"] == "get [signed link removed] soon"
    assert rows["functions"][0]["image_config_command"] == '["curl","[signed link removed]"]'
    assert rows["tags"] == [
        {"function_name": "my-function", "key": "[signed link removed]", "value": "[signed link removed]"}
    ]
    assert extra(rows) == {
        "Configuration.New": {"k [signed link removed]": ["[signed link removed]"]},
        '["[signed link removed]"]': 1,
        'Code.["[signed link removed]"]': {"type": "number", "length": 1},
    }
    assert {finding.split(":")[0] for finding in findings} == {"signed_link_removed"}


def test_keys_that_were_links_stay_apart(flatten):
    """Two unknown fields whose names are signed links are two fields without them, too."""
    rows, _, _ = flatten({LINK + "1": 1, LINK + "2": 2, "New": {LINK + "1": 3, LINK + "2": 4}})

    assert extra(rows) == {
        '["[signed link removed]"]': 1,
        '["[signed link removed]"]\'': 2,
        "New": {"[signed link removed]": 3, "[signed link removed]'": 4},
    }


def test_env_keys(flatten):
    """By default a variable's name, length and keyed hash are kept, never its value."""
    rows, _, _ = flatten(configured(Environment={"Variables": {"A": "s3cret", "E": "", "U": "шифр"}}))
    of_version = {"function_name": "my-function", "version": "1", "hash_key_id": KEY_ID}

    assert "s3cret" not in repr(rows)
    assert rows["env_vars"] == [
        {**of_version, "name": "A", "value_length": 6, "value_hmac": digest("s3cret")},
        {**of_version, "name": "E", "value_length": 0, "value_hmac": digest("")},
        {**of_version, "name": "U", "value_length": 4, "value_hmac": digest("шифр")},
    ]


def test_variables_stay_sorted_without_the_links_in_their_names(flatten):
    """A name that held a signed link may sort elsewhere without it; each value stays with its name."""
    rows, _, _ = flatten(configured(Environment={"Variables": {"A": "one", "a0": "two", LINK: "three"}}))

    assert [(row["name"], row["value_hmac"]) for row in rows["env_vars"]] == [
        ("A", digest("one")),
        ("[signed link removed]", digest("three")),
        ("a0", digest("two")),
    ]


@pytest.mark.parametrize("architectures", [["x86_64", "arm64"], [], None, ["arm64"]])
def test_a_second_architecture_is_said(architectures):
    """One architecture is a column; a second one is a finding, and both stay in extra_json. Decoded answers too."""
    document = configured(Architectures=architectures)
    document["Configuration"] |= {"FunctionArn": ARN}
    reply, rows = decode_function(json.dumps(document).encode()), Rows(ValueHasher(HashKey(KEY)))
    assert reply.answer is not None
    scope = Scope(account_id="123456789012", region="us-west-2")
    rules = Rules(env="keys", fetched_at=datetime(2026, 11, 22, tzinfo=UTC))
    ref = FunctionRef(function_name="my-function", qualifier="1")
    _, findings = flatten_function(reply, ref, scope=scope, rules=rules, answer="0", rows=rows)
    (row,) = rows.take()["functions"].to_pylist()

    is_odd = architectures is not None and len(architectures) > 1
    assert [finding.code for finding in findings] == ["wrong_type"] * is_odd
    assert row["architecture"] == (architectures[0] if architectures and not is_odd else None)
    assert row["extra_json"] == ('{"Configuration.Architectures":["x86_64","arm64"]}' if is_odd else None)


def test_an_unknown_field_is_as_the_listing_says():
    """A carried version keeps unknown fields that listings omit; one that the listing has is as it is there."""
    listing = {"FunctionName": "my-function", "Version": "1", "FunctionArn": f"{ARN}:1", "New": 2, "Only": 3}
    older = {"state": "Active", "extra_json": '{"Configuration.New":1,"Configuration.Old":1}'}
    rows = Rows(ValueHasher(HashKey(KEY)))
    findings = flatten_carried(
        FunctionRef(function_name="my-function", qualifier="1"),
        decode_listed(json.dumps(listing).encode()),
        older,
        scope=Scope(account_id="123456789012", region="us-west-2"),
        rules=Rules(env="keys", fetched_at=datetime(2026, 11, 22, tzinfo=UTC)),
        answer="0",
        rows=rows,
    )
    (row,) = rows.take()["functions"].to_pylist()

    assert findings == []
    assert json.loads(row["extra_json"]) == {"Configuration.New": 2, "Configuration.Old": 1, "Configuration.Only": 3}


def test_env_values(flatten):
    """``--env values`` adds the value, and removes signed links from it; hash and length are of the value itself."""
    rows, _, findings = flatten(
        configured(Environment={"Variables": {"A": "s3cret", "L": f"x {LINK}"}, "New": "s3cret"}), env="values"
    )

    assert [(row["value"], row["value_length"], row["value_hmac"]) for row in rows["env_vars"]] == [
        ("s3cret", 6, digest("s3cret")),
        ("x [signed link removed]", len(LINK) + 2, digest(f"x {LINK}")),
    ]
    assert extra(rows) == {"Configuration.Environment.New": "s3cret"}
    assert findings == ["signed_link_removed: Configuration.Environment.Variables: held a signed link"]


def test_env_none(flatten):
    """``--env none`` leaves the table empty."""
    rows, _, findings = flatten(configured(Environment={"Variables": {"A": "s3cret"}}), env="none")

    assert findings == []
    assert rows == {"functions": [function_row()]}


@pytest.mark.parametrize("env", ["keys", "none"])
@pytest.mark.parametrize(
    ("environment", "path", "outline"),
    [
        ("s3cret", "", {"type": "string", "length": 6}),
        (["s3cret"], "", {"type": "array", "length": 1}),
        ({"Variables": "s3cret"}, ".Variables", {"type": "string", "length": 6}),
        ({"Variables": ["s3cret"]}, ".Variables", {"type": "array", "length": 1}),
        ({"Variables": {"A": {"s3cret": "s3cret"}}}, ".Variables.A", {"type": "object", "length": 1}),
        ({"Variables": {"A": 12345}}, ".Variables.A", {"type": "number", "length": 5}),
        ({"New": ["s3cret", 1]}, ".New", {"type": "array", "length": 2}),
        ({"a b": "s3cret"}, '.["a b"]', {"type": "string", "length": 6}),
        ({"": "s3cret"}, '.[""]', {"type": "string", "length": 6}),
        ({"Error": "s3cret"}, ".Error", {"type": "string", "length": 6}),
        ({"Error": {"New": "s3cret"}}, ".Error.New", {"type": "string", "length": 6}),
        ({"Error": {"ErrorCode": ["s3cret"]}}, ".Error.ErrorCode", {"type": "array", "length": 1}),
    ],
)
def test_under_environment_only_type_and_length(flatten, env, environment, path, outline):
    """What is unknown or wrong under ``Environment`` may be a secret: its type and length are all that is kept."""
    rows, _, findings = flatten(configured(Environment=environment), env=env)

    assert extra(rows) == {"Configuration.Environment" + path: outline}
    assert "s3cret" not in repr((rows, findings))
    assert "12345" not in repr((rows, findings))


def test_an_environment_out_of_place(flatten):
    """Where the object around it is of the wrong type, the variables do not show either."""
    rows, _, findings = flatten({"Configuration": [{"Timeout": 3, "Environment": {"Variables": {"A": "s3cret"}}}]})

    assert extra(rows) == {"Configuration": [{"Timeout": 3, "Environment": {"type": "object", "length": 1}}]}
    assert "s3cret" not in repr((rows, findings))
    assert "s3cret" in repr(
        flatten({"Configuration": [{"Environment": {"Variables": {"A": "s3cret"}}}]}, env="values")[0]
    )


UNKNOWN = {
    "Secrets": ["s3cret"],
    "New": {"clientSecret": "s3cret", "SecretArn": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:x", "n": 1},
    "Texts": ["https://u:s3cret@x/p", "see https://x/p?sig=s3cret-of-a-signed-link", '{"password": "s3cret"}', "plain"],
    "k https://x/?s3cret": 1,
}
KEPT = {
    "Secrets": {"type": "array", "length": 1},
    "New": {
        "clientSecret": {"type": "string", "length": 6},
        "SecretArn": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:x",
        "n": 1,
    },
    "Texts": [f"https://{USER}x/p", f"see https://x/p{CUT}", {"type": "string", "length": 22}, "plain"],
    f'["k https://x/{CUT}"]': 1,
}


def below(path, kept):
    return {f"{path}.{key}": value for key, value in kept.items()}


@pytest.mark.parametrize("env", ["keys", "values", "none"])
def test_unknown_fields_that_may_be_secret(flatten, env):
    """Wherever they stand, unknown secrets are told by type and length, URLs lose their queries, the rest is kept."""
    rows, _, findings = flatten(
        configured(
            **UNKNOWN,
            LoggingConfig=UNKNOWN,
            Layers=[UNKNOWN],
            FileSystemConfigs=[UNKNOWN],
            SnapStart={"AuthToken": "s3cret", "On": True},
        )
        | {"Code": {"DownloadUrl": "https://x/s3cret", "ImageUri": ["s3cret"], "New": {"a": "s3cret"}}},
        env=env,
    )

    assert extra(rows) == {
        **below("Configuration", KEPT),
        **below("Configuration.LoggingConfig", KEPT),
        "Configuration.SnapStart.AuthToken": {"type": "string", "length": 6},
        "Configuration.SnapStart.On": True,
        "Code.DownloadUrl": {"type": "string", "length": 16},
        "Code.ImageUri": {"type": "array", "length": 1},
        "Code.New": {"type": "object", "length": 1},
    }
    assert [json.loads(rows[name][0]["extra_json"]) for name in ("layers", "file_systems")] == [KEPT, KEPT]
    assert findings == ["wrong_type: Code.ImageUri: wanted text, got array"]


@pytest.mark.parametrize("key", ["EnvironmentV2", "environment", "EnvironmentVariables", "Env"])
def test_environments_of_other_names(flatten, key):
    """What is like an environment is told like one: by type and length, unless values are asked for."""
    document = configured(
        **{key: {"Variables": {"DB_PASSWORD": "s3cret"}}}, New=[{key: ["s3cret"]}], Layers=[{key: "s3cret"}]
    )
    hidden, shown = flatten(document)[0], flatten(document, env="values")[0]

    assert extra(hidden) == {
        f"Configuration.{key}": {"type": "object", "length": 1},
        "Configuration.New": [{key: {"type": "array", "length": 1}}],
    }
    assert "s3cret" not in repr(hidden)
    assert extra(shown) == {
        f"Configuration.{key}": {"Variables": {"DB_PASSWORD": "s3cret"}},
        "Configuration.New": [{key: ["s3cret"]}],
    }
    assert json.loads(shown["layers"][0]["extra_json"]) == {key: "s3cret"}


@pytest.mark.parametrize(
    "link",
    [
        "https%3A%2F%2Fb%2Fk%3FX-Amz-Signature%3D5161",
        "https%253A%252F%252Fb%252Fk%253FX-Amz-Signature%253D5161",
        "https://b/k?X-Amz-Signature\\u003d5161",
        "https://b/k?X-Amz-Signature=5161",
    ],
)
def test_a_link_in_a_column_however_it_is_written(flatten, link):
    """A signed link in a column's text is removed where no ``=`` shows, too."""
    rows, _, findings = flatten(configured(Description=link))

    assert rows["functions"][0]["description"] == "[signed link removed]"
    assert findings == ["signed_link_removed: Configuration.Description: held a signed link"]


# --- aliases --------------------------------------------------------------------------------------------------------


def alias(name="live", version="2", **fields):
    return {"AliasArn": f"{ARN}:{name}", "Name": name, "FunctionVersion": version, **fields}


def test_an_alias(flatten_page):
    """An alias that points to one version sends all traffic there."""
    rows, findings = flatten_page(alias(Description="", RevisionId="r", RoutingConfig=None))

    assert findings == []
    assert rows == {
        "aliases": [
            {
                "function_name": "my-function",
                "alias": "live",
                "function_version": "2",
                "description": "",
                "revision_id": "r",
            }
        ],
        "alias_routes": [{"function_name": "my-function", "alias": "live", "version": "2", "weight": 1.0}],
    }


@pytest.mark.parametrize(
    ("weights", "routes"),
    [
        ({"1": 0.2}, {"1": 0.2, "2": 0.8}),
        ({"1": 0.1, "3": 0.2}, {"1": 0.1, "3": 0.2, "2": 0.7}),
        ({"1": 0.07}, {"1": 0.07, "2": 0.93}),
        ({"1": 0.0}, {"1": 0.0, "2": 1.0}),
        ({"1": 1}, {"1": 1.0, "2": 0.0}),
        ({}, {"2": 1.0}),
        ({"2": 0.25}, {"2": 1.0}),
        ({"1": None}, {"2": 1.0}),
    ],
)
def test_weights(flatten_page, weights, routes):
    """Weights are the decimals that AWS sent; the first version gets, as a decimal, what they leave of 1."""
    rows, findings = flatten_page(alias(RoutingConfig={"AdditionalVersionWeights": weights}))

    assert findings == []
    assert {row["version"]: row["weight"] for row in rows["alias_routes"]} == routes
    assert sum(routes.values()) == pytest.approx(1.0, abs=1e-12)


def test_an_alias_to_nowhere(flatten_page):
    """Where AWS does not say where an alias points first, only its other routes are known."""
    rows, _ = flatten_page({"Name": "live", "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.3}}})

    assert rows == {
        "aliases": [{"function_name": "my-function", "alias": "live"}],
        "alias_routes": [{"function_name": "my-function", "alias": "live", "version": "1", "weight": 0.3}],
    }


def test_unknown_fields_of_an_alias_that_may_be_secret(flatten_page):
    """The same rule holds for aliases."""
    rows, _ = flatten_page(alias(**UNKNOWN, EnvironmentV2={"A": "s3cret"}))

    assert json.loads(rows["aliases"][0]["extra_json"]) == KEPT | {"EnvironmentV2": {"type": "object", "length": 1}}


def test_unknown_and_wrong_fields_of_an_alias(flatten_page):
    """What an alias brings besides is in its extra_json, exact; a wrong type is said."""
    rows, findings = flatten_page(
        alias(name="other"),
        alias(
            New=10**30,
            Description=5,
            RoutingConfig={"New": f"see {LINK}", "AdditionalVersionWeights": {"1": "half", "3": True, "4": 0.5}},
        ),
        alias(name="third", RoutingConfig={"AdditionalVersionWeights": [0.5]}),
    )

    assert json.loads(rows["aliases"][1]["extra_json"]) == {
        "Description": 5,
        "New": 10**30,
        "RoutingConfig.AdditionalVersionWeights.1": "half",
        "RoutingConfig.AdditionalVersionWeights.3": True,
        "RoutingConfig.New": "see [signed link removed]",
    }
    assert json.loads(rows["aliases"][2]["extra_json"]) == {"RoutingConfig.AdditionalVersionWeights": [0.5]}
    assert [(row["alias"], row["version"], row["weight"]) for row in rows["alias_routes"]] == [
        ("other", "2", 1.0),
        ("live", "4", 0.5),
        ("live", "2", 0.5),
        ("third", "2", 1.0),
    ]
    assert sorted(findings) == [
        "signed_link_removed: RoutingConfig.New: held a signed link",
        "wrong_type: Description: wanted text, got number",
        "wrong_type: RoutingConfig.AdditionalVersionWeights.1: wanted double, got string",
        "wrong_type: RoutingConfig.AdditionalVersionWeights.3: wanted double, got boolean",
        "wrong_type: RoutingConfig.AdditionalVersionWeights: wanted object, got array",
    ]


@pytest.mark.parametrize("item", [{}, {"Name": ""}, {"Name": 5}, {"Name": None, "FunctionVersion": "1"}, None, "x", []])
def test_an_item_without_a_name(flatten_page, item):
    """An item that is no alias is one lost item."""
    with pytest.raises(FlattenError) as lost:
        flatten_page(item)
    assert lost.value.code == "invalid_item"


# --- account settings -----------------------------------------------------------------------------------------------


def test_account_settings(flatten_settings):
    """Limits and use are one row; AWS's own function count comes back besides."""
    rows, count, findings = flatten_settings(
        {
            "AccountLimit": {
                "TotalCodeSize": 322122547200,
                "CodeSizeUnzipped": 262144000,
                "CodeSizeZipped": 52428800,
                "ConcurrentExecutions": 1000,
                "UnreservedConcurrentExecutions": 0,
            },
            "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": 4},
        }
    )

    assert (count, findings) == (4, [])
    assert rows == {
        "account_settings": [
            {
                "concurrent_executions_limit": 1000,
                "unreserved_concurrent_executions": 0,
                "code_size_limit": 322122547200,
                "code_size_used": 0,
                "function_count": 4,
            }
        ]
    }


def test_wrong_account_settings(flatten_settings):
    """A wrong type there is NULL and said; a number without use does no harm."""
    rows, count, findings = flatten_settings(
        {"AccountLimit": {"New": 10**30, "TotalCodeSize": 10**30}, "AccountUsage": {"FunctionCount": "4"}}
    )

    assert (rows, count) == ({"account_settings": [{}]}, None)
    assert findings == [
        "wrong_type: AccountLimit.TotalCodeSize: wanted int64, got number",
        "wrong_type: AccountUsage.FunctionCount: wanted int64, got string",
    ]
