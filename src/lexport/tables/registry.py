"""Every table, in the order in which they are listed."""

from __future__ import annotations

from lexport.tables.account_settings import ACCOUNT_SETTINGS
from lexport.tables.aliases import ALIAS_ROUTES, ALIASES
from lexport.tables.functions import ENV_VARS, FILE_SYSTEMS, FUNCTIONS, LAYERS, SECURITY_GROUPS, SUBNETS, TAGS
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGE_DEPENDENCIES, PACKAGE_FILES, PACKAGES
from lexport.tables.run import CHANGES, ERRORS, SCOPES, SNAPSHOTS
from lexport.tables.table import Table

PACKAGE_TABLES = (LAYER_VERSIONS, PACKAGES, PACKAGE_FILES, PACKAGE_DEPENDENCIES)
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
        CHANGES,
        ERRORS,
        SCOPES,
        SNAPSHOTS,
        *PACKAGE_TABLES,
    )
}

SCHEMA_VERSION = "2"
"""Raised when a column is renamed. Version 2 shortened the three columns on capacity providers."""

NEVER_STORED = ("Code.Location", "Content.Location")
"""Paths that are dropped where the answer is parsed: a live download link is a secret."""


def tables() -> tuple[Table, ...]:
    """Return every table in order."""
    return tuple(BY_NAME.values())


def staged_tables() -> tuple[Table, ...]:
    """Return the tables that reading fills; ``changes`` and ``snapshots`` are made of the others."""
    return tuple(table for table in tables() if table not in (CHANGES, SNAPSHOTS))


def fleet_tables() -> tuple[Table, ...]:
    """Return the tables of every snapshot; those of packages are only there where a run looked at packages."""
    return tuple(table for table in staged_tables() if table not in PACKAGE_TABLES)
