"""The rows of the views of settings, variables, tags and networks, counted in Python without SQL.

Each function takes the tables (name -> rows) and yields the rows of its view as dicts, in any order.
"""

from collections import Counter
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

counting = SimpleNamespace(**run_path(str(Path(__file__).with_name("counting.py"))))
RUNTIMES = counting.RUNTIMES
place = counting.place
function = counting.function
version = counting.version
groups = counting.groups
pick = counting.pick
published = counting.published
latest = counting.latest
use = counting.use
newest = counting.newest
KEY = counting.KEY


def suspected_secrets(tables):
    of = {version(row): row for row in tables["functions"]}
    for row in tables["env_vars"]:
        if row["secret_rule"] is not None:
            names = ("version", "name", "secret_rule", "value_length", "value_hmac", "hash_key_id")
            owner = of[version(row)]
            yield (
                pick(row, *KEY, *names)
                | pick(owner, "function_arn", "runtime", "role", "last_modified_at")
                | {"kms_key_arn": owner["kms_key_arn"] or None}
            )


def reused_variables(tables):
    long = [row for row in tables["env_vars"] if row["value_length"] >= 8]
    for (key_id, hmac), rows in groups(long, lambda row: (row["hash_key_id"], row["value_hmac"])).items():
        functions = {function(row) for row in rows}
        if len(functions) > 1:
            yield {
                "hash_key_id": key_id,
                "value_hmac": hmac,
                "name": min(row["name"] for row in rows),
                "names": len({row["name"] for row in rows}),
                "secret_rule": max((row["secret_rule"] for row in rows if row["secret_rule"]), default=None),
                "value_length": rows[0]["value_length"],
                "functions": len(functions),
                "versions": len(rows),
                "accounts": len({row["account_id"] for row in rows}),
                "regions": len({row["region"] for row in rows}),
            }


def unreadable_variables(tables):
    for row in tables["functions"]:
        if row["environment_error_code"] or row["environment_error_message"]:
            names = ("environment_error_code", "environment_error_message", "role", "last_modified_at")
            yield pick(row, *KEY, "version", "function_arn", *names, kms_key_arn=row["kms_key_arn"] or None)


def untagged_functions(tables):
    tagged = {function(row) for row in tables["tags"]}
    for key, rows in groups(tables["functions"], function).items():
        (row,) = latest(rows)
        if key not in tagged:
            status = "untagged" if row["tags_error_code"] is None else "denied"
            names = ("function_arn", "tags_error_code", "runtime", "role")
            yield pick(row, *KEY, *names, tag_status=status, last_modified_at=newest(rows))


def is_plain(row, trait):
    """Tell whether a ``$LATEST`` is a Zip on a runtime of AWS's that has a trait, run by Lambda itself."""
    return (
        row["package_type"] == "Zip"
        and RUNTIMES.get(row["runtime"], {}).get(trait) == "true"
        and row["runtime_config_runtime_arn"] is None
        and row["master_arn"] is None
        and row["capacity_provider_arn"] is None
    )


def arm64_candidates(tables):
    layers = Counter(version(row) for row in tables["layers"])
    for row in latest(tables["functions"]):
        if row["architecture"] == "x86_64" and is_plain(row, "runs_on_arm64"):
            names = ("function_arn", "runtime", "memory_size", "timeout", "code_size", "role", "last_modified_at")
            yield pick(row, *KEY, *names, layers=layers[version(row)])


def resource_outliers(tables):
    for rows in groups(latest(tables["functions"]), place).values():
        average = sum(row["memory_size"] for row in rows) / len(rows)
        for row in rows:
            claims = {
                "is_memory_high": row["memory_size"] > 4 * average,
                "is_timeout_longest": row["timeout"] >= 900,
                "is_storage_extended": row["ephemeral_storage_size"] > 512,
            }
            if any(claims.values()):
                names = ("function_arn", "runtime", "memory_size", "timeout", "ephemeral_storage_size")
                yield pick(row, *KEY, *names, "last_modified_at", average_memory_size=average) | claims


