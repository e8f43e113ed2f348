"""Values that pass between the parts of the server: API calls, HTTP responses, and AWS's errors."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal
from xml.sax.saxutils import escape

import orjson

Protocol = Literal["rest-json", "json", "query", "ec2", "s3"]
JSON_HEADERS = {"Content-Type": "application/json"}
JSON_1_1_HEADERS = {"Content-Type": "application/x-amz-json-1.1"}
XML_HEADERS = {"Content-Type": "text/xml"}


@dataclass(slots=True, kw_only=True)
class ApiCall:
    """One request, parsed from its URL and body. ``raw_name`` is FunctionName as it was sent.

    ``listing`` is set by list operations: the listing that their markers belong to.
    """

    service: str
    operation: str
    protocol: Protocol
    region: str
    account_id: str = ""
    function_name: str | None = None
    raw_name: str | None = None
    qualifier: str | None = None
    query: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    listing: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """One response. ``promised_bytes`` is a wrong Content-Length, if a fault asks for one."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    promised_bytes: int | None = None


@dataclass(eq=False)
class AwsError(Exception):
    """An error response. A ``message`` of None is sent as null."""

    status: int
    code: str
    message: str | None
    more: dict[str, Any] = field(default_factory=dict, kw_only=True)
    headers: dict[str, str] = field(default_factory=dict, kw_only=True)

    def response(self, protocol: Protocol, request_id: str) -> HttpResponse:
        """Return the error in the format of a protocol."""
        match protocol:
            case "rest-json":
                # ResourceNotFound, Service and AccessDenied use `Message`, all others `message`.
                name = "Message" if self.code in _CAPITAL_MESSAGE else "message"
                body = json.dumps({**self.more, name: self.message}, ensure_ascii=False).encode()
                headers = {**JSON_HEADERS, "x-amzn-errortype": self.code, **self.headers}
                return HttpResponse(status=self.status, body=body, headers=headers)
            case "json":  # the JSON protocol uses 400 for every error of the caller
                status = 400 if self.status < 500 else self.status
                body = orjson.dumps({"__type": self.code, "message": self.message})
                return HttpResponse(status=status, body=body, headers=JSON_1_1_HEADERS)
            case "query":
                code = _QUERY_CODES.get(self.code, self.code)
                namespace = "https://sts.amazonaws.com/doc/2011-06-15/"
                body_text = (
                    f'<ErrorResponse xmlns="{namespace}"><Error><Type>Sender</Type><Code>{code}</Code>'
                    f"<Message>{escape(self.message or '')}</Message></Error><RequestId>{request_id}</RequestId>"
                    "</ErrorResponse>"
                )
                return HttpResponse(status=self.status, body=body_text.encode(), headers=XML_HEADERS)
            case "ec2":
                code, status = _EC2_CODES.get(self.code, (self.code, self.status))
                body_text = (
                    f"<Response><Errors><Error><Code>{code}</Code><Message>{escape(self.message or '')}</Message>"
                    f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
                )
                return HttpResponse(status=status, body=body_text.encode(), headers=XML_HEADERS)
            case "s3":
                return s3_error(self.status, self.code, self.message or "", request_id, self.more)


_CAPITAL_MESSAGE = frozenset({"ResourceNotFoundException", "ServiceException", "AccessDeniedException"})
_QUERY_CODES = {
    "UnrecognizedClientException": "InvalidClientTokenId",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "ExpiredTokenException": "ExpiredToken",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "AccessDeniedException": "AccessDenied",
}
_EC2_CODES = {
    "UnrecognizedClientException": ("AuthFailure", 401),
    "InvalidSignatureException": ("AuthFailure", 401),
    "ExpiredTokenException": ("RequestExpired", 400),
    "AccessDeniedException": ("UnauthorizedOperation", 403),
}


def s3_error(status: int, code: str, message: str, request_id: str, more: dict[str, Any]) -> HttpResponse:
    """Return an error in the format of S3."""
    fields = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in more.items())
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{fields}<RequestId>{request_id}</RequestId>"
        "<HostId>c2ltdWxhdG9y</HostId></Error>"
    )
    return HttpResponse(status=status, body=text.encode(), headers={"Content-Type": "application/xml"})


def not_found(arn: str) -> AwsError:
    """Return the 404 of a function, a version or an alias."""
    return AwsError(404, "ResourceNotFoundException", f"Function not found: {arn}", more={"Type": "User"})


def invalid_parameter(message: str) -> AwsError:
    """Return the 400 of a parameter that is well-formed but invalid."""
    return AwsError(400, "InvalidParameterValueException", message, more={"Type": "User"})


def invalid_shape(member: str, value: str, constraint: str) -> AwsError:
    """Return the 400 of a parameter that breaks the model's constraints."""
    message = f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    return AwsError(400, "ValidationException", message)


def throttled(retry_after_s: float | None) -> AwsError:
    """Return the 429 of the control plane."""
    headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
    more = {"Reason": "CallerRateLimitExceeded", "Type": "User"}
    return AwsError(429, "TooManyRequestsException", "Rate exceeded", more=more, headers=headers)


def unrecognized() -> AwsError:
    """Return the 403 of unknown keys, and of a disabled Region."""
    return AwsError(403, "UnrecognizedClientException", "The security token included in the request is invalid.")


def denied_by_session_policy(arn: str, call: ApiCall) -> AwsError:
    """Return the 403 of a call that the session policy of an assumed role does not allow."""
    action = f"{call.service}:{call.operation}"
    message = f"User: {arn} is not authorized to perform: {action} because no session policy allows the {action} action"
    return AwsError(403, "AccessDeniedException", message)


def expired_token() -> AwsError:
    """Return the 403 of expired credentials."""
    return AwsError(403, "ExpiredTokenException", "The security token included in the request is expired")
