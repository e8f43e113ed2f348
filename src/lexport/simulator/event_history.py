"""CloudTrail's event history of an account-region: its changes, and the calls that only read.

Names carry their dates as AWS writes them, events become visible after a delay, and failed calls are events too. The
times of events are those of this machine's clock, because clients ask for the time since their last run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from lexport.model import Scope
from lexport.simulator import known_regions
from lexport.simulator.fleet_changes import Change
from lexport.simulator.responses import ApiCall, AwsError
from lexport.simulator.seeded_choices import uuid_text

PAGE_SIZE = 50
KEPT_FOR = timedelta(days=90)
MOST_READS = 10_000
"""Read events that are kept of an account-region."""

_2015, _2015_V2 = "20150331", "20150331v2"
_CHANGES: dict[str, tuple[str, ...]] = {
    "create_function": ("CreateFunction" + _2015,),
    "delete_function": ("DeleteFunction" + _2015,),
    "recreate_function": ("DeleteFunction" + _2015, "CreateFunction" + _2015),
    "delete_version": ("DeleteFunction" + _2015,),
    "publish_version": ("PublishVersion" + _2015,),
    "set_tags": ("TagResource20170331v2",),
    "set_reserved_concurrency": ("PutFunctionConcurrency20171031",),
    "create_alias": ("CreateAlias" + _2015,),
    "move_alias": ("UpdateAlias" + _2015,),
    "delete_alias": ("DeleteAlias" + _2015,),
    "update_config": ("UpdateFunctionConfiguration" + _2015_V2,),
    "update_code": ("UpdateFunctionCode" + _2015_V2,),
}
_RESOURCES: dict[str, tuple[str, ...]] = {
    "policies": ("AddPermission" + _2015_V2,),
    "urls": ("UpdateFunctionUrlConfig", "AddPermission" + _2015_V2),
    "invoke-configs": ("PutFunctionEventInvokeConfig",),
    "provisioned-concurrency": ("PutProvisionedConcurrencyConfig",),
    "runtime-management": ("PutRuntimeManagementConfig",),
    "recursion": ("PutFunctionRecursionConfig",),
    "event-sources": ("UpdateEventSourceMapping" + _2015,),
    "code-signing": ("PutFunctionCodeSigningConfig",),
    "capacity-providers": ("UpdateCapacityProvider",),
}
"""The events of a change of a resource around a function, as ``--with`` names it."""
_READS = {
    "GetFunction": _2015_V2,
    "ListFunctions": _2015,
    "ListVersionsByFunction": _2015,
    "ListAliases": _2015,
    "GetPolicy": _2015_V2,
    "ListEventSourceMappings": _2015,
    "GetAccountSettings": "20160819",
    "GetLayerVersionByArn": "20181031",
}
_SERVICES = {"cloudformation": "cloudformation.amazonaws.com", "codedeploy": "codedeploy.amazonaws.com"}
_ATTRIBUTES = ("EventId", "EventName", "ReadOnly", "Username", "EventSource", "AccessKeyId")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """One event; ``detail`` is what it says besides the time, the name and the source."""

    number: int
    name: str
    at: datetime
    visible_at: datetime
    is_read: bool
    function_name: str | None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def position(self) -> tuple[float, int]:
        """Where it stands among the others; the greatest is the newest."""
        return self.at.timestamp(), self.number


class EventHistory:
    """The events of one account-region."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._changes: list[_Event] = []
        self._reads: deque[_Event] = deque(maxlen=MOST_READS)
        self._numbers = count()

    def record(self, change: Change, at: datetime) -> None:
        """Add the events of a change that was made at this time."""
        names = _RESOURCES[change.resource or ""] if change.kind == "change_resource" else _CHANGES[change.kind]
        for name in names:
            event = _Event(
                number=next(self._numbers),
                name=name if change.has_dated_event else name.partition("20")[0],
                at=at,
                visible_at=at + change.event_delay,
                is_read=False,
                function_name=change.function_name,
                detail=self._detail(change, name),
            )
            self._changes.append(event)

    def record_read(self, call: ApiCall) -> None:
        """Add the event of a call that changes nothing."""
        now = datetime.now(UTC)
        name = call.operation + _READS.get(call.operation, "")
        request = None if call.raw_name is None else {"functionName": call.raw_name}
        detail = {**_caller("user", self._scope), "requestParameters": request, "responseElements": None}
        number = next(self._numbers)
        self._reads.append(
            _Event(number=number, name=name, at=now, visible_at=now, is_read=True, function_name=None, detail=detail)
        )

    def catch_up(self) -> None:
        """Make every event visible, as it is once its delay is over."""
        self._changes = [replace(event, visible_at=event.at) for event in self._changes]

    def _detail(self, change: Change, name: str) -> dict[str, Any]:
        arn = _function_arn(self._scope, change.function_name)
        named = {
            "name": change.function_name,
            "arn": arn,
            "partial": f"{self._scope.account_id}:function:{change.function_name}",
            "qualified": f"{arn}:{change.alias or change.version or '$LATEST'}",
        }[change.named_as]
        request: dict[str, Any] = {"resource" if name.startswith("TagResource") else "functionName": named}
        response: dict[str, Any] | None = None
        if change.alias is not None and name.startswith(("CreateAlias", "UpdateAlias", "DeleteAlias")):
            request |= {"name": change.alias, "functionVersion": change.version}
            response = {"aliasArn": f"{arn}:{change.alias}", "name": change.alias}
        if name.startswith(("CreateFunction", "UpdateFunction", "PublishVersion")) and "UrlConfig" not in name:
            response = {"functionName": change.function_name, "functionArn": arn}
        if name.startswith("TagResource"):
            request["resource"] = arn
        if change.error_code is None:
            return {**_caller(change.caller, self._scope), "requestParameters": request, "responseElements": response}
        is_denied = change.error_code.startswith("AccessDenied")
        return {
            **_caller(change.caller, self._scope),
            "requestParameters": None if is_denied else request,
            "responseElements": None,
            "errorCode": change.error_code,
            "errorMessage": f"refused on resource: {arn}",
        }

    # --- LookupEvents -------------------------------------------------------------------------------------------------

    def look_up(self, call: ApiCall) -> dict[str, Any]:
        """Return one page of events, newest first; raises AwsError if AWS would refuse the call."""
        parameters = call.parameters
        key, value = _attribute(parameters)
        start, end = _time(parameters, "StartTime"), _time(parameters, "EndTime")
        if start is not None and end is not None and start > end:
            raise AwsError(400, "InvalidTimeRangeException", "The start time is after the end time.")
        size = parameters.get("MaxResults", PAGE_SIZE)
        if not isinstance(size, int) or not 1 <= size <= PAGE_SIZE:
            raise AwsError(400, "InvalidMaxResultsException", f"MaxResults is from 1 to {PAGE_SIZE}.")
        others = {name: value for name, value in parameters.items() if name != "NextToken"}
        asked = hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()
        before = _read_token(parameters.get("NextToken"), asked)
        page: list[_Event] = []
        for event in self._newest_first():
            is_in_time = (start is None or event.at >= start) and (end is None or event.at <= end)
            is_after_page = before is None or event.position < before
            if is_in_time and is_after_page and (key is None or self._item(event)[key] == value):
                if len(page) == size:
                    return {"Events": list(map(self._item, page)), "NextToken": _token(page[-1].position, asked)}
                page.append(event)
        return {"Events": list(map(self._item, page))}

    def _newest_first(self) -> Iterator[_Event]:
        now = datetime.now(UTC)
        visible = (event for event in (*self._changes, *self._reads) if event.visible_at <= now < event.at + KEPT_FOR)
        return iter(sorted(visible, key=lambda event: event.position, reverse=True))

    def _item(self, event: _Event) -> dict[str, Any]:
        identity = uuid_text("event", self._scope.account_id, self._scope.region, event.number, event.name)
        record = {
            "eventVersion": "1.11",
            "eventTime": f"{event.at:%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": "lambda.amazonaws.com",
            "eventName": event.name,
            "awsRegion": self._scope.region,
            "readOnly": event.is_read,
            "eventID": identity,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": self._scope.account_id,
            **event.detail,
        }
        item: dict[str, Any] = {
            "EventId": identity,
            "EventName": event.name,
            "ReadOnly": "true" if event.is_read else "false",
            "AccessKeyId": "testing",
            "EventTime": event.at.timestamp(),
            "EventSource": "lambda.amazonaws.com",
            "Username": "testing",
            "CloudTrailEvent": json.dumps(record),
        }
        has_error = event.detail.get("errorCode") is not None
        if event.function_name is not None and not has_error:
            item["Resources"] = [{"ResourceType": "AWS::Lambda::Function", "ResourceName": event.function_name}]
        return item


