"""Assumed roles are renewed before they expire and when AWS says so, once for all callers; no secret leaks."""

from __future__ import annotations

import json
import logging
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from lexport.aws import roles
from lexport.aws.policy import LONGEST_SESSION_POLICY, hub_policy, session_policy
from lexport.aws.roles import AssumedRole, Role
from lexport.aws.session import ATTEMPTS, open_session
from lexport.errors import AccessDeniedError, CredentialsError, ThrottledError
from lexport.simulator import Fault, Fleet, FleetSpec, open_simulator
from lexport.tables.registry import fleet_resources, resources_read

pytestmark = pytest.mark.asyncio

HUB, OTHER = "111122223333", "111122223334"
POLICY = session_policy("aws", OTHER, resources=resources_read({}), all_regions=True)


@pytest.fixture(autouse=True)
def home(aws, fast_retries):
    """The environment of the tests, with short waits between retries."""


@asynccontextmanager
async def role_of(*faults, **more):
    """A role that was not assumed yet, and the simulator that it is in."""
    fleet = Fleet(FleetSpec(accounts=(HUB, OTHER), functions=1, versions=0))
    arn = f"arn:aws:iam::{OTHER}:role/reader"
    role = Role(account_id=OTHER, arn=arn, session_name="lexport-1", policy=POLICY, external_id="hush-hush")
    async with (
        open_simulator(fleet, faults=faults, quotas=False, **more) as server,
        open_session(profile=None, endpoint_url=server.url) as session,
    ):
        fleet.spec = server._accounts._spec = FleetSpec(
            accounts=(HUB, OTHER), functions=1, versions=0, external_id="hush-hush"
        )
        yield AssumedRole(session, role, region="us-east-1"), server


def asked(server):
    return server.calls[HUB, "us-east-1", "AssumeRole"]


async def test_first_entry_and_fresh_credentials():
    """A role is assumed once; STS is not called again while its credentials are fresh, for any number of callers."""
    async with role_of() as (role, server):
        await role.assume()
        found = []

        async def want():
            found.append(await role.credentials())

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(want)

    assert asked(server) == 1
    assert len(found) == 50
    assert len({credentials.access_key for credentials in found}) == 1


async def test_renewed_once_before_the_end():
    """One of many callers renews credentials that expire soon; the others use the current ones meanwhile."""
    async with role_of() as (role, server):
        await role.assume()
        old = await role.credentials()
        role._renew_at_s = anyio.current_time()
        found = []

        async def want():
            found.append(await role.credentials())

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(want)
        new = await role.credentials()

    assert asked(server) == 2
    assert new != old
    assert {credentials.access_key for credentials in found} == {old.access_key, new.access_key}


async def test_renewed_once_when_aws_says_so():
    """All callers with expired credentials get the same newer ones, for one call to STS."""
    async with role_of() as (role, server):
        await role.assume()
        stale = await role.credentials()
        found = []

        async def renew():
            found.append(await role.renew(stale))

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(renew)

    assert asked(server) == 2
    assert len(found) == 50
    assert (
        {credentials.access_key for credentials in found}
        == {(await role.credentials()).access_key}
        != {stale.access_key}
    )


async def test_margin_before_the_end():
    """Credentials of an hour are renewed ten minutes before they expire, those of a short life after three quarters."""
    for ttl_s, left_s in ((None, 600), (900, 225)):
        async with role_of(credentials_ttl_s=ttl_s) as (role, _):
            await role.assume()

            assert role._expires_at_s - role._renew_at_s == pytest.approx(left_s, abs=1)


