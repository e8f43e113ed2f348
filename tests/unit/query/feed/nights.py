"""Nights of a small fleet by chance, with rows in every table; and the rows of plain names, to compare."""

from datetime import UTC, date, datetime, timedelta

from lexport.query.sql import open_query_session
from lexport.tables.registry import BY_NAME, resource_tables, tables
from lexport.tables.table import VERSION_KEY, Type

AT = datetime(2026, 11, 20, 2, tzinfo=UTC)
DAY = timedelta(days=1)
REGIONS = ("eu-west-1", "us-east-1", "us-west-2")
ACCOUNT = "111122223333"
CODES = tuple("abcd")
VALUES = {
    Type.TEXT: ("", "x", 'say "ü",\nor not', "\\N"),
    Type.INT32: (0, 1),
    Type.INT64: (-1, 2**62),
    Type.BOOL: (False, True),
    Type.DOUBLE: (0.5, 1.0),
    Type.TIMESTAMP: (AT, AT + timedelta(microseconds=1)),
    Type.DATE: (date(2026, 11, 1), date(2026, 11, 2)),
}


def a_row(dice, table, at, *, carries):
    """A row of a state table by chance; three times in four it was read in this run."""
    row = {}
    for column in table.columns[4:]:
        values = VALUES[column.type]
        if column.name not in VERSION_KEY[:3] and dice.random() < 0.2:
            continue
        row[column.name] = dice.choice(values)
    if "code_sha256" in row:
        row["code_sha256"] = dice.choice(CODES)
    if "layer_arn" in row:
        row["layer_arn"] = f"layer:{dice.choice('12')}"
    if "carried_forward" in table.names():
        is_carried = carries and dice.random() < 0.5
        row |= {"carried_forward": is_carried, "fetched_at": AT if is_carried else at}
    return row


def a_fleet(dice, region, at, before, *, carries=False):
    """The rows of an account-region by table: most are those of the night before."""
    rows = {}
    for table in resource_tables():
        kept = [row for row in before.get(table.name, []) if row["region"] == region and dice.random() < 0.8]
        for row in kept:
            if "carried_forward" in row:
                was = row["fetched_at"]
                row |= {"carried_forward": carries, "fetched_at": was if carries else at}
        made = [{**a_row(dice, table, at, carries=carries), "region": region} for _ in range(dice.randint(0, 2))]
        by_key = {tuple(row.get(name) for name in table.row_key): row for row in (*map(dict, kept), *made)}
        rows[table.name] = list(by_key.values())
    return rows


def a_night(dice, at, before, *, statuses=("complete",), coverage="fleet", carries=False):
    """A snapshot of some Regions; ``before`` has the rows of earlier ones."""
    night = {"at": at, "scopes": [], "status": "complete"}
    for region in sorted(dice.sample(REGIONS, dice.randint(1, 3))):
        status = dice.choice(statuses)
        night["scopes"].append({"region": region, "status": status, "coverage": coverage})
        for name, rows in a_fleet(dice, region, at, before, carries=carries).items():
            night.setdefault(name, []).extend(rows)
        if status != "complete":
            night |= {"status": "partial"}
    for name, rows in night.items():
        if name in BY_NAME:
            key = BY_NAME[name].key
            rows.sort(key=lambda row, key=key: tuple(str(row.get(column, "")) for column in key))
    night["changes"] = [
        {"kind": "added", "table_name": "functions", "key": key, "region": night["scopes"][0]["region"]}
        for key in ("f", 'g"\n')
    ]
    night["errors"] = [{"stage": "fetch", "message": text, "occurred_at": at} for text in ("", "no\nway")]
    return night


def a_package_commit(dice, at):
    """A commit of packages alone: some were inspected, some not."""
    codes = sorted(dice.sample(CODES, 2))
    hexes = [code * 2 for code in codes]
    return {
        "at": at,
        "scopes": [],
        "packages": [
            {"code_sha256": code, "sha256_hex": code * 2, "status": dice.choice(("stored", "present"))}
            | ({"dependencies_status": dice.choice(("complete", "unknown"))} if dice.random() < 0.6 else {})
            for code in codes
        ],
        "package_files": [
            {"sha256_hex": code, "path": path, "crc32": dice.randint(0, 9)}
            for code in hexes[: dice.randint(0, 2)]
            for path in sorted(dice.sample(("", "a.py", "b.py"), 2))
        ],
        "package_dependencies": [],
        "package_secrets": [],
        "layer_versions": [
            {"layer_arn": f"layer:{number}", "code_sha256": dice.choice(CODES)} for number in dice.sample("12", 1)
        ],
    }


def plain_rows(dest):
    """The rows of the plain name of every table, as ``lexport sql`` shows them."""
    names = [table.name for table in tables()]
    with open_query_session(dest) as session:
        session.tables.define(f"FROM {', '.join(names)}")
        return {name: comparable(session.connection.sql(f"FROM {name}").to_arrow_table().to_pylist()) for name in names}


def comparable(rows):
    """Rows in one order, with their columns in one order."""
    return sorted(str(sorted(row.items())) for row in rows)
