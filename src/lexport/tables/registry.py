"""Every resource and every table, in the order in which they are listed; others can be registered at run time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexport.tables import account_settings, aliases, functions, layer_versions
from lexport.tables import resources as around_functions
from lexport.tables.account_settings import ACCOUNT_SETTINGS
from lexport.tables.aliases import ALIAS_ROUTES, ALIASES
from lexport.tables.call import Call
from lexport.tables.events import LOOKUP_EVENTS
from lexport.tables.functions import ENV_VARS, FILE_SYSTEMS, FUNCTIONS, LAYERS, SECURITY_GROUPS, SUBNETS, TAGS
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGE_DEPENDENCIES, PACKAGE_FILES, PACKAGE_SECRETS, PACKAGES
from lexport.tables.resource import Resource
from lexport.tables.run import CHANGES, ERRORS, SCOPE_RESOURCES, SCOPES, SNAPSHOTS
from lexport.tables.table import Table

PACKAGE_TABLES = (LAYER_VERSIONS, PACKAGES, PACKAGE_FILES, PACKAGE_DEPENDENCIES, PACKAGE_SECRETS)
"""Tables about content, which belongs to no account. A commit holds those that its run looked at."""

BY_NAME: dict[str, Table] = {
    table.name: table
    for table in (
        FUNCTIONS,
        ALIASES,
        ALIAS_ROUTES,
        TAGS,
        ENV_VARS,
        LAYERS,
        SUBNETS,
        SECURITY_GROUPS,
        FILE_SYSTEMS,
        ACCOUNT_SETTINGS,
        *(table for resource in around_functions.RESOURCES for table in resource.tables),
        CHANGES,
        ERRORS,
        SCOPES,
        SCOPE_RESOURCES,
        SNAPSHOTS,
        *PACKAGE_TABLES,
    )
}

_RESOURCES: dict[str, Resource] = {
    resource.name: resource
    for resource in (
        *(functions.RESOURCE, aliases.RESOURCE, account_settings.RESOURCE),
        *around_functions.RESOURCES,
        layer_versions.RESOURCE,
    )
}

SCHEMA_VERSION = "2"
"""Raised when a column is renamed. Version 2 shortened the three columns on capacity providers."""

NEVER_STORED = ("Code.Location", "Content.Location")
"""Paths that are dropped where the response is parsed: a live download link is a secret."""


def register(resource: Resource) -> None:
    """Add a resource and its tables, after those that are there. Raises ValueError for a name that is taken."""
    names = {table.name for table in resource.tables}
    if taken := (names & BY_NAME.keys()) | ({resource.name} & _RESOURCES.keys()):
        text = ", ".join(sorted(taken))
        raise ValueError(f"cannot register the resource {resource.name}: {text} is registered already")

    _RESOURCES[resource.name] = resource
    BY_NAME.update({table.name: table for table in resource.tables})


def tables() -> tuple[Table, ...]:
    """Return every table in order."""
    return tuple(BY_NAME.values())


def staged_tables() -> tuple[Table, ...]:
    """Return the tables that reading fills; ``changes`` and ``snapshots`` are made of the others."""
    return tuple(table for table in tables() if table not in (CHANGES, SNAPSHOTS))


def resources() -> tuple[Resource, ...]:
    """Return every resource in order."""
    return tuple(_RESOURCES.values())


def fleet_resources() -> tuple[Resource, ...]:
    """Return the resources that a snapshot can read; layer versions are read with packages alone."""
    return tuple(resource for resource in resources() if resource.per != "layer_version")


def choosable_resources() -> tuple[Resource, ...]:
    """Return the resources that ``--with`` and ``--without`` name: all but those of every snapshot."""
    return tuple(resource for resource in fleet_resources() if not resource.in_every_snapshot)


def resource_of(table: Table) -> Resource | None:
    """Return the resource that fills a table; None for a table about the run, or about the content of packages."""
    return next((resource for resource in resources() if table in resource.tables), None)


def state_tables() -> tuple[Table, ...]:
    """Return the tables that show the state of a fleet. These are compared with those of other snapshots."""
    return tuple(table for table in resource_tables() if table.is_state)


def resource_tables() -> tuple[Table, ...]:
    """Return the tables that the resources of a fleet fill."""
    filled = {table for resource in fleet_resources() for table in resource.tables}
    return tuple(table for table in tables() if table in filled)


def tables_of_every_snapshot() -> tuple[Table, ...]:
    """Return the tables that every release has written into every snapshot, with or without rows."""
    first = {table for resource in resources() if resource.in_every_snapshot for table in resource.tables}
    return tuple(table for table in tables() if table in first or table in (ERRORS, SCOPES))


def resources_read(options: Mapping[str, Any]) -> tuple[Resource, ...]:
    """Return the resources that a run with these options, as a manifest has them, reads."""
    return tuple(resource for resource in fleet_resources() if resource.is_read(options))


def tables_read(options: Mapping[str, Any]) -> frozenset[Table]:
    """Return the tables of a fleet that a run with these options reads; those of packages are not among them."""
    read = {table for resource in resources_read(options) for table in resource.tables}
    return frozenset(read - {ENV_VARS} if options.get("env") == "none" else read)


def call_of(operation: str) -> Call | None:
    """Return the declaration of an operation, None where no run calls it."""
    calls = (LOOKUP_EVENTS, *(call for resource in resources() for call in (resource.call, *resource.lists)))
    return next((call for call in calls if call.operation == operation), None)
