"""``lexport packages s3://…``: the commands over a bucket, from the first download to verify."""

import hashlib
import json
import signal

import anyio
import pytest
from fault_proxy import answered, fault, hung, open_fault_proxy

import lexport
from lexport.dataset.layout import package_path
from lexport.simulator import Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=6, versions=2, seed=3))


@pytest.fixture
def temporary(environment, tmp_path):
    """The folder for temporary files of the commands, which they have to leave empty."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    environment["TMPDIR"] = str(folder)
    yield folder
    assert list(folder.iterdir()) == []


def stored(bucket):
    """Path -> time of every stored package; each has the bytes that its name says."""
    found = {}
    for key in dict(bucket.keys()):
        if key.startswith("_packages/"):
            answer = bucket.client.get_object(Bucket=bucket.name, Key=key)
            assert key == package_path(hashlib.sha256(answer["Body"].read()).hexdigest())
            found[key] = answer["LastModified"]
    assert bucket.uploads() == []
    return found


async def test_the_whole_life(simulator, run_lexport, flags, settings, fleet, bucket, packages, temporary):
    """Each package is sent once; later runs move none, inspect all, and repair what verify finds damaged."""
    async with simulator(fleet=fleet) as aws:
        run = ("packages", bucket.url, *flags(aws.url, "--layers", "--inspect", "--allow-partial"))
        chosen = lexport.PackageSettings(layers=True)
        await lexport.snapshot(bucket.url, settings(aws.url, packages=chosen, allow_partial=True))
        first, downloaded = stored(bucket), packages.calls(aws)["GetObject"]
        inspected = await run_lexport(*run)
        again = packages.calls(aws)["GetObject"]
        bill = await run_lexport("sbom", bucket.url, "-o", "-")
        sound = await lexport.verify(bucket.url, data=True)
        damaged = min(first)
        bucket.client.put_object(Bucket=bucket.name, Key=damaged, Body=b"PK")
        found = await run_lexport("verify", bucket.url, "--output", "jsonl")
        repaired = await run_lexport(*run)
        whole = await lexport.verify(bucket.url)

    assert {inspected.code, repaired.code} <= {0, 3}
    assert (downloaded, again) == (len(first), 0)
    assert f"packages: {len(first):,} inspected" in inspected.err
    parts = [part for part in json.loads(bill.out)["components"] if part["type"] == "file"]
    assert {package_path(part["hashes"][0]["content"]) for part in parts} == first.keys()
    assert (sound, whole, found.code) == ((), (), 4)
    assert [json.loads(line)["path"] for line in found.out.splitlines()] == [damaged]
    assert {path for path, at in stored(bucket).items() if at != first[path]} <= {damaged}


async def test_a_package_that_cannot_be_sent(
    simulator, run_lexport, flags, settings, fleet, bucket, packages, temporary
):
    """A package whose upload fails is named; the next run sends it, and no other."""
    async with simulator(fleet=fleet) as aws:
        await lexport.snapshot(bucket.url, settings(aws.url))
        async with open_fault_proxy(bucket.endpoint, fault("PUT .*_packages", answered(500), times=7)) as proxy:
            chosen = flags(aws.url, "--package-concurrency", "1", "--dest-timeout", "1s")
            done = await run_lexport("packages", bucket.url, *chosen, AWS_ENDPOINT_URL_S3=proxy.url)
        some = stored(bucket)
        packages.calls(aws)
        await lexport.packages(bucket.url, settings(aws.url, allow_partial=True))

    assert done.code == 0
    assert "not_written" in done.err
    assert packages.calls(aws)["GetObject"] == 1
    assert len(stored(bucket)) == len(some) + 1


async def test_interrupted_while_it_sends(
    simulator, run_lexport, start_lexport, flags, settings, fleet, bucket, temporary, environment
):
    """A run that is interrupted during an upload ends at once and leaves nothing; until then, prune can see it."""
    async with simulator(fleet=fleet) as aws:
        await lexport.snapshot(bucket.url, settings(aws.url))
        async with open_fault_proxy(bucket.endpoint, fault("PUT .*_packages", hung, times=None)) as proxy:
            environment["AWS_ENDPOINT_URL_S3"] = proxy.url
            async with start_lexport("packages", bucket.url, *flags(aws.url)) as process:
                with anyio.fail_after(60):
                    while not proxy.happened:  # noqa: ASYNC110 - it has no event
                        await anyio.sleep(0.01)
                at_work = [key.rpartition("/")[2] for key in dict(bucket.keys()) if key.startswith("_staging/")]
                process.send_signal(signal.SIGINT)
                with anyio.fail_after(20):  # one upload may hang for minutes
                    assert await process.wait() == 130

    assert stored(bucket) == {}
    assert at_work == ["claim-0001.json"]
    assert not [key for key in dict(bucket.keys()) if key.startswith("_staging/")]


async def test_a_store_that_overwrites(simulator, run_lexport, flags, settings, fleet, bucket, packages, temporary):
    """Nothing is downloaded into a bucket that does not refuse to create a file twice."""
    async with simulator(fleet=fleet) as aws:
        await lexport.snapshot(bucket.url, settings(aws.url))
        before = dict(bucket.keys())
        packages.calls(aws)
        overwritten = fault("PUT .*claim-0001", answered(200, ETag='"1"'), after=1)
        async with open_fault_proxy(bucket.endpoint, overwritten) as proxy:
            refused = await run_lexport("packages", bucket.url, *flags(aws.url), AWS_ENDPOINT_URL_S3=proxy.url)

    assert refused.code == 1
    assert "does not refuse to create a file that exists already" in refused.last
    assert packages.calls(aws) == {}
    assert bucket.keys() == before
