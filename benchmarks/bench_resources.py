"""Measure a fleet with every resource: calls by operation next to what `plan` said, and the time next to the quotas.

The simulator has the documented quotas times 20, or `--times`. A first night reads everything; then one function in a
hundred is changed, its alias and its policy too, and a second night reads again what CloudTrail's history names.

    python benchmarks/bench_resources.py [--functions 10000] [--versions 2] [--times 20]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from simulators import LEXPORT, REGION, Server, run, simulator

from lexport.model import GET_FUNCTION_QUOTA, GET_POLICY_QUOTA, LIST_QUOTA, Scope
from lexport.simulator import Change, Fleet, FleetSpec
from lexport.tables import registry

LIMIT_TIME = 1.05
LIMIT_LIST_CALLS = 0.05
CHANGED = 100  # one function in so many
EVENT_DELAY = timedelta(minutes=15)
"""How old an event has to be before an incremental run relies on the history."""
CLASSES = {quota.name: quota for quota in (GET_FUNCTION_QUOTA, LIST_QUOTA, GET_POLICY_QUOTA)}
OF_THE_LISTS = ("ListFunctions", "ListVersionsByFunction", "ListAliases", "GetAccountSettings")


def changes(spec: FleetSpec) -> list[Change]:
    """Change one function in a hundred: its code, its alias and each resource of its own."""
    fleet, scope = Fleet(spec), Scope(account_id=spec.accounts[0], region=REGION)
    at = datetime.now(UTC) - 2 * EVENT_DELAY
    return [
        Change(kind=kind, scope=scope, function_name=fleet.name(index), at=at, resource=resource)
        for index in range(0, spec.functions, CHANGED)
        for kind, resource in (("update_code", None), ("publish_version", None), ("change_resource", "policies"))
    ]


def planned(url: str, *options: str) -> dict[str, Any]:
    """Return what `plan` says of the one account-region."""
    done = subprocess.run(
        [LEXPORT, "plan", *options, "--output", "json"],
        env=os.environ | {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"lexport plan ended with {done.returncode}: {done.stderr[-2_000:]}")
    row: dict[str, Any] = json.loads(done.stdout)[0]
    return row


def by_quota(calls: dict[str, int]) -> Counter[str]:
    """Return the calls by quota class; calls of other services are by their operation."""
    found: Counter[str] = Counter()
    for operation, count in calls.items():
        call = registry.call_of(operation)
        found["list" if operation in OF_THE_LISTS else operation if call is None else call.quota.name] += count
    return found


def night(what: str, server: Server, dest: str, *options: str) -> tuple[Counter[str], float]:
    """Take one snapshot, and print its calls by operation; return them by quota class, and the seconds it took."""
    server.calls()
    usage = run(["snapshot", dest, *options], server.url)
    calls, _ = server.calls()
    print(f"\n{what}: {usage.wall_s:.1f} s, {usage.cpu_s:.1f} s of CPU, {usage.peak_mib:.0f} MiB")
    for operation, count in sorted(calls.items(), key=lambda item: -item[1]):
        print(f"  {operation:<34} {count:>9,}", flush=True)
    return by_quota(calls), usage.wall_s


def compare(made: Counter[str], plan: dict[str, Any]) -> bool:
    """Print the calls by quota class beside those that were planned; return whether each is what was planned."""
    are_right = True
    for name in CLASSES:
        least, most = plan[f"{name}_quota_calls"], plan[f"{name}_quota_calls_at_most"]
        is_right = least <= made[name] <= (made[name] if most is None else most)
        are_right &= is_right
        said = f"{least:,}" if least == most else f"{least:,} to {'?' if most is None else format(most, ',')}"
        print(f"  {name:<14} {made[name]:>9,} calls, planned {said}{'' if is_right else ': WRONG'}")
    return are_right


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--functions", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=2, help="published versions of each, on average")
    parser.add_argument("--times", type=float, default=20, help="how many times the documented quotas")
    asked = parser.parse_args()
    spec = FleetSpec(functions=asked.functions, versions=asked.versions, regions=(REGION,))
    counts = Fleet(spec).counts(Scope(account_id=spec.accounts[0], region=REGION))
    rates = {quota: quota.rate_per_s * asked.times for quota in CLASSES.values()}
    fleet = ("--region", REGION, "--with", "all", "--quota-share", "1")
    get_function, lists = (str(CLASSES[name].rate_per_s * asked.times) for name in ("get_function", "list"))
    fast = (*fleet, "--get-function-rate", get_function, "--list-rate", lists)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{counts.functions:,} functions, {counts.versions:,} versions, {counts.aliases:,} aliases")
    with simulator(spec, rates) as server, tempfile.TemporaryDirectory() as folder:
        dest = f"{folder}/fleet"
        before = planned(server.url, *fast)
        first, took_s = night("first night", server, dest, *fast)
        compare(first, before)
        print("next to plan DEST, which knows the counts:")
        known = planned(server.url, dest, *fast)
        compare(first, known)
        least_s = max(first[name] / rates[quota] for name, quota in CLASSES.items())
        print(f"  {took_s:.1f} s, {took_s / least_s:.3f} of the {least_s:.1f} s of the quotas (limit {LIMIT_TIME})")
        slow = max(first[name] / quota.rate_per_s for name, quota in CLASSES.items())
        print(f"  at the documented quotas: {slow / 60:.1f} minutes")

        server.apply(changes(spec))
        later, _ = night("second night", server, dest, *fast, "--incremental", "--changes-from", "cloudtrail")
        share = later["list"] / first["list"]
        print(f"list calls: {later['list']:,}, {share:.1%} of the first night's (limit {LIMIT_LIST_CALLS:.0%})")
        carried, all_carried = later["list"] - counts.functions, first["list"] - counts.functions
        print(f"  without recursion, which every night reads whole: {carried / all_carried:.1%}")


if __name__ == "__main__":
    main()
