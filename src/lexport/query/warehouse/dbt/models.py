"""The SQL of the models: each reads others by ``ref`` and what is not a model by ``source``.

Models are named as dbt packages name theirs: ``stg_lexport__<table>`` has the latest rows, as a plain name in ``sql``,
``stg_lexport__<table>_history`` those of all snapshots, ``lexport__<view>`` those of a shipped view.

Where the files are read in place (DuckDB), the staging models contain the rules of ``ddl``. Everywhere else the
warehouse has views with these rules already, made by the statements of ``ddl`` or over the tables that a feed loads.
"""

# ruff: noqa: S608 - the names in SQL are those of declared tables

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from lexport.query.name_spaces import SPACES, Space
from lexport.query.shipped_views import ShippedView, shipped_views
from lexport.query.warehouse.ddl import READING, rows_of_files
from lexport.query.warehouse.dialects import SCHEMAS, Dialect, escape_jinja, tables_read, translate
from lexport.query.warehouse.external_tables import HAVE_EXTERNAL_TABLES, PARTITION
from lexport.query.warehouse.native_tables import NATIVE_DIALECTS
from lexport.query.warehouse.views import select_readings
from lexport.tables import registry
from lexport.tables.fed import fed_table
from lexport.tables.registry import BY_NAME
from lexport.tables.table import Table
from lexport.tables.types import DUCKDB_TYPES

SOURCE_VAR = "lexport_source"
_FROM_FILES = f"var('{SOURCE_VAR}') == 'files'"
_NOT_FROM_FEED = f"var('{SOURCE_VAR}') != 'feed'"
_SUFFIXES: dict[Space, str] = {"main": "", "history": "_history", "snapshot": "_newest"}
_RULES = select_readings(READING)

RULES_MEANING = {
    "latest_scopes": "The newest complete reading of each account-region: the latest rows are those of it.",
    "newest_snapshot": "The newest snapshot, whatever it could read.",
}
"""The models that only the rules over files need, and what they mean."""


def sources_of(dialect: Dialect) -> tuple[str, ...]:
    """Return the values that the variable ``lexport_source`` may have, the usual one first."""
    possible = {
        "files": reads_files(dialect),
        "ddl": dialect.name in HAVE_EXTERNAL_TABLES,
        "feed": dialect.name in NATIVE_DIALECTS,
    }
    return tuple(name for name, is_possible in possible.items() if is_possible)


def reads_files(dialect: Dialect) -> bool:
    """Return whether the models read the Parquet files themselves."""
    return dialect.name == "duckdb"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingModel:
    """The rows of one table in one name space."""

    table: Table
    space: Space

    @property
    def name(self) -> str:
        """The name of the model."""
        return staging_name(self.space, self.table.name)

    @property
    def is_in_a_feed(self) -> bool:
        """Whether a fed warehouse has these rows: of state and of content it has the latest ones alone."""
        return self.space == "main" or fed_table(self.table).kind == "run"


def staging_name(space: Space, table: str) -> str:
    """Return the name of a staging model."""
    return f"stg_lexport__{table}{_SUFFIXES[space]}"


def view_name(view: ShippedView) -> str:
    """Return the name of the model of a shipped view."""
    return f"lexport__{view.name}"


def staging_models(dialect: Dialect) -> Iterator[StagingModel]:
    """Yield the staging models: ``snapshot`` only of those tables that shipped views read there."""
    used = {relation for view in shipped_views() for relation in _read_by(view.query)}
    for space in SPACES:
        for table in registry.tables():
            model = StagingModel(table=table, space=space)
            if space == "snapshot" and ("snapshot", table.name) not in used:
                continue
            if model.is_in_a_feed or sources_of(dialect) != ("feed",):
                yield model


@cache
def _read_by(query: str) -> frozenset[tuple[str, str]]:
    return frozenset(tables_read(query))


def references(query: str) -> set[str]:
    """Return the references, as ``ref('name')``, to the models that a query of ours reads and every project has."""
    known = {*BY_NAME, *(view.name for view in shipped_views())}
    return {
        _ref(space, name).strip("{ }")
        for space, name in _read_by(query)
        if name in known and (space != "history" or fed_table(BY_NAME[name]).kind == "run")
    }


def view_sql(view: ShippedView, dialect: Dialect) -> str:
    """Write the model of a shipped view."""
    sql = translate(view.query, dialect, name=view.name, relation=_ref)
    return f"-- {escape_jinja(view.question)}\n{sql}\n"


def rule_sql(name: str, dialect: Dialect) -> str:
    """Write one of the models in RULES_MEANING."""
    return f"{_enabled_if(_FROM_FILES)}{translate(_RULES[name], dialect, name=name, relation=_ref)}\n"


def _enabled_if(condition: str) -> str:
    return f"{{{{ config(enabled={condition}) }}}}\n"


def staging_sql(model: StagingModel, dialect: Dialect) -> str:
    """Write a staging model."""
    in_warehouse = translate(
        f"SELECT {', '.join(model.table.names())} FROM {model.space}.{model.table.name}",
        dialect,
        name=model.name,
        relation=_source,
    )
    head = "" if model.is_in_a_feed else _enabled_if(_NOT_FROM_FEED)
    if not reads_files(dialect):
        return f"{head}{in_warehouse}\n"
    over_files = rows_of_files(model.space, model.table)
    if model.space == "history":
        over_files = _with_declared_columns(model.table, over_files)
    over_files = translate(over_files, dialect, name=model.name, relation=_ref)
    return f"{head}{{% if {_FROM_FILES} -%}}\n{over_files}\n{{%- else -%}}\n{in_warehouse}\n{{%- endif %}}\n"


def _with_declared_columns(table: Table, query: str) -> str:
    """Give a query over files every declared column; one that no file has is NULL."""
    columns = [
        f"CAST(NULL AS {DUCKDB_TYPES[column.type]}) AS {name}"
        for column in table.columns
        for name in (column.name, *column.former_names)
    ]
    declared = ", ".join([*columns, f"CAST(NULL AS DATE) AS {PARTITION}"])
    stored = f"FROM files.{table.name}"
    head, tail = query.split(stored, 1)  # a second time it may stand in a condition
    return f"WITH stored AS (SELECT {declared} WHERE FALSE UNION ALL BY NAME SELECT * {stored}) {head}FROM stored{tail}"


def _source(space: str, name: str) -> str:
    return f"{{{{ source('{SCHEMAS[space]}', '{name}') }}}}"


def _ref(space: str, name: str) -> str:
    if space == "files":
        return _source(space, name)
    if space in _SUFFIXES and space != "main":
        model = staging_name(space, name)
    elif name in BY_NAME:
        model = staging_name("main", name)
    elif name in _RULES:
        model = f"stg_lexport__{name}"
    else:
        model = f"lexport__{name}"
    return f"{{{{ ref('{model}') }}}}"
