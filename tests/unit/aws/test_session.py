"""Calls to AWS services: no secret leaves through logs or errors; botocore retries what is worth a retry."""

from __future__ import annotations

import logging
import socket
import traceback

import pytest

from lexport.aws.endpoints import Endpoints
from lexport.aws.identity import find_identity
from lexport.aws.regions import find_regions
from lexport.aws.session import ATTEMPTS, open_session
from lexport.errors import AccessDeniedError, CredentialsError, ItemError, ServiceError, SettingsError, ThrottledError

TOKEN = "canary-session-token-of-many-characters"

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("fast_retries")]


@pytest.mark.parametrize(
    ("response", "error_class", "attempts"),
    [
        ((400, "Throttling"), ThrottledError, ATTEMPTS),
        ((503, "ServiceUnavailable"), ServiceError, ATTEMPTS),
        ((403, "AccessDenied"), AccessDeniedError, 1),
    ],
)
async def test_attempts(session, service, response, error_class, attempts):
    """Throttled and failed calls are retried, denied ones are not; the error has the number of attempts."""
    status, code = response
    service.respond(service.sts_error(code, status=status))
    with pytest.raises(error_class) as caught:
        await session.call("sts", "us-east-1", "get_caller_identity")

    assert (caught.value.code, caught.value.attempts, len(service.requests)) == (code, attempts, attempts)


async def test_keys_that_are_too_new(session, service):
    """Keys that AWS does not know yet are retried until it does."""
    service.respond(service.sts_error("InvalidClientTokenId"), service.identity())
    await session.call("sts", "us-east-1", "get_caller_identity")

    assert len(service.requests) == 2


async def test_the_ca_bundle(keys, home, monkeypatch):
    """The CA bundle is that of AWS_CA_BUNDLE, else that of the profile."""
    async with open_session(profile=None, endpoint_url=None) as session:
        assert session.ca_bundle is None
    home.write_config("[default]\nca_bundle = /from/file\n")
    async with open_session(profile=None, endpoint_url=None) as session:
        assert session.ca_bundle == "/from/file"
    monkeypatch.setenv("AWS_CA_BUNDLE", "/from/environment")
    async with open_session(profile=None, endpoint_url=None) as session:
        assert session.ca_bundle == "/from/environment"


async def test_no_secret_in_any_log_record(keys, service, caplog):
    """With every logger at DEBUG, children included, no record and no traceback holds a key or a token."""
    caplog.set_level(logging.DEBUG)
    for name in ("botocore", "botocore.auth", "botocore.endpoint", "botocore.hooks", "botocore.parsers", "aiobotocore"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    quoting = service.sts_error("InvalidClientTokenId", f"no\nx-amz-security-token:{TOKEN}")
    service.respond(service.identity(), quoting)
    async with open_session(profile=None, endpoint_url=service.url) as session:
        await find_identity(session, "eu-west-1")
        await Endpoints(session).url("eu-west-1")
        with pytest.raises(CredentialsError) as caught:
            await find_identity(session, "eu-west-1")
        await find_regions(session, "aws", "eu-west-1")
    text = caplog.text + "".join(repr(record.__dict__) for record in caplog.records)

    assert "canary" not in text
    assert "canary" not in str(caught.value)
    assert logging.getLogger("botocore.auth").getEffectiveLevel() == logging.INFO
    assert traceback.format_exception_only(caught.value)


async def test_stricter_levels_stay(keys):
    """A level above INFO is kept."""
    logging.getLogger("botocore").setLevel(logging.ERROR)
    async with open_session(profile=None, endpoint_url=None):
        assert logging.getLogger("botocore").level == logging.ERROR


def texts_of(error):
    """The texts of an error and of all errors chained to it."""
    if error is None:
        return []
    return [str(error), repr(error), *texts_of(error.__cause__), *texts_of(error.__context__)]


@pytest.mark.parametrize("proxy", ["http://user:canary@127.0.0.1:{port}", "http://user:canary@127.0.0.1:99999"])
async def test_the_password_of_a_proxy(keys, monkeypatch, proxy):
    """If a proxy is down or its URL is wrong, no error and nothing chained to it holds the proxy's password."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", proxy.format(port=probe.getsockname()[1]))
    async with open_session(profile=None, endpoint_url=None) as session:
        with pytest.raises((ItemError, SettingsError)) as caught:
            await session.call("sts", "us-east-1", "get_caller_identity")
        identity = await find_identity(session, "us-east-1")

    assert "canary" not in " ".join([*texts_of(caught.value), *identity.notes])
