"""Short functions for the rows that the cases of checks consist of."""

from datetime import UTC, datetime, timedelta

from lexport.extract.secret_rules import secret_rule

A = "111122223333"
AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
LATEST = "$LATEST"
ROLE = f"arn:aws:iam::{A}:role/shared"


def days(number):
    return AT - timedelta(days=number)


def fn(name="f", version=LATEST, **more):
    return {"function_name": name, "version": version, **more}


def route(alias="live", version="1", weight=1.0, name="f"):
    return {"function_name": name, "alias": alias, "version": version, "weight": weight}


def layer(arn, name="f", version=LATEST, position=0):
    return {"function_name": name, "version": version, "position": position, "layer_arn": arn}


def var(name, rule=None, function="f", version=LATEST):
    return {"function_name": function, "version": version, "name": name, "secret_rule": rule}


def subnet(number, name="f", version=LATEST):
    return {"function_name": name, "version": version, "subnet_id": f"subnet-{number}"}


def url(qualifier=LATEST, name="f", **more):
    return {"function_name": name, "qualifier": qualifier, **more}


def tag(key, name="f"):
    return {"function_name": name, "key": key, "value": ""}


NAMED = secret_rule("DB_PASSWORD", "correct horse")  # the rule that knows no more than the name
OWN_LAYER = f"arn:aws:lambda:eu-west-1:{A}:layer:deps:"
