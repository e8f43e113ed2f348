"""The exceptions of botocore and aiobotocore -> our errors, without a secret and with nothing chained to them."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from lexport.aws.errors import judged, one_line
from lexport.aws.http.message import ADVICE, failure, reason_of
from lexport.aws.http.proxies import Proxy
from lexport.errors import (
    ClockError,
    CredentialsError,
    ItemError,
    LexportError,
    NetworkError,
    SettingsError,
)

T = TypeVar("T")

BOTOCORE_ERRORS = (
    *(boto.BotoCoreError, boto.ClientError, ResponseParserError),
    *(OSError, ValueError, KeyError, TypeError, RuntimeError),
)
"""What its credential chain and its clients raise: helpers that are missing or print nonsense are among it."""

# A path may name a credential, and whoever stands before the host has a password.
_URL = re.compile(r"(https?://)(?:[^\s/\"'@]*@)?([^\s/\"'?#]+)[^\s\"']*")

_NETWORK = (boto.HTTPClientError, boto.ConnectionError)

_SETTINGS: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((boto.ProfileNotFound,), "--profile", "`aws configure list-profiles` shows the profiles there are"),
    ((boto.ConfigNotFound, boto.ConfigParseError), "AWS_CONFIG_FILE", "correct the file"),
    (
        (boto.NoRegionError, boto.InvalidRegionError, boto.UnknownRegionError),
        "--region",
        "give --region or set AWS_REGION",
    ),
    (
        (boto.InvalidEndpointConfigurationError, boto.EndpointProviderError),
        "--endpoint-url",
        "correct --endpoint-url, AWS_ENDPOINT_URL or the profile",
    ),
)


async def translate_errors(work: Callable[[], Awaitable[T]], *, doing: str, profile: str | None) -> T:
    """Run what botocore and aiobotocore do and raise their errors as ours; ``doing`` is part of the message.

    Nothing is chained: below botocore's errors are aiohttp's, which name the proxy with its password.
    """
    try:
        return await work()
    except LexportError:
        raise
    except BOTOCORE_ERRORS as error:
        ours = error_from_botocore(error, doing=doing, profile=profile)
    raise ours  # out here: inside the `except` it would be chained


def error_from_botocore(error: Exception, *, doing: str, profile: str | None) -> LexportError:
    """Choose our class and say what to do.

    Settings that do not fit are a SettingsError, the network a NetworkError (it may be tried again); all else that
    stands between us and usable credentials is a CredentialsError.
    """
    named = f" --profile {profile}" if profile else ""
    if isinstance(error, boto.ClientError):
        ours = error_from_refusal(error, f"{doing}: ")
        return ours if ours.retryable or isinstance(ours, ClockError) else CredentialsError(str(ours))
    if (trouble_below := _network_trouble(error)) is not None:
        return _network_error(trouble_below, doing)
    said = _said(error)
    for classes, option, advice in _SETTINGS:
        is_bad_url = option == "--endpoint-url" and said.startswith("Invalid endpoint:")  # a bare ValueError
        if isinstance(error, classes) or is_bad_url:
            return SettingsError(f"{doing}: {said}; {advice}", option=option)
    return CredentialsError(f"{doing}: {said}; {_advice(error, named)}")


def _said(error: Exception) -> str:
    """Return the error's own words; what a credential helper is to blame for names the helper or its output."""
    if isinstance(error, json.JSONDecodeError):
        return f"a credential helper, or a file of cached credentials, holds no JSON ({error.msg}, line {error.lineno})"
    text = one_line(_URL.sub(r"\1\2", str(error))) or type(error).__name__
    program = error.filename if isinstance(error, OSError) else None
    return f"{text} {program}" if isinstance(program, str) and program not in text else text


def error_from_refusal(error: boto.ClientError, before: str) -> ItemError:
    """Return our error for one that STS, Account, EC2, SSO or Organizations sent; ``before`` begins its message."""
    fault = error.response.get("Error", {})
    meta = error.response.get("ResponseMetadata", {})
    code, status = one_line(str(fault.get("Code") or "")) or "unknown", meta.get("HTTPStatusCode")
    message = one_line(str(fault.get("Message") or "")) or "without a message"
    kind, advice = judged(code, status, message, meta.get("HTTPHeaders", {}).get("date"))
    ours = kind(
        f"{before}{error.operation_name} was answered with {code}: {message}{advice}", code=code, http_status=status
    )
    ours.attempts = 1 + meta.get("RetryAttempts", 0)
    return ours


def _advice(error: Exception, named: str) -> str:
    match error:
        case boto.NoCredentialsError():
            return (
                "set AWS_PROFILE or --profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure`"
            )
        case boto.LoginError():
            return f"run `aws login{named}`"
        case boto.SSOError() | boto.TokenRetrievalError():
            return f"run `aws sso login{named}`"
        case boto.RefreshWithMFAUnsupportedError():
            return "a role with MFA cannot be renewed by itself: get a session that outlasts the run first"
        case boto.InvalidConfigError() | boto.PartialCredentialsError():
            return "complete the profile in ~/.aws/config or ~/.aws/credentials, or the AWS_* variables"
    return _renew(named)


def _renew(named: str) -> str:
    return f"renew the credentials (`aws sso login{named}`, or whatever hands them out) and try again"


def _network_trouble(error: BaseException | None) -> BaseException | None:
    """Find trouble of the network in an error or below it: a provider dresses up what its endpoint did to it."""
    while error is not None and not isinstance(error, _NETWORK):
        error = error.__cause__ or error.__context__
    return error


def _network_error(error: BaseException, doing: str) -> NetworkError:
    """Name host and trouble. botocore's own text holds the whole URL, at times the proxy's with its password."""
    told = getattr(error, "kwargs", {})
    host = _host(told.get("endpoint_url")) or "the endpoint"
    reason = reason_of(told.get("error") or error)
    match error:
        case boto.ProxyConnectionError():
            what = failure("proxy_down", host=host, proxy=Proxy("", _host(told.get("proxy_url")), None), reason=reason)
        case boto.ConnectTimeoutError() | boto.ReadTimeoutError():
            what = NetworkError(f"{host} did not answer in time; {ADVICE}", code="timeout")
        case boto.SSLError():
            what = failure("tls_failed", host=host, proxy=None, reason=reason)
        case boto.ConnectionClosedError():
            what = failure("connection_reset", host=host, proxy=None)
        case _ if isinstance(getattr(told.get("error"), "os_error", None), socket.gaierror):
            what = failure("dns_failed", host=host, proxy=None, reason=reason)
        case boto.EndpointConnectionError():
            what = failure("connect_failed", host=host, proxy=None, reason=reason)
        case _:
            what = failure("network_failed", host=host, proxy=None, reason=reason)
    return NetworkError(f"{what} ({doing})", code=what.code)


def _host(url: object) -> str:
    return str(url or "").rpartition("://")[2].partition("/")[0].rpartition("@")[2]
