"""Write a tiny, true dataset from dict rows: Parquet files and manifests as lexport's own."""

import dataclasses
import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from lexport.dataset import layout, manifest
from lexport.tables import registry
from lexport.tables.registry import PACKAGE_TABLES, SCHEMA_VERSION
from lexport.tables.run import ERRORS, SCOPE_RESOURCES, SCOPES, SNAPSHOTS
from lexport.tables.table import Type

ACCOUNT, REGION = "111122223333", "eu-west-1"

_TYPES = {
    Type.TEXT: pa.string(),
    Type.INT32: pa.int32(),
    Type.INT64: pa.int64(),
    Type.BOOL: pa.bool_(),
    Type.DOUBLE: pa.float64(),
    Type.TIMESTAMP: pa.timestamp("us", "UTC"),
    Type.DATE: pa.date32(),
}


def snapshot_id(number):
    """Return the id of the snapshot of this number; a greater number is newer."""
    return f"01K0{number:022d}"


def schema_of(table, without=()):
    """Return a table's Arrow schema, as an older lexport might have written it."""
    return pa.schema([(column.name, _TYPES[column.type]) for column in table.columns if column.name not in without])


def write_dataset(dest, snapshots):
    """Write snapshots into ``dest`` and return their manifests.

    Each snapshot is a dict: ``at`` (datetime), and, if wanted, ``id``, ``scopes`` (dicts), ``status``, ``gaps``,
    ``version``, ``commit`` (False: files without a commit), ``heal`` (False: no file of ``snapshots``), ``without``
    (column names that its files lack), and rows by table name. What a row does not name is NULL, but for
    snapshot, account and region. The manifest counts the versions and aliases of each scope. Without ``scopes`` there
    is one: whole, of the default account and region; with none (``[]``) the commit is of packages alone.
    Without ``scope_resources``, each scope has a row of its functions, as whole as the scope.
    Tables of packages were read where they are given; a snapshot has empty files of the others.
    """
    return [_write_snapshot(dest, number, **snapshot) for number, snapshot in enumerate(snapshots, start=1)]


def _write_snapshot(dest, number, *, at=datetime(2026, 11, 22, 2, tzinfo=UTC), scopes=None, **given):
    given = {"id": snapshot_id(number), "status": "complete", "version": "0.1.0", **given}
    given.setdefault("gaps", 0 if given["status"] == "complete" else 1)
    scopes = [{}] if scopes is None else scopes
    scopes = [
        {"account_id": ACCOUNT, "region": REGION, "coverage": "fleet", "status": "complete", **scope}
        for scope in scopes
    ]
    common = {"snapshot_id": given["id"], "snapshot_at": at}
    files = []
    counted = {"functions": Counter(), "aliases": Counter()}
    left_out = {*registry.resource_tables()} - registry.tables_read({})
    for table in registry.tables():
        is_of_packages = table in PACKAGE_TABLES
        is_left_out = table not in (ERRORS, SNAPSHOTS) and not scopes
        is_read = table.name in given or not (is_of_packages or table in left_out)
        if table.name not in given and is_left_out:
            continue
        rows = given.get(table.name, [])
        if is_of_packages:
            rows = [{"account_id": None, "region": None, **row} for row in rows]
        if table is SCOPES:
            rows = scopes
        if table is SCOPE_RESOURCES and table.name not in given:
            rows = [_resource_row(scope) for scope in scopes]
        if table is SNAPSHOTS:
            if not given.get("heal", True):
                continue
            rows = [{"account_id": None, "region": None, "status": given["status"]}]
        rows = [{**common, "account_id": ACCOUNT, "region": REGION, **row} for row in rows]
        unknown = {key for row in rows for key in row} - set(table.names())
        assert not unknown, f"{table.name} has no column {unknown}"
        if table.name in counted:
            counted[table.name].update((row["account_id"], row["region"]) for row in rows)
        entry = _write_file(dest, table, rows, given.get("without", ()), given["id"], at)
        if table is not SNAPSHOTS:
            files.append(dataclasses.replace(entry, read=is_read))
    counts = ("functions", "versions", "aliases", "get_function_calls", "list_calls", "throttles")
    found = manifest.Manifest(
        snapshot_id=given["id"],
        snapshot_at=at,
        committed_at=at,
        status=given["status"],
        gaps=given["gaps"],
        lexport_version=given["version"],
        schema_version=SCHEMA_VERSION,
        hash_key_id=None,
        options={},
        files=tuple(files),
        scopes=tuple(
            manifest.ScopeEntry(
                **{name: scope[name] for name in ("account_id", "region", "coverage", "status")},
                **{name: scope.get(name, 0) for name in counts if name not in ("versions", "aliases")},
                versions=counted["functions"].pop((scope["account_id"], scope["region"]), 0),
                aliases=counted["aliases"].pop((scope["account_id"], scope["region"]), 0),
            )
            for scope in scopes
        ),
    )
    assert not any(map(dict, counted.values())), f"rows of account-regions that are no scopes: {counted}"
    if given.get("commit", True):
        path = dest / layout.run_path(given["id"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found.to_json())
    return found


def _resource_row(scope):
    return {name: scope[name] for name in ("account_id", "region", "status")} | {"resource": "functions"}


def _write_file(dest, table, rows, without, snapshot, at):
    path = layout.data_path(table.name, snapshot, at)
    (dest / path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema_of(table, without)), dest / path, compression="zstd")
    body = (dest / path).read_bytes()
    return manifest.FileEntry(
        table=table.name, path=path, size_bytes=len(body), rows=len(rows), sha256=hashlib.sha256(body).hexdigest()
    )


