"""The parameters of Lambda's requests that name a function: every form of FunctionName, and Qualifier."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lexport.model import Scope
from lexport.simulator import known_regions
from lexport.simulator.responses import ApiCall, AwsError, invalid_parameter, invalid_shape, not_found
from lexport.simulator.spec import FunctionSpec

if TYPE_CHECKING:
    from lexport.simulator.fleet import Fleet

_ARN_HEAD = (
    r"(?P<head>arn:(?:aws[a-zA-Z-]*)?:lambda:)?(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d:)?"
    r"(?P<account>\d{12}:)?(?:function:)?"
)
WITH_DOTS = re.compile(
    _ARN_HEAD + r"(?P<name>[a-zA-Z0-9-_.]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
NO_DOTS = re.compile(_ARN_HEAD + r"(?P<name>[a-zA-Z0-9-_]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?")
BREAKS_PATTERN = "Member must satisfy regular expression pattern"
_QUALIFIER = re.compile(r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+")


def name_and_qualifier(raw_name: str) -> tuple[str, str | None]:
    """Split any form of FunctionName into the name and the qualifier, if it has one."""
    matched = WITH_DOTS.fullmatch(raw_name)
    return (matched["name"], matched["qualifier"]) if matched else (raw_name, None)


def named(scope: Scope, call: ApiCall, pattern: re.Pattern[str], *, longest: int) -> tuple[str, str | None]:
    """Return name and qualifier of any form of FunctionName; raises AwsError for another account or Region."""
    raw = call.raw_name or ""
    matched = pattern.fullmatch(raw)
    if len(raw) > longest:
        raise invalid_shape("functionName", raw, f"Member must have length less than or equal to {longest}")
    if matched is None:
        raise invalid_shape("functionName", raw, BREAKS_PATTERN)
    region, account = (matched["region"] or "").rstrip(":"), (matched["account"] or "").rstrip(":")
    if region and region != scope.region:
        message = f"Functions from '{region}' are not reachable in this region ('{scope.region}')"
        raise AwsError(404, "ResourceNotFoundException", message, more={"Type": "User"})
    if account and account != scope.account_id:
        raise AwsError(403, "AccessDeniedException", None)
    given, qualifier = matched["qualifier"], call.query.get("Qualifier")
    if qualifier is not None and (not _QUALIFIER.fullmatch(qualifier) or len(qualifier) > 128):
        raise invalid_shape("qualifier", qualifier, BREAKS_PATTERN)
    if given is not None and qualifier is not None and given != qualifier:
        raise invalid_parameter("The derived qualifier from the function name does not match the specified qualifier.")
    return matched["name"], given or qualifier


def function_arn(scope: Scope, name: str, qualifier: str | None) -> str:
    """Return the ARN of a function, with the qualifier if there is one."""
    arn = f"arn:{known_regions.partition(scope.region)}:lambda:{scope.region}:{scope.account_id}:function:{name}"
    return arn if qualifier is None else f"{arn}:{qualifier}"


def existing_function(
    fleet: Fleet, scope: Scope, call: ApiCall, pattern: re.Pattern[str] = NO_DOTS, *, longest: int = 140
) -> tuple[int, FunctionSpec]:
    """Return the index and the function that a call names; raises AwsError where there is none."""
    name, _ = named(scope, call, pattern, longest=longest)
    index = fleet.index(scope, name)
    if index is None:
        raise not_found(function_arn(scope, name, None))
    return index, fleet.function(scope, index)
