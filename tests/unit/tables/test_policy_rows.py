"""A policy becomes rows that SQL can judge, and no document is lost, guessed or believed to be safe."""

from __future__ import annotations

import json

import pytest
from policy_documents import FUNCTION_ARN, HOSTILE, OTHER, OWN, TOKEN, document, expand, statement, token_condition

from lexport.tables.policy_conditions import is_limiting
from lexport.tables.policy_values import covers
from lexport.tables.resources.policies import POLICY_CONDITIONS, POLICY_STATEMENTS
from lexport.tables.table import COMMON

COLUMNS_OF_THE_RUN = (*(column.name for column in COMMON), "function_name", "qualifier")


def test_one_row_for_each_principal_action_and_resource_in_the_order_of_the_document():
    """Lists of several types are multiplied, and position counts on over the statements."""
    many = statement(
        Principal={"AWS": [OTHER, "*"], "Service": "events.amazonaws.com"},
        Action=["lambda:GetFunction", "lambda:InvokeFunction"],
        Resource=[FUNCTION_ARN, f"{FUNCTION_ARN}:*"],
    )
    rows = expand(document(statement(), many)).statements
    assert [(row["position"], row["statement"]) for row in rows] == [(0, 0), *((n, 1) for n in range(1, 13))]
    assert [(row["principal_type"], row["principal"], row["action"], row["resource"]) for row in rows[1:4]] == [
        ("AWS", OTHER, "lambda:GetFunction", FUNCTION_ARN),
        ("AWS", OTHER, "lambda:GetFunction", f"{FUNCTION_ARN}:*"),
        ("AWS", OTHER, "lambda:InvokeFunction", FUNCTION_ARN),
    ]
    assert {row["principal"] for row in rows if row["is_public_principal"]} == {"*"}
    assert {row["action"] for row in rows if row["covers_invoke_function"]} == {"lambda:InvokeFunction"}
    assert {(row["revision_id"], row["effect"], row["sid"]) for row in rows} == {("r-1", "Allow", "invoke")}
    assert rows[0]["extra_json"] == {"Policy.Id": "default", "Policy.Version": "2012-10-17"}
    assert not any(row["extra_json"] for row in rows[1:])


def test_elements_with_not_say_so_and_are_judged_as_what_they_leave():
    """An Allow with NotPrincipal is for everybody; NotAction covers what none of its actions is."""
    turned = statement(
        Principal=None, NotPrincipal={"AWS": OTHER}, Action=None, NotAction=["lambda:Get*", "lambda:InvokeFunction"],
        Resource=None, NotResource=FUNCTION_ARN,
    )  # fmt: skip
    denied = turned | {"Effect": "Deny"}
    rows = expand(document(turned, denied)).statements
    assert [row["is_public_principal"] for row in rows] == [True, True, False, False]
    assert {(row["is_not_principal"], row["is_not_action"], row["is_not_resource"]) for row in rows} == {(True,) * 3}
    assert {(row["covers_invoke_function"], row["covers_invoke_function_url"]) for row in rows} == {(False, True)}


@pytest.mark.parametrize(
    ("principal", "is_public"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"*": "*"}, True),
        ({"AWS": ""}, True),
        ({"AWS": "arn:aws:iam::*:root"}, True),
        ({"AWS": f"arn:aws:iam::{OTHER}:role/*"}, False),
        ({"AWS": OTHER}, False),
        ({"Service": "s3.amazonaws.com"}, False),
        ({"Federated": "cognito-identity.amazonaws.com"}, False),
        ({"CanonicalUser": "79a59d"}, False),
    ],
)
def test_a_principal_is_public_where_it_can_be_anybody(principal, is_public):
    """Public are a star of any type, an empty principal, and any account."""
    (row,) = expand(document(statement(Principal=principal))).statements
    assert row["is_public_principal"] is is_public
    assert row["principal_type"] is not None


