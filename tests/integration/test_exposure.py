"""A simulated fleet with policies and URLs, read and judged by the command as the documents themselves are judged."""

from __future__ import annotations

import json
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import duckdb
import pytest
from aiobotocore.session import get_session

from lexport.model import LATEST, Scope
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

oracle = SimpleNamespace(**run_path(str(Path(__file__).parents[1] / "sql" / "exposure_oracle.py")))
REGION = "us-east-1"
QUERY = "SELECT function_name, qualifier, verdict, action_class FROM function_exposure"


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=60, versions=2))  # it has every verdict


def client(url):
    return get_session().create_client(
        "lambda",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


async def documents(url):
    """Yield ARN, policy and type of URL of every function and alias, asked with AWS's own client."""
    async with client(url) as aws:
        pages = aws.get_paginator("list_functions").paginate()
        arns = [function["FunctionArn"] async for page in pages for function in page["Functions"]]
        for arn in arns:
            name = arn.rpartition(":")[2]
            urls = {}
            if "." not in name:  # an edge replica
                listed = (await aws.list_function_url_configs(FunctionName=name))["FunctionUrlConfigs"]
                urls = {each["FunctionArn"]: each["AuthType"] for each in listed}
                aliases = (await aws.list_aliases(FunctionName=name))["Aliases"]
            for target in (arn, *(alias["AliasArn"] for alias in aliases)):
                qualifier = {} if target == arn else {"Qualifier": target.rpartition(":")[2]}
                try:
                    policy = json.loads((await aws.get_policy(FunctionName=name, **qualifier))["Policy"])
                except aws.exceptions.ResourceNotFoundException:
                    policy = None
                yield target, policy, urls.get(target)


async def rows_of(run_lexport, dest, query):
    done = await run_lexport("sql", dest, query, "--output", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


async def test_a_fleet(simulator, run_lexport, flags, fleet, tmp_path):
    """Snapshot, sql, views and check judge every policy as its document is judged; what is denied is unread."""
    async with simulator(fleet=fleet) as aws:
        expected = {
            (arn.split(":")[6], (arn.split(":")[7:] or [LATEST])[0]): oracle.evaluate(policy, arn, url=url)
            async for arn, policy, url in documents(aws.url)
        }
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url), "--with", "policies,urls")
    assert (done.code, done.out) == (0, ""), done.err

    judged = await rows_of(run_lexport, tmp_path / "fleet", QUERY)
    found = {(row["function_name"], row["qualifier"]): (row["verdict"], row["action_class"]) for row in judged}
    silent = {key for key, pair in expected.items() if pair == ("none", None) and key[1] != LATEST}

    assert found == {key: pair for key, pair in expected.items() if key not in silent or key in found}
    assert {verdict for verdict, _ in found.values()} >= set(oracle.ORDER)

    checked = await run_lexport("check", tmp_path / "fleet", "--check", "internet", "--output", "json")
    assert checked.code == 4
    assert {(row["function_name"], row["version"]) for row in json.loads(checked.out)} == {
        key for key, (verdict, _) in found.items() if verdict in ("internet", "internet?")
    }
    written = await run_lexport("views", tmp_path / "fleet", "--db", tmp_path / "fleet.duckdb")
    assert written.code == 0, written.err
    with duckdb.connect(str(tmp_path / "fleet.duckdb"), read_only=True) as connection:
        assert {(row[0], row[1]): row[2:] for row in connection.execute(QUERY).fetchall()} == found


async def test_what_is_denied_or_left_out(simulator, run_lexport, flags, tmp_path):
    """Denied policies and URLs, and aliases that were not asked for, are unread; a check finds what was denied."""
    fleet = Fleet(FleetSpec(functions=12, versions=2))
    scope = Scope(account_id="111122223333", region=REGION)
    name = next(fleet.name(index) for index in fleet.indexes(scope) if fleet.aliases(scope, index))
    denied = Fault(operation="GetPolicy", function_name=name, kind="denied", times=None)
    async with simulator(denied, fleet=fleet) as aws:
        arguments = (*flags(aws.url), "--with", "policies,urls", "--policies-for", "functions")
        done = await run_lexport("snapshot", tmp_path / "fleet", *arguments)
    assert (done.code, done.out) == (0, ""), done.err

    rows = await rows_of(run_lexport, tmp_path / "fleet", "FROM function_exposure")
    policies = {
        (row["function_name"], row["qualifier"]): (row["verdict"].strip("?"), row["policy_status"]) for row in rows
    }
    aliases = [pair for (_, qualifier), pair in policies.items() if qualifier != LATEST]

    assert policies[name, LATEST] in [("unread", "unread"), ("internet", "unread")]
    assert aliases
    assert set(aliases) <= {("unread", "not_requested"), ("internet", "not_requested")}
    checked = await run_lexport("check", tmp_path / "fleet", "--check", "policy_unread", "--output", "json")
    assert [(row["function_name"], row["subject"]) for row in json.loads(checked.out)] == [(name, "policies")]
