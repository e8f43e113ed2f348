"""The values that travel between the steps of a run pass through JSON unchanged, and hold no secret."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from lexport.model import Failure, FunctionRef, References, RunSpec, Scope, Shard, ShardResult
from lexport.settings import SnapshotSettings

AT = datetime(2026, 11, 22, 3, 4, 5, 678901, tzinfo=UTC)
SCOPE = Scope(account_id="111122223333", region="eu-west-1")
SHARD = Shard(
    scope=SCOPE,
    refs=(FunctionRef(function_name="f", qualifier="live", called_as="arn:x", is_named=True),),
    region_status="uncertain",
    account_name="payments",
)
FAILURE = Failure(
    scope=SCOPE,
    stage="discover",
    operation=None,
    error_code="ExpiredTokenException",
    http_status=403,
    message="the token ended",
    is_gap=True,
    attempts=2,
    occurred_at=AT,
)
RESULT = ShardResult(
    shard=SHARD,
    status="partial",
    get_function_calls=7,
    list_calls=3,
    throttles=1,
    gaps=2,
    carried_rows=4,
    function_count_reported=9,
    references=References(listed=9, rows=6, lost=2, unwanted=1),
    is_answering=True,
    ended_by=FAILURE,
    started_at=AT,
    ended_at=AT + timedelta(seconds=3),
)
SPEC = RunSpec(
    snapshot_id="01J00000000000000000000000",
    snapshot_at=AT,
    settings_fingerprint=SnapshotSettings().fingerprint,
    hash_key_id="k1",
    lexport_version="0.1.0",
    shards=(SHARD, Shard(scope=SCOPE)),
)


@pytest.mark.parametrize("value", [SHARD, RESULT, SPEC, replace(RESULT, ended_by=None, function_count_reported=None)])
def test_through_json(value):
    """A value that was written as JSON and read again is equal to the first one."""
    written = json.loads(json.dumps(json.loads(msgspec.json.encode(value))))

    assert msgspec.convert(written, type(value)) == value


def test_the_fingerprint():
    """Settings have one fingerprint where they read the same rows, whatever the pace, the profile or the id."""
    settings = SnapshotSettings(regions=("eu-west-1",))
    alike = replace(
        settings, profile="p", quota_share=0.5, list_rate_per_s=1.0, allow_partial=True, snapshot_id=SPEC.snapshot_id
    )
    others = [
        replace(settings, regions=("us-east-1",)),
        replace(settings, env="none"),
        replace(settings, aliases=False),
        replace(settings, qualifiers="latest"),
        replace(settings, functions=("f",)),
        replace(settings, functions=("g",)),
        replace(settings, account_role="r", accounts=("111122223333",)),
        replace(settings, account_role="r", accounts=("444455556666",)),
        replace(settings, incremental=True),
        replace(settings, incremental=True, refresh_after=timedelta(days=1)),
    ]

    assert alike.fingerprint == settings.fingerprint
    assert len({settings.fingerprint, *(other.fingerprint for other in others)}) == 1 + len(others)


def test_no_secret_in_the_fingerprint():
    """The external id is no part of the fingerprint: whoever reads the file could guess it."""
    settings = SnapshotSettings(account_role="r", accounts=("111122223333",))

    assert replace(settings, external_id="secret").fingerprint == settings.fingerprint


@pytest.mark.parametrize(
    ("status", "ended_by", "is_refused"),
    [("denied", None, True), ("partial", FAILURE, True), ("partial", None, False), ("unavailable", FAILURE, False)],
)
def test_what_was_refused(status, ended_by, is_refused):
    """A shard was refused where it was denied, or where credentials ended while it was read."""
    assert replace(RESULT, status=status, ended_by=ended_by).is_refused is is_refused
