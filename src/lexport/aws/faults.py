"""Their errors -> our classes: one table for the answers of AWS, one for botocore's exceptions.

A message that leaves here is one line, what AWS said in it at most 500 characters, and it holds no secret.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from botocore import exceptions as boto

from lexport.aws.wire import Response
from lexport.documents import parse_document
from lexport.errors import (
    AccessDeniedError,
    CredentialsError,
    ExpiredCredentialsError,
    FetchError,
    FunctionGoneError,
    ItemError,
    LexportError,
    NetworkError,
    ServiceError,
    SettingsError,
    ThrottledError,
)

LONGEST_MESSAGE = 500

CLASS_OF_CODE: dict[str, type[ItemError]] = {
    **dict.fromkeys(
        (
            "BandwidthLimitExceeded",
            "EC2ThrottledException",
            "PriorRequestNotComplete",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        ),
        ThrottledError,
    ),
    "UnauthorizedOperation": AccessDeniedError,  # and every code with AccessDenied in it
    "ResourceNotFoundException": FunctionGoneError,
    **dict.fromkeys(
        (
            "InternalError",
            "InternalFailure",
            "RequestTimeout",
            "RequestTimeoutException",
            "ServiceException",
            "ServiceUnavailable",
            "ServiceUnavailableException",
        ),
        ServiceError,
    ),
    **dict.fromkeys(
        (
            "AuthFailure",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "OptInRequired",
            "RequestExpired",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ),
        ExpiredCredentialsError,  # and every code that begins with ExpiredToken
    ),
}
"""Error code -> class. Sources: Lambda API reference, "Common errors"; botocore's own lists of throttling codes."""


def class_of(code: str, status: int | None) -> type[ItemError]:
    """Choose the class of an AWS error code; the status decides only where the code is unknown."""
    if (known := CLASS_OF_CODE.get(code)) is not None:
        return known
    if "AccessDenied" in code:
        return AccessDeniedError
    if code.startswith("ExpiredToken"):
        return ExpiredCredentialsError
    return _class_of_status(status or 0)


def _class_of_status(status: int) -> type[ItemError]:
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        return ThrottledError
    return ServiceError if status >= 500 else FetchError  # noqa: PLR2004 - the server's own fault


def error_from_response(
    response: Response, *, operation: str, item: str | None, secrets: Iterable[str | None] = ()
) -> ItemError:
    """Turn an answer other than 200 into our error.

    A status alone never makes a function gone or denied: proxies and captive portals send 403 and 404 too.
    ``secrets`` are removed from what AWS says, since it echoes requests whose signature it does not like.
    """
    status = response.status
    document = _object(response.body)
    code = _code(response, document)
    said = one_line(_said(document), secrets)
    if code is not None:
        kind = class_of(code, status)
        text = f"{code}: {said}" if said else f"{code}, without a message"
        if kind is ExpiredCredentialsError:
            text += _advice_on_credentials(said)
    elif status == 403 and _has_message(document) and "x-amzn-requestid" in response.headers:  # noqa: PLR2004
        kind, code = AccessDeniedError, "http_403"
        text = f"denied: {said}" if said else "denied, without a message"
    else:
        kind, code = _class_of_status(status), f"http_{status}"
        is_redirect = 300 <= status < 400  # noqa: PLR2004 - 3xx
        text = f"{'redirected' if is_redirect else 'answered'}, but not by AWS: {describe(response.body)}"
        text += f": {said}" if said else ""
        text += "; a proxy, a captive portal or a wrong --endpoint-url may stand in between"
    call = f"{operation} {item}" if item else operation
    return kind(
        f"{call}: {text} (HTTP {status})",
        code=code,
        http_status=status,
        retry_after_s=_retry_after_s(response.headers.get("retry-after"), response.headers.get("date")),
    )


def describe(body: bytes) -> str:
    """Say in a few words what a body is that is not what it should be."""
    start = body[:512].lstrip().lower()
    if not start:
        return "an empty body"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    if start.startswith(b"<"):
        return "an XML document"
    if start.startswith((b"{", b"[")):
        return "other JSON" if _is_json(body) else "broken JSON"
    return "plain text" if start.isascii() else "binary data"


def one_line(text: str, secrets: Iterable[str | None] = ()) -> str:
    """Make foreign text fit for a message: its first line, no control characters, no secret, not too long."""
    for secret in secrets:
        if secret and len(secret) >= 8:  # noqa: PLR2004 - real ones have 40; what is shorter hides nothing but words
            text = text.replace(secret, "[removed]").replace(quote(secret, safe=""), "[removed]")
    text = _SIGNED.sub(r"\1=[removed]", text)
    line = next((line for line in text.splitlines() if line.strip()), "")
    line = "".join(char if char.isprintable() else " " for char in line).strip()
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


# Parameters of a signed link, a signed header, or the canonical request that AWS echoes.
_SIGNED = re.compile(
    r"""((?:x-amz-)?(?:signature|security-token|credential))\s*(?:=|:|%3d)\s*[^\s&,;'"<>]+""", re.IGNORECASE
)
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_TYPES_OF_FAULT = {"User", "Sender", "Service", "Server", "Client", "Receiver"}


