"""The rows of the views of code, runtimes, layers and aliases, counted in Python without SQL.

Each function takes the tables (name -> rows) and yields the rows of its view as dicts, in any order.
"""

from collections import Counter, defaultdict
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

counting = SimpleNamespace(**run_path(str(Path(__file__).with_name("counting.py"))))
AT = counting.AT
TODAY = counting.TODAY
LATEST = counting.LATEST
RUNTIMES = counting.RUNTIMES
place = counting.place
function = counting.function
version = counting.version
groups = counting.groups
pick = counting.pick
day = counting.day
published = counting.published
latest = counting.latest
use = counting.use
newest = counting.newest
KEY = counting.KEY


def life(runtime):
    """Return the status and the dates of a runtime that AWS knows."""
    row = RUNTIMES[runtime]
    ends, create, update = (day(row[f"{name}_date"]) for name in ("deprecation", "block_create", "block_update"))
    left = (ends - TODAY).days if ends else None
    if update and update <= TODAY:
        status = "update_blocked"
    elif create and create <= TODAY:
        status = "create_blocked"
    elif ends and ends <= TODAY:
        status = "deprecated"
    elif left is None:
        status = "not_scheduled"
    else:
        status = "soon" if left <= 180 else "supported"
    return {
        "status": status,
        "deprecation_date": ends,
        "block_create_date": create,
        "block_update_date": update,
        "days_left": left,
        "successor": row["successor"] or None,
    }


def runtimes_by_age(tables):
    nothing = dict.fromkeys(life("nodejs"))
    for (account, region, kind, runtime, own), rows in groups(
        tables["functions"],
        lambda row: (*place(row), row["package_type"], row["runtime"], row["runtime_config_runtime_arn"] is not None),
    ).items():
        if kind == "Image":
            told = nothing | {"status": "image"}
        elif own:
            told = nothing | {"status": "customer_managed"}
        else:
            told = life(runtime) if runtime in RUNTIMES else nothing | {"status": "unknown"}
        yield {"account_id": account, "region": region, "package_type": kind, "runtime": runtime} | told | use(rows)


def deprecated_runtimes(tables):
    traffic = Counter(version(row) for row in tables["alias_routes"] if row["weight"] > 0)
    for row in tables["functions"]:
        if row["runtime"] in RUNTIMES and row["runtime_config_runtime_arn"] is None:
            told = life(row["runtime"])
            if told["days_left"] is not None and told["days_left"] <= 180:
                names = (*KEY, "version", "function_arn", "runtime", "last_modified_at", "role")
                yield pick(row, *names, aliases=traffic[version(row)]) | told


def prunable(tables):
    """Return the prunable rows and the hashes, by place, that stay."""
    routed = {version(row) for row in tables["alias_routes"]}
    gone, kept = [], set()
    for rows in groups(tables["functions"], function).values():
        old = [(number, row) for number, row in enumerate(published(rows)) if number >= 3]
        old = [(number, row) for number, row in old if version(row) not in routed]
        gone += old
        leaving = {version(row) for _, row in old}
        kept |= {(*place(row), row["code_sha256"]) for row in rows if version(row) not in leaving}
    return gone, kept


def prunable_versions(tables):
    gone, kept = prunable(tables)
    seen = set()
    for number, row in sorted(gone, key=lambda item: (*function(item[1]), int(item[1]["version"]))):
        code = (*place(row), row["code_sha256"])
        names = ("version", "function_arn", "runtime", "package_type", "last_modified_at", "code_sha256", "code_size")
        is_freed = code not in kept and code not in seen
        yield pick(row, *KEY, *names) | {
            "newer_versions": number,
            "is_code_kept": code in kept,
            "bytes_freed": row["code_size"] if is_freed else 0,
        }
        seen.add(code)


def storage(rows):
    sizes = {row["code_sha256"]: row["code_size"] for row in rows}
    return {"code_size": sum(row["code_size"] for row in rows), "distinct_code_size": sum(sizes.values())}