def _function_arn(scope: Scope, name: str) -> str:
    return f"arn:{known_regions.partition(scope.region)}:lambda:{scope.region}:{scope.account_id}:function:{name}"


def _caller(caller: str, scope: Scope) -> dict[str, Any]:
    """Return who made a call: a user, or a service that works for one."""
    identity = {"type": "AssumedRole", "accountId": scope.account_id, "principalId": "AROASIMULATOR:deploy"}
    if (service := _SERVICES.get(caller)) is None:
        return {"userIdentity": identity, "sourceIPAddress": "192.0.2.7", "userAgent": "aws-cli/2.31"}
    return {"userIdentity": {**identity, "invokedBy": service}, "sourceIPAddress": service, "userAgent": service}


def _attribute(parameters: Mapping[str, Any]) -> tuple[str | None, object]:
    attributes = parameters.get("LookupAttributes", [])
    if not attributes:
        return None, None
    if len(attributes) > 1 or attributes[0].get("AttributeKey") not in _ATTRIBUTES:
        raise AwsError(400, "InvalidLookupAttributesException", "Exactly one known attribute is allowed.")
    return attributes[0]["AttributeKey"], attributes[0].get("AttributeValue")


def _time(parameters: Mapping[str, Any], name: str) -> datetime | None:
    value = parameters.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise AwsError(400, "SerializationException", f"{name} is a number of seconds since 1970.")
    return datetime.fromtimestamp(value, UTC)


def _token(position: tuple[float, int], asked: str) -> str:
    return base64.b64encode(json.dumps([*position, asked]).encode()).decode()


def _read_token(token: object, asked: str) -> tuple[float, int] | None:
    if token is None:
        return None
    try:
        seconds, number, made_for = json.loads(base64.b64decode(str(token), validate=True))
    except (ValueError, TypeError):
        seconds, number, made_for = 0.0, 0, None
    if made_for != asked:
        raise AwsError(400, "InvalidNextTokenException", "The token is invalid, or of a call with other parameters.")
    return seconds, number
