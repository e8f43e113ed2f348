"""``load.sql`` run by psql and DuckDB: the databases show what ``lexport sql`` shows, and each runs once."""

import os
import re
import shutil
import subprocess

import duckdb
import pytest
from postgres_server import postgres_programs

from lexport.query.feed import FeedResult, write_feed
from lexport.query.warehouse.load_script import script_of
from lexport.query.warehouse.native_tables import NATIVE_DIALECTS

SINCE = "01KB0000000000000000000001"


def write(dest, folder, kind, since=None) -> FeedResult:
    output = "csv" if kind == "postgres" else "parquet"
    dialect = NATIVE_DIALECTS[kind]
    return write_feed(dest, folder, since, output=output, script=script_of(dialect, folder))


def run(warehouse, folder, monkeypatch):
    """Run a script in its folder as its head says, with another encoding in psql; return what was wrong."""
    monkeypatch.chdir(folder)
    if warehouse.kind == "duckdb":
        try:
            with duckdb.connect(warehouse.url) as connection:
                for statement in (folder / "load.sql").read_text().split(";\n\n"):
                    connection.execute(statement)
        except duckdb.Error as error:
            return str(error)
        return ""
    command = [postgres_programs() / "psql", "--no-psqlrc", "-q", "-f", "load.sql", warehouse.url]
    variables = {**os.environ, "PGCLIENTENCODING": "LATIN1"}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=variables).stderr


def test_scripts(warehouse, write_dataset, nights, tmp_path, monkeypatch, show, differing):
    """A first script, and one that leads on, make a database equal to the dataset; each runs once."""
    dest = tmp_path / "fleet"
    growing = nights.write_stages(dest, write_dataset, text='plain "téxt 日本",\nof two lines')
    next(growing)
    write(dest, tmp_path / "first", warehouse.kind)
    for _ in range(2):
        next(growing)
    write(dest, tmp_path / "second", warehouse.kind, SINCE)
    shutil.copytree(tmp_path / "second", tmp_path / "again")

    assert re.findall("(?i)error.*", run(warehouse, tmp_path / "first", monkeypatch)) == []
    warehouse.run("ALTER TABLE lexport_tables.subnets RENAME TO kept")
    shutil.copytree(tmp_path / "second", tmp_path / "lacking")
    assert "subnets" in run(warehouse, tmp_path / "lacking", monkeypatch)
    warehouse.run("ALTER TABLE lexport_tables.kept RENAME TO subnets")
    assert re.findall("(?i)error.*", run(warehouse, tmp_path / "second", monkeypatch)) == []
    assert differing(warehouse, show.of_sql(dest, show.TABLES)) == []
    assert f"lexport_loads does not end where this feed begins: {SINCE}" in run(
        warehouse, tmp_path / "again", monkeypatch
    )
    assert len(warehouse.query("SELECT load_id FROM lexport_tables.lexport_loads")) == 2


@pytest.mark.parametrize("text", ["a\n\\.\nb", "a\0b"])
def test_texts_that_psql_does_not_load(write_dataset, tmp_path, text):
    """The head of a script for psql says where a text cannot be loaded by it."""
    rows = [{"function_name": "f", "version": "$LATEST", "description": text}]
    write_dataset(tmp_path / "fleet", [{"functions": rows}])
    write(tmp_path / "fleet", tmp_path / "feed", "postgres")

    assert "lexport feed --apply loads it" in (tmp_path / "feed" / "load.sql").read_text().split("\\set", 1)[0]
