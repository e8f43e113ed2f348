"""Shipped views in every warehouse's SQL: golden files, what they mean, and what they may not hold.

``make golden`` writes the golden files anew; the change is then there to be reviewed.
"""

import sys
from functools import cache
from pathlib import Path

import anyio
import pytest
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify

from lexport.errors import ViewError
from lexport.query.shipped_views import shipped_views
from lexport.query.warehouse.dialects import DIALECTS, SCHEMAS, translate, without_schema
from lexport.tables import registry
from lexport.tables.table import Type

GOLDEN = Path(__file__).with_name("golden")
VIEWS = shipped_views()
ALL = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
EACH_VIEW = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)

_TYPES = {
    Type.TEXT: "TEXT",
    Type.INT32: "INT",
    Type.INT64: "BIGINT",
    Type.BOOL: "BOOLEAN",
    Type.DOUBLE: "DOUBLE",
    Type.TIMESTAMP: "TIMESTAMPTZ",
    Type.DATE: "DATE",
}


@cache
def known_names(*, has_schemas):
    """Return every name of a warehouse with its columns, as sqlglot's optimizer takes it."""
    tables = {table.name: {column.name: _TYPES[column.type] for column in table.columns} for table in registry.tables()}
    views = {view.name: dict.fromkeys(view.columns, "TEXT") for view in VIEWS}
    spaces = {SCHEMAS["main"]: tables | views, SCHEMAS["history"]: tables, SCHEMAS["snapshot"]: tables}
    if not has_schemas:
        return {
            without_schema(schema, name): columns for schema, names in spaces.items() for name, columns in names.items()
        }
    return spaces


# --- each view in each dialect ------------------------------------------------------------------------------------


