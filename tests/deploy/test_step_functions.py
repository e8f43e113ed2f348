"""The template for Step Functions: it is valid, its expressions do what they should, and its roles may no more."""

from __future__ import annotations

import base64
import copy
import json
import re
import string
from collections import Counter
from datetime import UTC, datetime

import pytest
import yaml
from cloudformation import EXAMPLE, TEMPLATE, Stack, default_stack, grants, lint_text, load_template
from state_machine import Machine, StateError

from lexport.cli.main import run
from lexport.extract.hash_key import load_hash_key
from lexport.model import is_ulid, ulid_time

BUCKET = f"arn:aws:s3:::{EXAMPLE['Bucket']}"
RUN = "01KB5Z6T0Q4W8X2M7R9C1V3N5J"
SHARDS = [
    {"scope": {"account_id": "111122223333", "region": region}, "refs": None, "region_status": "enabled"}
    for region in ("eu-west-1", "us-east-1", "us-east-2")
]


# --- the template -----------------------------------------------------------------------------------------------------


def test_the_template_is_valid():
    """The template has no finding of cfn-lint."""
    assert lint_text(TEMPLATE.read_text(encoding="utf-8")) == []


def test_the_definition_is_valid():
    """The state machine has no finding of cfn-lint."""
    definition = copy.deepcopy(default_stack().definition())
    shards = definition["States"]["ReadShards"]
    for state, field in (
        (shards, "MaxConcurrency"),
        (shards, "ToleratedFailurePercentage"),
        (shards["ItemProcessor"]["States"]["Read"], "TimeoutSeconds"),
    ):
        state[field] = int(state[field].strip("{}% "))  # cfn-lint takes no expression there
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"RoleArn": "arn:aws:iam::111122223333:role/lexport", "Definition": definition},
    }

    assert lint_text(json.dumps({"Resources": {"StateMachine": machine}})) == []


@pytest.mark.parametrize("inner", [False, True])
def test_each_state_is_reached(inner):
    """Every transition leads to a state, and every state is led to; the last ones end the execution."""
    machine = default_stack().definition()
    machine = machine["States"]["ReadShards"]["ItemProcessor"] if inner else machine
    states, reached, waiting = machine["States"], set(), [machine["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        state = states[name]
        leaving = [state, *state.get("Choices", ()), *state.get("Catch", ())]
        targets = [each[field] for each in leaving for field in ("Next", "Default") if field in each]
        assert bool(targets) is (state["Type"] not in ("Succeed", "Fail"))
        assert ("Next" in state) + state.get("End", False) == (state["Type"] not in ("Choice", "Succeed", "Fail"))
        waiting += targets

    assert reached == set(states)


def test_cloudformation_takes_the_template_as_it_is():
    """The template fits into one request, and has no YAML aliases, which CloudFormation does not document."""
    text = TEMPLATE.read_bytes()

    assert len(text) <= 51_200
    assert not any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))


def test_each_parameter_is_used():
    """Each parameter and condition is used somewhere, and the state machine has each placeholder that it names."""
    text = TEMPLATE.read_text(encoding="utf-8")
    template = load_template()
    properties = template["Resources"]["StateMachine"]["Properties"]
    placeholders = set(re.findall(r"\$\{(\w+)\}", json.dumps(properties["Definition"])))

    assert placeholders == set(properties["DefinitionSubstitutions"])
    for name in [*template["Parameters"], *template["Conditions"]]:
        assert len(re.findall(rf"\b{name}\b", text)) > 1, name


def test_no_parameter_can_end_an_expression():
    """Options of the plan may have what lists and ARNs have, and no character that ends a text of an expression."""
    pattern = load_template()["Parameters"]["PlanOptions"]["AllowedPattern"]
    for options in (
        "--region all --incremental --refresh-after 7d",
        "--region eu-west-1,us-east-1 --exclude-account 111122223333",
        "--account-role arn:aws:iam::{account_id}:role/x --function billing-*",
    ):
        assert re.fullmatch(pattern, options)
    for options in ("", "all", "--region 'all'", '--region "all"', "--x \\", "--x $y", "--x %} {%"):
        assert not re.fullmatch(pattern, options)


# --- how it runs ------------------------------------------------------------------------------------------------------


