"""Scripted faults: what goes wrong, with which call, and how often.

``Fault(operation="GetFunction", function_name="f", kind="throttle", times=2)``. Downloads are ``GetObject``.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import orjson

from lexport.model import LATEST
from lexport.simulator.pagination import read_marker
from lexport.simulator.responses import ApiCall, AwsError, HttpResponse, expired_token, not_found, throttled

Refusal = Literal["throttle", "error", "denied", "gone", "expired_token", "expired"]
Damage = Literal["html", "empty", "broken_json", "truncate", "corrupt"]  # a response that is not AWS's, or damaged
ConnectionFault = Literal["reset", "slow", "hang"]
DownloadFault = Literal["redirect", "resize", "short", "drip", "ignore_range"]
DocumentFault = Literal[
    "repeat_marker", "cycle_markers", "endless", "null_marker", "empty_marker", "duplicate_page", "replace_body"
]
FaultKind = Refusal | Damage | ConnectionFault | DownloadFault | DocumentFault | Literal["unqualified_all"]
Patch = Mapping[str, Any] | Callable[[dict[str, Any]], Any]

REFUSING = frozenset(get_args(Refusal))
_DOCUMENT_FAULTS = frozenset(get_args(DocumentFault))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault. None matches every call; ``times`` None means always; the first ``after`` calls are not affected.

    ``qualifier`` ``$LATEST`` matches the unqualified call too. ``status``, ``code``, ``message``, ``body`` and
    ``headers`` shape ``error`` and ``html``; ``retry_after_s`` goes with ``throttle``, ``delay_s`` with ``slow``;
    ``patch`` with ``replace_body``: a mapping is merged into the document, a callable gets it and may return another.
    ``repeat_marker``, ``null_marker`` and ``empty_marker`` wait for the first page that they can change.
    ``layer_arn`` matches GetLayerVersionByArn. Of ``GetObject``: ``expired`` is S3's own 403; ``redirect`` leads to the
    ``Location`` of ``headers``; ``truncate`` and ``reset`` end the body after ``after_bytes``; ``short`` does so
    without Content-Length; ``drip`` sends one byte per ``delay_s`` from there; ``corrupt`` changes that byte;
    ``resize`` sends ``size_bytes``.
    """

    operation: str | None
    kind: FaultKind
    function_name: str | None = None
    qualifier: str | None = None
    account_id: str | None = None
    region: str | None = None
    layer_arn: str | None = None
    times: int | None = 1
    after: int = 0
    status: int | None = None
    code: str | None = None
    message: str | None = None
    body: bytes | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    after_bytes: int | None = None
    size_bytes: int | None = None
    retry_after_s: float | None = None
    patch: Patch | None = None

    def matches(self, call: ApiCall) -> bool:
        """Return whether the fault applies to a call."""
        return (
            self.operation in (None, call.operation)
            and self.function_name in (None, call.function_name)
            and (self.qualifier in (None, call.qualifier) or (self.qualifier == LATEST and call.qualifier is None))
            and self.account_id in (None, call.account_id)
            and self.region in (None, call.region)
            and self.layer_arn in (None, call.query.get("Arn"))
        )


@dataclass(slots=True)
class _Armed:
    fault: Fault
    left: int | None
    passes: int


class FaultScript:
    """The faults of one server that have not happened yet."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._armed = [_Armed(fault, fault.times, fault.after) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Add a fault."""
        self._armed.append(_Armed(fault, fault.times, fault.after))

    def take(self, call: ApiCall) -> list[Fault]:
        """Return the faults of a call, and count those that happen before the response is made."""
        faults: list[Fault] = []
        for armed in list(self._armed):
            if not armed.fault.matches(call):
                continue
            if armed.passes:
                armed.passes -= 1
                continue
            faults.append(armed.fault)
            if armed.fault.kind in _DOCUMENT_FAULTS:
                continue
            self._count(armed)
            if armed.fault.kind not in ("slow", "unqualified_all"):  # no other fault can follow these
                break
        return faults

    def change(self, fault: Fault, call: ApiCall, document: Any) -> Any:
        """Return the document changed by a fault, and count the fault if it applies to this page."""
        armed = next((armed for armed in self._armed if armed.fault is fault), None)
        changed = _changed(fault, call, document) if armed is not None else None
        if armed is None or changed is None:
            return document
        self._count(armed)
        return changed

    def _count(self, armed: _Armed) -> None:
        if armed.left is None:
            return
        armed.left -= 1
        if armed.left <= 0:
            self._armed.remove(armed)