@pytest.mark.parametrize(
    ("action", "covered"),
    [
        *(("*", "both"), ("lambda:*", "both"), ("LAMBDA:invoke*", "both"), ("lambda:InvokeFunction*", "both")),
        *(("lambda:InvokeFunctionUrl", "url"), ("lambda:*Url", "url"), ("lambda:Invoke????????", "function")),
        *(("lambda:InvokeFunction", "function"), ("lambda:GetFunction", ""), ("s3:*", ""), ("lambda", ""), ("", "")),
        ("*a*" * 5_000, ""),
    ],
)
def test_an_action_covers_with_wildcards_and_in_any_case(action, covered):
    """Wildcards are those of IAM; a pattern of any length costs little."""
    assert covers(action, "lambda:invokefunction") is (covered in ("function", "both"))
    assert covers(action, "lambda:invokefunctionurl") is (covered in ("url", "both"))


LIMITS = [
    ("StringEquals", "aws:SourceAccount", OWN, True),
    ("StringEqualsIgnoreCase", "aws:PrincipalOrgID", "o-a1b2c3d4e5", True),
    ("ForAnyValue:StringEquals", "aws:PrincipalOrgPaths", "o-a1b2c3d4e5/r-ab12/", True),
    ("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-a1b2c3d4e5/*", True),
    ("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-*/*", False),
    ("ForAllValues:StringEquals", "aws:PrincipalOrgID", "o-a1b2c3d4e5", False),
    ("StringEqualsIfExists", "aws:SourceAccount", OWN, False),
    ("StringNotEquals", "aws:SourceAccount", OTHER, False),
    ("ArnNotLike", "aws:SourceArn", f"arn:aws:sns:eu-west-1:{OTHER}:x", False),
    ("Null", "aws:SourceArn", "false", False),
    ("NumericEquals", "aws:MultiFactorAuthAge", "1", False),
    ("StringLike", "aws:SourceAccount", "1111*", False),
    ("StringLike", "aws:SourceAccount", "11112222333?", False),
    ("StringEquals", "aws:SourceArn", "*", False),
    ("StringEquals", "aws:SourceAccount", "${aws:PrincipalAccount}", False),
    ("StringEquals", "aws:SourceAccount", "", False),
    ("ArnLike", "aws:SourceArn", f"arn:aws:execute-api:eu-west-1:{OWN}:a1b2/*/GET/x", True),
    ("ArnEquals", "aws:SourceArn", f"arn:aws:sns:*:{OWN}:*", True),
    ("StringLike", "aws:SourceArn", f"arn:aws:sns:eu-west-1:{OWN}:*", True),
    ("StringLike", "aws:SourceArn", f"arn:aws:sns:*:{OWN}:*", False),
    ("ArnLike", "aws:SourceArn", "arn:aws:sns:eu-west-1:*:x", False),
    ("ArnLike", "aws:SourceArn", "arn:aws:apigateway:eu-west-1::/restapis/a1", False),
    ("ArnLike", "aws:SourceArn", "arn:aws:s3:::bucket", True),
    ("ArnLike", "aws:SourceArn", "arn:aws:s3:::bucket/*", True),
    ("ArnLike", "aws:SourceArn", "arn:aws:s3:::bucket*", False),
    ("ArnLike", "aws:SourceArn", "arn:aws:s3:::", False),
    ("ArnLike", "aws:SourceArn", "*", False),
    ("ArnLike", "aws:SourceArn", OWN, False),
    ("IpAddress", "aws:SourceIp", "203.0.113.0/24", True),
    ("IpAddress", "aws:SourceIp", "203.0.113.7", True),
    ("IpAddress", "aws:SourceIp", "2001:db8::/32", True),
    ("IpAddress", "aws:SourceIp", "0.0.0.0/0", False),
    ("IpAddress", "aws:SourceIp", "128.0.0.0/1", False),
    ("IpAddress", "aws:SourceIp", "::/0", False),
    ("IpAddress", "aws:SourceIp", "office", False),
    ("IpAddress", "aws:SourceIp", "::ffff:0.0.0.0/96", False),
    ("IpAddress", "aws:SourceIp", "::ffff:128.0.0.0/97", False),
    ("IpAddress", "aws:SourceIp", "::/16", False),
    ("IpAddress", "aws:SourceIp", "::ffff:203.0.113.0/120", True),
    ("NotIpAddress", "aws:SourceIp", "203.0.113.0/24", False),
    ("Bool", "lambda:InvokedViaFunctionUrl", "true", True),
    ("Bool", "lambda:InvokedViaFunctionUrl", "false", False),
    ("BoolIfExists", "lambda:InvokedViaFunctionUrl", "true", False),
    ("Bool", "aws:SourceAccount", "true", False),
    ("ForAnyValue:Bool", "aws:PrincipalOrgID", "true", False),
]


