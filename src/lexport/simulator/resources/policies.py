"""Policies of functions, aliases and versions: every row of the truth table of exposure, and other documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from lexport.model import LATEST, Scope
from lexport.simulator import known_regions
from lexport.simulator.function_names import WITH_DOTS, function_arn, named
from lexport.simulator.resources.urls import urls_of
from lexport.simulator.responses import ApiCall, AwsError, invalid_parameter, not_found
from lexport.simulator.seeded_choices import SeededChoices

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

NAME = "policies"
IS_DEFAULT = False

OTHER_ACCOUNT = "444455556666"
ORGANIZATION = "o-a1b2c3d4e5"
TOKEN = "amzn1.ask.skill." + "6f2d-canary-of-a-token"
"""The value of every condition on lambda:EventSourceToken; no run may store it."""
_INVOKE, _INVOKE_URL, _GET = "lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "lambda:GetFunction"
_PUBLIC = (("*", "*"),)

Condition = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statement:
    """One statement, and what a correct row says of it.

    ``principals`` are types and names; ``is_not`` are the elements that have Not before them. ``columns`` are the
    values of conditions that have a column, ``open`` the (operator, key) of conditions that limit nothing.
    """

    sid: str = "statement"
    effect: str = "Allow"
    principals: tuple[tuple[str, str], ...] = _PUBLIC
    actions: tuple[str, ...] = (_INVOKE,)
    resources: tuple[str, ...] = ("",)
    condition: Condition = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    open: frozenset[tuple[str, str]] = frozenset()
    is_not: frozenset[str] = frozenset()
    is_public: bool | None = None
    covers: tuple[bool, bool] | None = None


@dataclass(frozen=True, slots=True)
class _Context:
    """What the ARNs of a policy are made of."""

    partition: str
    scope: Scope

    def arn(self, service: str, resource: str, account_id: str | None = None) -> str:
        account_id = self.scope.account_id if account_id is None else account_id
        return f"arn:{self.partition}:{service}:{self.scope.region}:{account_id}:{resource}"

    def iam(self, name: str, account_id: str) -> str:
        return f"arn:{self.partition}:iam::{account_id}:{name}"

    def bucket(self) -> str:
        return f"arn:{self.partition}:s3:::acme-uploads"


def _service(name: str, **more: Any) -> _Statement:
    return _Statement(principals=(("Service", name),), **more)


def _source_arn(arn: str, operator: str = "ArnLike") -> dict[str, Any]:
    return {"condition": {operator: {"AWS:SourceArn": arn}}, "columns": {"source_arn": arn}}


def _account(account_id: str) -> dict[str, Any]:
    return {"condition": {"StringEquals": {"aws:SourceAccount": account_id}}, "columns": {"source_account": account_id}}


def _url(auth_type: str) -> _Statement:
    return _Statement(
        sid="FunctionURLAllowPublicAccess",
        actions=(_INVOKE_URL,),
        condition={"StringEquals": {"lambda:FunctionUrlAuthType": auth_type}},
        columns={"function_url_auth_type": auth_type},
    )


def _via_url() -> _Statement:
    return _Statement(
        sid="FunctionURLInvokeAllowPublicAccess",
        condition={"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
        columns={"invoked_via_function_url": True},
    )


def _unjudged(operator: str, key: str, value: Any) -> _Statement:
    """Return a statement for everybody whose condition limits nothing."""
    return _Statement(condition={operator: {key: value}}, open=frozenset({(operator.lower(), key.lower())}))


def _lists(context: _Context) -> _Statement:
    own, other = context.scope.account_id, OTHER_ACCOUNT
    return _Statement(
        sid="Größe ✓",
        principals=(("AWS", own), ("AWS", context.iam("root", other)), ("Service", "events.amazonaws.com")),
        actions=(_INVOKE, _GET, "lambda:*"),
        resources=("", ":*"),
        condition={
            "StringEquals": {"aws:SourceAccount": [own, other], "aws:PrincipalOrgID": [ORGANIZATION]},
            "IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/0"]},
        },
        columns={"source_account": json.dumps([own, other], separators=(",", ":")), "principal_org_id": ORGANIZATION},
        open=frozenset({("0.0.0.0/0", "aws:sourceip")}),
    )


def _turned() -> _Statement:
    """Return a statement for everybody but one account, for everything but two actions."""
    return _Statement(
        principals=(("AWS", OTHER_ACCOUNT),),
        actions=(_GET, "lambda:Update*"),
        is_not=frozenset({"Principal", "Action", "Resource"}),
        is_public=True,
        covers=(True, True),
    )


_VARIANTS: tuple[Callable[[_Context], tuple[_Statement, ...]], ...] = (
    lambda _: (_url("NONE"), _via_url()),
    lambda _: (_Statement(),),
    lambda _: (_Statement(actions=(_GET,)),),
    lambda _: (_via_url(),),
    lambda _: (_url("NONE"),),
    lambda _: (_url("AWS_IAM"),),
    lambda _: (_url("AWS_IAM"), _Statement(principals=(("AWS", "*"),))),
    lambda _: (
        _Statement(
            condition={"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}, columns={"principal_org_id": ORGANIZATION}
        ),
    ),
    lambda _: (_Statement(condition={"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": f"{ORGANIZATION}/*"}}),),
    lambda context: (_Statement(**_account(context.scope.account_id)),),
    lambda _: (_Statement(**_account(OTHER_ACCOUNT)),),
    lambda _: (_unjudged("StringEqualsIfExists", "aws:SourceAccount", OTHER_ACCOUNT),),
    lambda _: (replace(_unjudged("StringLike", "aws:SourceArn", "*"), columns={"source_arn": "*"}),),
    lambda _: (_unjudged("StringNotEquals", "aws:PrincipalAccount", OTHER_ACCOUNT),),
    lambda context: (
        _service("apigateway.amazonaws.com", **_source_arn(context.arn("execute-api", "a1b2c3/*/GET/x"))),
    ),
    lambda context: (_service("events.amazonaws.com", **_source_arn(context.arn("events", "rule/nightly"))),),
    lambda context: (_service("logs.amazonaws.com", **_account(context.scope.account_id)),),
    lambda _: (_service("sns.amazonaws.com", condition={"StringEquals": {"aws:SourceOrgID": ORGANIZATION}}),),
    lambda context: (_service("sns.amazonaws.com", **_source_arn(context.arn("sns", "orders", OTHER_ACCOUNT))),),
    lambda context: (_service("s3.amazonaws.com", **_source_arn(context.bucket())),),
    lambda context: (
        _service(
            "s3.amazonaws.com",
            condition={
                "ArnLike": {"AWS:SourceArn": context.bucket()},
                "StringEquals": {"AWS:SourceAccount": context.scope.account_id},
            },
            columns={"source_arn": context.bucket(), "source_account": context.scope.account_id},
        ),
    ),
    lambda _: (_service("secretsmanager.amazonaws.com"),),
    lambda _: (_service("alexa-appkit.amazon.com", condition={"StringEquals": {"lambda:EventSourceToken": TOKEN}}),),
    lambda _: (_service("apigateway.amazonaws.com"),),
    lambda _: (_Statement(principals=(("AWS", OTHER_ACCOUNT),)),),
    lambda context: (_Statement(principals=(("AWS", context.iam("root", OTHER_ACCOUNT)),), actions=(_GET,)),),
    lambda context: (_Statement(principals=(("AWS", context.iam("role/deploy", OTHER_ACCOUNT)),)),),
    lambda context: (_Statement(principals=(("AWS", context.iam("role/deploy", context.scope.account_id)),)),),
    lambda _: (_Statement(principals=(("AWS", "AROAEXAMPLEDELETEDROLE"),)),),
    lambda _: (_Statement(principals=(("Federated", "cognito-identity.amazonaws.com"),)),),
    lambda _: (_Statement(principals=(("CanonicalUser", "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d52"),)),),
    lambda _: (_Statement(), _Statement(sid="no", effect="Deny", actions=("lambda:*",))),
    lambda _: (
        _Statement(),
        replace(_unjudged("StringNotEquals", "aws:PrincipalOrgID", ORGANIZATION), sid="others", effect="Deny"),
    ),
    lambda context: (_service("events.amazonaws.com"), _lists(context)),
    lambda _: (_turned(),),
    lambda _: (),
)
"""What each policy says, in the order of the truth table; the last one has no statement left."""


_FOR_URLS = _VARIANTS[1:2] + _VARIANTS[:1] + _VARIANTS[3:7]
"""What the policy of a target with a URL says: all that the truth table tells apart by the URL."""


def _statements_of(fleet: Fleet, scope: Scope, index: int, qualifier: str) -> tuple[_Statement, ...] | None:
    """Return the statements of a policy; None where there is none, as for every third target."""
    qualifiers = {url.qualifier or LATEST for url in urls_of(fleet, scope, index)}
    variants = _FOR_URLS if qualifier in qualifiers else _VARIANTS
    shift = SeededChoices(NAME, fleet.spec.seed, scope.account_id, scope.region, qualifier)
    slots = len(variants) * 3 // 2
    slot = (index + shift.pick(slots) + fleet.changes_of(NAME, scope, index)) % slots
    if slot >= len(variants):
        return None
    return variants[slot](_Context(known_regions.partition(scope.region), scope))


def _revision_id(fleet: Fleet, scope: Scope, index: int, qualifier: str) -> str | None:
    """Return the revision of a function, an alias or a version; None where there is none of that name."""
    if qualifier == LATEST or qualifier.isdecimal():
        version = fleet.version(scope, index, qualifier)
        return None if version is None else version.revision_id
    return next((alias.revision_id for alias in fleet.aliases(scope, index) if alias.name == qualifier), None)


# --- answers ----------------------------------------------------------------------------------------------------------


def _get_policy(fleet: Fleet, scope: Scope, call: ApiCall) -> dict[str, Any]:
    name, qualifier = named(scope, call, WITH_DOTS, longest=170)
    if qualifier == LATEST:
        raise invalid_parameter("We currently do not support permissions on $LATEST")
    arn = function_arn(scope, name, qualifier)
    index = fleet.index(scope, name)
    revision_id = None if index is None else _revision_id(fleet, scope, index, qualifier or LATEST)
    if index is None or revision_id is None:
        raise not_found(arn)
    statements = _statements_of(fleet, scope, index, qualifier or LATEST)
    if statements is None:
        raise AwsError(404, "ResourceNotFoundException", "The resource you requested does not exist.")
    policy = {"Version": "2012-10-17", "Id": "default", "Statement": [_document(arn, each) for each in statements]}
    return {"Policy": json.dumps(policy, ensure_ascii=False), "RevisionId": revision_id}


def _document(arn: str, statement: _Statement) -> dict[str, Any]:
    types = dict.fromkeys(type_ for type_, _ in statement.principals)
    principal: Any = {
        type_: _one_or_list([name for each, name in statement.principals if each == type_]) for type_ in types
    }
    elements = {
        "Principal": "*" if statement.principals == _PUBLIC else principal,
        "Action": _one_or_list(statement.actions),
        "Resource": _one_or_list([arn + rest for rest in statement.resources]),
    }
    condition = {"Condition": statement.condition} if statement.condition else {}
    return {
        "Sid": statement.sid,
        "Effect": statement.effect,
        **{("Not" if name in statement.is_not else "") + name: value for name, value in elements.items()},
        **condition,
    }


def _one_or_list(values: Sequence[str]) -> Any:
    return values[0] if len(values) == 1 else list(values)


ANSWERS = {"GetPolicy": _get_policy}


# --- the oracle -------------------------------------------------------------------------------------------------------

_COVERED = {_INVOKE: (True, False), _INVOKE_URL: (False, True), _GET: (False, False), "lambda:*": (True, True)}
_NO_VALUES: dict[str, Any] = dict.fromkeys(
    ("source_arn", "source_account", "principal_org_id", "function_url_auth_type", "invoked_via_function_url")
)


def rows_with_hmacs(
    fleet: Fleet, scope: Scope, value_hmac: Callable[[str], str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the expected rows: of functions and of their aliases."""
    for index in fleet.indexes(scope):
        function = fleet.name(index)
        for qualifier in (LATEST, *(alias.name for alias in fleet.aliases(scope, index))):
            statements = _statements_of(fleet, scope, index, qualifier) or ()
            arn = function_arn(scope, function, None if qualifier == LATEST else qualifier)
            key: dict[str, Any] = {"account_id": scope.account_id, "region": scope.region, "function_name": function}
            key |= {"qualifier": qualifier, "carried_forward": False}
            revision = {"revision_id": _revision_id(fleet, scope, index, qualifier)}
            made = [row for at, each in enumerate(statements) for row in _rows_of(arn, at, each, value_hmac)]
            for position, row in enumerate(made):
                others = {"Policy.Id": "default", "Policy.Version": "2012-10-17"}
                extra = {"extra_json": _json(others) if position == 0 else None}
                yield "policy_statements", key | {"position": position} | row | revision | extra
            for at, statement in enumerate(statements):
                for row in _condition_rows(statement, value_hmac):
                    yield "policy_conditions", key | {"statement": at} | row


