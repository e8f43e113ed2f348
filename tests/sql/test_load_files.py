"""``lexport load-files``: what loaders need for one run names the files of its manifest, and nothing else."""

import json
import re
from datetime import UTC, datetime

import pytest
import sqlglot
from sqlglot import exp

from lexport.dataset.manifest import Manifest
from lexport.errors import SettingsError
from lexport.query.publish.write_load_files import write_load_files
from lexport.tables import registry
from lexport.tables.registry import BY_NAME

TAGS = [{"function_name": "f", "key": f"k{number}", "value": "v"} for number in range(3)]
NIGHT = {"at": datetime(2026, 11, 30, 23, 30, tzinfo=UTC), "functions": [{"function_name": "f", "version": "$LATEST"}]}


@pytest.fixture
def write(tmp_path, write_dataset):
    """Write a committed night, and one that never committed; then the files for the newest."""
    write_dataset(tmp_path / "fleet", [NIGHT | {"tags": TAGS}, NIGHT | {"tags": TAGS, "commit": False}])

    def run(location, **more):
        done = write_load_files(tmp_path / "fleet", tmp_path / "load", location=location, **more)
        return {name: (tmp_path / "load" / name).read_text(encoding="utf-8") for name in done.names}

    return run


def manifest_of(dest):
    (path,) = dest.glob("_runs/*.json")
    return Manifest.from_json(path.read_bytes())


def test_files_in_s3(write, tmp_path):
    """Manifests have every file with rows and its size; scripts parse, and name the day and the files of this run."""
    texts = write("s3://acme/fleet")
    commit = manifest_of(tmp_path / "fleet")
    with_rows = {table.name: [each for each in commit.entries(table.name) if each.rows] for table in registry.tables()}
    with_rows = {name: entries for name, entries in with_rows.items() if entries}
    in_manifests = {
        name.removeprefix("redshift-").removesuffix(".manifest"): json.loads(text)["entries"]
        for name, text in texts.items()
        if name.endswith(".manifest")
    }
    assert in_manifests == {
        name: [
            {
                "url": f"s3://acme/fleet/{entry.path}",
                "mandatory": True,
                "meta": {"content_length": (tmp_path / "fleet" / entry.path).stat().st_size},
            }
            for entry in entries
        ]
        for name, entries in with_rows.items()
    }

    copy = parsed(texts["redshift-copy.sql"], "redshift")
    created = {
        tree.this.this.name: [column.name for column in tree.find_all(exp.ColumnDef)]
        for tree in copy
        if tables_of(tree)
    }
    assert created == {name: list(BY_NAME[name].names()) for name in with_rows}  # a COPY goes by position
    assert len(re.findall(r"^MANIFEST;$", texts["redshift-copy.sql"], re.MULTILINE)) == len(with_rows)
    assert texts["redshift-copy.sql"].index("BEGIN;") < texts["redshift-copy.sql"].index("DELETE FROM")
    assert texts["redshift-copy.sql"].endswith("COMMIT;\n\n")

    folders = {name: f"s3://acme/fleet/{name}/snapshot_date=2026-11-30/" for name in ("tags", "functions", "snapshots")}
    for name, folder in folders.items():
        (partition,) = json.loads(texts[f"glue-{name}.json"])["PartitionInputList"]
        columns = [column["Name"] for column in partition["StorageDescriptor"]["Columns"]]
        assert (partition["Values"], partition["StorageDescriptor"]["Location"]) == (["2026-11-30"], folder)
        assert columns == list(BY_NAME[name].names())
        assert f"(`snapshot_date` = DATE '2026-11-30') LOCATION '{folder}'" in texts["spark.sql"]
        assert f"(snapshot_date = '2026-11-30') LOCATION '{folder}'" in texts["redshift-partitions.sql"]
    parsed(texts["spark.sql"], "spark")

    snowflake = texts["snowflake.sql"]
    named = {
        f"{table}/{path}"
        for table, files in re.findall(r"/(\w+)/\nFILES = \((.*?)\)", snowflake, re.DOTALL)
        for path in re.findall("'(.*?)'", files)
    }
    assert named == {entry.path for entries in with_rows.values() for entry in entries}
    assert snowflake.count("USE_LOGICAL_TYPE = TRUE") == len(with_rows)
    parsed(snowflake, "snowflake")
    assert list(texts)[-1] == "run.json"
    assert json.loads(texts["run.json"])["snapshot_id"] == commit.snapshot_id
    assert not any(name.startswith("bigquery") for name in texts)


def parsed(script, dialect):
    """Parse the statements of a script that sqlglot knows."""
    return [tree for tree in sqlglot.parse(script, read=dialect) if tree is not None]


def tables_of(tree):
    return isinstance(tree, exp.Create) and tree.kind == "TABLE"


def test_files_in_google_cloud_storage(write, tmp_path):
    """A load job has the files, the columns of the table, and the same id each time; nothing is for S3."""
    texts = write("gs://acme/fleet")
    commit = manifest_of(tmp_path / "fleet")
    job = json.loads(texts["bigquery-tags.json"])
    load = job["configuration"]["load"]

    assert job["jobReference"]["jobId"] == f"lexport_{commit.snapshot_id}_tags"
    assert load["sourceUris"] == [f"gs://acme/fleet/{entry.path}" for entry in commit.entries("tags")]
    assert [field["name"] for field in load["schema"]["fields"]] == list(BY_NAME["tags"].names())
    assert not any(name.startswith(("redshift", "glue")) for name in texts)


def test_a_run_that_never_committed_is_not_there(write):
    """A run without a commit cannot be named, and a dataset on this machine has no URL of its own."""
    with pytest.raises(SettingsError, match="there is no such run; the newest snapshot is 01K00000000000000000000001"):
        write("s3://acme/fleet", snapshot_id="01K00000000000000000000002")
    with pytest.raises(SettingsError, match="give --location"):
        write(None)
