"""Odd listings of AWS leave no trace in the tables, or end as gaps; other faults are rows of tests/faults."""

import json

import pytest
from aiobotocore.session import get_session

import lexport
from lexport.errors import CredentialsEndedError, IncompleteError
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=6, versions=2))


TEMPORARY = {
    **{
        what: [Fault(operation=operation, kind=kind) for operation in ("ListFunctions", "ListAliases")]
        for what, kind in {
            "null marker": "null_marker",
            "empty marker": "empty_marker",
            "page twice": "duplicate_page",
        }.items()
    },
    "unqualified ALL": [Fault(operation="ListFunctions", kind="unqualified_all", times=None)],
}


@pytest.mark.parametrize("what", TEMPORARY)
async def test_recovers(simulator, aws, settings, look, tmp_path, what):
    """A temporary fault leaves no trace in the tables."""
    fleet = Fleet(FleetSpec(functions=30, versions=3))
    async with simulator(*TEMPORARY[what], fleet=fleet) as server:
        result = await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    rows = look.read_rows(tmp_path / "fleet")
    for table, right in look.expected_rows(fleet).items():
        assert right == look.facts(rows[table]), table
    assert rows["errors"] == []
    assert result.manifest.gaps == 0
    assert ("unqualified" in what) == any("ignored FunctionVersion=ALL" in note for note in result.notes)


ENDLESS = {
    "repeat_marker": ("repeated_marker", None),
    "cycle_markers": ("repeated_marker", None),
    "endless": ("endless_listing", None),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_listing_without_end(simulator, aws, settings, tmp_path, kind):
    """A listing that repeats itself or never ends becomes a gap, and the functions listed before that are kept."""
    fleet = Fleet(FleetSpec(functions=30, versions=3))
    async with simulator(Fault(operation="ListFunctions", kind=kind, times=None), fleet=fleet) as server:
        result = await lexport.snapshot(tmp_path / "fleet", settings(server.url, allow_partial=True))

    ((failure, count, _),) = result.failures
    assert (ENDLESS[kind][0], "ListFunctions", True, 1) == (
        failure.error_code,
        failure.operation,
        failure.is_gap,
        count,
    )
    assert result.manifest.scopes[0].versions >= 50


async def test_marker_refused(simulator, aws, settings, tmp_path):
    """A page that cannot be read is a gap, because the functions on later pages are missing."""
    fleet = Fleet(FleetSpec(functions=30, versions=3))
    fault = Fault(operation="ListFunctions", kind="error", status=400, after=1, times=None)
    async with simulator(fault, fleet=fleet) as server:
        with pytest.raises(IncompleteError, match="1 item could not be read"):
            await lexport.snapshot(tmp_path / "fleet", settings(server.url))


async def test_token_expires(simulator, aws, settings, look, fleet, tmp_path):
    """If the credentials expire in every account-region, nothing is published, and the exit code is 5."""
    async with simulator(
        Fault(operation="GetFunction", kind="expired_token", after=5, times=None), fleet=fleet
    ) as server:
        with pytest.raises(CredentialsEndedError, match=r"the credentials ended .* expired") as caught:
            await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    assert caught.value.exit_code == 5
    ((kind, _, example),) = caught.value.result.failures
    assert (kind.error_code, kind.is_gap) == ("ExpiredTokenException", True)
    assert "expired" in example.message


async def test_token_is_renewed(simulator, aws, settings, look, fleet, tmp_path):
    """If the credential chain has newer credentials, an expired token is refreshed once, and the run is complete."""
    program = tmp_path / "credentials.sh"
    program.write_text(f"#!/bin/sh\necho x >> {tmp_path}/asked\ncat {tmp_path}/$(wc -l < {tmp_path}/asked).json\n")
    program.chmod(0o700)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {program}\n")
    async with simulator(Fault(operation="GetFunction", kind="expired_token", after=5), fleet=fleet) as server:
        options = {"endpoint_url": server.url, "region_name": look.region}
        async with get_session().create_client("sts", **options) as sts:
            for number in (1, 2):
                role = "arn:aws:iam::111122223333:role/reader"
                answer = await sts.assume_role(RoleArn=role, RoleSessionName=f"number-{number}")
                keys = {
                    name: answer["Credentials"][name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")
                }
                (tmp_path / f"{number}.json").write_text(json.dumps({"Version": 1} | keys))
        aws.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        aws.delenv("AWS_ACCESS_KEY_ID")
        aws.delenv("AWS_SECRET_ACCESS_KEY")
        result = await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    assert result.published
    assert (tmp_path / "asked").read_text() == "x\nx\n"
    rows = look.read_rows(tmp_path / "fleet")
    assert look.expected_rows(fleet)["functions"] == look.facts(rows["functions"])
    assert rows["errors"] == []
