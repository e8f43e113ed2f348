"""Write a tiny, true dataset from dict rows: Parquet files and manifests as lexport's own."""

import hashlib
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from lexport import columns, manifest
from lexport.columns import Type

ACCOUNT, REGION = "111122223333", "eu-west-1"

_TYPES = {
    Type.TEXT: pa.string(),
    Type.INT32: pa.int32(),
    Type.INT64: pa.int64(),
    Type.BOOL: pa.bool_(),
    Type.DOUBLE: pa.float64(),
    Type.TIMESTAMP: pa.timestamp("us", "UTC"),
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
    snapshot, account and region. Without ``scopes`` there is one: whole, of the default account and region.
    """
    return [_write_snapshot(dest, number, **snapshot) for number, snapshot in enumerate(snapshots, start=1)]


def _write_snapshot(dest, number, *, at=datetime(2026, 11, 22, 2, tzinfo=UTC), scopes=None, **given):
    given = {"id": snapshot_id(number), "status": "complete", "gaps": 0, "version": "0.1.0", **given}
    scopes = [{}] if scopes is None else scopes
    scopes = [
        {"account_id": ACCOUNT, "region": REGION, "coverage": "fleet", "status": "complete", **scope}
        for scope in scopes
    ]
    common = {"snapshot_id": given["id"], "snapshot_at": at}
    files = []
    for table in columns.TABLES:
        rows = given.get(table.name, [])
        if table is columns.SCOPES:
            rows = scopes
        if table is columns.SNAPSHOTS:
            if not given.get("heal", True):
                continue
            rows = [{"account_id": None, "region": None, "status": given["status"]}]
        rows = [{**common, "account_id": ACCOUNT, "region": REGION, **row} for row in rows]
        unknown = {key for row in rows for key in row} - set(table.names())
        assert not unknown, f"{table.name} has no column {unknown}"
        entry = _write_file(dest, table, rows, given.get("without", ()), given["id"], at)
        if table is not columns.SNAPSHOTS:
            files.append(entry)
    counts = ("functions", "versions", "aliases", "get_function_calls", "list_calls", "throttles")
    found = manifest.Manifest(
        snapshot_id=given["id"],
        snapshot_at=at,
        committed_at=at,
        status=given["status"],
        gaps=given["gaps"],
        lexport_version=given["version"],
        schema_version="1",
        hash_key_id=None,
        options={},
        files=tuple(files),
        scopes=tuple(
            manifest.ScopeEntry(
                **{name: scope[name] for name in ("account_id", "region", "coverage", "status")},
                **{name: scope.get(name, 0) for name in counts},
            )
            for scope in scopes
        ),
    )
    if given.get("commit", True):
        path = dest / manifest.run_path(given["id"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found.to_json())
    return found


def _write_file(dest, table, rows, without, snapshot, at):
    path = manifest.data_path(table.name, snapshot, at)
    (dest / path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema_of(table, without)), dest / path, compression="zstd")
    body = (dest / path).read_bytes()
    return manifest.FileEntry(
        table=table.name, path=path, size_bytes=len(body), rows=len(rows), sha256=hashlib.sha256(body).hexdigest()
    )