def stopped(exit_code, *, sidecar=None):
    """Return the error of a task that stopped; its cause is what Step Functions makes of DescribeTasks."""
    containers = [{"Name": "lexport", "LastStatus": "STOPPED", "NetworkInterfaces": [{"AttachmentId": "a"}]}]
    if exit_code is not None:
        containers[0]["ExitCode"] = exit_code
    if sidecar is not None:
        containers.insert(0, {"Name": "aws-guardduty-agent", "LastStatus": "STOPPED", "ExitCode": sidecar})
    overrides = {"ContainerOverrides": [{"Name": "lexport", "Command": ['"ExitCode":3']}]}
    cause = {"Containers": containers, "LastStatus": "STOPPED", "Overrides": overrides, "StopCode": "x"}
    return StateError("States.TaskFailed", json.dumps(cause, separators=(",", ":")))


class Fargate:
    """Plays the tasks: ``endings`` has the results of each command, by its words, the last one again and again."""

    def __init__(self, **endings):
        self.endings = {name: list(each) for name, each in endings.items()}
        self.commands = []

    def __call__(self, arguments):
        (override,) = arguments["Overrides"]["ContainerOverrides"]
        assert override["Name"] == "lexport"
        command = override["Command"]
        self.commands.append(command)
        key = command[1] if command[1] != "read" else command[-1].replace("-", "_")
        endings = self.endings.get(key, [0])
        ending = endings.pop(0) if len(endings) > 1 else endings[0]
        if ending == 0:
            return {"LastStatus": "STOPPED"}
        raise ending if isinstance(ending, StateError) else stopped(ending)

    def tries(self):
        return Counter(command[1] if command[1] != "read" else command[-1] for command in self.commands)


def execute(fargate, data=None, *, stack=None):
    keys = []

    def read_items(bucket, key):
        keys.append((bucket, key))
        return SHARDS

    machine = Machine((stack or default_stack()).definition(), fargate, read_items)
    try:
        output = machine.run({} if data is None else data)
    except StateError as error:
        return error, machine, keys
    return output, machine, keys


def test_a_run_plans_reads_and_commits():
    """An execution makes the id of the run, plans it, reads each line of its plan in a task of its own and commits."""
    fargate = Fargate()
    stack = Stack(AccountRole="lexport-reader", Organization="true", AllowPartial="true")
    output, machine, keys = execute(fargate, stack=stack)
    made, dest = output["run"], "s3://amzn-s3-demo-bucket/fleet"

    assert output == {"run": made, "status": "complete"}
    assert is_ulid(made)
    assert ulid_time(made) == datetime(2026, 11, 30, 1, 0, 0, 123000, UTC)
    assert keys == [("amzn-s3-demo-bucket", f"fleet/_staging/{made}/shards.jsonl")]
    options = ["--region", "all", "--account-role", "lexport-reader", "--organization"]
    assert fargate.commands == [
        ["shard", "plan", dest, *options, "--run", made],
        *(["shard", "read", dest, made, "111122223333", shard["scope"]["region"]] for shard in SHARDS),
        ["shard", "commit", dest, "--allow-partial", made],
    ]
    assert machine.waited == []
    assert execute(Fargate())[0]["run"] != made


def test_a_planned_run_goes_on():
    """An execution with the id of a run does not plan: it reads what is missing of that run, and commits it."""
    fargate = Fargate()
    output, _, keys = execute(fargate, {"run": RUN})

    assert output == {"run": RUN, "status": "complete"}
    assert keys == [("amzn-s3-demo-bucket", f"fleet/_staging/{RUN}/shards.jsonl")]
    assert fargate.tries() == {"eu-west-1": 1, "us-east-1": 1, "us-east-2": 1, "commit": 1}


TIMED_OUT = StateError("States.Timeout")
NO_CAUSE_JSON = StateError("States.TaskFailed", "Task failed to start")
CUT_CAUSE = StateError("States.TaskFailed", stopped(3).cause[:40])
LIST_CAUSE = StateError("States.TaskFailed", "[3]")