def snap_start_candidates(tables):
    mounted = {version(row) for row in tables["file_systems"]}
    of = groups(tables["functions"], function)
    for row in latest(tables["functions"]):
        is_off = row["snap_start_apply_on"] != "PublishedVersions"
        is_small = row["ephemeral_storage_size"] <= 512 and version(row) not in mounted
        if is_off and is_small and is_plain(row, "runs_snap_start"):
            names = ("function_arn", "runtime", "memory_size", "role", "last_modified_at")
            yield pick(row, *KEY, *names, published_versions=len(published(of[function(row)])))


def reserved_concurrency(tables):
    fleets = groups(latest(tables["functions"]), place)
    for row in tables["account_settings"]:
        given = [item["reserved_concurrent_executions"] for item in fleets[place(row)]]
        reserved = [item for item in given if item is not None]
        limit = row["concurrent_executions_limit"]
        yield pick(row, "account_id", "region", "concurrent_executions_limit", "unreserved_concurrent_executions") | {
            "reserved_concurrent_executions": sum(reserved),
            "share_reserved": sum(reserved) / limit,
            "reserving_functions": len(reserved),
            "throttled_functions": reserved.count(0),
            "functions": len(given),
        }


def throttled_functions(tables):
    aliases = Counter(function(row) for row in tables["aliases"])
    for row in latest(tables["functions"]):
        if row["reserved_concurrent_executions"] == 0:
            names = ("function_arn", "runtime", "state", "role", "last_modified_at")
            yield pick(row, *KEY, *names, aliases=aliases[function(row)])


def _network(tables, table, column):
    vpc_of = {version(row): row["vpc_config_vpc_id"] for row in tables["functions"]}
    for (account, region, name), rows in groups(tables[table], lambda row: (*place(row), row[column])).items():
        vpc_id = max((vpc_of[version(row)] or "" for row in rows), default="") or None
        yield {"account_id": account, "region": region, column: name, "vpc_id": vpc_id} | use(rows)


def subnet_usage(tables):
    return _network(tables, "subnets", "subnet_id")


def security_group_usage(tables):
    return _network(tables, "security_groups", "security_group_id")


def single_subnet_functions(tables):
    subnets = groups(tables["subnets"], version)
    for row in tables["functions"]:
        ids = {item["subnet_id"] for item in subnets[version(row)]}
        if len(ids) == 1:
            names = ("version", "function_arn", "runtime", "last_modified_at")
            yield pick(row, *KEY, *names, subnet_id=ids.pop(), vpc_id=row["vpc_config_vpc_id"])


def shared_roles(tables):
    for (account, role), rows in groups(tables["functions"], lambda row: (row["account_id"], row["role"])).items():
        if len({function(row) for row in rows}) > 1:
            yield (
                {"account_id": account, "role": role}
                | use(rows)
                | {
                    "regions": len({row["region"] for row in rows}),
                    "example_function_arn": min(row["function_arn"] for row in rows),
                    "last_modified_at": newest(rows),
                }
            )


def function_settings(tables):
    with_variables = {version(row) for row in tables["env_vars"]}
    for row in latest(tables["functions"]):
        group = row["logging_config_log_group"]
        yield pick(row, *KEY, "function_arn", "runtime", "role", "last_modified_at") | {
            "is_traced": row["tracing_config_mode"] == "Active",
            "has_dead_letter_target": bool(row["dead_letter_config_target_arn"]),
            "has_variables": version(row) in with_variables or row["environment_error_code"] is not None,
            "has_environment_key": bool(row["kms_key_arn"]),
            "has_code_key": bool(row["code_source_kms_key_arn"]),
            "is_signed": bool(row["signing_job_arn"]),
            "log_format": row["logging_config_log_format"],
            "log_group": group,
            "has_default_log_group": group == f"/aws/lambda/{row['function_name']}",
        }


def unhealthy_functions(tables):
    for row in tables["functions"]:
        is_well = row["state"] in {"Active", "ActiveNonInvocable", None}
        if not is_well or row["last_update_status"] not in {"Successful", None}:
            names = ("state", "state_reason_code", "state_reason", "last_update_status", "last_update_status_reason")
            more = ("last_update_status_reason_code", "last_modified_at", "fetched_at", "function_arn", "runtime")
            days = (row["fetched_at"].date() - row["last_modified_at"].date()).days
            yield pick(row, *KEY, "version", *names, *more, days_since_update=days)
