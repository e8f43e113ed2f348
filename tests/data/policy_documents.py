"""Policies of functions, hostile ones among them, and a plain way to expand them. No account here is real."""

from __future__ import annotations

import json

from lexport.tables.policy_rows import policy_rows

OWN, OTHER = "111122223333", "444455556666"
FUNCTION_ARN = f"arn:aws:lambda:eu-west-1:{OWN}:function:orders"
TOKEN = "amzn1.ask.skill." + "canary-5f1e"
"""A value of lambda:EventSourceToken, which must not be in any file or line."""


def statement(**elements):
    """One statement as AddPermission writes it, with other elements; None leaves one out."""
    usual = {
        "Sid": "invoke",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": FUNCTION_ARN,
    }
    return {key: value for key, value in (usual | elements).items() if value is not None}


def document(*statements, **others):
    return {"Version": "2012-10-17", "Id": "default", "Statement": list(statements), **others}


def token_condition(operator="StringEquals", key="lambda:EventSourceToken"):
    return {operator: {key: TOKEN}}


HOSTILE = {
    "no JSON": "{",
    "no JSON with a token": '{"Statement": [{"Condition": {"StringEquals": {"lambda:EventSourceToken": "' + TOKEN,
    "empty text": "",
    "a text": json.dumps("x"),
    "a document within a text": json.dumps(json.dumps(document(statement(Condition=token_condition())))),
    "a number": "7",
    "null": "null",
    "an array": "[]",
    "an empty object": "{}",
    "statements that are null": '{"Statement": null}',
    "statements that are a text": '{"Statement": "Allow"}',
    "a statement that is a text": json.dumps(document("Allow")),
    "a statement that is null": json.dumps(document(None)),
    "an array of arrays": json.dumps(document([statement()])),
    "nested arrays": "[" * 100_000 + "]" * 100_000,
    "nested objects": json.dumps(document()).replace("[]", '{"a":' * 900 + "1" + "}" * 900),
    "a nested condition": json.dumps(document(statement(Condition={"Bool": {"a": [[[{"b": {"c": [1]}}]]]}}))),
    "a key twice": '{"Statement": [], "Statement": [{"Effect": "Allow"}]}',
    "statements in lower case": json.dumps(document(statement=[statement(Principal="*")])),
    "an unknown key that is null": json.dumps(document()).replace('"Id"', '"Statements": null, "Id"'),
    "an effect twice": json.dumps(document(statement())).replace('"Effect"', '"Effect": "Deny", "Effect"'),
    "a large document": json.dumps(document(statement(Condition=token_condition(), Sid="s" * 300_000))),
    "too many rows": json.dumps(document(statement(Action=[f"lambda:{n}" for n in range(1_001)]))),
    "many keys twice": "{" + '"Statement": 1, ' * 5_000 + '"Statement": [{}]}',
    "a huge number": json.dumps(document(statement(Condition={"Bool": {"k": "N"}}))).replace('"N"', "9" * 5_000),
    "an infinite number": json.dumps(document(statement(Condition={"Bool": {"k": "N"}}))).replace('"N"', "1e999"),
    "not a number": json.dumps(document(statement(Condition={"Bool": {"k": "N"}}))).replace('"N"', "NaN"),
    "a lone surrogate": json.dumps(document(statement(Sid="S"))).replace('"S"', r'"\ud800 and \u0000"'),
    "no effect": json.dumps(document(statement(Effect=None))),
    "another effect": json.dumps(document(statement(Effect="allow"))),
    "effects": json.dumps(document(statement(Effect=["Allow"]))),
    "no principal": json.dumps(document(statement(Principal=None))),
    "an empty principal": json.dumps(document(statement(Principal={}))),
    "an empty list of principals": json.dumps(document(statement(Principal={"AWS": []}))),
    "a bare principal": json.dumps(document(statement(Principal="s3.amazonaws.com"))),
    "a number as principal": json.dumps(document(statement(Principal={"AWS": 111122223333}))),
    "both principals": json.dumps(document(statement(NotPrincipal="*"))),
    "no action": json.dumps(document(statement(Action=None))),
    "an empty list of actions": json.dumps(document(statement(Action=[]))),
    "an action that is null": json.dumps(document(statement(Action=["lambda:GetFunction", None]))),
    "a condition that is a list": json.dumps(document(statement(Condition=[token_condition()]))),
    "a condition that is a text": json.dumps(document(statement(Condition=json.dumps(token_condition())))),
    "a condition of pairs": json.dumps(document(statement(Condition=["lambda:EventSourceToken", TOKEN]))),
    "an operator that is a text": json.dumps(document(statement(Condition={"StringEquals": "x"}))),
    "a token in an object": json.dumps(
        document(statement(Condition={"Null": {"LAMBDA:eventsourceTOKEN": {"a": TOKEN}}}))
    ),
    "a token elsewhere": json.dumps(document(statement(**{"lambda:EventSourceToken": [TOKEN]}))),
    "a Sid that is a list": json.dumps(document(statement(Sid=["a"]))),
    "a condition in lower case": json.dumps(document(statement(condition={}))),
    "an element with a space": json.dumps(document(statement(**{"Condition ": {}}))),
    "an unknown element that is null": json.dumps(document(statement())).replace('"Sid"', '"Conditions": null, "Sid"'),
    "an empty list of resources": json.dumps(document(statement(Resource=[]))),
    "a resource that is null": json.dumps(document(statement())).replace(json.dumps(FUNCTION_ARN), "null"),
    "a condition that is null": json.dumps(document(statement())).replace('"Sid"', '"Condition": null, "Sid"'),
    "a broken statement after a good one": json.dumps(document(statement(), statement(Action=7))),
}
"""Name -> text: of each, something must be visible and nothing may be taken for safe."""


def expand(policy, *, mask=lambda text: f"hmac-{len(text)}", **answer):
    """Expand a policy: a text as it is, anything else as JSON."""
    sent = policy if isinstance(policy, str) else json.dumps(policy)
    return policy_rows({"Policy": sent, "RevisionId": "r-1", **answer}, mask)
