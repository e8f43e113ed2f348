"""What the expectations of views share: keys of rows, groups and counts."""

import csv
from collections import defaultdict
from datetime import UTC, date, datetime

from lexport.query.shipped_views import sql_dir

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
TODAY = AT.date()
LATEST = "$LATEST"
_CSV = sql_dir() / "data" / "runtimes.csv"
RUNTIMES = {row["runtime"]: row for row in csv.DictReader(_CSV.read_text(encoding="utf-8").splitlines())}


def place(row):
    return row["account_id"], row["region"]


def function(row):
    return *place(row), row["function_name"]


def version(row):
    return *function(row), row["version"]


def groups(rows, key):
    found = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def pick(row, *names, **more):
    return {name: row[name] for name in names} | more


def day(text):
    return date.fromisoformat(text) if text else None


def published(rows):
    """Published versions, newest first."""
    return sorted((row for row in rows if row["version"] != LATEST), key=lambda row: -int(row["version"]))


def latest(rows):
    return [row for row in rows if row["version"] == LATEST]


def use(rows):
    """Count functions by ``$LATEST``, by any version, and versions."""
    return {
        "latest_functions": len(latest(rows)),
        "functions": len({function(row) for row in rows}),
        "versions": len(rows),
    }


def newest(rows):
    return max(row["last_modified_at"] for row in rows)


KEY = ("account_id", "region", "function_name")
