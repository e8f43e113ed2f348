"""One call of each kind that a snapshot makes to Lambda, and ListFunctions in every Region."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import Any

from anyio import current_time, move_on_after

from lexport.aws.client import LambdaClient
from lexport.aws.waits import scaled
from lexport.cli._probes.findings import Add, Finding, Level, not_tried, of_error
from lexport.errors import FetchError, FunctionGoneError, ItemError, NetworkError, NotOfferedError, RunError
from lexport.extract.access import REGION_OFF, Access
from lexport.extract.decode import decode_object
from lexport.model import LATEST, Scope
from lexport.settings import SnapshotSettings
from lexport.tables.call import Call, JsonCall
from lexport.tables.functions import GET_FUNCTION, LIST_FUNCTIONS, LIST_VERSIONS
from lexport.tables.registry import resources_read
from lexport.tables.resource import Resource
from lexport.tables.text import first_of

CALL_S = scaled(6.0)
LISTING_S = scaled(8.0)  # all Regions together
NOBODY = "lexport-doctor"
"""A function that is not there: who may not read it is denied, and who may gets "not found"."""
_NAMED = 40


class CallProbes:
    """Tries the calls in one account, whose role is assumed."""

    def __init__(self, access: Access, settings: SnapshotSettings, account_id: str, add: Add) -> None:
        self._access, self._settings, self._account_id, self._add = access, settings, account_id, add
        self._first: dict[Resource, str] = {}  # an item of each list that was tried, if it has one

    async def probe(self, regions: Any) -> dict[str, bool]:
        """List one page in every Region, and try the other calls in the first that has functions, or the first of all.

        Return of each Region that may be listed whether it has functions.
        """
        listed = await self._list([*regions.enabled, *regions.uncertain], uncertain=regions.uncertain)
        if not listed:
            return {}
        region = next((name for name, names in listed.items() if names), next(iter(listed)))
        await self._others(region, listed[region])
        return {name: bool(names) for name, names in listed.items()}

    async def _list(self, regions: list[str], *, uncertain: tuple[str, ...]) -> dict[str, list[str]]:
        """Return the function names of the first page of each Region that answers."""
        listed: dict[str, list[str]] = {}
        failed: dict[tuple[str, str], list[tuple[str, Exception]]] = defaultdict(list)
        operation = LIST_FUNCTIONS.operation
        left, ends_at_s = list(regions), current_time() + LISTING_S
        while left and current_time() < ends_at_s:
            region = left.pop(0)
            try:
                api = await self._client(region)
                listed[region] = _names(await self._call(api, LIST_FUNCTIONS, versions="ALL"))
            except (ItemError, RunError) as error:
                code = getattr(error, "code", "")
                if region in uncertain and code in REGION_OFF:
                    continue  # it is switched off
                failed[type(error).__name__, code].append((region, error))
                if isinstance(error, NetworkError) and not listed:
                    break  # each further Region may take as long
        for of_kind in failed.values():
            names = first_of([region for region, _ in of_kind], _NAMED)
            finding = of_error(of_kind[0][1], operation, actions=LIST_FUNCTIONS.iam)
            self._add(_about(finding, f"{names}: {finding.message}"))
        if left:
            self._add(not_tried(operation, f"{first_of(left, _NAMED)}: the Regions before took too long"))
        full = [region for region, names in listed.items() if names]
        if full:
            self._add(_fine(operation, f"allowed; functions in {first_of(full, _NAMED)}"))
        if empty := [region for region, names in listed.items() if not names]:
            message = f"allowed; no function in {first_of(empty, _NAMED)}"
            message += "" if full else ": is it the right account, and the right Region?"
            level: Level = "ok" if full else "warning"
            self._add(Finding(level=level, subject=operation, outcome="empty", message=message))
        return listed

    async def _others(self, region: str, names: list[str]) -> None:
        api = await self._client(region)
        tried = {LIST_FUNCTIONS.operation}
        for resource in resources_read(self._settings.for_manifest()):
            for call in (resource.call, *resource.lists):
                if call.operation not in tried:
                    tried.add(call.operation)
                    if resource.of is not None and resource.of not in self._first:
                        self._add(
                            not_tried(call.operation, f"{resource.of.call.operation} lists nothing to try it with")
                        )
                        continue
                    if not await self._try(api, region, resource, call, names):
                        return

    async def _try(self, api: LambdaClient, region: str, resource: Resource, call: Call, names: list[str]) -> bool:
        """Try one call; return whether the Region answers at all."""
        name = next((name for name in names if re.fullmatch(call.function_names, name)), NOBODY)
        subject = call.operation
        is_needed = resource.is_gap and call is not LIST_VERSIONS
        level: Level = "error" if is_needed else "warning"
        about = "" if call.iam_resource == "*" else f" for {name}" if name != NOBODY else ""
        parameters: dict[str, str | None] = {"function_name": name, "qualifier": None}
        if resource.of is not None:
            parameters["item"], about = self._first[resource.of], ""
        if "{qualifier}" in call.path or resource.per == "alias":
            parameters["qualifier"] = LATEST
        try:
            document = await self._call(api, call, **parameters)
        except FunctionGoneError as error:
            if name != NOBODY and error.code not in call.absent:
                self._add(of_error(error, subject, level="warning"))
            else:
                self._add(_fine(subject, f"allowed{about}", region))
            return True
        except NotOfferedError as error:  # no permission would help
            self._add(
                Finding(
                    level="ok", subject=subject, outcome="absent", message=f"not offered in {region}", code=error.code
                )
            )
            return True
        except ItemError as error:
            if error.code in call.absent:
                self._add(_fine(subject, f"allowed{about}", region))
                return True
            finding = of_error(error, subject, level=level, actions=_actions(call))
            more = "" if is_needed else "; a snapshot is complete without it"
            self._add(_about(finding, f"{region}: {finding.message}{more}"))
            return not isinstance(error, NetworkError)
        self._add(_fine(subject, f"allowed{about}", region))
        if call is resource.call and (item := _first_item(resource, document)) is not None:
            self._first[resource] = item
        if call is GET_FUNCTION and isinstance(failed := document.get("TagsError"), dict):
            message = f"{region}: tags are not readable: {failed.get('ErrorCode')}"
            denied = "AccessDenied" in str(failed.get("ErrorCode"))
            self._add(
                Finding(
                    level="warning",
                    subject="tags",
                    outcome="denied" if denied else "failed",
                    message=message,
                    code=str(failed.get("ErrorCode")),
                    actions=("lambda:ListTags",) if denied else (),
                )
            )
        return True

    async def _client(self, region: str) -> LambdaClient:
        return await self._access.client(Scope(account_id=self._account_id, region=region))

    async def _call(self, api: LambdaClient, call: Call, **parameters: str | None) -> dict[str, Any]:
        with move_on_after(CALL_S):
            if isinstance(call, JsonCall):
                response = await api.call_json(call, call.trial)
            else:
                response = await api.call(call, **parameters)
            return decode_object(response.body).document
        raise NetworkError(f"{call.operation}: no answer within {CALL_S:g} s", code="timeout")


def _actions(call: Call) -> tuple[str, ...]:
    """Return the permissions without which the call is denied; the others only make its answer fuller."""
    own = tuple(action for action in call.iam if action.partition(":")[2] == call.operation)
    return own or call.iam


def _names(document: dict[str, Any]) -> list[str]:
    items = document.get("Functions")
    if not isinstance(items, list):
        raise FetchError("ListFunctions: the answer has no list of functions", code="invalid_page")
    names = (item.get("FunctionName") for item in items if isinstance(item, dict))
    return [name for name in names if isinstance(name, str) and name]


def _first_item(resource: Resource, document: dict[str, Any]) -> str | None:
    """Return what identifies the first item of a list; None where it has none."""
    table, page = resource.tables[0], resource.call.page
    items = document.get(page.items) if page is not None else None
    first = items[0] if isinstance(items, list) and items else None
    source = next(column.source for column in table.columns if column.name == table.key[-1])
    value = first.get(source.rpartition(".")[2]) if isinstance(first, dict) else None
    return value if isinstance(value, str) and value else None


def _fine(subject: str, message: str, region: str = "") -> Finding:
    where = f" in {region}" if region else ""
    return Finding(level="ok", subject=subject, outcome="ok", message=f"{message}{where}")


def _about(finding: Finding, message: str) -> Finding:
    return replace(finding, message=message)
