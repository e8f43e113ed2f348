"""The documents and errors of operations: those about functions here, the others in ``resources``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from lexport.model import LATEST, Scope
from lexport.simulator import lambda_documents, seeded
from lexport.simulator.fleet import Fleet
from lexport.simulator.function_names import BREAKS_PATTERN, WITH_DOTS, existing_function, function_arn, named
from lexport.simulator.package_files import package
from lexport.simulator.pagination import Position, max_items, page_of, start_of, with_marker
from lexport.simulator.presigned import PresignedUrls
from lexport.simulator.resources import ANSWERS
from lexport.simulator.responses import ApiCall, AwsError, invalid_parameter, invalid_shape, not_found
from lexport.simulator.spec import FunctionSpec, VersionSpec

_LAYER_VERSION_ARN = re.compile(
    r"arn:[^:]+:lambda:[^:]*:[^:]*:(layer|awslayer):(?P<name>[a-zA-Z0-9-_]+)(:(?P<number>\d+))?"
)


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
        if (own := self._operations.get(call.operation)) is not None:
            return own(scope, call)
        if (answer := ANSWERS.get(call.operation)) is not None:
            return answer(self._fleet, scope, call)
        raise AwsError(404, "UnknownOperationException", "The simulator has no such operation")

    def _get_function(self, scope: Scope, call: ApiCall) -> dict[str, Any]:
        name, qualifier = named(scope, call, WITH_DOTS, longest=256)
        arn = function_arn(scope, name, qualifier)
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
        start = start_of(call, f"functions/{function_version or ''}/{master or ''}")
        versions = self._versions_from(scope, start, is_all=function_version is not None, master=master)
        page, following = page_of(versions, start, max_items(call))
        return with_marker({"Functions": _listed(page, is_qualified=function_version is not None)}, following)

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
        index, function = existing_function(self._fleet, scope, call)
        start = start_of(call, f"versions/{function.name}")
        page, following = page_of(self._versions_of(scope, index, function, start), start, max_items(call))
        return with_marker({"Versions": _listed(page, is_qualified=True)}, following)

    def _list_aliases(self, scope: Scope, call: ApiCall) -> dict[str, Any]:
        index, function = existing_function(self._fleet, scope, call)
        start = start_of(call, f"aliases/{function.name}")
        version = call.query.get("FunctionVersion")
        aliases = [alias for alias in self._fleet.aliases(scope, index) if version in (None, alias.function_version)]
        rest = ((alias, replace(start, index=n + 1, nonce="")) for n, alias in enumerate(aliases) if n >= start.index)
        page, following = page_of(rest, start, max_items(call))
        return with_marker({"Aliases": [lambda_documents.alias(function, alias) for alias in page]}, following)

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
            raise invalid_shape("arn", arn, BREAKS_PATTERN)
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


def _listed(page: list[VersionSpec], *, is_qualified: bool) -> list[dict[str, Any]]:
    return [
        lambda_documents.configuration(spec, arn_qualifier=spec.version if is_qualified else None, is_listed=True)
        for spec in page
    ]
