"""Operations that change what a resource is read for, as the event history of CloudTrail names them.

A resource says with ``changed_by`` which of them change it. A resource without any is never carried over because the
history names no change: the names of its events are not documented, for example those of recursion settings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lexport.model import Priority, QuotaClass
from lexport.tables.call import JsonCall, Page

EVENT_SOURCE = "lambda.amazonaws.com"

LOOKUP_EVENTS = JsonCall(
    operation="LookupEvents",
    service="cloudtrail",
    target="com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
    version="1.1",
    quota=QuotaClass("event_history", 2.0),
    priority=Priority.LISTING,
    iam=("cloudtrail:LookupEvents",),
    page=Page(items="Events", marker="NextToken", next_marker="NextToken", size_name="MaxResults"),
)
"""The event history of one account-region. Source: API reference, 2026."""


@dataclass(frozen=True, slots=True)
class Event:
    """One operation, and the ``dates`` that CloudTrail appends to its name.

    AWS has announced that it will drop the dates, so the name without one is looked up too. A name that is not
    documented has those that are likely: that can only lead to more reading.
    """

    operation: str
    dates: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Return every name to look up."""
        return (self.operation, *(self.operation + date for date in self.dates))

    def is_named(self, event_name: object) -> bool:
        """Return whether an event has this name, with any date or none."""
        return isinstance(event_name, str) and re.fullmatch(self.operation + _DATE, event_name, re.ASCII) is not None


_DATE = r"(?:\d{8}(?:v\d+)?)?"
_2015 = ("20150331",)
_2015_AND_V2 = ("20150331v2", "20150331")  # both have been seen for one operation

FUNCTION_EVENTS = (Event("CreateFunction", _2015), Event("DeleteFunction", _2015))
"""They change every resource of a function: what has the same name after them is another function."""
UPDATE_CONFIGURATION = Event("UpdateFunctionConfiguration", _2015_AND_V2)
NEW_ALIAS_EVENTS = (Event("CreateAlias", _2015), Event("DeleteAlias", _2015))
"""What belongs to an alias goes with it; another alias of the same name begins with nothing."""
UPDATE_ALIAS = Event("UpdateAlias", _2015)
NEW_QUALIFIER_EVENTS = (*NEW_ALIAS_EVENTS, Event("PublishVersion", _2015))
"""They change what belongs to an alias or a version of a function."""
POLICY_EVENTS = (
    Event("AddPermission", _2015_AND_V2),
    Event("RemovePermission", _2015_AND_V2),
    Event("PutResourcePolicy", ("20260709", "20240916")),  # not documented: the date of its path, and of an older model
    Event("DeleteResourcePolicy", ("20260709", "20240916")),
)
URL_EVENTS = tuple(Event(f"{verb}FunctionUrlConfig") for verb in ("Create", "Update", "Delete"))
INVOKE_CONFIG_EVENTS = (
    Event("PutFunctionEventInvokeConfig"),
    Event("UpdateFunctionEventInvokeConfig"),
    Event("DeleteFunctionEventInvokeConfig", ("20190925",)),  # seen, but not documented
)
PROVISIONED_CONCURRENCY_EVENTS = (Event("PutProvisionedConcurrencyConfig"), Event("DeleteProvisionedConcurrencyConfig"))
RUNTIME_MANAGEMENT_EVENTS = (Event("PutRuntimeManagementConfig"),)
