"""One line of facts per snapshot."""

from datetime import UTC, datetime, timedelta

import pytest

import lexport

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)


@pytest.mark.asyncio
async def test_status(tmp_path, write_dataset):
    """Every count is the sum over the scopes, newest snapshot first; a commit of packages alone is none."""
    counts = {"functions": 2, "get_function_calls": 6, "list_calls": 3, "throttles": 1}
    _, newest, _ = write_dataset(
        tmp_path,
        [
            {"at": AT, "scopes": [{"coverage": "selection"}]},
            {
                "at": AT + timedelta(days=1),
                "status": "partial",
                "gaps": 4,
                "scopes": [counts, {**counts, "region": "us-east-1", "status": "partial", "coverage": "selection"}],
                "functions": [{"function_name": "f", "version": str(number)} for number in range(10)],
            },
            {"at": AT + timedelta(days=2), "scopes": [], "packages": []},
        ],
    )

    found = await lexport.status(tmp_path)

    assert [snapshot.coverage for snapshot in found] == ["mixed", "selection"]
    assert found[0] == lexport.SnapshotStatus(
        snapshot_id=newest.snapshot_id,
        snapshot_at=AT + timedelta(days=1),
        committed_at=AT + timedelta(days=1),
        status="partial",
        coverage="mixed",
        scopes_complete=1,
        scopes_total=2,
        gaps=4,
        functions=4,
        versions=10,
        get_function_calls=12,
        list_calls=6,
        throttles=2,
        packages=None,
        packages_stored=None,
        size_bytes=sum(file.size_bytes for file in newest.files),
    )
