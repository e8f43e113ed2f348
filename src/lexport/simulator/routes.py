"""Parse requests: method, path and body -> the call of an operation of a service."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from lexport.simulator.lambda_service import name_and_qualifier
from lexport.simulator.presigned import function_of_path
from lexport.simulator.responses import ApiCall, Protocol
from lexport.simulator.signatures import Claim

_FUNCTIONS = "/2015-03-31/functions"
_OF_FUNCTION = re.compile(_FUNCTIONS + r"/([^/]+)(?:/(versions|aliases))?/?")
_OF_SUFFIX = {None: "GetFunction", "versions": "ListVersionsByFunction", "aliases": "ListAliases"}
_PROTOCOLS: dict[str, Protocol] = {"lambda": "rest-json", "account": "rest-json", "organizations": "json"}
_PROTOCOLS |= {"sts": "query", "ec2": "ec2", "cloudtrail": "json"}


def protocol_of(service: str | None) -> Protocol:
    """Return the protocol of a service; REST for those that the simulator does not know."""
    return _PROTOCOLS.get(service or "", "rest-json")


def route(claim: Claim, method: str, path_and_query: str, target: str | None, body: bytes) -> ApiCall | None:
    """Parse one request; return None if the simulator does not have the operation."""
    path, _, query_text = path_and_query.partition("?")
    protocol = protocol_of(claim.service)
    if claim.service == "lambda":
        return _lambda(claim, method, path, query_text)
    operation, parameters = "", dict[str, Any]()
    if claim.service in ("sts", "ec2"):
        parameters = dict(parse_qsl(body.decode() or query_text, keep_blank_values=True))
        operation = parameters.get("Action", "")
    elif protocol == "json":
        operation, parameters = (target or "").rpartition(".")[2], _json(body)
    elif claim.service == "account" and path == "/listRegions":
        operation, parameters = "ListRegions", _json(body)
    if not operation:
        return None
    return ApiCall(
        service=claim.service, operation=operation, protocol=protocol, region=claim.region, parameters=parameters
    )


def _lambda(claim: Claim, method: str, path: str, query_text: str) -> ApiCall | None:
    query = dict(parse_qsl(query_text, keep_blank_values=True)) if query_text else {}
    call = ApiCall(service="lambda", operation="", protocol="rest-json", region=claim.region, query=query)
    if method != "GET":
        return None
    if (matched := _OF_FUNCTION.fullmatch(path)) is not None:
        call.operation = _OF_SUFFIX[matched[2]]
        call.raw_name = unquote(matched[1])
        call.function_name, given = name_and_qualifier(call.raw_name)
        call.qualifier = query.get("Qualifier", given)
        return call
    match path.rstrip("/"):
        case "/2015-03-31/functions":
            call.operation = "ListFunctions"
        case "/2016-08-19/account-settings":
            call.operation = "GetAccountSettings"
        case "/2018-10-31/layers" if "find" in query:
            call.operation = "GetLayerVersionByArn"
        case _:
            return None
    return call


def presigned_call(path_and_query: str) -> ApiCall:
    """Return the GetObject call of one of Lambda's presigned URLs, for faults and the log."""
    account, name = "".join(path_and_query.split("/")[2:3]), function_of_path(path_and_query)
    return ApiCall(
        service="s3", operation="GetObject", protocol="s3", region="", account_id=account, function_name=name
    )


def is_presigned_by_caller(path_and_query: str) -> bool:
    """Return whether a caller has presigned the URL: that of an object in a customer's own bucket."""
    return "X-Amz-Credential=" in path_and_query.partition("?")[2]


def object_call(path_and_query: str) -> ApiCall:
    """Return the GetObject call of an object in a customer's bucket, whose key names the function."""
    name = unquote(path_and_query.partition("?")[0]).rpartition("/")[2].removesuffix(".zip")
    return ApiCall(service="s3", operation="GetObject", protocol="s3", region="", function_name=name)


def _json(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body or b"{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