def code_storage(tables):
    gone = groups(prunable_versions(tables), place)
    fleets = groups(tables["functions"], place)
    for row in tables["account_settings"]:
        rows, old = fleets[place(row)], gone[place(row)]
        counted = use(rows)
        del counted["latest_functions"]
        yield (
            pick(row, "account_id", "region", "code_size_limit", "code_size_used")
            | storage(rows)
            | counted
            | {
                "share_used": row["code_size_used"] / row["code_size_limit"],
                "bytes_left": row["code_size_limit"] - row["code_size_used"],
                "prunable_versions": len(old),
                "bytes_freed": sum(item["bytes_freed"] for item in old),
            }
        )


def code_storage_by_function(tables):
    gone = groups(prunable_versions(tables), function)
    for key, rows in groups(tables["functions"], function).items():
        yield (
            pick(rows[0], *KEY, "function_arn")
            | storage(rows)
            | {
                "versions": len(rows),
                "prunable_versions": len(gone[key]),
                "bytes_freed": sum(item["bytes_freed"] for item in gone[key]),
                "last_modified_at": newest(rows),
            }
        )


def layer_of(arn):
    """Return account, name and number of a layer's ARN, Nones for AWS's own without a number."""
    parts = arn.split(":")
    return (parts[4], parts[6], int(parts[7])) if parts[5] == "layer" else (None, None, None)


def newest_layers(tables):
    found = defaultdict(int)
    for row in tables["layers"]:
        account, name, number = layer_of(row["layer_arn"])
        if name:
            found[row["region"], account, name] = max(found[row["region"], account, name], number)
    return found


def layer_usage(tables):
    newest_of = newest_layers(tables)
    for (account_id, region, arn), rows in groups(
        tables["layers"], lambda row: (*place(row), row["layer_arn"])
    ).items():
        account, name, number = layer_of(arn)
        greatest = newest_of[region, account, name] if name else None
        yield (
            {"account_id": account_id, "region": region, "layer_arn": arn}
            | use(rows)
            | {
                "layer_name": name,
                "layer_version": number,
                "layer_account_id": account,
                "is_foreign": account != account_id,
                "newest_version_seen": greatest,
                "versions_behind": None if number is None else greatest - number,
                "code_size": rows[0]["code_size"],
            }
        )


def outdated_layers(tables):
    newest_of, of = newest_layers(tables), {version(row): row for row in tables["functions"]}
    for row in tables["layers"]:
        account, name, number = layer_of(row["layer_arn"])
        if name and number < newest_of[row["region"], account, name]:
            greatest = newest_of[row["region"], account, name]
            yield (
                pick(row, *KEY, "version", "layer_arn")
                | pick(of[version(row)], "runtime", "last_modified_at")
                | {
                    "layer_name": name,
                    "layer_version": number,
                    "newest_version_seen": greatest,
                    "versions_behind": greatest - number,
                }
            )


def foreign_layers(tables):
    of = {version(row): row for row in tables["functions"]}
    for row in tables["layers"]:
        account, _, _ = layer_of(row["layer_arn"])
        if account != row["account_id"]:
            owner = pick(of[version(row)], "runtime", "role", "last_modified_at")
            yield (
                pick(row, *KEY, "version", "layer_arn", "code_size")
                | owner
                | {
                    "layer_account_id": account,
                    "is_signed": row["signing_job_arn"] is not None,
                }
            )


def shared_code(tables):
    for (kind, code), rows in groups(
        tables["functions"], lambda row: (row["package_type"], row["code_sha256"])
    ).items():
        counted = use(rows)
        if counted.pop("functions") > 1:
            yield {
                "package_type": kind,
                "code_sha256": code,
                "functions": len({function(row) for row in rows}),
                "versions": len(rows),
                "accounts": len({row["account_id"] for row in rows}),
                "regions": len({row["region"] for row in rows}),
                "code_size": rows[0]["code_size"],
                "example_function_arn": min(row["function_arn"] for row in rows),
                "last_modified_at": newest(rows),
            }


