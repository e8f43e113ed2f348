"""Credentials are loaded from botocore's chain, renewed seldom, and used until they expire."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from lexport.aws.credentials import RENEW_AGAIN_S, RENEW_EARLY_S
from lexport.aws.session import open_session
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, SettingsError

pytestmark = pytest.mark.asyncio

SECRET_KEY = "canary-secret-key-of-40-characters-or-so"
TOKEN = "canary-session-token-of-many-characters"


class Helper:
    """A credential process that counts its runs; a test sets its output and lets it fail."""

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
        text = f'{{"Version": 1, "AccessKeyId": "{key}", "SecretAccessKey": "{SECRET_KEY}", "SessionToken": "t"{more}}}'
        (self._folder / "answer").write_text(text)

    def fail(self):
        (self._folder / "answer").unlink()

    @property
    def runs(self):
        return (self._folder / "runs").read_text().count("x")

    def open(self):
        return open_session(profile=None, endpoint_url=None, clock=lambda: self.now_s)


@pytest.fixture
def helper(home):
    """A credential helper that the default profile names."""
    return Helper(home.folder)


async def load(profile=None):
    """Load the credentials of a profile."""
    async with open_session(profile=profile, endpoint_url=None) as session:
        return await session.credentials()


# --- loading ----------------------------------------------------------------------------------------------------------


async def test_credentials_of_the_environment(keys):
    """Requests are signed with the keys and the token of the environment; `repr` shows none of them."""
    async with open_session(profile=None, endpoint_url=None) as session:
        credentials = await session.credentials()

    assert credentials == Credentials("AKIAEXAMPLE", SECRET_KEY, TOKEN)
    assert "canary" not in repr(credentials) + repr(session)


async def test_credentials_of_a_profile(home):
    """--profile chooses among the profiles of the files."""
    home.write_keys("AKIAWORK", profile="work")

    assert await load("work") == Credentials("AKIAWORK", SECRET_KEY)


async def test_no_credentials(home):
    """If there are no credentials, the error says what to set."""
    with pytest.raises(CredentialsError, match="AWS_PROFILE") as caught:
        await load()

    assert caught.value.exit_code == 5


async def test_half_a_key(home, monkeypatch):
    """A key without its secret is reported as incomplete."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    with pytest.raises(CredentialsError, match="AWS_SECRET_ACCESS_KEY"):
        await load()


async def test_a_profile_that_does_not_exist(home):
    """A wrong --profile is wrong use."""
    with pytest.raises(SettingsError, match="missing") as caught:
        await load("missing")

    assert caught.value.option == "--profile"


async def test_a_damaged_config_file(home):
    """A config file that cannot be parsed is named."""
    home.write_config("[default\nregion = x")
    with pytest.raises(SettingsError, match="config"):
        await load()


async def test_an_expired_sso_session(home):
    """A profile with SSO and without a token says which command to run."""
    home.write_config(
        "[profile work]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\nregion = eu-west-1\n"
        "[sso-session s]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
    )
    with pytest.raises(CredentialsError, match="aws sso login --profile work"):
        await load("work")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("sh -c 'exit 3'", "credential"),
        ("sh -c 'printf nonsense'", "holds no JSON"),
        ("/nonexistent/vault", "/nonexistent/vault"),
    ],
)
async def test_a_credential_process_that_fails(home, command, reason):
    """A helper that fails, prints nonsense or is missing is an error of the credentials, which gives the cause."""
    home.write_config(f"[default]\ncredential_process = {command}\n")
    with pytest.raises(CredentialsError, match=f"cannot load AWS credentials: .*{reason}"):
        await load()


