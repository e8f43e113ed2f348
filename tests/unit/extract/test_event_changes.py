"""Events of CloudTrail's history: which functions they may have changed. What is not understood changes all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lexport.extract.carry.changes import Changes, changed_functions
from lexport.tables.aliases import RESOURCE as ALIASES
from lexport.tables.events import FUNCTION_EVENTS, POLICY_EVENTS, UPDATE_ALIAS, URL_EVENTS
from lexport.tables.registry import ACCOUNT_SETTINGS, resource_of

ARN = "arn:aws:lambda:eu-west-1:111122223333:function:fn"
ADD_PERMISSION = POLICY_EVENTS[0]


def item(event_name: str, request: Any = None, /, **more: Any) -> dict[str, Any]:
    """Return one item of a page of LookupEvents."""
    item_fields = {key: more.pop(key) for key in ("EventSource", "Resources", "CloudTrailEvent") if key in more}
    detail = {"eventSource": "lambda.amazonaws.com", "eventName": event_name, "requestParameters": request, **more}
    return {
        "EventId": "e1",
        "EventName": event_name,
        "EventSource": "lambda.amazonaws.com",
        "CloudTrailEvent": json.dumps(detail),
        **item_fields,
    }


@pytest.mark.parametrize(
    ("request_parameters", "more", "expected"),
    [
        *(
            ({"functionName": text, "name": "live"}, {}, {"fn"})
            for text in ("fn", ARN, ARN + ":live", "111122223333:function:fn", "111122223333:fn:7", "fn:$LATEST")
        ),
        ({"functionName": ARN}, {"userIdentity": {"invokedBy": "cloudformation.amazonaws.com"}}, {"fn"}),
        ({"functionName": "fn"}, {"sourceIPAddress": "codedeploy.amazonaws.com"}, {"fn"}),
        ({"resource": ARN, "tags": {"a": "b"}}, {}, {"fn"}),
        ({"resourceArn": ARN + ":live", "policy": "{}"}, {}, {"fn"}),
        ({"code": {}}, {"responseElements": {"functionArn": ARN, "functionName": "fn"}}, {"fn"}),
        (None, {"responseElements": {"aliasArn": ARN + ":live"}}, {"fn"}),
        (None, {"resources": [{"ARN": ARN, "type": "AWS::Lambda::Function"}]}, {"fn"}),
        (None, {"Resources": [{"ResourceType": "AWS::Lambda::Function", "ResourceName": "fn"}]}, {"fn"}),
        (None, {"Resources": [{"ResourceType": "AWS::Lambda::Alias", "ResourceName": ARN + ":live"}]}, {"fn"}),
        ({"functionName": "fn"}, {"errorCode": "AccessDenied"}, set()),
        (None, {"errorCode": "AccessDenied", "errorMessage": f"not authorized on {ARN}"}, set()),
        ({"functionName": "fn"}, {"errorCode": "ServiceException"}, {"fn"}),
        ({"functionName": "fn", "dryRun": True}, {}, set()),
        ({"functionName": "fn", "dryRun": False}, {}, {"fn"}),
        ({"aliasName": "alias/key"}, {"EventSource": "kms.amazonaws.com"}, set()),
        (None, {}, None),
        ({"functionName": "no function!"}, {}, None),
        ({"functionName": ["fn"]}, {}, None),
        (["fn"], {}, None),
        (None, {"Resources": [{"ResourceType": "AWS::IAM::Role", "ResourceName": "fn"}]}, None),
        (None, {"Resources": [{"ResourceType": "AWS::Lambda::Alias", "ResourceName": "live"}]}, None),
        (None, {"Resources": "fn", "resources": [7, {"ARN": 7}]}, None),
        (None, {"CloudTrailEvent": "{"}, None),
        (None, {"CloudTrailEvent": "[]"}, None),
        (None, {"CloudTrailEvent": None}, None),
        (None, {"CloudTrailEvent": "[" * 100_000}, None),
        (None, {"CloudTrailEvent": '{"requestParameters": {"functionName": "\\ud800"}}'}, None),
    ],
)
def test_an_event_changes_the_functions_that_it_names_in_any_form(
    request_parameters: Any, more: dict[str, Any], expected: set[str] | None
) -> None:
    """A function counts as changed in whatever form and place an event names it, whoever called; a call that was
    refused or a dry run changes none, and an event that names none changes all."""
    found = changed_functions(UPDATE_ALIAS, item("UpdateAlias20150331", request_parameters, **more))
    assert found == (None if expected is None else frozenset(expected))


def test_what_is_no_event_at_all_changes_every_function() -> None:
    """An item that is no object may be a change of any function."""
    assert changed_functions(UPDATE_ALIAS, "event") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("AddPermission", "AddPermission20150331", "AddPermission20150331v2")),
        *((name, True) for name in ("AddPermission20270101", "AddPermission20270101v13")),
        *((name, False) for name in ("AddPermissions", "AddLayerVersionPermission", "AddPermission2015", "20150331")),
        *((name, False) for name in ("AddPermission20150331v", "addpermission", "", None, 7)),
    ],
)
def test_a_name_of_an_event_has_any_date_or_none(name: object, expected: bool) -> None:  # noqa: FBT001 - a parameter
    """An operation is recognised with whatever date CloudTrail appends, and nothing else is."""
    assert ADD_PERMISSION.is_named(name) is expected


def test_names_that_are_not_documented_are_looked_up_in_every_likely_form() -> None:
    """A dated name is looked up without its date too, which AWS may drop; an undocumented one with likely dates."""
    assert UPDATE_ALIAS.names() == ("UpdateAlias", "UpdateAlias20150331")
    names = [name for event in POLICY_EVENTS for name in event.names()]
    assert {"AddPermission20150331v2", "AddPermission20150331", "PutResourcePolicy"} < set(names)
    assert sum(name.startswith("PutResourcePolicy2") for name in names) == 2


def test_an_event_changes_the_resources_that_declare_it() -> None:
    """A resource is read again for the functions of its own events, for those created or deleted, and for no other."""
    changes = Changes([ALIASES])
    changes.add(UPDATE_ALIAS, item("UpdateAlias20150331", {"functionName": ARN + ":live"}))
    changes.add(UPDATE_ALIAS, item("UpdateAlias20150331", {"functionName": ARN + ":live"}))
    changes.add(FUNCTION_EVENTS[0], item("CreateFunction20150331", {"functionName": "new"}))
    changes.add(URL_EVENTS[0], item("CreateFunctionUrlConfig", {"functionName": "opened"}))
    assert [name for name in ("fn", "new", "opened", "other") if changes.may_concern(ALIASES, name)] == ["fn", "new"]
    changes.add(UPDATE_ALIAS, item("UpdateAlias20150331"))
    assert changes.concerns_all(ALIASES)
    assert changes.may_concern(ALIASES, "other")


def test_a_resource_whose_events_are_not_documented_needs_no_look_up() -> None:
    """Only events of resources that can be carried over are looked up; where there are none, none is."""
    assert Changes([]).events() == ()
    settings = resource_of(ACCOUNT_SETTINGS)
    assert settings is not None
    assert Changes([settings]).events() == ()
    assert {"CreateFunction", "UpdateAlias"} <= {event.operation for event in Changes([ALIASES]).events()}


def test_names_of_changed_functions_do_not_fill_the_memory() -> None:
    """Beyond a bounded number of changed functions every function counts as changed."""
    changes = Changes([ALIASES], most_names=2)
    for name in ("a", "b", "c"):
        assert not changes.concerns_all(ALIASES)
        changes.add(UPDATE_ALIAS, item("UpdateAlias", {"functionName": name}))
    assert changes.concerns_all(ALIASES)