# --- nights of an older schema version --------------------------------------------------------------------------------


def make_old(dest, commit, **edits):
    """Rewrite a commit as schema version 1 wrote it: former column names, in ``changes`` as values too.

    ``edits`` by table name are functions from the rows of its file to other ones. Sizes and hashes fit again.
    """
    former = {name: old for table in registry.tables() for old, name in table.renames().items()}
    files = []
    for entry in commit.files:
        rows = pq.ParquetFile(dest / entry.path).read()
        rows = edits.get(entry.table, lambda rows: rows)(rows)
        here = {name: old for old, name in registry.BY_NAME[entry.table].renames().items()}
        rows = rows.rename_columns([here.get(name, name) for name in rows.column_names])
        if entry.table == "changes":
            names = pa.array([former.get(name, name) for name in rows.column("column_name").to_pylist()], pa.string())
            rows = rows.set_column(rows.column_names.index("column_name"), "column_name", names)
        metadata = {**(rows.schema.metadata or {}), b"lexport.schema_version": b"1"}
        pq.write_table(rows.replace_schema_metadata(metadata), dest / entry.path, write_page_checksum=True)
        body = (dest / entry.path).read_bytes()
        digest = hashlib.sha256(body).hexdigest()
        files.append(dataclasses.replace(entry, size_bytes=len(body), rows=len(rows), sha256=digest))
    row = dest / layout.data_path("snapshots", commit.snapshot_id, commit.snapshot_at)
    told = pq.ParquetFile(row).read()
    place = told.column_names.index("schema_version")
    pq.write_table(told.set_column(place, "schema_version", pa.array(["1"])), row, write_page_checksum=True)
    old = dataclasses.replace(commit, schema_version="1", files=tuple(files))
    (dest / layout.run_path(commit.snapshot_id)).write_bytes(old.to_json())
    return old


# --- commits of packages, between and after snapshots: what each name shows ------------------------------------------

_AT = datetime(2026, 11, 22, 2, tzinfo=UTC)


def _function(name, code):
    return {"function_name": name, "version": "$LATEST", "code_sha256": code}


def _package(code, status="stored"):
    return {"code_sha256": code, "sha256_hex": code * 2, "status": status}


PACKAGE_COMMITS = [
    {
        "at": _AT,
        "functions": [_function("f", "a"), _function("g", "b")],
        "layers": [{"function_name": "f", "version": "$LATEST", "position": 0, "layer_arn": "l:1"}],
        "packages": [_package("a") | {"dependencies_status": "complete"}, _package("b"), _package("z")],
    },
    {
        "at": _AT + timedelta(days=1),
        "scopes": [],
        "packages": [_package("a", "present"), _package("gone"), _package("of a layer")],
        "layer_versions": [
            {"layer_arn": "l:1", "code_sha256": "of a layer", "status": "stored"},
            {"layer_arn": "l:2", "code_sha256": "gone", "status": "stored"},
        ],
        "package_files": [{"sha256_hex": "aa", "path": "old"}, {"sha256_hex": "of a layer" * 2, "path": "in a layer"}],
    },
    {
        "at": _AT + timedelta(days=2),
        "scopes": [],
        "packages": [],
        "package_files": [{"sha256_hex": "aa", "path": "new"}, {"sha256_hex": "zz", "path": "no"}],
    },
]

PACKAGE_ANSWERS = {
    "SELECT code_sha256, status FROM packages ORDER BY ALL": [
        ("a", "present"),
        ("b", "stored"),
        ("of a layer", "stored"),
    ],
    "SELECT code_sha256, dependencies_status FROM packages ORDER BY ALL": [
        ("a", "complete"),
        ("b", None),
        ("of a layer", None),
    ],
    "SELECT layer_arn FROM layer_versions": [("l:1",)],
    "SELECT path FROM package_files ORDER BY ALL": [("in a layer",), ("new",)],
    "SELECT count(*) FROM package_dependencies": [(0,)],
    "SELECT count(*) FROM snapshot.packages": [(0,)],
    "SELECT layer_arn FROM snapshot.layer_versions ORDER BY ALL": [("l:1",), ("l:2",)],
    "SELECT function_name FROM snapshot.functions ORDER BY ALL": [("f",), ("g",)],
    "SELECT count(*) FROM history.packages": [(6,)],
    "SELECT count(*) FROM history.snapshots": [(3,)],
    "SELECT count(*) FROM snapshot.snapshots": [(1,)],
}
