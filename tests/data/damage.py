"""Ways to damage a dataset, with or without a manifest that fits."""

import hashlib
import json
from datetime import UTC, datetime

import pyarrow.parquet as pq

PACKAGE = b"PK\x05\x06".ljust(22, b"\0")
HEX = hashlib.sha256(PACKAGE).hexdigest()
STORED = f"_packages/sha256/{HEX[:2]}/{HEX}.zip"
PACKAGES_ID = "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"
AT = datetime(2026, 11, 22, 3, tzinfo=UTC)


def file_of(dest, table):
    """The path of a table's file in the snapshot, relative to the dataset."""
    return next(str(path.relative_to(dest)) for path in dest.glob(f"{table}/*/*.parquet") if path.name[0] != "7")


def fix(dest, path, rows=None):
    """Write the current size and hash of the file into the manifest."""
    for run_file in dest.glob("_runs/*.json"):
        told = json.loads(run_file.read_bytes())
        for entry in told["files"]:
            if entry["path"] == path:
                body = (dest / path).read_bytes()
                entry.update(size_bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
                if entry["table"] == "functions" and rows is not None:
                    told["scopes"][0]["versions"] += rows - entry["rows"]
                entry.update({} if rows is None else {"rows": rows})
        run_file.write_text(json.dumps(told))


def rewrite(dest, table, change, *, rows=None):
    """Write a table's file anew, changed, with a manifest that fits."""
    path = file_of(dest, table)
    changed = change(pq.ParquetFile(dest / path).read())
    pq.write_table(changed, dest / path, compression="zstd", write_page_checksum=True)
    fix(dest, path, len(changed) if rows is None else rows)
    return path


def flip(path):
    """Flip one bit of the last page of a column."""
    column = pq.ParquetFile(path).metadata.row_group(0).column(13)
    body = bytearray(path.read_bytes())
    body[(column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size - 1] ^= 1
    path.write_bytes(body)


def change_manifest(dest, change):
    path = next(dest.glob("_runs/0*.json"))
    told = json.loads(path.read_bytes())
    change(told)
    path.write_text(json.dumps(told))
    return f"_runs/{path.name}"


def split(dest, table, *, first, second):
    """Write a table's rows into two files, those up to ``first`` and those from ``second`` on."""
    path = file_of(dest, table)
    rows = pq.ParquetFile(dest / path).read()
    other = path.replace("-0000.", "-0001.")
    parts = {path: rows.slice(0, first), other: rows.slice(second)}
    for name, part in parts.items():
        pq.write_table(part, dest / name, compression="zstd", write_page_checksum=True)

    def change(told):
        entry = next(entry for entry in told["files"] if entry["path"] == path)
        told["files"].append(entry | {"path": other})

    change_manifest(dest, change)
    for name, part in parts.items():
        fix(dest, name, len(part))
    return other