@pytest.mark.parametrize(
    ("ending", "tries", "is_read"),
    [
        (0, 1, True),
        (3, 1, True),
        (stopped(0, sidecar=137), 1, True),
        (stopped(3, sidecar=137), 1, True),
        (2, 1, False),
        (5, 1, False),
        (6, 1, False),
        (stopped(5, sidecar=0), 1, False),
        (1, 4, False),
        (stopped(1, sidecar=3), 4, False),
        (137, 4, False),
        (143, 4, False),
        (stopped(None), 4, False),
        (stopped(None, sidecar=3), 4, False),
        (TIMED_OUT, 4, False),
        (NO_CAUSE_JSON, 4, False),
        (CUT_CAUSE, 4, False),
        (LIST_CAUSE, 4, False),
        (StateError("States.TaskFailed", "{}"), 4, False),
        (StateError("ECS.InvalidParameterException", "no such subnet"), 4, False),
    ],
    ids=str,
)
def test_the_exit_code_decides_what_becomes_of_an_account_region(ending, tries, is_read):
    """Exit codes 0 and 3 are a reading, 2, 5 and 6 are final, and anything else is tried four times; others go on."""
    fargate = Fargate(us_east_1=[ending])
    stack = Stack(ToleratedFailurePercentage="0")
    output, _, _ = execute(fargate, stack=stack)

    assert fargate.tries()["us-east-1"] == tries
    assert fargate.tries()["eu-west-1"] == fargate.tries()["us-east-2"] == 1
    if is_read:
        assert output["status"] == "complete"
    else:
        assert output.error == "States.ExceedToleratedFailureThreshold"
        assert re.fullmatch(r"NotRead: 111122223333 us-east-1: exit code -?\d+ \(\S+\)", output.cause)


def test_a_failed_account_region_does_not_stop_the_run():
    """With the default tolerance the commit runs after failures, and decides itself."""
    fargate = Fargate(us_east_1=[5], eu_west_1=[1], commit=[1])
    output, _, _ = execute(fargate)

    assert (output.error, fargate.tries()["commit"]) == ("NotPublished", 1)
    assert re.search(r'start an execution with \{"run": "[0-9A-Z]{26}"\} to read what is missing', output.cause)


def test_an_interrupted_reading_goes_on():
    """A task that Spot interrupted is started again after a wait, and its account-region is read."""
    fargate = Fargate(us_east_1=[143, 143, 3])
    output, machine, _ = execute(fargate)

    assert output["status"] == "complete"
    assert fargate.tries()["us-east-1"] == 3
    assert 30 <= machine.waited[0] <= 90
    assert 60 <= machine.waited[1] <= 180


@pytest.mark.parametrize("error", ["AmazonECS.Unknown", "ECS.AmazonECSException", "ECS.ServerException"])
def test_a_task_that_finds_no_place_is_started_later(error):
    """A lack of capacity or throttling is waited out, up to twelve times, and is no try at the account-region."""
    fargate = Fargate(plan=[StateError(error)] * 12 + [0], us_east_1=[StateError(error)] * 3 + [143, 143, 143, 0])
    output, machine, _ = execute(fargate)

    assert output["status"] == "complete"
    assert fargate.tries()["plan"] == 13
    assert machine.waited[:6] == [15, 30, 60, 120, 240, 300]


@pytest.mark.parametrize(
    ("ending", "tries", "status"),
    [(0, 1, "complete"), (3, 1, "partial"), (stopped(0, sidecar=1), 1, "complete"), (1, 1, None), (2, 1, None),
     (5, 1, None), (6, 1, None), (137, 3, None), (TIMED_OUT, 3, None)],
    ids=str,
)  # fmt: skip
def test_the_exit_code_of_the_commit_decides_how_the_execution_ends(ending, tries, status):
    """Published with gaps is a success that says so; a refusal is final; a commit that was killed is tried again."""
    fargate = Fargate(commit=[ending])
    output, _, _ = execute(fargate)

    assert fargate.tries()["commit"] == tries
    assert (output["status"] if status else output.error) == (status or "NotPublished")


@pytest.mark.parametrize(("ending", "tries"), [(1, 3), (2, 1), (5, 1), (6, 1), (137, 3), (stopped(0, sidecar=1), 1)])
def test_nothing_is_read_without_a_plan(ending, tries):
    """A plan that fails ends the execution; it is tried again unless its exit code is final."""
    fargate = Fargate(plan=[ending])
    output, _, _ = execute(fargate)

    assert fargate.tries()["plan"] == tries
    assert isinstance(output, StateError) is (ending in (1, 2, 5, 6, 137))
    assert ("commit" in fargate.tries()) is not isinstance(output, StateError)


# --- what it may ------------------------------------------------------------------------------------------------------


@pytest.fixture
def printed(capsys):
    def policy(*arguments):
        assert run(["iam-policy", *arguments]) == 0
        return grants(json.loads(capsys.readouterr().out)["Statement"])

    return policy


KEY = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def whole():
    return Stack(AccountRole="lexport-reader", Organization="true", BucketKmsKeyArn=KEY)


