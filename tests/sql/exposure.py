"""Policies and URLs of many functions as tables in DuckDB, with the views of exposure over them.

Each target is a function of its own, so that one query judges thousands of policies.
"""

import json
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from lexport.query.shipped_views import named_views, shipped_views
from lexport.query.sql import create_view
from lexport.tables import registry
from lexport.tables.policy_rows import policy_rows
from lexport.tables.types import DUCKDB_TYPES

A, R = "111122223333", "eu-west-1"
FOREIGN = "999988887777"
LATEST = "$LATEST"


@dataclass(frozen=True)
class Target:
    """A function, or an alias of one: its policy (None: it has none), the type of its URL, and what was read."""

    policy: object = None
    url: str | None = None
    qualifier: str = LATEST
    is_policy_read: bool = True
    is_url_read: bool = True


def arn(name="f", qualifier=LATEST, account=A):
    return f"arn:aws:lambda:{R}:{account}:function:{name}" + ("" if qualifier == LATEST else f":{qualifier}")


def name_of(number):
    return f"f{number:05d}"


def policy_text(target, name):
    """Return the policy as AWS sends it; ``{arn}`` is the ARN of what has the policy, ``{tail}`` its rest."""
    if isinstance(target.policy, str):
        return target.policy
    own_arn = arn(name, target.qualifier)
    texts = {"{arn}": own_arn, "{function}": arn(name), "{tail}": own_arn.removeprefix("arn:aws")}
    text = json.dumps(target.policy)
    for mark, value in texts.items():
        text = text.replace(mark, value)
    return text


def rows_of(targets):
    """Return the rows of the tables by name; function number N is target number N."""
    rows = {name: [] for name in ("functions", "policy_statements", "policy_conditions", "function_urls", "errors")}
    for number, target in enumerate(targets):
        name = name_of(number)
        key = {"function_name": name, "qualifier": target.qualifier}
        rows["functions"].append({"function_name": name, "version": LATEST, "function_arn": arn(name)})
        if target.policy is not None and target.is_policy_read:
            made = policy_rows({"Policy": policy_text(target, name), "RevisionId": "r"}, lambda _value: None)
            rows["policy_statements"] += [key | row | {"extra_json": None} for row in made.statements]
            rows["policy_conditions"] += [key | row for row in made.conditions]
        if not target.is_policy_read:
            rows["errors"].append(
                key | {"operation": "GetPolicy", "stage": "fetch", "error_code": "AccessDeniedException"}
            )
        if target.url is not None and target.is_url_read:
            rows["function_urls"].append(key | {"auth_type": target.url, "function_url": f"https://{name}.example/"})
        if not target.is_url_read:
            rows["errors"].append({"function_name": name, "operation": "ListFunctionUrlConfigs", "stage": "fetch"})
    rows["scope_resources"] = [{"resource": name, "status": "complete"} for name in ("policies", "urls")]
    rows["scopes"] = [{"coverage": "fleet", "status": "complete"}]
    return rows


def open_tables():
    """Return a connection with every table, empty, and the shipped views that read them."""
    connection = duckdb.connect()
    for table in registry.tables():
        columns = ", ".join(f'"{column.name}" {DUCKDB_TYPES[column.type]}' for column in table.columns)
        connection.execute(f"CREATE TABLE {table.name} ({columns})")
    for view in named_views(shipped_views(), "public_functions cross_account_access function_urls_open"):
        create_view(connection, view)
    return connection


def fill(connection, rows):
    """Replace the rows of the tables; every row is of one account and Region where it names no other."""
    for name, given in rows.items():
        table = registry.BY_NAME[name]
        connection.execute(f"DELETE FROM {name}")
        if given:
            columns = [column for column in table.columns if any(column.name in row for row in given)]
            names = [
                "account_id",
                "region",
                *(column.name for column in columns if column.name not in ("account_id", "region")),
            ]
            whole = [{"account_id": A, "region": R, **row} for row in given]
            connection.register("given", pa.table({name: [row.get(name) for row in whole] for name in names}))
            connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM given")


def ask(connection, query):
    """Return the rows of a query as dicts."""
    return connection.sql(query).to_arrow_table().to_pylist()


def judge(connection, targets):
    """Return the row of function_exposure of each target, in order; an alias without policy and URL has none."""
    fill(connection, rows_of(targets))
    found = {
        (row["function_name"], row["qualifier"]): row for row in ask(connection, "SELECT * FROM function_exposure")
    }
    absent = {"verdict": "none", "action_class": None}
    keys = [(name_of(number), target.qualifier) for number, target in enumerate(targets)]
    return [found[key] if key[1] == LATEST else found.get(key, absent) for key in keys]
