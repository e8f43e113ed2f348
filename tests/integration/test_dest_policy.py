"""The printed policy of a bucket allows what each role does there, and not what the others do."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from bucket_policies import allows, asked
from tiny_s3 import open_tiny_s3

from lexport.cli.main import run
from lexport.dataset.open_store import open_store
from lexport.errors import CredentialsError

RUN = "01KB5Z6T0Q4W8X2M7R9C1V3N5J"
KEY_ARN = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture
def policy(capsys):
    def printed(*arguments):
        assert run(["iam-policy", *arguments]) == 0
        return json.loads(capsys.readouterr().out)["Statement"]

    return printed


@pytest.fixture
def served(aws, tmp_path):
    """A tiny S3 that this process finds."""
    with open_tiny_s3() as server:
        aws.setenv("AWS_ENDPOINT_URL_S3", server.url)
        aws.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield server


def test_what_a_reader_asks_for(served, policy, write_dataset, tmp_path, capsys):
    """Every request of the reading commands is allowed to a reader, and a reader may not write or delete."""
    write_dataset(tmp_path / "fleet", [{"at": datetime.now(UTC), "functions": [{"function_name": "f"}]}])
    for path in (tmp_path / "fleet").rglob("*"):
        if path.is_file():
            served.objects[f"my/fleet/{path.relative_to(tmp_path / 'fleet')}"] = path.read_bytes()
    for command in (["sql", "FROM functions"], ["status"], ["verify", "--data"]):
        assert run([command[0], "s3://bucket/my/fleet", *command[1:]]) in (0, 4), capsys.readouterr().err
    capsys.readouterr()
    statements = policy("--dest", "s3://bucket/my/fleet", "--for", "reader")

    needed = set(asked(served.requests))
    assert {action for action, _, _ in needed} == {"s3:GetObject", "s3:ListBucket"}
    assert [item for item in needed if not allows(statements, *item)] == []
    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert not allows(statements, action, "arn:aws:s3:::bucket/my/fleet/_runs/a.json")


@pytest.mark.slow
@pytest.mark.asyncio
async def test_what_a_writer_asks_for(served, policy, simulator, flags, run_lexport):
    """Every request of snapshots is allowed to a writer, who may not delete commits, marks and stored packages."""
    dest, where = "s3://bucket/my/fleet", {"AWS_ENDPOINT_URL_S3": served.url}
    async with simulator(functions=2, versions=1) as aws:
        for more in ((), ("--incremental", "--packages")):
            done = await run_lexport("snapshot", dest, *flags(aws.url), *more, **where)
            assert done.code == 0, done.err
    asked_by_writer, statements = [*asked(served.requests)], policy("--dest", dest)
    assert [item for item in asked_by_writer if not allows(statements, *item)] == []
    for path in (f"_runs/{RUN}.json", "_packages/sha256/ab/cd.zip", "_pruned/a.json"):
        assert not allows(statements, "s3:DeleteObject", f"arn:aws:s3:::bucket/my/fleet/{path}")


def test_what_a_pruner_asks_for(served, policy, write_dataset, tmp_path, capsys):
    """A pruner deletes everywhere below the prefix, and creates only its marks, the hint and claims."""
    nights = [{"at": datetime(2026, 11, day, tzinfo=UTC)} for day in (1, 2)]
    ids = [done.snapshot_id for done in write_dataset(tmp_path / "fleet", nights)]
    for path in (tmp_path / "fleet").rglob("*"):
        if path.is_file():
            served.objects[f"my/fleet/{path.relative_to(tmp_path / 'fleet')}"] = path.read_bytes()
    served.objects["my/fleet/_packages/sha256/ab/" + "ab" * 32 + ".zip"] = b"zip"
    process = {"host": "", "machine": "", "namespace": "", "pid": 1, "started": ""}
    claim = {"attempt": 1, "owner": process, "is_released": True}
    served.objects[f"my/fleet/_staging/{RUN}/claim-0001.json"] = json.dumps(claim).encode()
    for options in (["--snapshot", RUN], *[["--keep-last", "1", "--grace", "0s", "--packages"]] * 3):
        assert run(["prune", "s3://bucket/my/fleet", *options]) == 0, capsys.readouterr().err
    capsys.readouterr()
    statements = policy("--dest", "s3://bucket/my/fleet", "--for", "pruner")

    assert f"my/fleet/_runs/{ids[0]}.json" not in served.objects
    assert not [key for key in served.objects if "_staging/" in key]
    assert [item for item in asked(served.requests) if not allows(statements, *item)] == []
    for path in (f"_runs/{RUN}.json", f"_staging/{RUN}/run.json"):
        assert not allows(statements, "s3:PutObject", f"arn:aws:s3:::bucket/my/fleet/{path}")


@pytest.mark.parametrize("role", ["reader", "writer", "pruner"])
def test_nothing_beside_the_prefix(policy, role):
    """Nothing is allowed outside of the prefix, also where its name has characters that are wildcards in IAM."""
    statements = policy("--dest", "s3://bucket/a*c/fl$et", "--for", role, "--partition", "aws-cn")

    assert allows(statements, "s3:GetObject", "arn:aws-cn:s3:::bucket/a*c/fl$et/x")
    for key in ("abc/fleet/x", "a*c/fl$etx", "a*c/x", "x"):
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
            assert not allows(statements, action, f"arn:aws-cn:s3:::bucket/{key}")
    assert not allows(statements, "s3:ListBucket", "arn:aws-cn:s3:::bucket", "")
    assert not allows(statements, "s3:ListBucket", "arn:aws-cn:s3:::bucket", "a*c/")


@pytest.mark.parametrize(
    ("role", "actions"),
    [("reader", ["kms:Decrypt"]), *((role, ["kms:Decrypt", "kms:GenerateDataKey"]) for role in ("writer", "pruner"))],
)
def test_the_key(policy, role, actions):
    """A KMS key may be used by way of S3 alone, and written with only by who writes."""
    (statement,) = [
        item
        for item in policy("--dest", "s3://bucket/fleet", "--for", role, "--dest-kms-key", KEY_ARN)
        if item["Sid"] == "Key"
    ]

    assert (statement["Action"], statement["Resource"]) == (actions, KEY_ARN)
    assert statement["Condition"] == {"StringLike": {"kms:ViaService": "s3.*"}}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--dest", "gs://bucket/fleet"),
        ("--dest", "fleet"),
        ("--dest", "s3://bucket/fleet", "--for", "hub"),
        ("--dest", "s3://bucket/fleet", "--packages"),
        ("--dest", "s3://bucket/fleet", "--dest-kms-key", "alias/mine"),
        ("--dest", "s3://user:canary@bucket/fleet"),
        ("--for", "reader"),
    ],
)
def test_wrong_use(arguments, capsys):
    """What a policy cannot be written for is wrong use."""
    assert run(["iam-policy", *arguments]) == 2
    assert "canary" not in capsys.readouterr().err


def test_denied_lists_are_told_apart_from_absent_objects(served):
    """Without s3:ListBucket S3 answers 403 for an absent object; where a listing shows that, it is absent."""
    store = open_store("s3://bucket/my/fleet")
    served.objects["my/fleet/_runs/there.json"] = b"1"
    served.hides_absent = True
    with pytest.raises(FileNotFoundError):
        store.read("_runs/absent.json")
    with pytest.raises(FileNotFoundError):
        store.stat("_runs/absent.json")
    served.denies = "there.json"
    for read in (store.read, store.stat):
        with pytest.raises(PermissionError):
            read("_runs/there.json")
    assert CredentialsError.exit_code == 5