def image_digests(tables):
    images = [row for row in tables["functions"] if row["package_type"] == "Image"]
    for (account, region, image), rows in groups(
        images, lambda row: (*place(row), row["code_resolved_image_uri"] or row["code_image_uri"])
    ).items():
        uris = {row["code_image_uri"] for row in rows}
        yield (
            {"account_id": account, "region": region, "image": image}
            | use(rows)
            | {
                "image_uri": min(uris),
                "image_uris": len(uris),
                "last_modified_at": newest(rows),
            }
        )


def alias_lag(tables):
    of = groups(tables["functions"], function)
    for row in tables["aliases"]:
        rows = of[function(row)]
        numbers = [item["version"] for item in published(rows)]
        target = next((item for item in rows if item["version"] == row["function_version"]), None)
        (own,) = latest(rows)
        if row["function_version"] == LATEST:
            behind, position = 0, "latest"
        else:
            behind = numbers.index(row["function_version"])
            position = "behind" if behind else "newest"
        yield pick(row, *KEY, "alias", "function_version") | {
            "newest_version": numbers[0] if numbers else None,
            "versions_behind": behind,
            "position": position,
            "is_code_latest": target["code_sha256"] == own["code_sha256"],
            "runtime": target["runtime"],
            "version_modified_at": target["last_modified_at"],
            "latest_modified_at": own["last_modified_at"],
            "function_arn": own["function_arn"],
        }


def canary_aliases(tables):
    of = {version(row): row for row in tables["functions"]}
    first = {(*function(row), row["alias"]): row["function_version"] for row in tables["aliases"]}
    for row in tables["alias_routes"]:
        target = first[(*function(row), row["alias"])]
        if row["version"] != target:
            pair = of[version(row)], of[(*function(row), target)]
            yield pick(row, *KEY, "alias", "version", "weight") | {
                "function_version": target,
                "days_since_publish": (TODAY - newest(pair).date()).days,
                "function_arn": pair[0]["function_arn"],
            }


def code_signing(tables):
    names = ("account_id", "region", "package_type", "signing_profile_version_arn")
    for key, rows in groups(tables["functions"], lambda row: tuple(row[name] for name in names)).items():
        yield dict(zip(names, key, strict=True)) | use(rows)


def pinned_runtime_versions(tables):
    column = "runtime_version_config_runtime_version_arn"
    told = [row for row in tables["functions"] if row[column] is not None]
    for rows in groups(told, lambda row: (row["region"], row["runtime"], row["architecture"])).values():
        counts = Counter(row[column] for row in rows)
        usual = max(counts, key=counts.__getitem__)
        functions = {(row["account_id"], row["function_name"]) for row in rows if row[column] == usual}
        if counts[usual] * 2 <= len(rows) or len(functions) < 3:
            continue
        for row in rows:
            if row[column] != usual:
                names = ("version", "function_arn", "runtime", "architecture", "last_modified_at", "fetched_at")
                yield pick(row, *KEY, *names) | {
                    "runtime_version_arn": row[column],
                    "usual_runtime_version_arn": usual,
                    "usual_share": counts[usual] / len(rows),
                }


def errors_by_kind(tables):
    return iter(())


def snapshot_cost(tables):
    names = ("functions", "versions", "get_function_calls", "list_calls", "throttles", "carried_rows")
    for row in tables["scopes"]:
        calls = row["get_function_calls"] + row["list_calls"]
        yield pick(row, "account_id", "region", *names, "started_at", "ended_at") | {
            "snapshot_id": "01K00000000000000000000001",
            "snapshot_at": AT,
            "coverage": "fleet",
            "status": "complete",
            "calls_per_version": calls / row["versions"],
        }
