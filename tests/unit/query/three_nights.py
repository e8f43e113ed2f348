"""A dataset of three nights, ways to damage it, and its readers."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

from lexport.model import Scope
from lexport.query.diff import compare
from lexport.query.feed import open_feed
from lexport.query.sql import open_result

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
SCOPE = Scope(account_id="111122223333", region="eu-west-1")
IDS = [f"01K0{number:022d}" for number in (1, 2, 3)]
PLAIN = "SELECT min(description), count(*) FROM functions"
HISTORY = "SELECT count(*) FROM history.functions"


def night(day):
    """Return ten functions, whose descriptions have the same size each night and differ."""
    rows = [{"function_name": f"f{n}", "version": "$LATEST", "description": f"night {day}"} for n in range(10)]
    tags = [{"function_name": f"f{n}", "key": "team", "value": f"{day}"} for n in range(10)]
    return {"at": AT + day * timedelta(days=1), "functions": rows, "tags": tags}


def ask(dest, query):
    with open_result(dest, query) as result:
        return [tuple(row.values()) for row in result.reader.read_all().to_pylist()]


def file_of(dest, number, table="functions"):
    return next(dest.glob(f"{table}/*/{IDS[number]}-0000.parquet"))


def manifest_of(dest, number):
    return dest / "_runs" / f"{IDS[number]}.json"


def edit(dest, number, change):
    """Change a manifest as JSON."""
    manifest = json.loads(manifest_of(dest, number).read_bytes())
    change(manifest)
    manifest_of(dest, number).write_text(json.dumps(manifest))


def fit(dest, number, path):
    """Write the present size and hash of a file into a manifest."""
    body = path.read_bytes()
    facts = {"size_bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}

    def change(manifest):
        entry = next(entry for entry in manifest["files"] if (dest / entry["path"]) == path)
        entry.update(facts)

    edit(dest, number, change)


def feed_of(dest):
    return [
        (part.action, part.table.name, row) for part in open_feed(dest, IDS[1]).parts for row in part.rows.to_pylist()
    ]


def open_diff(dest):
    return compare(dest).changes
