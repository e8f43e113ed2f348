"""Check that a response belongs to its request: name, version and ARN are compared before anything of it is used.

A proxy that mixes up its connections, a cache that ignores the query or a server behind a wrong endpoint responds with
status 200 as well. The checks are pure; ``checked`` puts one between a call and the retry layer.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from operator import methodcaller
from typing import Any

from lexport.aws.client import LambdaClient
from lexport.aws.http.message import Response
from lexport.aws.quota.pacer import CallApi
from lexport.errors import FunctionGoneError, WrongAnswerError
from lexport.extract.decode import decode_function
from lexport.model import LATEST, FunctionRef, Reply, Scope, Source
from lexport.tables.arn import is_function_arn, is_version, shown
from lexport.tables.call import Call
from lexport.tables.functions import GET_FUNCTION
from lexport.tables.resource import Resource, Subject

_LAYER_OF_AWS = ":awslayer:"  # their ARNs have no version, and the ARN in the response is not documented


def checked(
    api: LambdaClient,
    call: Callable[[LambdaClient], Awaitable[Response]],
    decode: Callable[[bytes], Reply],
    check: Callable[..., bool],
    *expected: Any,
    function: tuple[Scope, str, str | None] | None = None,
) -> Callable[[], Awaitable[Reply]]:
    """Return an attempt that calls, decodes, and returns the reply if it passes ``check(reply, *expected)``.

    ``check`` returns whether the reply names what was requested. ``function`` is the one, with its qualifier, that a
    response "not found" has to be about.

    The connection that brought a wrong response may be one response behind, and others to the same server too. So it is
    closed, and every further attempt opens a connection of its own.
    """
    api_in_use = api

    async def attempt() -> Reply:
        nonlocal api_in_use
        source: Source | None = None
        try:
            response = await call(api_in_use)
            source = response.source
            reply = decode(response.body)
            reply.source = source
            names_it = check(reply, *expected)
        except (WrongAnswerError, FunctionGoneError) as error:
            if isinstance(error, FunctionGoneError) and (function is None or _is_gone(error, *function)):
                raise
            source = source or error.source
            if source is not None:
                source.retire()
            api_in_use = api.on_fresh_connections()
            if isinstance(error, FunctionGoneError):
                raise WrongAnswerError(str(error), code="wrong_answer", http_status=error.http_status) from error
            raise
        if source is not None and source.is_unconfirmed and names_it:
            source.confirm()
        return reply

    return attempt


_ARN = re.compile(r"arn:aws[a-zA-Z-]*:lambda:([a-z0-9-]+):(\d{12}):function:([a-zA-Z0-9_.-]+)(?::([$a-zA-Z0-9_.-]+))?")


def _is_gone(error: FunctionGoneError, scope: Scope, function_name: str, qualifier: str | None) -> bool:
    """Return whether "not found" is about this function: AWS's message ends with its ARN, or has none at all."""
    arns = _ARN.findall(str(error))
    if not arns:
        return True
    region, account_id, name, other = arns[-1]
    return (region, account_id, name) == (scope.region, scope.account_id, function_name) and (
        not other or qualifier is None or other == qualifier
    )


# --- one function ----------------------------------------------------------------------------------------------------


def check_function(reply: Reply, ref: FunctionRef, scope: Scope) -> bool:
    """Compare a response of GetFunction with the function, version or alias that was requested.

    AWS returns ``$LATEST`` for an unqualified call, for a number that version, and for an alias any version that it
    points to. The ARN has the qualifier of the call; an ARN without a qualifier is accepted too.
    """
    if reply.typed is None:
        name, version, arn = names_of(reply.document.get("Configuration"))
    elif (configuration := reply.typed.Configuration) is not None:
        name, version, arn = configuration.FunctionName, configuration.Version, configuration.FunctionArn
    else:
        name = version = arn = None
    qualifier = ref.qualifier or LATEST
    if (
        name == ref.function_name
        and (is_version(version) if ref.is_alias else version == qualifier)
        and is_function_arn(arn, f"{scope.region}:{scope.account_id}:function:{name}", qualifier, version)
    ):
        return True
    requested = f"{ref.function_name}, {'alias' if ref.is_alias else 'version'} {qualifier}, of {scope}"
    raise _wrong("GetFunction", requested, _function_text(name, version, arn))


async def fetch_function(api: LambdaClient, call_api: CallApi, ref: FunctionRef, scope: Scope) -> Reply:
    """Get one function, version or alias; a response about anything else is retried, and is an error at last."""
    attempt = checked(
        api,
        methodcaller("call", GET_FUNCTION, function_name=ref.called_as or ref.function_name, qualifier=ref.qualifier),
        decode_function,
        check_function,
        ref,
        scope,
        function=(scope, ref.function_name, ref.qualifier),
    )
    return await call_api(GET_FUNCTION, attempt)


# --- pages -----------------------------------------------------------------------------------------------------------


