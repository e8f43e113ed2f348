"""``snapshot --processes`` and ``--dask``: one run on several processes has the bytes of one."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from object_servers import make_bucket
from worker_runs import whole

import lexport
from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ID = "01K00000000000000000000000"
REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
RATES = {GET_FUNCTION_QUOTA: 25.0, LIST_QUOTA: 10.0}


def accounts(is_whole):
    return [str(111122223333 + number) for number in range(20 if is_whole else 4)]


def faults(fleet):
    """Faults of every kind, each in an account-region of its own."""
    where = [(account, region) for account in fleet.spec.accounts for region in REGIONS]
    name = fleet.name(2)
    kinds = [
        Fault(operation="GetFunction", kind="reset", times=3, after=2),
        Fault(operation="GetFunction", kind="throttle", times=5, after=4),
        Fault(operation="GetFunction", kind="slow", delay_s=0.3, times=4),
        Fault(operation="GetFunction", kind="error", status=500, times=3),
        Fault(operation="ListFunctions", kind="error", status=503, times=1),
        Fault(operation="GetFunction", kind="denied", function_name=name, times=None),
        Fault(operation="ListAliases", kind="denied", function_name=name, times=None),
    ]
    return [
        Fault(**{field: getattr(fault, field) for field in fault.__slots__} | {"account_id": account, "region": region})
        for fault, (account, region) in zip(kinds, where[1:], strict=False)
    ]


@pytest.mark.parametrize("store", [pytest.param("folder", marks=whole), "bucket"])
@pytest.mark.timeout(1800)
async def test_the_bytes_of_one_process(
    simulator, aws, settings, dask, look, table_bytes, is_whole, request, tmp_path, store
):
    """Two processes, and three workers started by hand, leave the tables of one process, within the same quotas.

    They make the same calls in each account-region; the result counts all of them, by worker.
    """
    fleet = Fleet(FleetSpec(accounts=accounts(is_whole), functions=125 if is_whole else 6, versions=3, regions=REGIONS))
    scopes = len(fleet.spec.accounts) * len(REGIONS)
    options = {
        "account_role": "reader",
        "accounts": fleet.spec.accounts,
        "regions": REGIONS,
        "allow_partial": True,
        "snapshot_id": ID,
        "snapshot_at": datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1),
        "get_function_rate_per_s": RATES[GET_FUNCTION_QUOTA],
        "list_rate_per_s": RATES[LIST_QUOTA],
    }
    if store == "bucket":
        request.getfixturevalue("bucket")  # sets the variables
    found = {}
    names = ("processes", "dask") if is_whole else ("processes",) if store == "folder" else ("dask",)
    with dask(3) if "dask" in names else nullcontext() as running:
        for name in ("one", *names):
            how = {"processes": {"processes": 2}, "dask": {"dask": running and running.url}}.get(name, {})
            dest = make_bucket(request.getfixturevalue("seaweed")) if store == "bucket" else tmp_path / name
            async with simulator(*faults(fleet), fleet=fleet, quotas=True, rates=RATES) as server:
                result = await lexport.snapshot(getattr(dest, "url", dest), settings(server.url, **options, **how))
            found[name] = table_bytes(dest), result, +server.calls
            calls = sum(scope.get_function_calls for scope in result.manifest.scopes)
            assert sum(scope.throttles for scope in result.manifest.scopes) < 0.1 * calls
            left = dest.keys() if store == "bucket" else look.tree(dest)
            assert not [path for path in left if path.startswith("_staging/")]

    data, one, calls = found["one"]
    assert len(data) > 5
    assert one.workers == ()
    for name in names:
        several = {"processes": 2, "dask": 3}[name]
        tables, result, its_calls = found[name]
        assert tables == data
        assert result.manifest.gaps == one.manifest.gaps
        assert {call for _, _, call in its_calls - calls} <= {"GetAccountSettings", "AssumeRole", "GetCallerIdentity"}
        read = [(scope.versions, scope.get_function_calls + scope.list_calls) for scope in result.manifest.scopes]
        assert len(result.workers) == several
        assert sum(worker.shards for worker in result.workers) == scopes
        assert sum(worker.versions for worker in result.workers) == sum(versions for versions, _ in read)
        assert sum(worker.calls for worker in result.workers) == sum(made for _, made in read)
