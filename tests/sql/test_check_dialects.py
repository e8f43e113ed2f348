"""The checks can be translated into the SQL of every warehouse."""

import pytest
import sqlglot

from lexport.query.checks.definition import load_checks
from lexport.query.shipped_views import sql_dir

DIALECTS = ("athena", "bigquery", "databricks", "redshift", "snowflake", "spark", "trino")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_check_translates(dialect):
    """sqlglot translates each check into each dialect without loss, and parses the result."""
    for check in load_checks(sql_dir() / "checks"):
        (text,) = sqlglot.transpile(
            check.query, read="duckdb", write=dialect, unsupported_level=sqlglot.ErrorLevel.RAISE
        )

        assert sqlglot.parse_one(text, read=dialect).named_selects == list(check.columns)
