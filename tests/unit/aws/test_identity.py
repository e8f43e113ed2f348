"""The caller's account and partition come from STS, else from the credentials; another account is never mixed in."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from lexport.aws.identity import Identity, find_identity
from lexport.aws.session import open_session
from lexport.errors import CredentialsError, RunError, SettingsError

ACCOUNT, OTHER = "111122223333", "999999999999"
WRONG_SERVICE = "Credential should be scoped to correct service: 'lambda'. "

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("fast_retries")]


async def test_identity_of_sts(session, service):
    """Account and partition are those of one response of STS, signed for the Region."""
    service.respond(service.identity())
    identity = await find_identity(session, "eu-west-1")

    role = f"arn:aws:sts::{ACCOUNT}:assumed-role/r"
    assert identity == Identity(account_id=ACCOUNT, partition="aws", arn=role)
    ((_, body, authorization),) = service.requests
    assert "Action=GetCallerIdentity" in body
    assert "/eu-west-1/sts/aws4_request" in authorization


async def test_renewed_credentials_of_another_account_are_refused(home, service):
    """A profile that was switched to another account in the middle of a run is not used."""
    service.respond(service.identity(), service.identity(OTHER))
    home.write_keys("AKIAOLD")
    async with open_session(profile=None, endpoint_url=service.url) as session:
        await find_identity(session, "eu-west-1")
        stale = await session.credentials()
        home.write_keys("AKIANEW")
        with pytest.raises(CredentialsError, match=OTHER):
            await session.renew(stale)

        assert await session.credentials() == stale


@pytest.mark.parametrize(
    "code", ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch", "AuthFailure"]
)
async def test_credentials_that_aws_refuses(session, service, code):
    """Expired and wrong credentials end in one clear line before any call to Lambda."""
    service.respond(service.sts_error(code))
    with pytest.raises(CredentialsError, match=code) as caught:
        await find_identity(session, "eu-west-1")

    assert "renew" in str(caught.value) or "a few seconds old" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_clock_that_aws_refuses(session, service):
    """A signature that is too old points at the clock."""
    expired = "Signature expired: 20260101T000000Z is now earlier than 2026"
    service.respond(service.sts_error("SignatureDoesNotMatch", expired))
    with pytest.raises(RunError, match="clock"):
        await find_identity(session, "eu-west-1")


@pytest.mark.parametrize(
    ("off_s", "skews"),
    [(-600, ["10 minutes ahead of"]), (7200, ["2 hours behind"]), (30, []), (-30, [])],
)
async def test_a_clock_that_is_wrong(session, service, off_s, skews):
    """A clock that AWS still accepts is reported if it is wrong by more than a minute."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=off_s), usegmt=True)
    service.respond(service.identity(), headers={"Date": date})
    identity = await find_identity(session, "eu-west-1")

    assert identity.account_id == ACCOUNT
    assert [note.split(" AWS's")[0] for note in identity.notes] == [f"this machine's clock is {skew}" for skew in skews]


@pytest.mark.parametrize(
    "response",
    [
        (200, "<html>a portal</html>"),
        (200, "not XML"),
        (200, ""),
        "an account that is none",
        (404, "<html>not found</html>"),
        (404, ""),
        (403, json.dumps({"message": WRONG_SERVICE})),
        ("SignatureDoesNotMatch", WRONG_SERVICE),
        ("AccessDenied", "with an explicit deny in a VPC endpoint policy"),
    ],
)
async def test_a_response_that_is_not_stss(session, service, response):
    """If the endpoint serves Lambda alone, the account is unknown and a note reports it; the run goes on."""
    if response == "an account that is none":
        response = service.identity("x")
    elif isinstance(response[0], str):
        response = service.sts_error(*response)
    service.respond(response)
    identity = await find_identity(session, "eu-central-1")

    assert (identity.account_id, identity.partition) == (None, "aws")
    assert len(identity.notes) == 1
    assert "the account is not known" in identity.notes[0]


async def test_the_account_of_the_environment(keys, service, monkeypatch):
    """Without STS, AWS_ACCOUNT_ID beside the keys is used, and a note reports it."""
    monkeypatch.setenv("AWS_ACCOUNT_ID", ACCOUNT)
    async with open_session(profile=None, endpoint_url=service.url) as session:
        identity = await find_identity(session, "cn-north-1")

    assert (identity.account_id, identity.partition) == (ACCOUNT, "aws-cn")
    assert ACCOUNT in identity.notes[0]


async def test_the_account_of_a_profile(home, service):
    """Without STS, aws_account_id of the profile is used."""
    home.write_keys("AKIAOLD", more=f"aws_account_id = {ACCOUNT}\n")
    async with open_session(profile=None, endpoint_url=service.url) as session:
        identity = await find_identity(session, "eu-west-1")

    assert identity.account_id == ACCOUNT


async def test_sts_cannot_be_reached(keys):
    """A closed port is reported in a note and is no failure."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with open_session(profile=None, endpoint_url=f"http://127.0.0.1:{port}") as session:
        identity = await find_identity(session, "eu-west-1")

    assert identity.account_id is None
    assert f"127.0.0.1:{port}" in identity.notes[0]


async def test_a_wrong_setting_is_an_error(keys, monkeypatch):
    """A bad URL for STS is an error of the settings, and is not taken for an STS that cannot be reached."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "nonsense")
    async with open_session(profile=None, endpoint_url=None) as session:
        with pytest.raises(SettingsError, match="nonsense"):
            await find_identity(session, "eu-west-1")