def check_versions(reply: Reply, marker: str | None, scope: Scope, function_name: str | None = None) -> bool:
    """Check a page of ListFunctions or ListVersionsByFunction: every item is of the account-region, or of the function.

    An item whose name, version or ARN is absent or no text passes: that item is lost later, and the page is not.
    """
    is_fleet = function_name is None
    operation, key = ("ListFunctions", "Functions") if is_fleet else ("ListVersionsByFunction", "Versions")
    functions = f"{scope.region}:{scope.account_id}:function:"
    usual = f"arn:aws:lambda:{functions}"
    if reply.typed is not None:
        items = [(item.FunctionName, item.Version, item.FunctionArn) for item in getattr(reply.typed, key)]
    else:
        items = list(map(names_of, list_of(reply, key, operation)))
    _check_marker(reply, marker, operation)
    for name, version, arn in items:
        if name.__class__ is not str or version.__class__ is not str or arn.__class__ is not str:
            continue
        if (
            (name != function_name and not is_fleet)
            or not is_version(version)
            or not (arn == f"{usual}{name}:{version}" or is_function_arn(arn, functions + name, version))
        ):
            requested = f"{function_name or 'functions'} of {scope}"
            raise _wrong(operation, requested, _function_text(name, version, arn))
    return bool(items)


def check_resource(reply: Reply, resource: Resource, subject: Subject, marker: str | None) -> bool:
    """Check a response of a declared resource: every item is about what was requested. An item of a wrong type passes.

    Return whether the response names what was requested: an empty page has nothing to compare.
    """
    call, scope, name = resource.call, subject.scope, subject.function_name
    items = items_of(reply.document, call)
    if call.page is not None:
        _check_marker(reply, marker, call.operation, call.page.next_marker)
    if resource.mismatch is None:
        return False
    function = f"{scope.region}:{scope.account_id}:function:{name or ''}"
    for item in items:
        received = resource.mismatch(item, function) if isinstance(item, dict) else None
        if received is not None:
            of_function = "" if name is None else f"{name} of "
            requested = f"{resource.name.replace('_', ' ')} of {of_function}{scope}"
            raise _wrong(call.operation, requested, received)
    return bool(items) and name is not None


def next_marker_of(reply: Reply, key: str = "NextMarker") -> Any:
    """Return the marker of the next page, as the response has it."""
    return reply.document.get(key) if reply.typed is None else reply.typed.NextMarker


def _check_marker(reply: Reply, marker: str | None, operation: str, key: str = "NextMarker") -> None:
    """Refuse the page before the requested one: its next page is the requested one."""
    if marker is not None and next_marker_of(reply, key) == marker:
        what = f"{operation}: a page names itself as the next one"
        raise WrongAnswerError(what, code="repeated_marker", http_status=200)


def list_of(reply: Reply, key: str, operation: str) -> list[Any]:
    """Return the items of a page; raises WrongAnswerError if it has no list of them."""
    return _list(reply.document, key, operation)


def items_of(document: Mapping[str, Any], call: Call) -> list[Any]:
    """Return the items of a page, or the document as the only one; scalars as objects under ``item_name``.

    Raises WrongAnswerError for a page without a list of items.
    """
    if call.page is None:
        return [document]
    items, name = _list(document, call.page.items, call.operation), call.page.item_name
    return [{name: item} for item in items] if name else items


def _list(document: Mapping[str, Any], key: str, operation: str) -> list[Any]:
    items = document.get(key)
    if not isinstance(items, list):
        raise WrongAnswerError(f"{operation}: the page has no list of {key}", code="invalid_page", http_status=200)
    return items


# --- the rest --------------------------------------------------------------------------------------------------------


def check_layer_version(reply: Reply, layer_arn: str) -> bool:
    """Compare a response of GetLayerVersionByArn with the requested ARN."""
    arn = reply.document.get("LayerVersionArn")
    if arn == layer_arn or (_LAYER_OF_AWS in layer_arn and isinstance(arn, str) and _LAYER_OF_AWS in arn):
        return True
    raise _wrong("GetLayerVersionByArn", layer_arn, shown(arn))


# --- messages -----------------------------------------------------------------------------------------------------


def _wrong(operation: str, requested: str, received: str) -> WrongAnswerError:
    return WrongAnswerError(
        f"{operation}: asked for {requested}, the response has {received};"
        " a proxy or cache between here and AWS may mix up responses",
        code="wrong_answer",
        http_status=200,
    )


def _function_text(name: Any, version: Any, arn: Any) -> str:
    if name is None and version is None and arn is None:
        return "no function"
    return f"{shown(name)}, version {shown(version)}, ARN {shown(arn)}"


def names_of(configuration: Any) -> tuple[Any, Any, Any]:
    """Return the name, the version and the ARN of a function as the response has them, None where it has none."""
    if not isinstance(configuration, dict):
        return None, None, None
    return configuration.get("FunctionName"), configuration.get("Version"), configuration.get("FunctionArn")
