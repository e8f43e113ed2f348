"""Aliases and where they send traffic, from ListAliases."""

from __future__ import annotations

from lexport.tables.call import Call, Page
from lexport.tables.functions import FUNCTIONS
from lexport.tables.resource import Resource
from lexport.tables.table import COMMON, DOUBLE, EXTRA_JSON, FUNCTION_KEY, FUNCTION_NAME, TEXT, Column, Table, key

ALIASES = Table(
    "aliases",
    "One row per alias.",
    (
        *COMMON,
        FUNCTION_NAME,
        key("alias", "Name of the alias.", source="Aliases[].Name"),
        Column("function_version", TEXT, "Aliases[].FunctionVersion", "Version that it points to first."),
        Column("description", TEXT, "Aliases[].Description", "Description."),
        Column("revision_id", TEXT, "Aliases[].RevisionId", "Changes with the alias."),
        EXTRA_JSON,
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
    ),
    (*FUNCTION_KEY, "alias", "version"),
    parent=ALIASES,
    title="{} alias {} route to {}",
    plural="routes",
)

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
    in_every_snapshot=True,
    left_out_by="--no-aliases",
)