def _rows_of(arn: str, at: int, statement: _Statement, value_hmac: Callable[[str], str]) -> Iterator[dict[str, Any]]:
    condition = _json(statement.condition).replace(TOKEN, value_hmac(TOKEN)) if statement.condition else None
    for (type_, name), action, rest in product(statement.principals, statement.actions, statement.resources):
        invoke, invoke_url = statement.covers or _COVERED[action]
        yield {
            "statement": at,
            "sid": statement.sid,
            "effect": statement.effect,
            "principal_type": type_,
            "principal": name,
            "action": action,
            "resource": arn + rest,
            **{f"is_not_{name.lower()}": name in statement.is_not for name in ("Principal", "Action", "Resource")},
            "is_public_principal": name == "*" if statement.is_public is None else statement.is_public,
            "covers_invoke_function": invoke,
            "covers_invoke_function_url": invoke_url,
            "condition_json": condition,
            **_NO_VALUES,
            **statement.columns,
        }


def _condition_rows(statement: _Statement, value_hmac: Callable[[str], str]) -> Iterator[dict[str, Any]]:
    for operator, keys in statement.condition.items():
        for key, given in keys.items():
            for value in given if isinstance(given, list) else [given]:
                is_open = not {(operator.lower(), key.lower()), (value, key.lower())}.isdisjoint(statement.open)
                yield {
                    "operator": operator.lower(),
                    "key": key.lower(),
                    "value": value_hmac(value) if value == TOKEN else value,
                    "is_limiting": not is_open,
                }


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
