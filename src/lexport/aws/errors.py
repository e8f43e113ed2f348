"""Turn AWS's error responses into our errors, by one table of error codes.

Every message is one line without secrets, and AWS's own text in it is cut to 500 characters.
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
    NotOfferedError,
    RunError,
    ServiceError,
    ThrottledError,
    TokenRefusedError,
)

LONGEST_MESSAGE = 500
NOT_OFFERED = "not_offered"
"""The error code of an operation that a Region does not have."""

REFUSAL_ADVICE = (
    "the keys may be wrong or a few seconds old, or the Region is not enabled for the account. A session token of STS's"
    " global endpoint is not valid in Regions that were opted in to: take one of a regional endpoint"
    " (AWS_STS_REGIONAL_ENDPOINTS=regional), or run"
    " `aws iam set-security-token-service-preferences --global-endpoint-token-version v2Token`"
)
"""Source: IAM User Guide, "Manage AWS STS in an AWS Region", 2026."""

CLASS_OF_CODE: dict[str, type[ItemError]] = {
    **dict.fromkeys(
        (
            *("BandwidthLimitExceeded", "EC2ThrottledException", "PriorRequestNotComplete", "RequestLimitExceeded"),
            *("RequestThrottled", "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling"),
            *("ThrottlingException", "TooManyRequestsException"),
        ),
        ThrottledError,
    ),
    "UnauthorizedOperation": AccessDeniedError,  # and every code with AccessDenied in it
    "ResourceNotFoundException": FunctionGoneError,
    **dict.fromkeys(
        (
            *("InternalError", "InternalFailure", "RequestTimeout", "RequestTimeoutException"),
            *("ServiceException", "ServiceUnavailable", "ServiceUnavailableException"),
        ),
        ServiceError,
    ),
    **dict.fromkeys(
        (
            *("IncompleteSignature", "IncompleteSignatureException", "InvalidSignatureException", "OptInRequired"),
            *("MissingAuthenticationToken", "MissingAuthenticationTokenException", "RequestExpired"),
            "SignatureDoesNotMatch",
        ),
        ExpiredCredentialsError,  # and every code that begins with ExpiredToken
    ),
    **dict.fromkeys(("RequestInTheFuture", "RequestTimeTooSkewed"), ClockError),
    **dict.fromkeys(
        ("AuthFailure", "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"), TokenRefusedError
    ),
}
"""Error code -> class. Sources: Lambda API reference, "Common errors"; botocore's own lists of throttling codes."""


_UNKNOWN_OPERATION = ("UnknownOperationException", "UnknownOperation")
_NOT_OFFERED = re.compile(r"unable to determine (the )?service/operation name", re.IGNORECASE)
"""AWS's answer where a Region does not have an operation. Source: aws-controllers-k8s/community #2971."""


def class_of(code: str, status: int | None) -> type[ItemError]:
    """Return the error class of an AWS error code; the status decides only if the code is unknown."""
    if (error_class := CLASS_OF_CODE.get(code)) is not None:
        return error_class
    if "AccessDenied" in code:
        return AccessDeniedError
    if code.startswith("ExpiredToken"):
        return ExpiredCredentialsError
    return _class_of_status(status or 0)


def _class_of_status(status: int) -> type[ItemError]:
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        return ThrottledError
    return ServiceError if status >= 500 else FetchError  # noqa: PLR2004 - server errors


def error_from_response(
    response: Response, *, operation: str, item: str | None, secrets: Iterable[str | None] = ()
) -> ItemError:
    """Return our error for a response whose status is not 200.

    A status alone never means that a function is gone or access is denied: proxies and captive portals send 403 and
    404 too. ``secrets`` are removed from AWS's message, because AWS quotes requests whose signature does not match.
    """
    status = response.status
    document = _object(response.body)
    code, has_message = _code(response, document), bool({"message", "Message"}.intersection(document or ()))
    message, advice = one_line(_message(document), secrets), ""
    if code is not None:
        kind, advice = classify(code, status, message, response.headers.get("date"))
        text = f"{code}: {message}" if message else f"{code}, without a message"
        code = NOT_OFFERED if kind is NotOfferedError else code
    elif status == 403 and has_message and "x-amzn-requestid" in response.headers:  # noqa: PLR2004
        kind, code = AccessDeniedError, "http_403"
        text = f"denied: {message}" if message else "denied, without a message"
    else:
        kind, code = _class_of_status(status), f"http_{status}"
        is_redirect = 300 <= status < 400  # noqa: PLR2004 - 3xx
        text = f"{'redirected' if is_redirect else 'answered'}, but not by AWS: {describe(response.body)}"
        text += f": {message}" if message else ""
        text += "; a proxy, a captive portal or a wrong --endpoint-url may stand in between"
    call = f"{operation} {item}" if item else operation
    return kind(
        f"{call}: {text} (HTTP {status}){advice}",
        code=code,
        http_status=status,
        retry_after_s=_retry_after_s(response.headers.get("retry-after"), response.headers.get("date")),
    )


