"""The files of the project, and the folder that they are written to."""

# ruff: noqa: S608 - the one SQL text here is a template of dbt

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from lexport.errors import SettingsError, WriteError
from lexport.model import __version__
from lexport.query.shipped_views import shipped_views
from lexport.query.warehouse.dbt import properties
from lexport.query.warehouse.dbt.models import (
    RULES_MEANING,
    SOURCE_VAR,
    StagingModel,
    reads_files,
    rule_sql,
    sources_of,
    staging_models,
    staging_sql,
    view_name,
    view_sql,
)
from lexport.query.warehouse.dbt.profiles import profiles
from lexport.query.warehouse.dbt.yaml_text import Yaml, yaml_text
from lexport.query.warehouse.dialects import Dialect
from lexport.query.warehouse.location import refuse_password_in

PLACEHOLDER = "s3://BUCKET/PREFIX"

_DATES_BY_SESSION = ("postgres", "spark", "databricks")  # the date of an instant is that in the session's time zone

_IGNORED = "target/\ndbt_packages/\nlogs/\n*.duckdb\n"  # what dbt writes

_KEY_TEST = f"""\
{{#- No two rows have the same values in these columns; NULL is a value. -#}}
{{% test {properties.KEY_TEST}(model, columns) %}}
{{%- set key = [] %}}
{{%- for column in columns %}}{{% do key.append(adapter.quote(COLUMN)) %}}{{% endfor %}}
SELECT {{{{ key | join(', ') }}}}, COUNT(*) AS number_of_rows
FROM {{{{ model }}}}
GROUP BY {{{{ key | join(', ') }}}}
HAVING COUNT(*) > 1
{{% endtest %}}
"""


def write_project(folder: Path, dialect: Dialect, location: str | None = None) -> None:
    """Write a project into a folder that is new or empty, whole or not at all.

    ``location`` is where the files are that DuckDB reads. Raises SettingsError if it cannot be one, if the folder has
    anything in it, or if sqlglot is not installed, WriteError.
    """
    target = folder.resolve()
    _check_folder(folder, target)
    files = project(dialect, location)
    draft = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        for path, text in files.items():
            file = draft / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        draft.rename(target)  # refuses a folder that is not empty by now
    except OSError as error:
        raise WriteError(f"cannot write {folder}: {error.strerror or error}", path=str(folder)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check_folder(folder: Path, target: Path) -> None:
    try:
        if not target.parent.is_dir():
            raise SettingsError(f"--dbt {folder}: the folder above it does not exist", option="--dbt")
        if target == Path.cwd():  # an empty one would be replaced, and the shell stay in the folder that is gone
            raise SettingsError(f"--dbt {folder} is the folder that you are in; name a new one", option="--dbt")
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise SettingsError(
                f"--dbt {folder} is there already and not an empty folder; name a new one", option="--dbt"
            )
    except OSError as error:
        raise WriteError(f"cannot write {folder}: {error.strerror or error}", path=str(folder)) from error


def project(dialect: Dialect, location: str | None = None) -> dict[str, str]:
    """Return the text of each file of a project by its path. Raises as ``write_project`` does."""
    location = PLACEHOLDER if location is None else _check_location(location)
    texts = {
        "dbt_project.yml": yaml_text(dbt_project(dialect, location)),
        ".gitignore": _IGNORED,
        "profiles.yml": yaml_text(profiles(dialect, location=location)),
        f"tests/generic/{properties.KEY_TEST}.sql": key_test(dialect),
        "models/exposures.yml": yaml_text(properties.exposures()),
        "models/staging/_sources.yml": yaml_text(properties.sources(dialect)),
        "models/views/_views.yml": yaml_text(properties.views()),
    }
    models = tuple(staging_models(dialect))
    current = [model for model in models if model.is_in_a_feed]
    history = [model for model in models if not model.is_in_a_feed]
    texts["models/staging/_staging.yml"] = yaml_text(properties.staging(dialect, current, with_rules=True))
    if history:
        texts["models/staging/history/_history.yml"] = yaml_text(properties.staging(dialect, history))
    texts |= _staging_files("models/staging", current, dialect)
    texts |= _staging_files("models/staging/history", history, dialect)
    if reads_files(dialect):
        texts |= {f"models/staging/files/stg_lexport__{name}.sql": rule_sql(name, dialect) for name in RULES_MEANING}
    texts |= {f"models/views/{view_name(view)}.sql": view_sql(view, dialect) for view in shipped_views()}
    return texts


def _staging_files(folder: str, models: Iterable[StagingModel], dialect: Dialect) -> dict[str, str]:
    return {f"{folder}/{model.name}.sql": staging_sql(model, dialect) for model in models}


def key_test(dialect: Dialect) -> str:
    """Write the test of keys of several columns."""
    return _KEY_TEST.replace("COLUMN", "column | upper" if dialect.folds_up else "column")


def dbt_project(dialect: Dialect, location: str) -> Yaml:
    """Describe the project."""
    usual, *_ = sources_of(dialect)
    return {
        "name": "lexport",
        "version": __version__,
        "config-version": 2,
        "require-dbt-version": ">=1.10.5",
        "profile": "lexport",
        "vars": {
            SOURCE_VAR: usual,
            **({properties.LOCATION_VAR: location} if reads_files(dialect) else {}),
        },
        "models": {
            "lexport": {
                **({"+pre-hook": "SET TIME ZONE 'UTC'"} if dialect.name in _DATES_BY_SESSION else {}),
                "staging": {"+materialized": "view", **({"+bind": False} if dialect.name == "redshift" else {})},
                "views": {"+materialized": "table"},
            }
        },
    }


def _check_location(location: str) -> str:
    """Return a path as an absolute one. dbt writes the text into SQL and into a format string."""
    refuse_password_in(location)
    if re.search(r"['\"\\{}*?\[\]]|[\x00-\x1f]", location) or not location.strip():
        raise SettingsError(
            f"--location {location!r}: expected DEST, without quotes, braces, brackets, *, ? and backslashes",
            option="--location",
        )
    location = location.rstrip("/") or "/"
    return location if re.match(r"[a-z][a-z0-9]*://", location) else os.path.abspath(location)  # noqa: PTH100