@pytest.mark.parametrize(("operator", "key", "value", "limits"), LIMITS)
def test_a_condition_limits_where_its_operator_and_its_value_do(operator, key, value, limits):
    """Only an operator that a request without the key does not satisfy, with a fixed value, limits an Allow."""
    assert is_limiting(operator.lower(), key.lower(), value) is limits
    rows = expand(document(statement(Condition={operator: {key: [value]}}))).conditions
    assert [(row["operator"], row["key"], row["value"], row["is_limiting"]) for row in rows] == [
        (operator.lower(), key.lower(), value, limits)
    ]


@pytest.mark.parametrize(
    ("networks", "limits"),
    [
        ([f"{number}.0.0.0/8" for number in range(256)], False),
        ([f"::ffff:{number}.0.0.0/104" for number in range(256)], False),
        ([f"{number}.0.0.0/9" for number in (3, 15, 18, 52)], False),
        (["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"], True),
        (["203.0.113.0/24"] * 3 + ["10.0.0.0/8"] * 3 + ["10.1.0.0/16"], True),
        (["2600::/16", "2a00::/16"], False),
        (["2001:db8::/32", "203.0.113.0/24"], True),
    ],
)
def test_networks_of_a_list_are_judged_together(networks, limits):
    """Many narrow networks that are a large part of all addresses limit nothing."""
    rows = expand(document(statement(Condition={"IpAddress": {"aws:SourceIp": networks}}))).conditions
    assert {row["is_limiting"] for row in rows} == {limits}


def test_values_of_limiting_keys_have_columns():
    """They are there where the operator limits, several as JSON, and NULL under any other operator."""
    one = {
        "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::a"},
        "StringEquals": {
            "aws:SourceAccount": [OWN, OTHER, OWN],
            "aws:PrincipalOrgID": "o-a1b2c3d4e5",
            "lambda:FunctionUrlAuthType": "NONE",
        },
        "Bool": {"lambda:InvokedViaFunctionUrl": True},
    }
    other = {
        "ArnLikeIfExists": {"aws:SourceArn": "arn:aws:s3:::a"},
        "Bool": {"lambda:InvokedViaFunctionUrl": ["true", "false"]},
    }
    first, second, third = expand(
        document(statement(Condition=one), statement(Condition=other), statement())
    ).statements
    names = ("source_arn", "source_account", "principal_org_id", "function_url_auth_type", "invoked_via_function_url")
    assert [first[name] for name in names] == [
        "arn:aws:s3:::a",
        f'["{OWN}","{OTHER}"]',
        "o-a1b2c3d4e5",
        "NONE",
        True,
    ]
    assert {second[name] for name in names} == {third[name] for name in names} == {None}
    assert json.loads(first["condition_json"]) == one
    assert third["condition_json"] is None


