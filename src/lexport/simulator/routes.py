"""Parse requests: method, path and body -> the call of an operation of a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from lexport.simulator.function_names import name_and_qualifier
from lexport.simulator.presigned import function_of_path
from lexport.simulator.responses import ApiCall, Protocol
from lexport.simulator.signatures import Claim
from lexport.tables.call import PARAMETER
from lexport.tables.registry import resources

_PROTOCOLS: dict[str, Protocol] = {"lambda": "rest-json", "account": "rest-json", "organizations": "json"}
_PROTOCOLS |= {"sts": "query", "ec2": "ec2", "monitoring": "json", "cloudtrail": "json"}


@dataclass(frozen=True, slots=True)
class _Route:
    """One declared operation: its path, a parameter as None, and the parameters of the query that are constant."""

    operation: str
    steps: tuple[str | None, ...]
    parameters: tuple[str, ...]
    constants: tuple[tuple[str, str], ...]

    def takes(self, steps: Sequence[str], query: Mapping[str, str]) -> bool:
        """Return whether a request is one of this operation."""
        return all(step in (None, given) for step, given in zip(self.steps, steps, strict=True)) and all(
            query.get(name) == value for name, value in self.constants
        )


def _kind_of(steps: Sequence[str | None]) -> tuple[Any, ...]:
    return len(steps), *steps[1:3]  # "/2015-03-31/functions/..." begins with ""


@cache
def _routes() -> dict[tuple[Any, ...], list[_Route]]:
    """Return the declared operations of Lambda by the number of steps in their path and the first two of these."""
    routes: dict[tuple[Any, ...], list[_Route]] = {}
    calls = (call for resource in resources() for call in (resource.call, *resource.lists))
    for call in dict.fromkeys(call for call in calls if call.path.count("/") > 1):
        steps = tuple(None if step.startswith("{") else step for step in call.path.split("/"))
        constants = tuple(
            (name, value) for name, _, value in (part.partition("=") for part in call.query) if "{" not in value
        )
        route = _Route(call.operation, steps, tuple(PARAMETER.findall(call.path)), constants)
        routes.setdefault(_kind_of(steps), []).append(route)
    for same in routes.values():  # the most special one first
        same.sort(key=lambda route: (route.steps.count(None), -len(route.constants)))
    return routes


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
    steps = path.rstrip("/").split("/")
    routes = _routes().get(_kind_of(steps), ()) if method == "GET" else ()
    found = next((route for route in routes if route.takes(steps, query)), None)
    if found is None:
        return None
    call = ApiCall(service="lambda", operation=found.operation, protocol="rest-json", region=claim.region, query=query)
    if found.parameters:
        given = [step for step, declared in zip(steps, found.steps, strict=True) if declared is None]
        call.parameters = dict(zip(found.parameters, map(unquote, given), strict=True))
    if (raw_name := call.parameters.get("function_name")) is not None:
        call.raw_name = raw_name
        call.function_name, qualifier = name_and_qualifier(raw_name)
        call.qualifier = query.get("Qualifier", qualifier)
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
