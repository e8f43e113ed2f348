"""Canaries: no secret is in a file, log, message or repr."""

import base64
import logging
import os
import sys
from pathlib import Path

import anyio
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiobotocore.session import get_session

import lexport
from lexport.aws.session import open_session
from lexport.dataset.runs import read_sections
from lexport.errors import IncompleteError
from lexport.extract.decode import decode_typed_function
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

VALUE = "canary-of-a-variable-0123456789"
LINK = "canary-of-a-link-0123456789"
SIGNED = f"see https://bucket.s3.amazonaws.com/x.zip?versionId=1&X-Amz-Expires=600&X-Amz-Signature={LINK} now"
HASH_KEY = b"canary-of-a-hash-key-0123456789."
LOUD = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
for name in ("botocore", "aiobotocore", "aiohttp", "asyncio", "botocore.endpoint", "botocore.parsers"):
    logging.getLogger(name).setLevel(logging.DEBUG)
from lexport.cli.main import main
logging.getLogger("lexport").debug("loud")
sys.argv[0] = "lexport"
main()
"""


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=8, versions=1))


def planted(fleet, *, secrets=()):
    """Faults that put canaries wherever AWS could send them."""

    def configuration(document):
        document["Environment"] = {"Variables": {"PASSWORD": VALUE}, "Future": {"deep": [VALUE]}, "Flag": VALUE}
        document["Description"] = SIGNED
        document["FutureField"] = {"link": [SIGNED]}
        document["EnvironmentV2"] = {"Variables": {"PASSWORD": VALUE}}
        document["LoggingConfig"] = {"Secrets": [VALUE], "SinkUrl": f"https://u:{VALUE}@x/?sig={VALUE}#{VALUE}"}
        document["Layers"] = [{"Arn": "a", "AuthToken": VALUE}]

    def function(document):
        configuration(document["Configuration"])
        document["Code"]["Location"] = (
            f"https://b.s3.amazonaws.com/k?X-Amz-Signature={LINK}&X-Amz-Security-Token={LINK}"
        )
        document["Code"]["DownloadUrl"] = f"https://x/{VALUE}"
        document["Tags"] = {"link": SIGNED}

    def functions(document):
        for item in document["Functions"]:
            configuration(item)

    def aliases(document):
        for item in document["Aliases"]:
            item["Description"] = SIGNED
            item["Password"] = item["EnvironmentV2"] = VALUE

    wrong = Fault(
        operation="GetFunction",
        function_name=fleet.name(1),
        kind="replace_body",
        times=None,
        patch={"Configuration": {"Environment": {"Variables": {"PASSWORD": [VALUE]}}, "Timeout": SIGNED}},
    )
    refused = Fault(
        operation="GetFunction",
        function_name=fleet.name(2),
        kind="denied",
        times=None,
        message=" ".join(("not with", SIGNED, *secrets)),
    )
    page = Fault(
        operation="GetFunction",
        function_name=fleet.name(3),
        kind="html",
        status=403,
        times=None,
        body=f"<html><title>{SIGNED}</title>{' '.join(secrets)} {VALUE}</html>",
    )
    return [
        wrong,
        refused,
        page,
        Fault(operation="GetFunction", kind="replace_body", patch=function, times=None),
        Fault(operation="ListFunctions", kind="replace_body", patch=functions, times=None),
        Fault(operation="ListAliases", kind="replace_body", patch=aliases, times=None),
    ]


def cells(table):
    """Every cell and all metadata of an Arrow table as text."""
    yield str(table.schema.metadata)
    for column in table.columns:
        yield from map(str, column.to_pylist())


def texts(folder, *, but=()):
    """Return the content of all files below a folder: their bytes, and the cells of compressed files."""
    for path in Path(folder).rglob("*"):
        if path.is_file():
            if not but:  # Parquet's statistics hold plain values of every column
                yield path.name, path.read_bytes().decode(errors="replace")
            tables = []
            if path.suffix == ".parquet":
                tables = [pq.ParquetFile(path).read()]
            elif path.suffix == ".run":
                tables = [pa.Table.from_batches(section.blocks()) for section in read_sections(path)]
            for table in tables:
                shown = table.drop_columns([name for name in but if name in table.schema.names])
                yield from ((path.name, cell) for cell in cells(shown))


def found(canaries, folder, *, but=()):
    """Which canaries stand in which files."""
    return {(name, canary) for name, text in texts(folder, but=but) for canary in canaries if canary in text}


@pytest.fixture
def assumed():
    """Credentials that STS hands out: key id, secret and token are random texts."""

    async def ask(url):
        options = {"endpoint_url": url, "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        async with get_session().create_client("sts", region_name="us-east-1", **options) as sts:
            role = "arn:aws:iam::111122223333:role/reader"
            answer = await sts.assume_role(RoleArn=role, RoleSessionName="canary")
        return {
            "AWS_ACCESS_KEY_ID": answer["Credentials"]["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": answer["Credentials"]["SecretAccessKey"],
            "AWS_SESSION_TOKEN": answer["Credentials"]["SessionToken"],
        }

    return ask


async def test_command(simulator, environment, flags, assumed, fleet, tmp_path):
    """The command, every logger at DEBUG, shows and stores no value, link, key or token, be the run whole or failed."""
    async with simulator(fleet=fleet) as aws:
        credentials = await assumed(aws.url)
        secrets = (credentials["AWS_SECRET_ACCESS_KEY"], credentials["AWS_SESSION_TOKEN"])
        for fault in planted(fleet, secrets=secrets):
            aws.inject(fault)
        key = base64.b64encode(HASH_KEY).decode()
        said = ""
        for dest, code, more in (("whole", 3, ["--allow-partial"]), ("failed", 1, [])):
            done = await anyio.run_process(
                [sys.executable, "-c", LOUD, "snapshot", str(tmp_path / dest), *flags(aws.url, *more)],
                env=environment | credentials | {"LEXPORT_HASH_KEY": key},
                check=False,
            )
            assert code == done.returncode, done.stderr.decode()
            said += done.stdout.decode() + done.stderr.decode()

    canaries = (VALUE, LINK, key, HASH_KEY.decode(), *secrets)
    assert "DEBUG:lexport:loud" in said
    assert [canary for canary in canaries if canary in said] == []
    for dest in ("whole", "failed"):
        assert set() == found(canaries, tmp_path / dest)
    names = {name for name, _ in texts(tmp_path / "failed")}
    assert {"errors-0001.parquet", "run.json", "shard.json"} <= names
    assert any(name.endswith(".run") for name in names)
    assert any("[signed link removed]" in text for _, text in texts(tmp_path / "whole"))


async def test_values_mode(simulator, aws, settings, fleet, tmp_path):
    """With --env values a value stands in env_vars.value and extra_json, and nowhere else; links stand nowhere."""
    async with simulator(*planted(fleet), fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, env="values", allow_partial=True))

    assert set() == found([LINK], tmp_path / "fleet")
    assert found([VALUE], tmp_path / "fleet")
    assert set() == found([VALUE], tmp_path / "fleet", but=("value", "extra_json"))


@pytest.mark.parametrize("env", ["keys", "values", "none"])
async def test_ordinary_answers(simulator, aws, settings, fleet, caplog, env, tmp_path):
    """Values of environment variables are stored only with env=values, in whole, incremental and failed runs."""
    caplog.set_level(logging.DEBUG)
    ordinary = []

    def function(document):
        document["Configuration"]["Environment"] = {"Variables": {"PASSWORD": VALUE}}
        document["Code"]["Location"] = f"https://b.s3.amazonaws.com/k?X-Amz-Signature={LINK}&X-Amz-Credential={LINK}"
        ordinary.append(decode_typed_function(orjson.dumps(document)) is not None)

    def functions(document):
        for item in document["Functions"]:
            item["Environment"] = {"Variables": {"PASSWORD": VALUE}}

    faults = [
        Fault(operation="GetFunction", kind="replace_body", patch=function, times=None),
        Fault(operation="ListFunctions", kind="replace_body", patch=functions, times=None),
    ]
    async with simulator(*faults, fleet=fleet) as server:
        results = [
            await lexport.snapshot(tmp_path / "whole", settings(server.url, env=env)),
            await lexport.snapshot(tmp_path / "whole", settings(server.url, env=env, incremental=True)),
        ]
        server.inject(Fault(operation="ListAliases", kind="denied"))
        with pytest.raises(IncompleteError) as caught:
            await lexport.snapshot(tmp_path / "failed", settings(server.url, env=env))

    carried = [row["carried_rows"] for row in pq.read_table(tmp_path / "whole" / "scopes").to_pylist()]
    kept = found([VALUE], tmp_path, but=("value", "env_vars"))
    assert [canary for canary in (VALUE, LINK) if canary in f"{caplog.text} {results!r} {caught.value!r}"] == []
    assert set() == found([LINK], tmp_path)
    assert (bool(found([VALUE], tmp_path)), kept) == (env == "values", set())
    assert sum(ordinary) > len(ordinary) / 2
    assert max(carried) > 0


async def test_library(simulator, aws, settings, assumed, fleet, caplog, tmp_path):
    """Logs at DEBUG, exceptions with their causes, results, settings and sessions hold no secret in any repr."""
    caplog.set_level(logging.DEBUG)
    for name in ("botocore", "aiobotocore", "aiohttp", "botocore.auth", "botocore.hooks", "lexport"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    async with simulator(fleet=fleet) as server:
        credentials = await assumed(server.url)
        for name, value in credentials.items():
            aws.setenv(name, value)
        secrets = (credentials["AWS_SECRET_ACCESS_KEY"], credentials["AWS_SESSION_TOKEN"])
        caplog.clear()  # the question above was the test's own
        for fault in planted(fleet, secrets=secrets):
            server.inject(fault)
        options = settings(server.url)
        with pytest.raises(IncompleteError) as caught:
            await lexport.snapshot(tmp_path / "a", options)
        published = await lexport.snapshot(tmp_path / "b", settings(server.url, allow_partial=True))
        async with open_session(profile=None, endpoint_url=server.url) as session:
            spoken = [repr(session), str(session), repr(await session.credentials()), str(await session.credentials())]

    error = caught.value
    while error is not None:
        spoken += [repr(error), str(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    spoken += [
        repr(published),
        repr(published.failures),
        repr(options),
        repr(caught.value.result.failures),
        caplog.text,
    ]
    canaries = (VALUE, LINK, os.environ["LEXPORT_HASH_KEY"], *secrets)
    assert [canary for canary in canaries for text in spoken if canary in text] == []
    assert caught.value.result.failures
