"""Who hands out credentials is asked seldom, credentials are used until they end, and an MFA code is asked for once."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from lexport.aws.credentials import RENEW_AGAIN_S, RENEW_EARLY_S
from lexport.aws.session import open_session
from lexport.errors import CredentialsError

pytestmark = pytest.mark.asyncio

SECRET = "canary-secret-key-of-40-characters-or-so"


class Helper:
    """A credential process that counts its runs; what it prints, and whether it fails, can be changed."""

    def __init__(self, folder):
        self._folder = folder
        self.began_s = self.now_s = time.time()
        program = folder / "helper"
        program.write_text(f"#!/bin/sh\necho x >> {folder}/runs\ncat {folder}/answer\n")
        program.chmod(0o700)
        (folder / "config").write_text(f"[default]\ncredential_process = {program}\n")

    def answer(self, key, *, ends_in_s=None):
        ends = "" if ends_in_s is None else datetime.fromtimestamp(self.began_s + ends_in_s, UTC).isoformat()
        more = f', "Expiration": "{ends}"' if ends else ""
        text = f'{{"Version": 1, "AccessKeyId": "{key}", "SecretAccessKey": "{SECRET}", "SessionToken": "t"{more}}}'
        (self._folder / "answer").write_text(text)

    def fail(self):
        (self._folder / "answer").unlink()

    @property
    def runs(self):
        return (self._folder / "runs").read_text().count("x")

    def open(self):
        return open_session(profile=None, endpoint_url=None, clock=lambda: self.now_s)


@pytest.fixture
def helper(aws, tmp_path):
    aws.delenv("AWS_ACCESS_KEY_ID")
    aws.delenv("AWS_SECRET_ACCESS_KEY")
    aws.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return Helper(tmp_path)


async def keys(session, callers=1):
    """The key ids that so many callers get at once."""
    found = await asyncio.gather(*(session.credentials() for _ in range(callers)))
    return {credentials.access_key for credentials in found}


@pytest.mark.parametrize("life_s", [45, 8 * 60, 12 * 60, 14 * 60, 3600, None])
async def test_the_helper_is_not_asked_for_each_call(helper, life_s):
    """However long credentials live, many calls within the minute after the start cost one run of the helper."""
    helper.answer("ONE", ends_in_s=life_s)
    async with helper.open() as session:
        for _ in range(3):
            assert await keys(session, callers=100) == {"ONE"}
            helper.now_s += 10

    assert helper.runs == 1


async def test_the_helper_is_asked_once_a_minute_near_the_end(helper):
    """Credentials that end soon stay in use, the helper is asked once a minute, and its new ones are taken."""
    helper.answer("ONE", ends_in_s=8 * 60)
    async with helper.open() as session:
        helper.now_s += RENEW_AGAIN_S + 1
        assert await keys(session, callers=100) == {"ONE"}
        assert await keys(session, callers=100) == {"ONE"}
        assert helper.runs == 2
        helper.answer("TWO", ends_in_s=3600)
        helper.now_s += RENEW_AGAIN_S + 1
        assert await keys(session) | await keys(session, callers=100) == {"TWO"}
        helper.now_s = helper.began_s + 3600 - RENEW_EARLY_S - 1
        assert await keys(session, callers=100) == {"TWO"}

    assert helper.runs == 3


async def test_ended_credentials_are_renewed_at_once(helper):
    """At their end credentials are asked for again, however short ago that was, and once for all who wait."""
    helper.answer("ONE", ends_in_s=RENEW_AGAIN_S + 10)
    async with helper.open() as session:
        helper.now_s += RENEW_AGAIN_S + 1
        assert await keys(session, callers=10) == {"ONE"}
        helper.answer("TWO", ends_in_s=3600)
        helper.now_s += 10  # they have ended, nine seconds after the helper was asked
        assert await keys(session, callers=100) == {"TWO"}

    assert helper.runs == 3


async def test_a_helper_that_fails_while_credentials_are_valid(helper):
    """A helper in trouble ends nothing before the credentials do; then it is asked at once, and not by everybody."""
    helper.answer("ONE", ends_in_s=5 * 60)
    async with helper.open() as session:
        helper.fail()
        for minute in range(1, 5):
            helper.now_s = helper.began_s + minute * (RENEW_AGAIN_S + 1)
            assert await keys(session, callers=50) == {"ONE"}
            assert helper.runs == 1 + minute
        helper.now_s = helper.began_s + 5 * 60 + 1
        found = await asyncio.gather(*(session.credentials() for _ in range(50)), return_exceptions=True)
        assert {type(error) for error in found} == {CredentialsError}
        assert helper.runs == 6
        helper.answer("TWO", ends_in_s=3600)
        helper.now_s += RENEW_AGAIN_S
        assert await keys(session) == {"TWO"}


async def test_a_helper_that_knows_nothing_newer(helper):
    """Where AWS calls credentials expired and the helper has no others, it is asked once and not by every caller."""
    helper.answer("ONE")
    async with helper.open() as session:
        stale = await session.credentials()
        for _ in range(3):
            assert {stale} == set(await asyncio.gather(*(session.renew(stale) for _ in range(50))))
            helper.now_s += 1
        assert helper.runs == 2
        helper.answer("TWO")
        helper.now_s += RENEW_AGAIN_S
        assert (await session.renew(stale)).access_key == "TWO"


async def test_who_comes_late_takes_the_newer_ones(helper):
    """Whoever learns late that its credentials had expired takes those that are in use by now, near their end too."""
    helper.answer("ONE")
    async with helper.open() as session:
        stale = await session.credentials()
        helper.answer("TWO", ends_in_s=8 * 60)
        newer = await session.renew(stale)
        helper.now_s += RENEW_AGAIN_S + 1
        assert set(await asyncio.gather(*(session.renew(stale) for _ in range(20)))) == {newer}

    assert helper.runs == 2


async def test_credentials_that_have_ended_already(helper):
    """A helper that hands out credentials of yesterday is said, and is no bug."""
    helper.answer("ONE", ends_in_s=-3600)
    with pytest.raises(CredentialsError, match="expired"):
        async with helper.open():
            pass


async def test_no_terminal_for_a_code(aws, tmp_path):
    """A role with MFA and no terminal is one clear error, before anybody is asked anything."""
    aws.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text(
        "[profile base]\naws_access_key_id = testing\naws_secret_access_key = testing\n"
        "[profile mfa]\nrole_arn = arn:aws:iam::111122223333:role/x\nsource_profile = base\n"
        "mfa_serial = arn:aws:iam::111122223333:mfa/me\n"
    )
    with pytest.raises(CredentialsError, match="the profile mfa wants an MFA code, and there is no terminal"):
        async with open_session(profile="mfa", endpoint_url=None):
            pass