def ends_run(error: ItemError, more: str = "") -> RunError:
    """Return the RunError for a failed call that the whole run needs: CredentialsError if AWS refused the caller."""
    is_refusal = isinstance(error, AccessDeniedError | ExpiredCredentialsError)
    return (CredentialsError if is_refusal else RunError)(f"{error}{more}")


def is_account(text: str) -> bool:
    """Return whether a text is an AWS account ID."""
    return len(text) == 12 and text.isascii() and text.isdigit()  # noqa: PLR2004 - digits of an account ID


def describe(body: bytes) -> str:
    """Describe an unexpected body in a few words."""
    start = body[:512].lstrip().lower()
    if not start:
        return "an empty body"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    if start.startswith(b"<"):
        return "an XML document"
    if start.startswith((b"{", b"[")):
        return "broken JSON" if _parsed(body) is None else "other JSON"
    return "plain text" if start.isascii() else "binary data"


def one_line(text: str, secrets: Iterable[str | None] = ()) -> str:
    """Return text of a server for use in a message: the first line, without secrets and control characters, cut."""
    text = remove_secrets(text, secrets)
    line = next((line for line in text.splitlines() if line.strip()), "")
    line = "".join(char if char.isprintable() else " " for char in line).strip()
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "…"


_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_FAULT_TYPES = {"User", "Sender", "Service", "Server", "Client", "Receiver"}


def _parsed(body: bytes) -> Any:
    try:
        return parse_document(body)[0]
    except ValueError:
        return None


def _object(body: bytes) -> dict[str, Any] | None:
    document = _parsed(body)
    return document if isinstance(document, dict) else None


def _code(response: Response, document: dict[str, Any] | None) -> str | None:
    """Return the error code from the header, else from the body; `ns#Code:http://…` means `Code`."""
    candidates: list[Any] = [response.headers.get("x-amzn-errortype")]
    if document is not None:
        candidates += [document.get(key) for key in ("__type", "code", "Code", "Type")]
    for candidate in candidates:
        if isinstance(candidate, str):
            code = candidate.partition(":")[0].rpartition("#")[2].strip()
            if _CODE.fullmatch(code) and code not in _FAULT_TYPES:
                return code
    return None


def _message(document: dict[str, Any] | None) -> str:
    if document is None:
        return ""
    texts = [document.get(key) for key in ("message", "Message", "errorMessage")]
    message = next((text for text in texts if isinstance(text, str) and text), "")
    reason = document.get("Reason")
    return f"{message} ({reason})" if isinstance(reason, str) and reason else message


def classify(code: str, status: int | None, message: str, date: str | None) -> tuple[type[ItemError], str]:
    """Return the class of an error response, and advice to append to its message."""
    kind = class_of(code, status)
    if code in _UNKNOWN_OPERATION or (kind is AccessDeniedError and _NOT_OFFERED.search(message)):
        return NotOfferedError, "; this Region does not have the operation"
    if kind is TokenRefusedError:
        return kind, f"; {REFUSAL_ADVICE}"
    if kind not in (ExpiredCredentialsError, ClockError):
        return kind, ""
    text = message.lower()
    if kind is not ClockError and "signature expired" not in text and "not yet current" not in text:
        return kind, "; renew the credentials, or check that the Region is enabled for the account"
    return ClockError, f"; check this machine's clock{_skew(message, date)}"


def _skew(message: str, date: str | None) -> str:
    """Describe how wrong this machine's clock is. AWS's message has the time of the request first and its own last."""
    try:
        stamps = [datetime.strptime(stamp, "%Y%m%dT%H%M%S%z") for stamp in _STAMP.findall(message)]
    except ValueError:
        stamps = []
    ours, aws = (stamps[0], stamps[-1]) if len(stamps) > 1 else (datetime.now(UTC), _http_date(date or ""))
    return "" if aws is None else f", which is {describe_skew((ours - aws).total_seconds())} AWS's"


def describe_skew(ahead_s: float) -> str:
    """Format a difference between clocks in its largest unit: ``3 days behind``."""
    amount_s = abs(ahead_s)
    unit_s, unit = next(((s, unit) for s, unit in _UNITS if amount_s >= s), _UNITS[-1])
    amount = round(amount_s / unit_s)
    return f"{amount:,} {unit}{'' if amount == 1 else 's'} {'ahead of' if ahead_s > 0 else 'behind'}"


_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")


def _retry_after_s(text: str | None, date: str | None) -> float | None:
    """Return Retry-After in seconds; an HTTP date is relative to the Date of the same response."""
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