def test_no_golden_file_is_left_over():
    """There are no golden files of removed views."""
    expected = {f"{dialect}/{name}.sql" for dialect in DIALECTS for name in [*(view.name for view in VIEWS), "_ddl"]}

    assert expected == {str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*.sql")}


@ALL
@EACH_VIEW
def test_golden(view, dialect, compare_golden):
    """Each view in each dialect is as reviewed, parses there, has quotes around names, and names columns that exist."""
    text = translate(view.query, dialect, name=view.name)
    compare_golden(GOLDEN / dialect.name / f"{view.name}.sql", text + "\n")

    tree = sqlglot.parse_one(text, read=dialect.name)
    unquoted = {name.name for name in tree.find_all(exp.Identifier) if not name.quoted}
    tree.set("settings", None)  # of ClickHouse: their names are no columns
    schema = known_names(has_schemas=dialect.has_schemas)
    if dialect.folds_up:
        schema = {
            db.upper(): {t.upper(): {c.upper(): kind for c, kind in cs.items()} for t, cs in tables.items()}
            for db, tables in schema.items()
        }
    # Trino takes no alias in WHERE or GROUP BY. sqlglot itself writes them into BigQuery's GROUP BY, which wants them.
    has_aliases = dialect.name == "bigquery"
    strict = qualify(tree.copy(), schema=schema, dialect=dialect.name, expand_alias_refs=has_aliases, identify=False)

    assert unquoted == set()
    assert [name.lower() for name in strict.named_selects] == list(view.columns)


# --- constructs that mean something else somewhere ------------------------------------------------------------------

PORTABLE = {
    # Aggregates over rows and windows.
    *(exp.Count, exp.Max, exp.Min, exp.Sum, exp.Avg, exp.RowNumber, exp.Lag, exp.Lead),
    # Plain functions that every dialect has, or that are written out for it.
    *(exp.Case, exp.If, exp.Cast, exp.Coalesce, exp.Nullif, exp.Length, exp.Lower, exp.Upper, exp.Substring),
    *(
        exp.SplitPart,
        exp.StrPosition,
        exp.Exists,
        exp.And,
        exp.Or,
        exp.Not,
        exp.Abs,
        exp.Round,
        exp.StartsWith,
        exp.Trim,
    ),
}
"""Functions that mean the same in every dialect, if they are used as ``traps`` requires."""


def _is_double(node):
    return isinstance(node, exp.Cast) and node.to.is_type("double")


def _shadowed(select):
    """Yield the bare columns of a SELECT that are read beside an output of the same name."""
    outputs = {each.alias: each for each in select.expressions if isinstance(each, exp.Alias)}
    outputs = {name: each for name, each in outputs.items() if not isinstance(each.this, exp.Column)}
    for column in select.find_all(exp.Column):
        order = column.find_ancestor(exp.Order)
        is_here = column.find_ancestor(exp.Select) is select and (order is None or order.parent is not select)
        output = outputs.get(column.name) if is_here and not column.table else None
        if output is not None and column.find_ancestor(exp.Alias) is not output:
            yield column


def _unnamed(select):
    return [each for each in select.expressions if not isinstance(each, exp.Alias | exp.Column)]


_INSTANTS = exp.DataType.TEMPORAL_TYPES - {exp.DataType.Type.DATE}
TRAPS = (
    (exp.Func, lambda n: type(n) not in PORTABLE, "not known to mean the same everywhere"),
    (exp.Avg, lambda n: not _is_double(n.this), "Redshift's AVG of integers is an integer; CAST(... AS DOUBLE)"),
    (exp.Div, lambda n: not _is_double(n.this), "integers divide to integers in Trino; CAST(... AS DOUBLE)"),
    (
        exp.Div,
        lambda n: not isinstance(n.expression, exp.Nullif | exp.Literal),
        "dividing by zero is an error elsewhere; NULLIF(..., 0)",
    ),
    (exp.DateDiff, bool, "DataFusion has none; CAST(date - date AS INTEGER), which is written as each dialect's"),
    (exp.Trim, lambda n: n.expression is None, "which characters are blank differs; TRIM(BOTH '...' FROM a)"),
    (
        exp.SplitPart,
        lambda n: not isinstance(n.parent, exp.Nullif | exp.EQ),
        "beyond the last part NULL in Trino, '' in DuckDB; NULLIF(..., '')",
    ),
    (exp.Escape | exp.ILike | exp.SimilarTo | exp.RegexpLike | exp.Glob, bool, "LIKE alone, without ESCAPE, is common"),
    (exp.Literal, lambda n: n.is_string and "\\" in n.name, "a backslash escapes in half of them"),
    (exp.NullSafeEQ | exp.NullSafeNEQ, bool, "Redshift has no IS DISTINCT FROM"),
    (
        exp.Filter | exp.Qualify | exp.Lateral | exp.Unnest | exp.Pivot,
        bool,
        "not everywhere, or rewritten beyond review",
    ),
    (exp.TableAlias, lambda n: n.columns, "columns are named in the SELECT itself"),
    (exp.Cast, lambda n: n.to.is_type(*_INSTANTS), "with or without a zone, and in which, differs"),
    (exp.Interval, bool, "what it may be added to differs; days between dates"),
    (exp.Select, lambda n: any(_shadowed(n)), "ClickHouse reads the output's name, not the column; t.a"),
    (exp.Select, lambda n: n.args.get("from_") and len(_unnamed(n)) > 1, "polars gives all values one name; AS name"),
    (exp.Star, lambda n: not isinstance(n.parent, exp.Count), "its columns are another release's"),
)


def traps(tree):
    """Return the constructs of a query that have another meaning in some warehouse."""
    for node in tree.walk():
        for kind, is_trap, why in TRAPS:
            if isinstance(node, kind) and is_trap(node):
                yield f"{node.sql('duckdb')}: {why}"


@EACH_VIEW
def test_shipped_views_hold_no_trap(view):
    """A shipped view has only constructs with the same meaning in all warehouses."""
    assert list(traps(sqlglot.parse_one(view.query, read="duckdb"))) == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a / b FROM t",
        "SELECT CAST(a AS DOUBLE) / b FROM t",
        "SELECT AVG(a) FROM t",
        "SELECT DATE_DIFF('day', a, b) FROM t",
        "SELECT trim(a) FROM t",
        "SELECT translate(a, 'x', '') FROM t",
        "SELECT SUM(a) AS a, MAX(a) AS most FROM t",
        "SELECT MIN(a) AS a FROM t HAVING COUNT(a) = 1",
        "SELECT a, NULL, NULL FROM t",
        "SELECT SPLIT_PART(a, ':', 7) FROM t",
        "SELECT a LIKE 'x!_y' ESCAPE '!' FROM t",
        "SELECT a ILIKE 'x' FROM t",
        "SELECT a LIKE 'x\\_y' FROM t",
        "SELECT regexp_matches(a, 'x') FROM t",
        "SELECT a IS DISTINCT FROM b FROM t",
        "SELECT greatest(a, b) FROM t",
        "SELECT concat(a, b) FROM t",
        "SELECT string_agg(a, ',') FROM t",
        "SELECT from_base64(a) FROM t",
        "SELECT COUNT(*) FILTER (WHERE a) FROM t",
        "SELECT a FROM t QUALIFY row_number() OVER (ORDER BY a) = 1",
        "SELECT CAST(a AS TIMESTAMPTZ) FROM t",
        "SELECT CAST(a AS TIMESTAMP) FROM t",
        "SELECT a - INTERVAL 30 DAY FROM t",
        "SELECT x FROM (VALUES (1)) AS v(x)",
        "SELECT * FROM t",
        "SELECT unheard_of(a) FROM t",
    ],
)
def test_traps_are_seen(query):
    """Each construct that has another meaning in some warehouse is found."""
    assert len(list(traps(sqlglot.parse_one(query, read="duckdb")))) >= 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # DuckDB sorts NULL last, up and down; who sorts it first, or large, is told so.
        (
            "SELECT a FROM tags ORDER BY a, b DESC",
            {
                "spark": "ORDER BY `a` NULLS LAST, `b` DESC",
                "bigquery": "ORDER BY `a` NULLS LAST, `b` DESC",
                "snowflake": 'ORDER BY "A", "B" DESC NULLS LAST',
                "redshift": 'ORDER BY "a", "b" DESC NULLS LAST',
                "trino": 'ORDER BY "a", "b" DESC',
            },
        ),
        # || with NULL is NULL, so COUNT(DISTINCT a || b) counts no row that lacks one; CONCAT would not do everywhere.
        (
            "SELECT COUNT(DISTINCT a || ':' || b) AS n FROM tags",
            {
                "snowflake": """COUNT(DISTINCT "A" || ':' || "B")""",
                "redshift": """COUNT(DISTINCT "a" || ':' || "b")""",
                "spark": "COUNT(DISTINCT `a` || ':' || `b`)",
                "bigquery": "COUNT(DISTINCT `a` || ':' || `b`)",
                "trino": """CONCAT(CAST("a" AS VARCHAR), CAST(':' AS VARCHAR), CAST("b" AS VARCHAR))""",
            },
        ),
        (
            "SELECT CAST(a AS DOUBLE) / NULLIF(b, 0) AS share FROM tags",
            {
                "bigquery": "CAST(`a` AS FLOAT64) / NULLIF(`b`, 0)",
                "redshift": 'CAST("a" AS DOUBLE PRECISION) / NULLIF("b", 0)',
                "trino": 'CAST("a" AS DOUBLE) / NULLIF("b", 0)',
            },
        ),
        # Days between dates; which argument comes first differs.
        (
            "SELECT DATE_DIFF('day', CAST(a AS DATE), b) AS d FROM tags",
            {
                "bigquery": "DATE_DIFF(`b`, CAST(`a` AS DATE), DAY)",
                "redshift": 'DATEDIFF(DAY, CAST("a" AS DATE), "b")',
                "spark": "DATEDIFF(DAY, CAST(`a` AS DATE), `b`)",
            },
        ),
        # BigQuery has no SPLIT_PART, and counts from 0.
        (
            "SELECT NULLIF(SPLIT_PART(a, ':', 7), '') AS p FROM tags",
            {"bigquery": "NULLIF(SPLIT(`a`, ':')[SAFE_OFFSET(6)], '')", "trino": """SPLIT_PART("a", ':', 7)"""},
        ),
        # Plain, history and snapshot names have their schemas; what WITH defines has none, even under a table's name.
        (
            "WITH tags AS (SELECT key FROM history.tags) SELECT key FROM tags JOIN snapshot.env_vars AS e ON true",
            {
                "databricks": "FROM `tags`\nJOIN `lexport_snapshot`.`env_vars` AS `e`",
                "athena": 'FROM "lexport_history"."tags"',
                "snowflake": 'FROM "LEXPORT_HISTORY"."TAGS"',
            },
        ),
    ],
)
def test_what_translates_keeps_its_meaning(query, expected):
    """Order of NULLs, division, NULL in texts, days and name spaces are written as each warehouse needs them."""
    written = {name: translate(query, DIALECTS[name], name="test") for name in expected}

    assert [
        text for name, text in written.items() if " ".join(expected[name].split()) not in " ".join(text.split())
    ] == []


