"""Turn the exceptions of botocore and aiobotocore into our errors, without secrets and without a chained exception."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from lexport.aws.errors import classify, one_line
from lexport.aws.http.message import ADVICE, failure, reason_of
from lexport.aws.http.proxies import Proxy
from lexport.errors import ClockError, CredentialsError, ItemError, LexportError, NetworkError, SettingsError

T = TypeVar("T")

BOTOCORE_ERRORS = (
    *(boto.BotoCoreError, boto.ClientError, ResponseParserError),
    *(OSError, ValueError, KeyError, TypeError, RuntimeError),
)
"""The exceptions of the credential chain and of clients, those of missing and broken credential helpers included."""

# The path may name a credential, and the part before the host may hold a password.
_URL = re.compile(r"(https?://)(?:[^\s/\"'@]*@)?([^\s/\"'?#]+)[^\s\"']*")

_NETWORK = (boto.HTTPClientError, boto.ConnectionError)

_REGION = (boto.NoRegionError, boto.InvalidRegionError, boto.UnknownRegionError)
_ENDPOINT = (boto.InvalidEndpointConfigurationError, boto.EndpointProviderError)
_SETTINGS: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    ((boto.ProfileNotFound,), "--profile", "`aws configure list-profiles` shows the profiles there are"),
    ((boto.ConfigNotFound, boto.ConfigParseError), "AWS_CONFIG_FILE", "correct the file"),
    (_REGION, "--region", "give --region or set AWS_REGION"),
    (_ENDPOINT, "--endpoint-url", "correct --endpoint-url, AWS_ENDPOINT_URL or the profile"),
)


# The first class that matches counts.
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (boto.ProxyConnectionError, "proxy_down"),
    (boto.SSLError, "tls_failed"),
    (boto.ConnectionClosedError, "connection_reset"),
    (boto.EndpointConnectionError, "connect_failed"),
)


async def translate_errors(work: Callable[[], Awaitable[T]], *, doing: str, profile: str | None) -> T:
    """Run ``work`` and raise its botocore errors as ours; ``doing`` begins the message.

    No exception is chained: botocore's exceptions lead to aiohttp's, which hold the password of the proxy.
    """
    try:
        return await work()
    except LexportError:
        raise
    except BOTOCORE_ERRORS as error:
        ours = error_from_botocore(error, doing=doing, profile=profile)
    raise ours  # outside the `except`, which would chain the exception


def error_from_botocore(error: Exception, *, doing: str, profile: str | None) -> LexportError:
    """Return our error with advice: SettingsError, NetworkError (retryable), or else CredentialsError."""
    profile_flag = f" --profile {profile}" if profile else ""
    if isinstance(error, boto.ClientError):
        ours = error_from_refusal(error, f"{doing}: ")
        return ours if ours.retryable or isinstance(ours, ClockError) else CredentialsError(str(ours))
    if (network_error := _find_network_error(error)) is not None:
        return _network_error(network_error, doing)
    text = _text_of(error)
    for classes, option, advice in _SETTINGS:
        is_bad_url = option == "--endpoint-url" and text.startswith("Invalid endpoint:")  # a bare ValueError
        if isinstance(error, classes) or is_bad_url:
            return SettingsError(f"{doing}: {text}; {advice}", option=option)
    return CredentialsError(f"{doing}: {text}; {_advice(error, profile_flag)}")


def _text_of(error: Exception) -> str:
    """Return the exception's text; for a credential helper it names the program or its output."""
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
    kind, advice = classify(code, status, message, meta.get("HTTPHeaders", {}).get("date"))
    ours = kind(
        f"{before}{error.operation_name} was answered with {code}: {message}{advice}", code=code, http_status=status
    )
    ours.attempts = 1 + meta.get("RetryAttempts", 0)
    return ours


def _advice(error: Exception, profile_flag: str) -> str:
    match error:
        case boto.NoCredentialsError():
            return (
                "set AWS_PROFILE or --profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure`"
            )
        case boto.LoginError():
            return f"run `aws login{profile_flag}`"
        case boto.SSOError() | boto.TokenRetrievalError():
            return f"run `aws sso login{profile_flag}`"
        case boto.RefreshWithMFAUnsupportedError():
            return "a role with MFA cannot be renewed by itself: get a session that outlasts the run first"
        case boto.InvalidConfigError() | boto.PartialCredentialsError():
            return "complete the profile in ~/.aws/config or ~/.aws/credentials, or the AWS_* variables"
    return f"renew the credentials (`aws sso login{profile_flag}`, or whatever hands them out) and try again"


def _find_network_error(error: BaseException | None) -> BaseException | None:
    """Return the network error that an exception is or was caused by; credential providers wrap theirs."""
    while error is not None and not isinstance(error, _NETWORK):
        error = error.__cause__ or error.__context__
    return error


def _network_error(error: BaseException, doing: str) -> NetworkError:
    """Return a NetworkError that names host and cause. botocore's text holds the whole URL, or the proxy's password."""
    details = getattr(error, "kwargs", {})
    host = _host(details.get("endpoint_url")) or "the endpoint"
    reason = reason_of(details.get("error") or error)
    if isinstance(error, boto.ConnectTimeoutError | boto.ReadTimeoutError):
        return NetworkError(f"{host} did not answer in time; {ADVICE} ({doing})", code="timeout")
    kind = next((kind for error_class, kind in _KINDS if isinstance(error, error_class)), "network_failed")
    is_of_dns = isinstance(getattr(details.get("error"), "os_error", None), socket.gaierror)
    if kind in ("connect_failed", "network_failed") and is_of_dns:
        kind = "dns_failed"
    proxy_name = _host(details.get("proxy_url"))
    ours = failure(kind, host=host, proxy=Proxy("", proxy_name, None) if proxy_name else None, reason=reason)
    return NetworkError(f"{ours} ({doing})", code=ours.code)


def _host(url: object) -> str:
    return str(url or "").rpartition("://")[2].partition("/")[0].rpartition("@")[2]
