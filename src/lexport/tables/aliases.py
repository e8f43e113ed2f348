"""Aliases and where they send traffic, from ListAliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexport.tables.arn import is_function_arn, is_version, shown
from lexport.tables.call import Call, Page
from lexport.tables.events import NEW_ALIAS_EVENTS, POLICY_EVENTS, UPDATE_ALIAS
from lexport.tables.functions import FUNCTIONS
from lexport.tables.resource import Resource, Row
from lexport.tables.table import (
    CARRIED_FORWARD,
    COMMON,
    DOUBLE,
    EXTRA_JSON,
    FETCHED_AT,
    FUNCTION_KEY,
    FUNCTION_NAME,
    TEXT,
    Column,
    Table,
    key,
    sent,
)

ALIASES = Table(
    "aliases",
    "One row per alias.",
    (
        *COMMON,
        FUNCTION_NAME,
        key("alias", "Name of the alias.", source="Aliases[].Name"),
        sent("Aliases[].FunctionVersion", TEXT, "Version that it points to first."),
        sent("Aliases[].Description", TEXT, "Description."),
        sent("Aliases[].RevisionId", TEXT, "Changes with the alias."),
        EXTRA_JSON,
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    (*FUNCTION_KEY, "alias"),
    parent=FUNCTIONS,
    title="{} alias {}",
    main_column="function_version",
)

_WEIGHTS = "Aliases[].RoutingConfig.AdditionalVersionWeights{}"

ALIAS_ROUTES = Table(
    "alias_routes",
    "One row per version that an alias sends traffic to, the first one included.",
    (
        *COMMON,
        FUNCTION_NAME,
        key("alias", "Name of the alias."),
        key("version", "Version that gets the traffic.", source=_WEIGHTS),
        Column("weight", DOUBLE, _WEIGHTS, "Share of the traffic; sums to 1 over an alias."),
        FETCHED_AT,
        CARRIED_FORWARD,
    ),
    (*FUNCTION_KEY, "alias", "version"),
    parent=ALIASES,
    title="{} alias {} route to {}",
    plural="routes",
)


def _mismatch(item: Mapping[str, Any], function: str) -> str | None:
    """Say what an alias is of if it is of another function, or leads to no version.

    One without a name passes: it is lost later.
    """
    name, arn, version = item.get("Name"), item.get("AliasArn"), item.get("FunctionVersion")
    if not isinstance(name, str) or not name or (is_version(version) and is_function_arn(arn, function, name)):
        return None
    return f"alias {shown(name)} of {shown(arn)}, version {shown(version)}"


def _add_first_route(alias: Row, children: dict[str, list[Row]]) -> None:
    """Add the route to the version that the alias points to first: it gets what the other weights leave of 1."""
    version, routes = alias["function_version"], children[ALIAS_ROUTES.name]
    if version is None:
        return
    rest = round(1.0 - sum(route["weight"] for route in routes), 12)  # 1 - 0.1 - 0.2 is not 0.7 in binary
    same = next((route for route in routes if route["version"] == version), None)
    if same is None:
        routes.append({"version": version, "weight": rest})
    else:
        same["weight"] += rest


LIST_ALIASES = Call(
    operation="ListAliases",
    path="/2015-03-31/functions/{function_name}/aliases",
    iam=("lambda:ListAliases",),
    page=Page(items="Aliases"),
    function_names=r"[^.]*",  # the name of an edge replica has a dot, which this operation refuses
)

RESOURCE = Resource(
    name="aliases",
    per="function",
    call=LIST_ALIASES,
    tables=(ALIASES, ALIAS_ROUTES),
    is_gap=True,
    in_every_snapshot=True,
    left_out_by="--no-aliases",
    dropped=("Aliases[].AliasArn",),  # account, region, function and alias, which the key has already
    gives="alias",
    carried_by=("history",),
    changed_by=(*NEW_ALIAS_EVENTS, UPDATE_ALIAS, *POLICY_EVENTS),  # the policy of an alias changes its revision
    mismatch=_mismatch,
    complete=_add_first_route,
    from_version=lambda alias, version: {"alias": alias, "function_version": version},
)
