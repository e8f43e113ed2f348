"""Lambda: the documents and errors of its operations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from lexport.model import LATEST, Scope
from lexport.simulator import known_regions, lambda_documents, seeded
from lexport.simulator.fleet import Fleet
from lexport.simulator.package_files import package
from lexport.simulator.pagination import PAGE_SIZE, Position, read_marker
from lexport.simulator.presigned import PresignedUrls
from lexport.simulator.responses import ApiCall, AwsError, invalid_parameter, invalid_shape, not_found
from lexport.simulator.spec import FunctionSpec, VersionSpec

_ARN_HEAD = (
    r"(?P<head>arn:(?:aws[a-zA-Z-]*)?:lambda:)?(?P<region>(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d:)?"
    r"(?P<account>\d{12}:)?(?:function:)?"
)
_WITH_DOTS = re.compile(
    _ARN_HEAD + r"(?P<name>[a-zA-Z0-9-_.]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
_NO_DOTS = re.compile(_ARN_HEAD + r"(?P<name>[a-zA-Z0-9-_]+)(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?")
_PATTERN = "Member must satisfy regular expression pattern"
_QUALIFIER = re.compile(r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+")
_LAYER_VERSION_ARN = re.compile(
    r"arn:[^:]+:lambda:[^:]*:[^:]*:(layer|awslayer):(?P<name>[a-zA-Z0-9-_]+)(:(?P<number>\d+))?"
)


def name_and_qualifier(raw_name: str) -> tuple[str, str | None]:
    """Split any form of FunctionName into the name and the qualifier, if it has one."""
    matched = _WITH_DOTS.fullmatch(raw_name)
    return (matched["name"], matched["qualifier"]) if matched else (raw_name, None)


class LambdaService:
    """The Lambda operations that the simulator knows."""

    def __init__(self, fleet: Fleet, links: PresignedUrls) -> None:
        self._fleet = fleet
        self._presigned = links
        self._operations = {
            "GetFunction": self._get_function,
            "ListFunctions": self._list_functions,
            "ListVersionsByFunction": self._list_versions,
            "ListAliases": self._list_aliases,
            "GetAccountSettings": self._get_account_settings,
            "GetLayerVersionByArn": self._get_layer_version,
        }

    def document(self, call: ApiCall) -> dict[str, Any]:
        """Return the document of one call; raises AwsError if AWS would refuse it."""
        scope = Scope(account_id=call.account_id, region=call.region)
        return self._operations[call.operation](scope, call)

    def _get_function(self, scope: Scope, call: ApiCall) -> dict[str, Any]:
        name, qualifier = _named(scope, call, _WITH_DOTS, longest=256)
        arn = _arn(scope, name, qualifier)
        index = self._fleet.index(scope, name)
        if index is None:
            raise not_found(arn)
        function = self._fleet.function(scope, index)
        version = self._version(scope, index, function, qualifier)
        if version is None:
            raise not_found(arn)
        location = None
        if lambda_documents.has_location(version):
            location = self._presigned.sign_url(scope, name, version.package_key)
        return lambda_documents.get_function(version, arn_qualifier=qualifier, location=location)

    def _version(self, scope: Scope, index: int, function: FunctionSpec, qualifier: str | None) -> VersionSpec | None:
        if qualifier is None or qualifier == LATEST or qualifier.isdecimal():
            return self._fleet.version(scope, index, qualifier or LATEST, function)
        for alias in self._fleet.aliases(scope, index):
            if alias.name == qualifier:
                return self._fleet.version(scope, index, alias.function_version, function)
        return None

    def _list_functions(self, scope: Scope, call: ApiCall) -> dict[str, Any]:
        function_version, master = call.query.get("FunctionVersion"), call.query.get("MasterRegion")
        if function_version not in (None, "ALL"):
            raise invalid_shape("functionVersion", str(function_version), "Member must satisfy enum value set: [ALL]")
        if master is not None and function_version is None:
            combination = f"The combination MasterArn={master} and FunctionVersion=NULL is not supported"
            raise invalid_parameter(combination)
        start = _start(call, f"functions/{function_version or ''}/{master or ''}")
        versions = self._versions_from(scope, start, is_all=function_version is not None, master=master)
        page, following = _page(versions, start, _max_items(call))
        return _with_marker({"Functions": _listed(page, is_qualified=function_version is not None)}, following)

    def _versions_from(
        self, scope: Scope, start: Position, *, is_all: bool, master: str | None
    ) -> Iterator[tuple[VersionSpec, Position]]:
        """Yield versions, each with the position after it."""
        for index in self._fleet.indexes(scope, start.index):
            after = start.after if index == start.index else -1
            function = self._fleet.function(scope, index)
            if master not in (None, "ALL") and f":{master}:" not in (function.master_arn or ""):
                continue
            here = replace(start, index=index, after=after, nonce="")
            yield from self._versions_of(scope, index, function, here, is_all=is_all)

    def _versions_of(
        self, scope: Scope, index: int, function: FunctionSpec, start: Position, *, is_all: bool = True
    ) -> Iterator[tuple[VersionSpec, Position]]:
        numbers = map(str, self._fleet.published(scope, index, max(start.after, 0))) if is_all else ()
        for version in chain((LATEST,) if start.after < 0 else (), numbers):
            spec = self._fleet.version(scope, index, version, function)
            assert spec is not None
            yield spec, replace(start, after=0 if version == LATEST else int(version), nonce="")

    def _list_versions(self, scope: Scope, call: ApiCall) -> dict[str, Any]:
        index, function = self._listed_function(scope, call)
        start = _start(call, f"versions/{function.name}")
        page, following = _page(self._versions_of(scope, index, function, start), start, _max_items(call))
        return _with_marker({"Versions": _listed(page, is_qualified=True)}, following)

    def _list_aliases(self, scope: Scope, call: ApiCall) -> dict[str, Any]:
        index, function = self._listed_function(scope, call)
        start = _start(call, f"aliases/{function.name}")
        version = call.query.get("FunctionVersion")
        aliases = [alias for alias in self._fleet.aliases(scope, index) if version in (None, alias.function_version)]
        rest = ((alias, replace(start, index=n + 1, nonce="")) for n, alias in enumerate(aliases) if n >= start.index)
        page, following = _page(rest, start, _max_items(call))
        return _with_marker({"Aliases": [lambda_documents.alias(function, alias) for alias in page]}, following)

    def _listed_function(self, scope: Scope, call: ApiCall) -> tuple[int, FunctionSpec]:
        name, _ = _named(scope, call, _NO_DOTS, longest=140)
        index = self._fleet.index(scope, name)
        if index is None:
            raise not_found(_arn(scope, name, None))
        return index, self._fleet.function(scope, index)

    def _get_account_settings(self, scope: Scope, _call: ApiCall) -> dict[str, Any]:
        settings = self._fleet.account_settings(scope)
        return {
            "AccountLimit": {
                "TotalCodeSize": settings["code_size_limit"],
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": settings["concurrent_executions_limit"],
                "UnreservedConcurrentExecutions": settings["unreserved_concurrent_executions"],
            },
            "AccountUsage": {"TotalCodeSize": settings["code_size_used"], "FunctionCount": settings["function_count"]},
        }

    def _get_layer_version(self, scope: Scope, call: ApiCall) -> dict[str, Any]:
        arn = call.query.get("Arn", "")
        matched = _LAYER_VERSION_ARN.fullmatch(arn)
        if matched is None or call.query.get("find") != "LayerVersion":
            raise invalid_shape("arn", arn, _PATTERN)
        spec = self._fleet.spec
        key = seeded.layer_package_key(spec.seed, arn, is_large=spec.large_packages)
        content = package(spec.seed, key)
        number = matched["number"]
        return {
            "Content": {
                "Location": self._presigned.sign_url(scope, matched["name"], key),
                "CodeSha256": content.code_sha256,
                "CodeSize": content.code_size,
            },
            "LayerArn": arn.removesuffix(f":{number}") if number else arn,
            "LayerVersionArn": arn,
            "Description": "",
            "CreatedDate": "2024-05-14T06:20:50.057+0000",
            "Version": int(number or 1),
            "CompatibleRuntimes": ["python3.12", "python3.13"],
            "CompatibleArchitectures": ["x86_64", "arm64"],
        }


def _named(scope: Scope, call: ApiCall, pattern: re.Pattern[str], *, longest: int) -> tuple[str, str | None]:
    """Return name and qualifier of any form of FunctionName; raises AwsError for another account or Region."""
    raw = call.raw_name or ""
    matched = pattern.fullmatch(raw)
    if len(raw) > longest:
        raise invalid_shape("functionName", raw, f"Member must have length less than or equal to {longest}")
    if matched is None:
        raise invalid_shape("functionName", raw, _PATTERN)
    region, account = (matched["region"] or "").rstrip(":"), (matched["account"] or "").rstrip(":")
    if region and region != scope.region:
        message = f"Functions from '{region}' are not reachable in this region ('{scope.region}')"
        raise AwsError(404, "ResourceNotFoundException", message, more={"Type": "User"})
    if account and account != scope.account_id:
        raise AwsError(403, "AccessDeniedException", None)
    given, qualifier = matched["qualifier"], call.query.get("Qualifier")
    if qualifier is not None and (not _QUALIFIER.fullmatch(qualifier) or len(qualifier) > 128):
        raise invalid_shape("qualifier", qualifier, _PATTERN)
    if given is not None and qualifier is not None and given != qualifier:
        raise invalid_parameter("The derived qualifier from the function name does not match the specified qualifier.")
    return matched["name"], given or qualifier


def _arn(scope: Scope, name: str, qualifier: str | None) -> str:
    arn = f"arn:{known_regions.partition(scope.region)}:lambda:{scope.region}:{scope.account_id}:function:{name}"
    return arn if qualifier is None else f"{arn}:{qualifier}"


def _start(call: ApiCall, listing: str) -> Position:
    call.listing = listing
    return read_marker(call.query.get("Marker"), listing)


def _max_items(call: ApiCall) -> int:
    text = call.query.get("MaxItems", "50")
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise invalid_shape("maxItems", text, "Member must have value between 1 and 10000")
    return min(PAGE_SIZE, int(text))


def _page(items: Iterator[tuple[Any, Position]], start: Position, size: int) -> tuple[list[Any], Position | None]:
    page: list[Any] = []
    after = start
    for item, following in items:
        if len(page) == size:
            return page, after
        page.append(item)
        after = following
    return page, None


def _listed(page: list[VersionSpec], *, is_qualified: bool) -> list[dict[str, Any]]:
    return [
        lambda_documents.configuration(spec, arn_qualifier=spec.version if is_qualified else None, is_listed=True)
        for spec in page
    ]


def _with_marker(document: dict[str, Any], following: Position | None) -> dict[str, Any]:
    return document if following is None else {**document, "NextMarker": following.marker()}
