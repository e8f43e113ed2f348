"""``load.sql`` in every warehouse's SQL: as reviewed, and read back by the warehouse's own grammar."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from lexport.errors import SettingsError
from lexport.query.warehouse.load import Load, LoadScope
from lexport.query.warehouse.load_script import Script, place_of, script_of
from lexport.query.warehouse.native_tables import NATIVE_DIALECTS

GOLDEN = Path(__file__).with_name("golden_fed")
MODES = ("hard-delete", "soft-delete", "scd2")
EACH = pytest.mark.parametrize("mode", MODES)
ALL = pytest.mark.parametrize("dialect", NATIVE_DIALECTS.values(), ids=list(NATIVE_DIALECTS))
AT = datetime(2026, 11, 22, 2, 0, 0, 123456, tzinfo=UTC)
FIRST, SECOND = "01KB0000000000000000000001", "01KB0000000000000000000002"
NOT_PARSED = {
    "postgres": r"DO \$lexport\$ BEGIN IF NOT .* THEN RAISE EXCEPTION USING MESSAGE = '.*'; END IF; END \$lexport\$"
    r"|CREATE TEMPORARY TABLE [^;]*\) ON COMMIT DROP",
    "snowflake": r"(?s)EXECUTE IMMEDIATE \$\$\nDECLARE refused EXCEPTION .*\$\$|ALTER SESSION SET TIMEZONE = 'UTC'",
    "bigquery": r"(?s)LOAD DATA OVERWRITE .*",
    "redshift": r'LOCK TABLE "lexport_tables"."lexport_loads"',
}
"""Statements that sqlglot takes as they are."""


def a_load(mode, since=FIRST):
    """Return a feed with an account-region to replace, one to change, and deletes."""
    return Load(
        load_id="01KB0000000000000000000009",
        since=since,
        next_since=SECOND,
        write_mode=mode,
        schema_version="2",
        lexport_version="0.1.0",
        scopes=[
            LoadScope(account_id="111122223333", region="eu-west-1", snapshot_at=AT, replaced=False),
            LoadScope(account_id="111122223334", region="us-east-1", snapshot_at=AT, replaced=True),
        ],
        rows={"tags": 2, "subnets": 1, "changes": 1, "packages": 3, "functions": 0},
        deleting={"tags", "packages"} if since else (),
        upserts=7,
        deletes=4 if since else 0,
    )


@EACH
@ALL
def test_golden(dialect, mode, compare_golden):
    """What loads the files of a feed is as reviewed."""
    text = Script(a_load(mode), dialect, "s3://bucket/feeds/1").text()
    head, _, rest = text.partition("-- Are all tables there?")

    compare_golden(
        GOLDEN / dialect.name / f"load-{mode}.sql", f"{head}{rest[rest.index('-- The files of the feed.') :]}"
    )


@EACH
@ALL
def test_reads_back_in_its_own_dialect(dialect, mode):
    """Each statement is in the warehouse's grammar; the cursor moves last, and only from where the feed begins."""
    text = Script(a_load(mode), dialect, "s3://bucket/feeds/1").text()
    parts = [re.sub(r"(?m)^(--.*|\\.*)\n*", "", part).strip() for part in text.split(";\n\n")]
    kinds = []
    for statement in filter(None, parts):
        tree = sqlglot.parse_one(statement, read=dialect.name)
        if isinstance(tree, exp.Command):
            assert re.fullmatch(NOT_PARSED.get(dialect.name, "none"), statement), statement
        kinds.append((type(tree), statement))
    changes = [statement for kind, statement in kinds if kind in (exp.Insert, exp.Delete, exp.Update, exp.Merge)]

    assert f"= '{FIRST}'" in changes[-1]
    assert "lexport_loads" in changes[-1].lower()
    assert len(re.findall(r"\nCOMMIT( TRANSACTION)?;", text)) == (dialect.name not in ("databricks", "athena"))


def test_a_first_load_replaces_everything():
    """A feed from nothing deletes the rows of every table, and creates the views."""
    text = Script(a_load("hard-delete", since=None), NATIVE_DIALECTS["postgres"], "/feeds/1").text()

    assert text.count("DELETE FROM") == text.count("CREATE TABLE IF NOT EXISTS") - 1  # all but lexport_loads
    assert 'CREATE OR REPLACE VIEW "lexport"."prunable_versions"' in text


READS = {
    "snowflake": ("s3", "gs"),
    "bigquery": ("gs",),
    "redshift": ("s3",),
    "databricks": ("s3", "gs"),
    "athena": ("s3",),
}


@pytest.mark.parametrize("dialect", READS)
def test_buckets_that_a_warehouse_does_not_read(dialect):
    """A script for a warehouse that does not read the bucket of -o is refused before a feed is written."""
    for scheme in ("s3", "gs", "az"):
        if scheme in READS[dialect]:
            assert callable(script_of(NATIVE_DIALECTS[dialect], f"{scheme}://bucket/feeds/1"))
        else:
            with pytest.raises(SettingsError, match=f"{dialect} reads files from {READS[dialect][0]}://"):
                script_of(NATIVE_DIALECTS[dialect], f"{scheme}://bucket/feeds/1")


def test_snowflake_names_google_buckets_otherwise():
    """A bucket of Google has the name that Snowflake has for it."""
    assert place_of(NATIVE_DIALECTS["snowflake"], "gs://bucket/feeds/1") == "gcs://bucket/feeds/1"
    assert place_of(NATIVE_DIALECTS["databricks"], "gs://bucket/feeds/1") == "gs://bucket/feeds/1"
