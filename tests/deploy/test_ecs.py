"""The template for ECS: it is valid, its task may do what a night needs and no more, and the key is a secret."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from cloudformation import ECS, EXAMPLE, Stack, grants, lint_text, load_template
from dockerfile import last_stage

from lexport.cli.main import run

BUCKET = f"arn:aws:s3:::{EXAMPLE['Bucket']}"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:alarms"


@pytest.fixture
def printed(capsys):
    def policy(*arguments):
        assert run(["iam-policy", *arguments]) == 0
        return grants(json.loads(capsys.readouterr().out)["Statement"])

    return policy


@pytest.fixture(scope="module")
def whole():
    return Stack(ECS, AccountRole="lexport-reader", Organization="true", BucketKmsKeyArn=KEY, AlarmTopicArn=TOPIC)


def test_the_template_is_valid():
    """The template has no finding of cfn-lint, fits into one request, and uses each parameter and condition."""
    text = ECS.read_text(encoding="utf-8")
    template = load_template(ECS)

    assert lint_text(text) == []
    assert len(text.encode()) <= 51_200
    assert not any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))
    for name in [*template["Parameters"], *template["Conditions"]]:
        assert len(re.findall(rf"\b{name}\b", text)) > 1, name


def test_the_task_may_what_a_night_needs(printed, whole):
    """The role has what iam-policy prints for accounts, a hub, a writer and a pruner, and the upload of the report."""
    dest = ("--dest", "s3://amzn-s3-demo-bucket/fleet", "--dest-kms-key", KEY)
    accounts = printed("--for", "account") | printed("--for", "hub", "--account-role", "lexport-reader")
    dataset = printed(*dest, "--for", "writer") | printed(*dest, "--for", "pruner")
    whole_prefix = {each for each in dataset if each[1] == f"{BUCKET}/fleet/*" or not each[1].startswith(BUCKET + "/")}
    upload = ("s3:PutObject", f"{BUCKET}/fleet-nightly/*", "null")

    assert all(resource.startswith(f"{BUCKET}/fleet/") for _, resource, _ in dataset - whole_prefix)
    assert grants(whole.statements("TaskRole")) == accounts | whole_prefix | {upload}


def test_no_role_may_more_than_its_task(whole):
    """A stack for one account may assume no role and list no organization; the schedule starts this task alone."""
    alone = grants(Stack(ECS).statements("TaskRole"))
    schedule = grants(whole.statements("ScheduleRole"))

    assert not [action for action, _, _ in alone if action.startswith(("sts:", "organizations:", "kms:"))]
    assert {(action, resource) for action, resource, _ in schedule} == {
        ("ecs:RunTask", "arn:of:Task"),
        ("iam:PassRole", "arn:of:ExecutionRole"),
        ("iam:PassRole", "arn:of:TaskRole"),
    }
    assert all(condition != "null" for _, _, condition in schedule)


def test_the_report_outlives_the_task(whole):
    """The second container begins when the night has ended, however it ended, and copies what the night wrote."""
    night, upload = whole.resources["Task"]["Properties"]["ContainerDefinitions"]

    assert night["EntryPoint"] == ["lexport-nightly"]
    assert (night["Essential"], upload["Essential"]) == (False, True)
    assert upload["DependsOn"] == [{"ContainerName": "lexport", "Condition": "COMPLETE"}]
    assert night["Command"][1] == "/out" == upload["MountPoints"][0]["ContainerPath"]
    assert not EXAMPLE.get("OutPrefix", "fleet-nightly").startswith("fleet/")
    assert night["ReadonlyRootFilesystem"] is True
    assert {each["ContainerPath"] for each in night["MountPoints"]} == set(json.loads(dict(last_stage())["VOLUME"]))


def test_the_key_is_a_secret(whole):
    """The night gets LEXPORT_HASH_KEY from Secrets Manager; a secret of one's own takes the place of the stack's."""
    night, upload = whole.resources["Task"]["Properties"]["ContainerDefinitions"]
    mine = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:lexport-AbCdEf"
    own = Stack(ECS, HashKeySecretArn=mine)

    assert night["Secrets"] == [{"Name": "LEXPORT_HASH_KEY", "ValueFrom": "arn:of:HashKey"}]
    assert "Secrets" not in upload
    assert load_template(ECS)["Resources"]["HashKey"]["DeletionPolicy"] == "Retain"
    assert "HashKey" not in own.resources
    assert mine in json.dumps(own.resources["Task"])


@pytest.mark.parametrize(
    ("detail", "is_reported"),
    [
        ({"containers": [{"exitCode": 0}, {"exitCode": 0}]}, False),
        ({"containers": [{"exitCode": 3}, {"exitCode": 0}]}, True),
        ({"containers": [{"exitCode": 0}, {"exitCode": 1}]}, True),
        ({"containers": [{"exitCode": 137}, {"exitCode": 0}]}, True),
        ({"containers": [{}], "stopCode": "TaskFailedToStart"}, True),
    ],
)
def test_a_night_that_failed_is_reported(whole, detail, is_reported):
    """The rule matches each exit code but 0, of any container, and a task that did not start."""
    (codes, start) = whole.resources["NightFailed"]["Properties"]["EventPattern"]["detail"]["$or"]
    ((operator, limit),) = (each["numeric"] for each in codes["containers"]["exitCode"])
    failed = any("exitCode" in each and each["exitCode"] > limit for each in detail["containers"])

    assert operator == ">"
    assert (failed or detail.get("stopCode") in start["stopCode"]) is is_reported
