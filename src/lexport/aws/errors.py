"""The answers of AWS -> our errors, by one table of error codes.

A message that leaves here is one line, what AWS said in it at most 500 characters, and it holds no secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from lexport.aws.http.message import Response
from lexport.aws.json import parse_document
from lexport.aws.redact import remove_secrets
from lexport.errors import (
    AccessDeniedError,
    ClockError,
    CredentialsError,
    ExpiredCredentialsError,
    FetchError,
    FunctionGoneError,
    ItemError,
    RunError,
    ServiceError,
    ThrottledError,
    TokenRefusedError,
)

LONGEST_MESSAGE = 500

ON_REFUSED_TOKENS = (
    "the keys may be wrong or a few seconds old, or the Region is not enabled for the account. A session token of STS's"
    " global endpoint is not valid in Regions that were opted in to: take one of a regional endpoint"
    " (AWS_STS_REGIONAL_ENDPOINTS=regional), or run"
    " `aws iam set-security-token-service-preferences --global-endpoint-token-version v2Token`"
)
"""Source: IAM User Guide, "Manage AWS STS in an AWS Region", 2026."""

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
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "OptInRequired",
            "RequestExpired",
            "SignatureDoesNotMatch",
        ),
        ExpiredCredentialsError,  # and every code that begins with ExpiredToken
    ),
    **dict.fromkeys(("RequestInTheFuture", "RequestTimeTooSkewed"), ClockError),
    **dict.fromkeys(
        ("AuthFailure", "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"),
        TokenRefusedError,
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
    said, advice = one_line(_said(document), secrets), ""
    if code is not None:
        kind, advice = judged(code, status, said, response.headers.get("date"))
        text = f"{code}: {said}" if said else f"{code}, without a message"
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
        f"{call}: {text} (HTTP {status}){advice}",
        code=code,
        http_status=status,
        retry_after_s=_retry_after_s(response.headers.get("retry-after"), response.headers.get("date")),
    )


def ends_run(error: ItemError, more: str = "") -> RunError:
    """Make the error of a call without which nothing can be read: a missing permission, or trouble that has to pass."""
    is_refusal = isinstance(error, AccessDeniedError | ExpiredCredentialsError)
    return (CredentialsError if is_refusal else RunError)(f"{error}{more}")


def is_account(text: str) -> bool:
    """Tell whether a text is the number of an AWS account."""
    return len(text) == 12 and text.isascii() and text.isdigit()  # noqa: PLR2004 - digits of an AWS account


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
    text = remove_secrets(text, secrets)
    line = next((line for line in text.splitlines() if line.strip()), "")
    line = "".join(char if char.isprintable() else " " for char in line).strip()
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


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


def judged(code: str, status: int | None, said: str, date: str | None) -> tuple[type[ItemError], str]:
    """Choose the class of a refusal, and what its reader should do."""
    kind = class_of(code, status)
    if kind is TokenRefusedError:
        return kind, f"; {ON_REFUSED_TOKENS}"
    if kind not in (ExpiredCredentialsError, ClockError):
        return kind, ""
    text = said.lower()
    if kind is not ClockError and "signature expired" not in text and "not yet current" not in text:
        return kind, "; renew the credentials, or check that the Region is enabled for the account"
    return ClockError, f"; check this machine's clock{_skew(said, date)}"


def _skew(said: str, date: str | None) -> str:
    """Say how far off this machine's clock is: AWS names the time of the request and, last, its own."""
    try:
        stamps = [datetime.strptime(stamp, "%Y%m%dT%H%M%S%z") for stamp in _STAMP.findall(said)]
    except ValueError:
        stamps = []
    now, theirs = datetime.now(UTC), _http_date(date or "")
    ours, theirs = (stamps[0], stamps[-1]) if len(stamps) > 1 else (now, theirs)
    return "" if theirs is None else f", which is {describe_skew((ours - theirs).total_seconds())} AWS's"


def describe_skew(ahead_s: float) -> str:
    """Write a difference between clocks in its largest unit: ``3 days behind``."""
    amount_s = abs(ahead_s)
    unit_s, unit = next(((s, unit) for s, unit in _UNITS if amount_s >= s), _UNITS[-1])
    amount = round(amount_s / unit_s)
    return f"{amount:,} {unit}{'' if amount == 1 else 's'} {'ahead of' if ahead_s > 0 else 'behind'}"


_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")


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