async def test_clock_that_is_wrong():
    """If this machine's clock is behind, credentials are not used for longer than their requested life."""
    ends_at = datetime.now(UTC) + timedelta(hours=5)
    session = _Answers({"AccessKeyId": "A", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": ends_at})
    role = AssumedRole(session, Role(account_id=OTHER, arn="a", session_name="n", policy="{}"), region="us-east-1")
    await role.assume()

    assert role._expires_at_s <= anyio.current_time() + roles.LIFE_S


async def test_trouble_before_the_end_costs_nothing():
    """While STS fails, valid credentials stay in use, and STS is not called again at once."""
    down = Fault(operation="AssumeRole", kind="throttle", times=None, after=1)
    async with role_of(down) as (role, server):
        await role.assume()
        old = await role.credentials()
        role._renew_at_s = anyio.current_time()
        again = [await role.credentials() for _ in range(5)]

    assert again == [old] * 5
    assert asked(server) == 1 + ATTEMPTS


async def test_lost_once_for_all():
    """A role whose expired credentials cannot be renewed is lost for all callers, without a call to STS for each."""
    denied = Fault(operation="AssumeRole", kind="denied", times=None, after=1)
    async with role_of(denied) as (role, server):
        await role.assume()
        stale = await role.credentials()
        for _ in range(3):
            with pytest.raises(CredentialsError, match=f"{OTHER}:role/reader"):
                await role.renew(stale)

    assert asked(server) == 2


async def test_denied_and_throttled():
    """A denial is raised at once, a throttle after all attempts, each with AWS's code."""
    async with role_of(Fault(operation="AssumeRole", kind="denied", times=None)) as (role, _):
        with pytest.raises(AccessDeniedError) as caught:
            await role.assume()
    assert (caught.value.code, caught.value.http_status, caught.value.attempts) == ("AccessDenied", 403, 1)

    async with role_of(Fault(operation="AssumeRole", kind="throttle", times=None)) as (role, server):
        with pytest.raises(ThrottledError) as throttled:
            await role.assume()
    assert (throttled.value.attempts, asked(server)) == (ATTEMPTS, ATTEMPTS)


async def test_hub_credentials_that_ran_out(monkeypatch):
    """Expired credentials of the caller are renewed first, from a new credential chain."""
    async with role_of(Fault(operation="AssumeRole", kind="expired_token")) as (role, server):
        fresh = server._keys.issue(HUB, f"arn:aws:iam::{HUB}:user/x", 3600)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", fresh.key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", fresh.secret)
        monkeypatch.setenv("AWS_SESSION_TOKEN", fresh.token)
        await role.assume()

        assert asked(server) == 2
        assert (await role._session.credentials()).access_key == fresh.key_id


async def test_nothing_secret_is_shown(caplog):
    """Neither repr nor logs at DEBUG nor errors hold a key, a token or the external id."""
    caplog.set_level(logging.DEBUG)
    for name in ("botocore", "aiobotocore", "botocore.auth"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    async with role_of(Fault(operation="AssumeRole", kind="denied", times=None, after=1)) as (role, server):
        await role.assume()
        credentials = await role.credentials()
        with pytest.raises(CredentialsError) as caught:
            await role.renew(credentials)
        issued = [identity for identity in server._keys._identities.values() if identity.token]

    shown = " ".join((repr(role), repr(role.role), repr(credentials), repr(caught.value), caplog.text))
    assert [secret for identity in issued for secret in (identity.secret, identity.token) if secret in shown] == []
    assert len(issued) == 1
    assert "hush-hush" not in shown


async def test_session_policy():
    """It fits STS's limit, allows this account and the calls of the run only, and leaves decryption to the role."""
    everything = {"history": True, "layers": True, "references": True}
    longest = session_policy("aws-us-gov", OTHER, resources=fleet_resources(), all_regions=True, **everything)
    no_aliases, no_signing = (
        {each["Sid"]: each for each in json.loads(text)["Statement"]}
        for text in (
            session_policy("aws-cn", OTHER, resources=resources_read(options), all_regions=False)
            for options in ({"aliases": False}, {"without": ["code-signing"]})
        )
    )

    assert len(longest) < LONGEST_SESSION_POLICY
    assert set(no_aliases) == {"List", "Read", "ReadCodeSigningConfig", "Values"}
    assert set(no_signing) == {"List", "Read", "Values"}
    assert "lambda:ListAliases" not in no_aliases["Read"]["Action"]
    assert "lambda:ListCodeSigningConfigs" not in no_signing["List"]["Action"]
    assert no_aliases["Read"]["Resource"] == f"arn:aws-cn:lambda:*:{OTHER}:function:*"
    signing = f"arn:aws-cn:lambda:*:{OTHER}:code-signing-config:*"
    assert no_aliases["ReadCodeSigningConfig"]["Resource"] == signing
    assert hub_policy("arn:aws:iam::*:role/r")["Statement"][0]["Resource"] == "arn:aws:iam::*:role/r"


class _Answers:
    """A session whose calls to STS return these credentials."""

    def __init__(self, credentials):
        self._credentials = credentials

    async def call(self, *_, **__):
        return {"Credentials": self._credentials}