async def test_a_line_break_in_a_token(keys, monkeypatch):
    """A token with a line break is named without being shown."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN + "\nx")
    with pytest.raises(CredentialsError, match="session token") as caught:
        await load()

    assert "canary" not in str(caught.value)


async def test_no_terminal_for_a_code(home):
    """A role with MFA and no terminal is one clear error, before any call."""
    home.write_config(
        "[profile base]\naws_access_key_id = testing\naws_secret_access_key = testing\n"
        "[profile mfa]\nrole_arn = arn:aws:iam::111122223333:role/x\nsource_profile = base\n"
        "mfa_serial = arn:aws:iam::111122223333:mfa/me\n"
    )
    with pytest.raises(CredentialsError, match="the profile mfa wants an MFA code, and there is no terminal"):
        await load("mfa")


# --- renewal ----------------------------------------------------------------------------------------------------------


async def test_static_credentials_have_nothing_newer(keys):
    """Keys of the environment stay what they are."""
    async with open_session(profile=None, endpoint_url=None) as session:
        stale = await session.credentials()

        assert await session.renew(stale) == stale


async def test_a_changed_credentials_file_is_read_again(home):
    """Keys that another tool has written meanwhile are used."""
    home.write_keys("AKIAOLD")
    async with open_session(profile=None, endpoint_url=None) as session:
        stale = await session.credentials()
        home.write_keys("AKIANEW")
        newer = await session.renew(stale)

        assert newer == Credentials("AKIANEW", SECRET_KEY)
        assert await session.credentials() == newer


async def test_one_caller_of_many_renews(helper):
    """A hundred callers with the same expired credentials cost one run of the credential helper."""
    helper.answer("ONE")
    async with helper.open() as session:
        stale = await session.credentials()
        helper.answer("TWO")
        newer = await asyncio.gather(*(session.renew(stale) for _ in range(100)))

    assert {credentials.access_key for credentials in newer} == {"TWO"}
    assert helper.runs == 2


async def key_ids(session, callers=1):
    """Return the key IDs that this many callers get at once."""
    loaded = await asyncio.gather(*(session.credentials() for _ in range(callers)))
    return {credentials.access_key for credentials in loaded}


@pytest.mark.parametrize("life_s", [45, 8 * 60, 12 * 60, 14 * 60, 3600, None])
async def test_the_helper_does_not_run_for_each_call(helper, life_s):
    """However long credentials live, the calls of the first minute cost one run of the helper."""
    helper.answer("ONE", ends_in_s=life_s)
    async with helper.open() as session:
        for _ in range(3):
            assert await key_ids(session, callers=100) == {"ONE"}
            helper.now_s += 10

    assert helper.runs == 1


async def test_the_helper_runs_once_a_minute_near_the_expiration(helper):
    """Credentials that expire soon stay in use while the helper runs once a minute, until it returns new ones."""
    helper.answer("ONE", ends_in_s=8 * 60)
    async with helper.open() as session:
        helper.now_s += RENEW_AGAIN_S + 1
        assert await key_ids(session, callers=100) == {"ONE"}
        assert await key_ids(session, callers=100) == {"ONE"}
        assert helper.runs == 2
        helper.answer("TWO", ends_in_s=3600)
        helper.now_s += RENEW_AGAIN_S + 1
        assert await key_ids(session) | await key_ids(session, callers=100) == {"TWO"}
        helper.now_s = helper.began_s + 3600 - RENEW_EARLY_S - 1
        assert await key_ids(session, callers=100) == {"TWO"}

    assert helper.runs == 3


async def test_expired_credentials_are_renewed_at_once(helper):
    """Expired credentials are renewed at once, however recent the last renewal was, and once for all callers."""
    helper.answer("ONE", ends_in_s=RENEW_AGAIN_S + 10)
    async with helper.open() as session:
        helper.now_s += RENEW_AGAIN_S + 1
        assert await key_ids(session, callers=10) == {"ONE"}
        helper.answer("TWO", ends_in_s=3600)
        helper.now_s += 10  # they have expired, nine seconds after the last run of the helper
        assert await key_ids(session, callers=100) == {"TWO"}

    assert helper.runs == 3


async def test_a_helper_that_fails_while_credentials_are_valid(helper):
    """A helper that fails is no error until the credentials expire; then it runs once for all callers."""
    helper.answer("ONE", ends_in_s=5 * 60)
    async with helper.open() as session:
        helper.fail()
        for minute in range(1, 5):
            helper.now_s = helper.began_s + minute * (RENEW_AGAIN_S + 1)
            assert await key_ids(session, callers=50) == {"ONE"}
            assert helper.runs == 1 + minute
        helper.now_s = helper.began_s + 5 * 60 + 1
        errors = await asyncio.gather(*(session.credentials() for _ in range(50)), return_exceptions=True)
        assert {type(error) for error in errors} == {CredentialsError}
        assert helper.runs == 6
        helper.answer("TWO", ends_in_s=3600)
        helper.now_s += RENEW_AGAIN_S
        assert await key_ids(session) == {"TWO"}


async def test_a_helper_without_newer_credentials(helper):
    """If AWS calls credentials expired and the helper has no others, it runs once and not for every caller."""
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


async def test_a_late_caller_gets_the_newer_credentials(helper):
    """A caller with credentials that were renewed meanwhile gets the current ones, even near their expiration."""
    helper.answer("ONE")
    async with helper.open() as session:
        stale = await session.credentials()
        helper.answer("TWO", ends_in_s=8 * 60)
        newer = await session.renew(stale)
        helper.now_s += RENEW_AGAIN_S + 1
        assert set(await asyncio.gather(*(session.renew(stale) for _ in range(20)))) == {newer}

    assert helper.runs == 2


async def test_a_helper_with_expired_credentials(helper):
    """A helper that returns expired credentials is one clear error."""
    helper.answer("ONE", ends_in_s=-3600)
    with pytest.raises(CredentialsError, match="expired"):
        async with helper.open():
            pass
