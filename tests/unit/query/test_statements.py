"""A typed statement ends at a semicolon outside texts, names, comments and dollar quotes, as DuckDB reads them."""

import duckdb
import pytest

from lexport.query.statements import split_statements


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        'SELECT \';\' AS "a;""b"',
        "SELECT 'it''s;'",
        r"SELECT 'back\' AS a",
        r"SELECT e'it\'s;' || E'a''b\\;'",
        "SELECT 1 -- ;\n + 1",
        "SELECT 1 /* ; /* nested; */ ; */ + 1",
        "SELECT $$ ; ' $$ || $tag$ ; $$ ; $tag$",
        "SELECT a$b FROM (SELECT 1 AS a$b)",
        "SELECT 'ü;', $$表;$$",
    ],
)
def test_one_statement(statement):
    """DuckDB and we agree on what one statement is."""
    assert len(duckdb.extract_statements(f"{statement};")) == 1
    assert split_statements(f"{statement};") == ([statement], "")
    assert split_statements(f"{statement}; {statement} ;\n")[0] == [statement, f" {statement} "]
    assert split_statements(statement) == ([], statement)


@pytest.mark.parametrize(
    "rest", ["SELECT 'a;", 'SELECT "a;', "SELECT /* a;", "SELECT $$ a;", "SELECT $t$ $$;", r"SELECT e'\';"]
)
def test_unfinished(rest):
    """What is open goes on in the next line."""
    assert split_statements(f"SELECT 1;{rest}") == (["SELECT 1"], rest)


def test_blank():
    """Blanks and comments are no statement."""
    assert split_statements(" ; -- one\n;; /* two */ ;\n -- three") == ([], "")