def _is_json(body: bytes) -> bool:
    try:
        parse_document(body)
    except ValueError:
        return False
    return True


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document, _ = parse_document(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _code(response: Response, document: dict[str, Any] | None) -> str | None:
    """Find AWS's code: the header, else the body; `ns#Code:http://…` is `Code`."""
    candidates: list[Any] = [response.headers.get("x-amzn-errortype")]
    if document is not None:
        candidates += [document.get(key) for key in ("__type", "code", "Code", "Type")]
    for candidate in candidates:
        if isinstance(candidate, str):
            code = candidate.partition(":")[0].rpartition("#")[2].strip()
            if _CODE.fullmatch(code) and code not in _TYPES_OF_FAULT:
                return code
    return None


def _said(document: dict[str, Any] | None) -> str:
    if document is None:
        return ""
    texts = [document.get(key) for key in ("message", "Message", "errorMessage")]
    said = next((text for text in texts if isinstance(text, str) and text), "")
    reason = document.get("Reason")
    return f"{said} ({reason})" if isinstance(reason, str) and reason else said


def _has_message(document: dict[str, Any] | None) -> bool:
    return document is not None and ("message" in document or "Message" in document)


def _advice_on_credentials(said: str) -> str:
    text = said.lower()
    if "expired:" in text or "not yet current" in text:
        return "; check this machine's clock"
    return "; renew the credentials, or check that the Region is enabled for the account"


def _retry_after_s(text: str | None, date: str | None) -> float | None:
    """Read Retry-After, in seconds or as an HTTP date, which the server's own Date turns into seconds."""
    if text is None:
        return None
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    seconds = (until - (_http_date(date or "") or datetime.now(UTC))).total_seconds()
    return seconds if seconds >= 0 else None


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


# --- botocore's exceptions ----------------------------------------------------------------------------------------

BOTOCORE_RAISES = (boto.BotoCoreError, boto.ClientError, OSError, ValueError, KeyError, RuntimeError)
"""What its credential chain and its clients raise: helpers that are missing or print nonsense are among it."""

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


@asynccontextmanager
async def botocore_faults(doing: str, *, profile: str | None) -> AsyncIterator[None]:
    """Turn what botocore and aiobotocore raise inside into our classes; ``doing`` begins the message."""
    try:
        yield
    except LexportError:
        raise
    except BOTOCORE_RAISES as error:
        ours = error_from_botocore(error, doing=doing, profile=profile)
        # Network errors are not chained: below them aiohttp's exceptions name the proxy with its password.
        raise ours from (None if isinstance(ours, NetworkError) else error)


def error_from_botocore(error: Exception, *, doing: str, profile: str | None) -> LexportError:
    """Choose our class and say what to do.

    Settings that do not fit are a SettingsError, the network a NetworkError (it may be tried again); all else that
    stands between us and usable credentials is a CredentialsError.
    """
    named = f" --profile {profile}" if profile else ""
    if isinstance(error, boto.ClientError):
        return _error_from_client_error(error, doing=doing, named=named)
    if isinstance(error, _NETWORK):
        return NetworkError(
            f"{doing}: {_network_reason(error)}; check the network, DNS, HTTPS_PROXY / NO_PROXY and AWS_CA_BUNDLE",
            code=_network_code(error),
        )
    said = one_line(str(error)) or type(error).__name__
    for classes, option, advice in _SETTINGS:
        is_bad_url = option == "--endpoint-url" and said.startswith("Invalid endpoint:")  # a bare ValueError
        if isinstance(error, classes) or is_bad_url:
            return SettingsError(f"{doing}: {said}; {advice}", option=option)
    return CredentialsError(f"{doing}: {said}; {_advice(error, named)}")


def _error_from_client_error(error: boto.ClientError, *, doing: str, named: str) -> LexportError:
    """Throttles and faults of AWS's side may be tried again; any refusal means: not with these credentials."""
    fault = error.response.get("Error", {})
    code, status = str(fault.get("Code") or "unknown"), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    said = one_line(str(fault.get("Message") or ""))
    text = f"{doing}: {error.operation_name} was answered with {one_line(code)}: {said}"
    kind = class_of(code, status)
    if kind.retryable:
        return kind(text, code=code, http_status=status)
    return CredentialsError(text + (f"; {_renew(named)}" if kind is ExpiredCredentialsError else ""))


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


def _network_code(error: Exception) -> str:
    match error:
        case boto.ConnectTimeoutError() | boto.ReadTimeoutError():
            return "timeout"
        case boto.SSLError():
            return "tls_failed"
        case boto.ConnectionClosedError():
            return "connection_reset"
    return "connect_failed"


def _network_reason(error: Exception) -> str:
    """Name host and trouble. botocore's own text holds the whole URL, at times the proxy's with its password."""
    url = getattr(error, "kwargs", {}).get("endpoint_url")
    host = str(url).partition("://")[2].partition("/")[0].rpartition("@")[2] if url else "the endpoint"
    return f"{type(error).__name__} from {host}"