def test_one_object_in_place_of_a_list_is_a_statement_and_an_empty_list_is_none():
    """IAM allows both; a policy without statements grants nothing."""
    assert len(expand(document() | {"Statement": statement()}).statements) == 1
    assert expand(document()).statements == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_policy_is_visible_and_never_judged_safe(name):
    """Each makes a problem and a row without principal_type, but where only characters of a text were replaced."""
    made = expand(HOSTILE[name])
    assert made.problems or name in ("a huge number", "an infinite number", "not a number")
    assert made.statements
    if name not in ("a lone surrogate", "a huge number", "an infinite number", "not a number"):
        assert any(row["principal_type"] is None for row in made.statements)
    assert TOKEN not in repr(made)
    for table in (made.statements, made.conditions):
        json.dumps(table).encode()
    assert [row["position"] for row in made.statements] == list(range(len(made.statements)))


@pytest.mark.parametrize("answer", [{"Policy": None}, {"Policy": {"Statement": []}}, {"Policy": 7}])
def test_an_answer_whose_policy_is_no_text_is_visible(answer):
    """A response of 200 without a text is no policy that grants nothing."""
    made = expand("", **answer)
    assert [row["principal_type"] for row in made.statements] == [None]
    assert made.problems


def test_an_answer_with_other_fields_loses_none():
    """Unknown fields of the answer, the document and a statement are kept, and a revision that is no text."""
    made = expand(document(statement(Foo={"Bar": 1}), More=[True]), RevisionId=7, NewField={"a": 1})
    assert [row["extra_json"] for row in made.statements] == [
        {
            "NewField": {"a": 1},
            "Policy.Id": "default",
            "Policy.More": [True],
            "Policy.Version": "2012-10-17",
            "RevisionId": 7,
        },
        {"Policy.Statement[0].Foo": {"Bar": 1}},
    ]
    assert made.problems == [
        ("wrong_type", "RevisionId is a number"),
        ("invalid_policy", "Policy.Statement[0] has an unknown element"),
        ("invalid_policy", "the policy has an unknown key"),
    ]


