"""``lexport prune`` of a dataset in a bucket, by the installed command against SeaweedFS."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)
HEX = hashlib.sha256(b"x").hexdigest()
PACKAGE = {"code_sha256": "a", "sha256_hex": HEX, "status": "stored", "path": f"_packages/sha256/{HEX[:2]}/{HEX}.zip"}


async def test_in_a_bucket(bucket, write_dataset, run_lexport, tmp_path):
    """Snapshots go in two steps, packages with them, and what is left is whole; no object is left that nobody names."""
    nights = [{"at": FIRST + timedelta(days=number)} for number in range(4)]
    nights[0]["packages"] = [PACKAGE]
    ids = [done.snapshot_id for done in write_dataset(tmp_path / "local", nights)]
    for path in (tmp_path / "local").rglob("*.*"):
        bucket.client.put_object(
            Bucket=bucket.name, Key=f"fleet/{path.relative_to(tmp_path / 'local')}", Body=path.read_bytes()
        )
    for key in (
        PACKAGE["path"],
        "_staging/01KB0000000000000000000002/run.json",
        "_staging/01KB0000000000000000000002/x/y.run",
    ):
        bucket.client.put_object(Bucket=bucket.name, Key=f"fleet/{key}", Body=b"x")
    dest = f"{bucket.url}/fleet"

    async def prune(*options, code=0):
        done = await run_lexport("prune", dest, "--output", "json", *options)
        assert done.code == code, done.err
        return {row["name"]: row["action"] for row in json.loads(done.out or "[]")}, done.err

    def names(folder):
        return sorted({key.split("/")[-1][:26] for key in [*bucket.keys()] if key.startswith(f"fleet/{folder}/")})

    planned, _ = await prune("--keep-last", 1, "--dry-run")
    before = bucket.keys()
    done, said = await prune("--keep-last", 1)
    assert planned == done == {**dict.fromkeys(ids[:3], "remove"), ids[3]: "keep", "01KB0000000000000000000002": "keep"}
    assert "1 snapshot kept, 3 removed" in said
    assert names("_runs") == names("snapshots") == ids[3:]
    assert names("_pruned") == ids[:3]
    assert names("functions") == ids
    gone = before.keys() - bucket.keys().keys()
    assert {key.split("/")[1] for key in gone} == {"_runs", "snapshots"}
    assert (await run_lexport("verify", dest, "--data")).code == 0

    late, _ = await prune("--keep-last", 1, "--grace", "0s", "--packages")
    assert late == {ids[3]: "keep", **dict.fromkeys(ids[:3], "remove"), "01KB0000000000000000000002": "keep"}
    assert names("functions") == ids[3:]
    _, said = await prune("--snapshot", "01KB0000000000000000000002", code=6)
    assert "may be at work" in said
    for key in [key for key in [*bucket.keys()] if "_staging" in key]:
        bucket.client.delete_object(Bucket=bucket.name, Key=key)
    assert (await prune("--keep-last", 1, "--grace", "0s", "--packages"))[0] == {
        ids[3]: "keep",
        PACKAGE["path"]: "wait",
    }
    assert (await prune("--keep-last", 1, "--grace", "0s", "--packages"))[0] == {
        ids[3]: "keep",
        PACKAGE["path"]: "remove",
    }
    marks = {f"fleet/_pruned/{run}.json" for run in ids[:3]}
    named = {
        f"fleet/{entry['path']}"
        for entry in json.loads((tmp_path / "local/_runs" / f"{ids[3]}.json").read_text())["files"]
    }
    rows = {key for key in before if key.startswith("fleet/snapshots/") and ids[3] in key}
    assert bucket.keys().keys() == marks | named | rows | {f"fleet/_runs/{ids[3]}.json", "fleet/_latest.json"}
    assert (await run_lexport("verify", dest, "--data")).code == 0


async def test_a_bucket_that_refuses(bucket, write_dataset, run_lexport, tmp_path):
    """Credentials that may not write, or not even list, end a prune with one line and exit code 5."""
    write_dataset(tmp_path / "local", [{"at": FIRST}, {"at": FIRST + timedelta(days=1)}])
    for path in (tmp_path / "local").rglob("*.*"):
        bucket.client.put_object(
            Bucket=bucket.name, Key=str(path.relative_to(tmp_path / "local")), Body=path.read_bytes()
        )
    before = bucket.keys()
    reader = {"AWS_ACCESS_KEY_ID": "reading", "AWS_SECRET_ACCESS_KEY": "reading"}
    shown = await run_lexport("prune", bucket.url, "--keep-last", 1, "--dry-run", **reader)
    assert (shown.code, "1 would be removed" in shown.err) == (0, True)
    for credentials, words in ((reader, "nothing was removed"), (reader | {"AWS_SECRET_ACCESS_KEY": "wrong"}, "403")):
        done = await run_lexport("prune", bucket.url, "--keep-last", 1, **credentials)
        assert done.code == 5, done.err
        assert words in done.err
        assert "Traceback" not in done.err

    assert bucket.keys() == before
