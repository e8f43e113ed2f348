"""The checks can be translated into the SQL of every warehouse."""

import pytest
import sqlglot

from lexport.query.checks.definition import load_checks
from lexport.query.shipped_views import sql_dir
from lexport.query.warehouse.dialects import DIALECTS, translate


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_check_translates(dialect):
    """Each check is translated into each dialect without loss, and the result parses there."""
    for check in load_checks(sql_dir() / "checks"):
        tree = sqlglot.parse_one(translate(check.query, DIALECTS[dialect], name=check.name), read=dialect)

        assert [name.lower() for name in tree.named_selects] == list(check.columns)