def test_the_roles_have_what_iam_policy_prints(printed, whole):
    """The commit may what a writer of the dataset may; the plan and the readers together read accounts as printed."""
    writer = printed("--dest", "s3://amzn-s3-demo-bucket/fleet", "--for", "writer", "--dest-kms-key", KEY)
    put = ("s3:PutObject", f"{BUCKET}/fleet/_staging/*", "null")  # is in fleet/* too
    accounts = printed("--for", "account") | printed("--for", "hub", "--account-role", "lexport-reader")
    dataset = grants(whole.resources["DatasetPolicy"]["Properties"]["PolicyDocument"]["Statement"])

    assert grants(whole.statements("CommitRole")) == writer | {put}
    assert (grants(whole.statements("PlanRole")) | grants(whole.statements("ReadRole"))) - dataset == accounts


def test_only_the_commit_writes_tables(whole):
    """The plan and the readers write below _staging alone; the state machine reads plans and no other object."""
    for role in ("PlanRole", "ReadRole"):
        written = {
            resource for action, resource, _ in grants(whole.statements(role)) if re.match("s3:(Put|Delete)", action)
        }
        assert written == {f"{BUCKET}/fleet/_staging/*"}
    objects = {resource for action, resource, _ in grants(whole.statements("StateMachineRole")) if "s3:" in action}
    assert objects == {f"{BUCKET}/fleet/_staging/*/shards.jsonl"}


def test_no_role_may_more_than_its_task(whole):
    """Without accounts to enter nobody may assume a role; any resource is for actions that know no other."""
    alone = grants(Stack().statements("PlanRole")) | grants(Stack().statements("ReadRole"))
    assert not [action for action, _, _ in alone if action.startswith(("sts:", "organizations:"))]

    roles = [name for name, resource in whole.resources.items() if resource["Type"] == "AWS::IAM::Role"]
    anywhere = {action for role in roles for action, resource, _ in grants(whole.statements(role)) if resource == "*"}
    assert anywhere == {
        "account:ListRegions", "ec2:DescribeRegions", "ecr:GetAuthorizationToken", "lambda:GetAccountSettings",
        "lambda:ListCodeSigningConfigs", "lambda:ListEventSourceMappings", "lambda:ListFunctions",
        "organizations:ListAccounts", "organizations:ListAccountsForParent",
        "organizations:ListOrganizationalUnitsForParent",
    }  # fmt: skip
    machine = grants(whole.statements("StateMachineRole"))
    assert {resource for action, resource, _ in machine if action == "iam:PassRole"} == {
        "arn:of:ExecutionRole", "arn:of:PlanRole", "arn:of:ReadRole", "arn:of:CommitRole"
    }  # fmt: skip
    assert {resource for action, resource, _ in machine if action == "ecs:RunTask"} == {
        "arn:of:PlanTask", "arn:of:ReadTask", "arn:of:CommitTask"
    }  # fmt: skip


def test_the_key_of_the_hashes_is_a_secret():
    """Each task gets LEXPORT_HASH_KEY from the secret, in no variable of its own, and each logs to the same group."""
    for task in ("PlanTask", "ReadTask", "CommitTask"):
        (container,) = default_stack().resources[task]["Properties"]["ContainerDefinitions"]
        assert container["Secrets"] == [{"Name": "LEXPORT_HASH_KEY", "ValueFrom": "arn:of:HashKey"}]
        assert container["Environment"] == [{"Name": "AWS_REGION", "Value": "eu-west-1"}]
        assert container["LogConfiguration"]["Options"]["awslogs-group"] == "arn:of:Logs"
    mine = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:lexport-AbCdEf"
    own = Stack(HashKeySecretArn=mine)
    assert "HashKey" not in own.resources
    assert mine in json.dumps(own.resources["CommitTask"])


def test_the_secret_that_is_made_is_a_key(monkeypatch):
    """Any text that Secrets Manager makes by the template's rule is a key that lexport accepts."""
    rule = default_stack().resources["HashKey"]["Properties"]["GenerateSecretString"]
    assert rule == {"PasswordLength": 44, "ExcludePunctuation": True}
    for text in ((string.ascii_letters * 2)[:44], (string.digits * 5)[:44], "Z9" * 22):
        monkeypatch.setenv("LEXPORT_HASH_KEY", text)
        assert load_hash_key(None).secret == base64.b64decode(text)