@pytest.mark.parametrize("count", [1_000, 1_001])
def test_a_policy_of_more_than_a_thousand_rows_keeps_its_lists_in_one(count):
    """A thousand rows are made; one more, and the lists are JSON in one row that cannot be judged."""
    actions = [f"lambda:A{number}" for number in range(count // (2 if count == 1_000 else 1))]
    principals = {"AWS": [OWN, OTHER]} if count == 1_000 else {"AWS": [OWN]}
    made = expand(document(statement(Principal=principals, Action=actions)))
    if count == 1_000:
        assert len(made.statements) == count
        assert made.problems == []
        return
    (row,) = made.statements
    assert row["principal_type"] is row["is_public_principal"] is None
    assert json.loads(row["action"]) == actions
    assert json.loads(row["principal"]) == principals
    assert (row["sid"], row["effect"], row["resource"], row["statement"]) == ("invoke", "Allow", FUNCTION_ARN, 0)
    assert [code for code, _ in made.problems] == ["too_many_rows"]


def test_lists_that_would_make_millions_of_rows_are_counted_before_any_is_made():
    """20 KB of principals, actions and resources are one row, and so are many statements."""
    texts = [str(number) for number in range(1_000)]
    made = expand(document(statement(Principal={"AWS": texts}, Action=texts, Resource=texts)))
    assert len(made.statements) == 1
    both = expand(document(*[statement()] * 1_000, statement(Principal=None, NotPrincipal="*", Effect="Deny")))
    (row,) = both.statements
    assert json.loads(row["principal"])[-2:] == [{"Principal": {"Service": "s3.amazonaws.com"}}, {"NotPrincipal": "*"}]
    assert json.loads(row["effect"])[-2:] == ["Allow", "Deny"]
    long = statement(Action=texts, Condition={"StringEquals": {"aws:SourceAccount": "x" * 10_000}})
    assert [code for code, _ in expand(document(long)).problems] == ["too_many_rows"]
    accounts = statement(Condition={"StringEquals": {"aws:SourceAccount": [*texts, "x"]}})
    assert [code for code, _ in expand(document(accounts)).problems] == ["too_many_rows"]


@pytest.mark.parametrize("mask", [lambda text: f"hmac-{len(text)}", lambda _: None])
def test_a_token_is_only_kept_as_hmac(mask):
    """Whatever its operator and the case of its key, the token's value is nowhere; it still limits."""
    condition = token_condition() | token_condition("StringLikeIfExists", "LAMBDA:eventsourcetoken")
    made = expand(document(statement(Condition=condition)), mask=mask)
    stored = mask(TOKEN) or "[hidden]"
    assert TOKEN not in repr(made)
    assert [(row["value"], row["is_limiting"]) for row in made.conditions] == [(stored, True), (stored, False)]
    assert json.loads(made.statements[0]["condition_json"])["StringEquals"] == {"lambda:EventSourceToken": stored}


@pytest.mark.parametrize(
    "elements",
    [
        {"Condition": {"StringEquals": {"Key": "lambda:EventSourceToken", "Value": TOKEN}}},
        {"Condition": {"StringEquals": {"Value": [TOKEN, "x"], "Key": ["LAMBDA:eventsourcetoken"]}}},
        {"Condition": {"StringEquals": {"aws:SourceArn": "lambda:EventSourceToken", "aws:SourceAccount": TOKEN}}},
        {"Condition": {"StringEquals": {"aws:SourceAccount": [TOKEN, "lambda:EventSourceToken"]}}},
        {"Condition": {"Key": {"Name": "EventSourceToken"}, "StringEquals": {"Value": TOKEN, "Other": {"a": TOKEN}}}},
        {"Condition": [{"Key": "lambda:EventSourceToken"}, {"Value": TOKEN}]},
        {"Conditions": [{"Operator": "StringEquals", "Key": "Lambda:EventSourceToken", "Value": TOKEN}]},
        {"Key": "lambda:EventSourceToken", "Value": TOKEN},
    ],
)
@pytest.mark.parametrize("mask", [lambda text: f"hmac-{len(text)}", lambda _: None])
def test_a_value_beside_one_that_names_the_key_of_a_token_is_hidden(elements, mask):
    """A condition written as pairs of key and value keeps no token, in no column."""
    too_many = statement(Action=[f"lambda:{number}" for number in range(1_001)])
    for statements in ([statement(**elements)], [statement(**elements), too_many]):
        assert TOKEN not in repr(expand(document(*statements), mask=mask))


def test_rows_have_the_columns_of_their_tables():
    """Every column but those of the request and the run is in every row, and no other."""
    made = expand(document(statement(Condition=token_condition()), 7))
    outside = {*COLUMNS_OF_THE_RUN, "fetched_at", "carried_forward"}
    assert {frozenset(row) for row in made.statements} == {frozenset({*POLICY_STATEMENTS.names()} - outside)}
    assert {frozenset(row) for row in made.conditions} == {frozenset({*POLICY_CONDITIONS.names()} - outside)}


def test_a_value_that_stands_twice_has_one_row():
    """No two rows of policy_conditions have the same key."""
    condition = {"StringEquals": {"aws:SourceAccount": [OWN, OWN]}, "stringequals": {"AWS:SourceAccount": OWN}}
    assert len(expand(document(statement(Condition=condition))).conditions) == 1


def test_values_that_are_stored_alike_limit_if_all_of_them_do():
    """A wildcard among the tokens of a condition shows in a run without a key, whose rows do not tell tokens apart."""
    condition = {"StringEquals": {"lambda:EventSourceToken": [TOKEN, "*"]}}
    made = expand(document(statement(Condition=condition)), mask=lambda _: None)
    assert [(row["value"], row["is_limiting"]) for row in made.conditions] == [("[hidden]", False)]
