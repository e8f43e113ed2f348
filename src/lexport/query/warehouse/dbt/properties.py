"""What dbt is told of sources and models: meanings, types, freshness, tests, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lexport.query.checks.definition import load_checks
from lexport.query.report.questions import questions
from lexport.query.shipped_views import shipped_views, sql_dir
from lexport.query.warehouse.dbt.models import (
    RULES_MEANING,
    SOURCE_VAR,
    StagingModel,
    reads_files,
    references,
    staging_models,
    view_name,
)
from lexport.query.warehouse.dbt.yaml_text import Yaml
from lexport.query.warehouse.dialects import FILES, SCHEMAS, Dialect, escape_jinja
from lexport.query.warehouse.external_tables import PARTITION
from lexport.tables.content import CONTENT_RULES
from lexport.tables.fed import OF_THE_READING, fed_table
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import resource_of
from lexport.tables.run import ERRORS, SCOPES, SNAPSHOTS
from lexport.tables.table import DATE, SCOPE_KEY, Column, Table
from lexport.tables.types import DUCKDB_TYPES

LOCATION_VAR = "lexport_location"
KEY_TEST = "lexport_unique_combination"

_FRESH = (FUNCTIONS, SCOPES, SNAPSHOTS)
"""Tables that every snapshot of a fleet has rows in; others may be empty, which dbt takes for infinitely old."""
_WARN_AFTER_HOURS = 26  # a night and the time that a run takes

_GLOB = f"{{{{ var('{LOCATION_VAR}') }}}}/{{name}}/{PARTITION}=*/*-[0-9][0-9][0-9][0-9].parquet"
_EXTERNAL_LOCATION = f"read_parquet('{_GLOB}', hive_partitioning = true, union_by_name = true)"

_PARTITION = Column(PARTITION, DATE, "", "UTC day of the snapshot: the folder that its files are in.")


def sources(dialect: Dialect) -> Yaml:
    """Describe the sources."""
    models = tuple(staging_models(dialect))
    every: list[Yaml] = []
    if reads_files(dialect):
        tables = [model.table for model in models if model.space == "main"]
        every.append(
            {
                "name": FILES,
                "description": "The Parquet files of the dataset, also those of runs that were never committed: the"
                " staging models hide these.",
                "config": {
                    "enabled": _when("==", "files"),
                    "loaded_at_field": OF_THE_READING[1],
                    "meta": {"external_location": _EXTERNAL_LOCATION},
                },
                "tables": [
                    {
                        "name": table.name,
                        "description": escape_jinja(table.meaning),
                        **_freshness(table),
                        "columns": [_described(column, DUCKDB_TYPES[column.type]) for column in _of_files(table)],
                    }
                    for table in tables
                ],
            }
        )
    for space in dict.fromkeys(model.space for model in models):
        what = {
            "main": "The latest rows of each account-region.",
            "history": "The rows of all snapshots.",
            "snapshot": "The rows of the newest snapshot alone.",
        }[space]
        config = {"enabled": _when("!=", "files")} if reads_files(dialect) else {}
        every.append(
            {
                "name": SCHEMAS[space],
                "description": f"{what} Views that `lexport schema --ddl` or a load of `lexport feed` makes.",
                "config": {**config, "loaded_at_field": OF_THE_READING[1]},
                "tables": [
                    {
                        "name": model.table.name,
                        "description": escape_jinja(model.table.meaning),
                        **(_freshness(model.table) if space == "main" else {}),
                        "columns": [
                            _described(column, dialect.type_name(column.type)) for column in model.table.columns
                        ],
                    }
                    for model in models
                    if model.space == space
                ],
            }
        )
    return {"version": 2, "sources": every}


def staging(dialect: Dialect, models: Sequence[StagingModel], *, with_rules: bool = False) -> Yaml:
    """Describe some staging models and, if the project has them, the models of the rules over files."""
    rules = RULES_MEANING if with_rules and reads_files(dialect) else {}
    return {
        "version": 2,
        "models": [
            *({"name": f"stg_lexport__{name}", "description": text} for name, text in rules.items()),
            *(_staging_model(model, dialect) for model in models),
        ],
    }


def _staging_model(model: StagingModel, dialect: Dialect) -> Yaml:
    table = model.table
    what = {"main": "latest rows", "history": "all snapshots", "snapshot": "newest snapshot"}[model.space]
    key = _key(model)
    not_null = _never_null(table)
    columns = _of_files(table) if model.space == "history" and reads_files(dialect) else table.columns
    return {
        "name": model.name,
        "description": escape_jinja(f"{table.meaning} ({what})"),
        **({"data_tests": [_key_test(model.name, key)]} if key else {}),
        "columns": [
            {**_described(column), **_column_tests(column, is_never_null=column.name in not_null)}
            if model.space == "main"
            else _described(column)
            for column in columns
        ],
    }


def _key(model: StagingModel) -> tuple[str, ...]:
    """Return what tells the rows of a model apart; nothing for all nights of a state, which is costly to test."""
    fed = fed_table(model.table)
    if model.space == "main":
        return model.table.row_key
    return fed.key if fed.kind == "run" else ()


def _key_test(model: str, key: tuple[str, ...]) -> Yaml:
    if len(key) == 1:
        return {"unique": {"name": f"key_of_{model}", "arguments": {"column_name": key[0]}}}
    return {KEY_TEST: {"name": f"key_of_{model}", "arguments": {"columns": key}}}


def _never_null(table: Table) -> set[str]:
    """Return the columns that have a value in each of the latest rows."""
    resource = resource_of(table)
    names = set(OF_THE_READING)
    if table in CONTENT_RULES:
        names.add(CONTENT_RULES[table].key)
    elif table not in (SNAPSHOTS, ERRORS):  # an error may come before the account is known
        names.update(SCOPE_KEY)
    if resource is not None and table not in CONTENT_RULES and resource.per != "fleet":
        names.update(table.key[: table.answer_key])  # the response is about these
    return names


def _column_tests(column: Column, *, is_never_null: bool) -> dict[str, Yaml]:
    tests: list[Yaml] = ["not_null"] if is_never_null else []
    if column.values:
        tests.append({"accepted_values": {"arguments": {"values": column.values}}})
    return {"data_tests": tests} if tests else {}


def views() -> Yaml:
    """Describe the models of the shipped views."""
    return {
        "version": 2,
        "models": [
            {
                "name": view_name(view),
                "description": escape_jinja(f"{view.question} Grain: {view.grain}."),
                "columns": [
                    {"name": name, "description": escape_jinja(meaning)} for name, meaning in view.columns.items()
                ],
            }
            for view in shipped_views()
        ],
    }


def exposures() -> Yaml:
    """Describe what else is made of these tables."""
    return {
        "version": 2,
        "exposures": list(_exposures()),
    }


def _exposures() -> Iterator[Yaml]:
    report = [question.query for question in questions().values()]
    checks = [check.query for check in load_checks(sql_dir() / "checks")]
    for name, label, kind, description, queries in (
        ("lexport_report", "Report", "dashboard", "The page that `lexport report` writes.", report),
        ("lexport_check", "Checks", "application", "The findings of `lexport check`.", checks),
    ):
        yield {
            "name": name,
            "label": label,
            "type": kind,
            "maturity": "high",
            "description": description,
            "depends_on": sorted({reference for query in queries for reference in references(query)}),
            "owner": {"name": "lexport"},
        }


def _of_files(table: Table) -> tuple[Column, ...]:
    return (*table.columns, _PARTITION)


def _described(column: Column, data_type: str = "") -> dict[str, Yaml]:
    unit = f" Unit: {column.unit}." if column.unit else ""
    secret = {"config": {"tags": ["secret"]}} if column.kind == "secret" else {}
    return {
        "name": column.name,
        "description": escape_jinja(f"{column.meaning}{unit}"),
        **({"data_type": data_type} if data_type else {}),
        **secret,
    }


def _freshness(table: Table) -> dict[str, Yaml]:
    if table not in _FRESH:
        return {}
    return {"config": {"freshness": {"warn_after": {"count": _WARN_AFTER_HOURS, "period": "hour"}}}}


def _when(operator: str, source: str) -> str:
    return f"{{{{ var('{SOURCE_VAR}') {operator} '{source}' }}}}"