def refusal(fault: Fault, call: ApiCall) -> AwsError:
    """Return the error response of a fault."""
    arn = f"arn:aws:lambda:{call.region}:{call.account_id}:function:{call.function_name}"
    arn += f":{call.qualifier}" if call.qualifier else ""
    match fault.kind:
        case "throttle":
            return throttled(fault.retry_after_s)
        case "denied":
            message = (
                f"User: arn:aws:sts::{call.account_id}:assumed-role/lexport/session is not authorized to perform:"
                f" {call.service}:{call.operation} on resource: {arn if call.function_name else '*'}"
                " because no identity-based policy allows the action"
            )
            return AwsError(fault.status or 403, "AccessDeniedException", fault.message or message)
        case "gone":
            return not_found(arn)
        case "expired_token":
            return expired_token()
        case "expired":
            return AwsError(403, "AccessDenied", "Request has expired", more={"X-Amz-Expires": "600"})
        case _:
            status = fault.status or 500
            code = fault.code or ("ServiceException" if status >= 500 else "InvalidParameterValueException")
            more = {"Type": "Service" if status >= 500 else "User"}
            message = fault.message or "An error occurred and the request cannot be processed."
            return AwsError(status, code, message, more=more, headers=dict(fault.headers))


def distort(fault: Fault, response: HttpResponse) -> HttpResponse:
    """Return the response that is sent in place of a correct one."""
    headers = {**response.headers, **fault.headers}
    body = fault.body.encode() if isinstance(fault.body, str) else fault.body
    sent, middle = response.body, len(response.body) // 2
    match fault.kind:
        case "html":
            page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
            headers["Content-Type"] = "text/html"
            return HttpResponse(status=fault.status or 502, body=body or page, headers=headers)
        case "empty" | "redirect":
            return HttpResponse(status=fault.status or (200 if fault.kind == "empty" else 307), headers=headers)
        case "broken_json":
            return replace(response, body=sent[:middle], headers=headers)
        case "truncate":
            return replace(response, body=sent[:middle], headers=headers, promised_bytes=len(sent))
        case "corrupt":
            flipped = bytes((sent[middle] ^ 0xFF,)) if sent else b""
            return replace(response, body=sent[:middle] + flipped + sent[middle + 1 :], headers=headers)
        case _:
            return response


def _changed(fault: Fault, call: ApiCall, document: Any) -> Any:
    """Return the changed document, or None if the fault does not apply to this page."""
    if fault.kind == "replace_body":
        return _patched(fault.patch, document)
    return None if call.listing is None else _with_changed_marker(fault, call, call.listing, document)


def _with_changed_marker(fault: Fault, call: ApiCall, listing: str, document: dict[str, Any]) -> dict[str, Any] | None:
    marker = call.query.get("Marker")
    is_last = not document.get("NextMarker")
    here = read_marker(marker, listing)
    match fault.kind:
        case "repeat_marker":
            return None if marker is None else {**document, "NextMarker": marker}
        case "cycle_markers":
            return {**document, "NextMarker": replace(here, nonce="B" if here.nonce == "A" else "A").marker()}
        case "endless" | "duplicate_page":
            return {**document, "NextMarker": replace(here, nonce=next(_NONCES)).marker()}
        case _:
            empty = None if fault.kind == "null_marker" else ""
            return {**document, "NextMarker": empty} if is_last else None


_NONCES = (f"{number}-{secrets.token_hex(4)}" for number in itertools.count())


def _patched(patch: Patch | None, document: Any) -> Any:
    if patch is None:
        return document
    if callable(patch):
        document = orjson.loads(orjson.dumps(document))  # parts of it are cached, so the callable gets a copy
        returned = patch(document)
        return document if returned is None else returned
    return _merged(document, patch)


def _merged(document: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        merged[name] = _merged(merged.get(name), value) if isinstance(value, Mapping) else value
    return merged
