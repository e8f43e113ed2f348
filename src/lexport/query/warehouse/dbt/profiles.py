"""An example of ``profiles.yml`` for each dialect. Whatever is secret or personal is read from the environment."""

from __future__ import annotations

from lexport.query.warehouse.dbt.yaml_text import Yaml
from lexport.query.warehouse.dialects import DIALECTS, Dialect


def _env(name: str, default: str | None = None) -> str:
    return f"{{{{ env_var('{name}') }}}}" if default is None else f"{{{{ env_var('{name}', '{default}') }}}}"


_SCHEMA = _env("DBT_SCHEMA", "lexport_dbt")

_OUTPUTS: dict[str, dict[str, Yaml]] = {
    "duckdb": {
        "type": "duckdb",
        "path": _env("DBT_DUCKDB_PATH", "lexport_dbt.duckdb"),
        "schema": "main",
        "threads": 4,
        "settings": {"TimeZone": "UTC"},  # dates of instants follow it
    },
    "postgres": {
        "type": "postgres",
        "host": _env("PGHOST", "localhost"),
        "port": "{{ env_var('PGPORT', '5432') | as_number }}",
        "user": _env("PGUSER"),
        "password": _env("PGPASSWORD", ""),
        "dbname": _env("PGDATABASE"),
        "schema": _SCHEMA,
        "threads": 4,
    },
    "snowflake": {
        "type": "snowflake",
        "account": _env("SNOWFLAKE_ACCOUNT"),
        "user": _env("SNOWFLAKE_USER"),
        "private_key_path": _env("SNOWFLAKE_PRIVATE_KEY_PATH"),
        "role": _env("SNOWFLAKE_ROLE"),
        "warehouse": _env("SNOWFLAKE_WAREHOUSE"),
        "database": _env("SNOWFLAKE_DATABASE"),
        "schema": _SCHEMA,
        "threads": 8,
    },
    "bigquery": {
        "type": "bigquery",
        "method": "oauth",
        "project": _env("GOOGLE_CLOUD_PROJECT"),
        "dataset": _SCHEMA,
        "location": _env("BIGQUERY_LOCATION", "US"),
        "threads": 8,
    },
    "redshift": {
        "type": "redshift",
        "method": "iam",
        "host": _env("REDSHIFT_HOST"),
        "port": 5439,
        "cluster_id": _env("REDSHIFT_CLUSTER"),
        "region": _env("AWS_REGION"),
        "user": _env("REDSHIFT_USER"),
        "dbname": _env("REDSHIFT_DATABASE"),
        "schema": _SCHEMA,
        "threads": 4,
    },
    "athena": {
        "type": "athena",
        "region_name": _env("AWS_REGION"),
        "s3_staging_dir": _env("ATHENA_STAGING_DIR"),
        "database": "awsdatacatalog",
        "schema": _SCHEMA,
        "threads": 4,
    },
    "trino": {
        "type": "trino",
        "method": "ldap",
        "host": _env("TRINO_HOST"),
        "port": 443,
        "user": _env("TRINO_USER"),
        "password": _env("DBT_ENV_SECRET_TRINO_PASSWORD"),
        "database": _env("TRINO_CATALOG"),
        "schema": _SCHEMA,
        "threads": 4,
    },
    "databricks": {
        "type": "databricks",
        "host": _env("DATABRICKS_HOST"),
        "http_path": _env("DATABRICKS_HTTP_PATH"),
        "token": _env("DBT_ENV_SECRET_DATABRICKS_TOKEN"),
        "catalog": _env("DATABRICKS_CATALOG"),
        "schema": _SCHEMA,
        "threads": 4,
    },
    "spark": {
        "type": "spark",
        "method": "thrift",
        "host": _env("SPARK_HOST", "localhost"),
        "port": 10000,
        "schema": _SCHEMA,
        "threads": 4,
    },
}

DBT_DIALECTS = {name: DIALECTS[name] for name in _OUTPUTS}
"""The dialects that a project can be written for."""

_FROM_S3: dict[str, Yaml] = {
    "extensions": ["httpfs", "aws"],
    "secrets": [{"type": "s3", "provider": "credential_chain"}],
}


def profiles(dialect: Dialect, *, location: str) -> Yaml:
    """Describe how dbt connects."""
    output = dict(_OUTPUTS[dialect.name])
    if dialect.name == "duckdb" and location.startswith("s3://"):
        output |= _FROM_S3
    return {"lexport": {"target": "dev", "outputs": {"dev": output}}}