def test_what_cannot_be_said_is_refused():
    """A construct that a dialect lacks is an error, never an approximation."""
    with pytest.raises(ViewError, match=r"x\.sql cannot be written in bigquery SQL"):
        translate("SELECT string_agg(a, ', ' ORDER BY b) AS s FROM tags", DIALECTS["bigquery"], name="x.sql")


# --- the command --------------------------------------------------------------------------------------------------


def run(lexport_path, *arguments, cwd):
    return anyio.run(lambda: anyio.run_process([lexport_path, *arguments], check=False, cwd=cwd))


def test_print(lexport_path, tmp_path):
    """``sql --print`` prints the shipped file, with --dialect its head and the SQL of the warehouse."""
    view = VIEWS[0]
    shipped = run(lexport_path, "sql", "--print", view.name, cwd=tmp_path)
    spark = run(lexport_path, "sql", "any", "--dialect", "spark", "--print", view.name, cwd=tmp_path)
    head = [line for line in view.path.read_text(encoding="utf-8").splitlines() if line.startswith("--")]

    assert (shipped.returncode, shipped.stdout.decode()) == (0, view.path.read_text(encoding="utf-8"))
    assert spark.stdout.decode() == "\n".join([*head, translate(view.query, DIALECTS["spark"], name="x"), ""])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("sql", "--print", "runtime"), "lexport: none of the"),
        (("sql", "--dialect", "spark"), "lexport sql: --dialect needs --print VIEW"),
        (("sql", "fleet", "SELECT 1", "--print", "runtimes"), "lexport sql: --print takes no QUERY"),
        (("sql", "fleet"), "lexport sql: Missing argument 'QUERY'"),
        (
            ("schema", "--ddl", "trino", "--location", "bucket"),
            "lexport: --location bucket: expected the location of",
        ),
        (("schema", "--ddl", "trino", "--location", "s3://b/it's"), "lexport: --location s3://b/it's: expected"),
        (("schema", "--location", "s3://b/p"), "lexport schema: --location needs --ddl"),
        (("schema", "--ddl", "trino", "--table", "tags"), "lexport schema: --ddl prints SQL for all tables"),
    ],
)
def test_wrong_use(lexport_path, tmp_path, arguments, error):
    """Wrong arguments are reported in one line, with exit code 2."""
    done = run(lexport_path, *arguments, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(error)
    assert len(done.stderr.decode().splitlines()) == 1


def test_without_the_extra(tmp_path):
    """Without sqlglot, the command names the extra to install, and still prints DuckDB SQL."""
    code = "import sys; sys.modules['sqlglot'] = None; from lexport.cli.main import main; main()"

    def bare(*arguments):
        return anyio.run(lambda: anyio.run_process([sys.executable, "-c", code, *arguments], check=False, cwd=tmp_path))

    done = bare("sql", "--print", "runtimes", "--dialect", "spark")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().strip().endswith("which is not installed: pip install 'lexport[dialects]'")
    assert bare("sql", "--print", "runtimes").returncode == 0
    assert bare("schema", "--ddl", "trino").returncode == 2
