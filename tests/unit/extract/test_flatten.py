"""Responses as AWS sends them, and all of their rows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flattened import ARN, KEY_ID, SEED, configured, digest, function_row

from lexport.errors import FlattenError


def test_the_seed_example(flatten):
    """Every field of the example response has its column or row."""
    rows, version, notices = flatten(SEED)

    assert notices == []
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
    rows, _, notices = flatten(
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

    assert notices == []
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
    """Code that stays in the customer's bucket has no presigned URL, but the object's bucket and key."""
    rows, _, notices = flatten(
        configured(PackageType="Zip")
        | {
            "Code": {
                "RepositoryType": "S3",
                "ResolvedS3Object": {"S3Bucket": "code", "S3Key": "app/1.zip", "S3ObjectVersion": "3sL4kqtJlcpXro"},
                "SourceKMSKeyArn": "arn:aws:kms:us-west-2:123456789012:key/1",
            }
        }
    )

    assert notices == []
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


def test_errors_inside_a_response(flatten):
    """Errors inside a response have columns of their own: the data is denied, not absent."""
    rows, _, notices = flatten(
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

    assert notices == []
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
    rows, _, notices = flatten(
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

    assert notices == []
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
    rows, _, notices = flatten(configured(VpcConfig={"SubnetIds": [], "SecurityGroupIds": [], "VpcId": ""}))

    assert notices == []
    assert rows == {"functions": [function_row(vpc_config_vpc_id="")]}


def test_durable_tenant_and_managed_functions(flatten):
    """Durable, tenant-isolated and managed functions have their columns, also the fields that botocore lacks."""
    rows, _, notices = flatten(
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

    assert notices == []
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
    """A response of explicit nulls has the rows of an empty one."""
    nulls = {
        "Configuration": dict.fromkeys(["VpcConfig", "Layers", "Environment", "Runtime", "Architectures", "New"]),
        "Code": None,
        "Tags": None,
        "Concurrency": None,
        "New": None,
    }

    assert flatten(nulls) == flatten({})


def test_the_qualifier_leaves_the_arn(flatten):
    """``function_arn`` is the function's own, whichever version or alias was requested."""
    for arn in (ARN, ARN + ":1", ARN + ":live", ARN + ":$LATEST"):
        rows, _, _ = flatten(configured(FunctionArn=arn))

        assert rows["functions"][0]["function_arn"] == ARN


@pytest.mark.parametrize("text", ["", "my-function", "a:b:c:d:e:f:g:h", ARN + ":1:2", "arn:"])
def test_other_text_in_the_arn_is_kept(flatten, text):
    """A text that is no qualified ARN is kept whole."""
    rows, _, _ = flatten(configured(FunctionArn=text))

    assert rows["functions"][0]["function_arn"] == text


def test_a_response_without_a_version(flatten):
    """A response without a version has the requested number; for an alias it is an error."""
    assert flatten({})[1] == "$LATEST"
    assert flatten({}, qualifier="7")[1] == "7"
    with pytest.raises(FlattenError) as lost:
        flatten({}, qualifier="live")
    assert lost.value.code == "no_version"


def test_an_alias_has_the_key_of_its_version(flatten):
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
