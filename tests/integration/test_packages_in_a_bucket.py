"""Packages in a bucket: stored whole under their hash or not at all, never moved twice, inspected from a copy."""

import hashlib
import os
from functools import partial

import pytest
from anyio import to_thread
from fault_proxy import answered, fault, open_fault_proxy, refused_by_s3, reset_after, reset_in_upload

from lexport.artifacts.store import PackageStore
from lexport.dataset.layout import package_places
from lexport.dataset.open_store import open_store
from lexport.errors import PackageError, WriteDeniedError
from lexport.settings import Destination

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

BODY = os.urandom(300_000)
HEX = hashlib.sha256(BODY).hexdigest()
PATH, FORMER_PATH = package_places(HEX)


@pytest.fixture
def open_packages(bucket, monkeypatch, tmp_path):
    """Return a function that opens the package store of the bucket, at a server or through a proxy."""

    def open_at(url=bucket.endpoint):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        return PackageStore(open_store(Destination(bucket.url, timeout_s=1.0)), scratch)

    return open_at


def store(bucket, body, path=PATH):
    """Store an object as another program would."""
    bucket.client.put_object(Bucket=bucket.name, Key=path, Body=body)


def put(package_store, body=BODY):
    partial_download = package_store.open_partial(HEX)
    try:
        partial_download.write([body])
        return package_store.keep(partial_download)
    finally:
        partial_download.close()


async def test_a_package(open_packages, bucket, tmp_path):
    """A package is found by size or by hash, by itself or in a listing; a second upload of it changes nothing."""
    package_store = open_packages()
    assert package_store.find(HEX, len(BODY)) is None
    assert put(package_store) == PATH
    modified_at = package_store.find(HEX, len(BODY)).modified_at
    assert put(package_store) == PATH

    for size_bytes in (len(BODY), None, 5):
        for is_listed in (False, True):
            found = open_packages().find(HEX, size_bytes, is_listed=is_listed)
            assert (found.path, found.size_bytes, found.modified_at) == (PATH, len(BODY), modified_at)
    with package_store.local_file(PATH) as copy:
        assert copy.read_bytes() == BODY
    assert bucket.keys() == {PATH: len(BODY)}
    assert list((tmp_path / "scratch/packages").iterdir()) == []


async def test_damage(open_packages, bucket, tmp_path):
    """Damaged packages are replaced; one whose size is right is found when its bytes are read."""
    package_store = open_packages()
    store(bucket, BODY[:-1])
    put(package_store)
    assert bucket.keys() == {PATH: len(BODY)}
    store(bucket, BODY[:-1])
    assert package_store.find(HEX, len(BODY)) is None
    assert bucket.keys() == {}
    store(bucket, BODY[:-1] + b"\0")

    with pytest.raises(OSError, match="its bytes have the SHA-256"):
        package_store.local_file(PATH).__enter__()
    assert list((tmp_path / "scratch/packages").iterdir()) == []


async def test_a_package_that_a_former_release_stored(open_packages, bucket):
    """A dataset that was copied into a bucket keeps its packages where they are."""
    store(bucket, BODY, FORMER_PATH)

    for is_listed in (False, True):
        assert open_packages().find(HEX, len(BODY), is_listed=is_listed).path == FORMER_PATH


@pytest.mark.parametrize("is_final", [False, True])
@pytest.mark.parametrize("act", [reset_in_upload, answered(500), refused_by_s3(503, "SlowDown")])
async def test_an_upload_that_fails(open_packages, bucket, act, is_final):
    """A package whose upload fails is there whole after a repetition, or not at all, without an open upload."""
    async with open_fault_proxy(bucket.endpoint, fault("PUT .*_packages", act, times=None if is_final else 2)) as proxy:
        package_store = await to_thread.run_sync(open_packages, proxy.url)
        if is_final:
            with pytest.raises(PackageError) as caught:
                await to_thread.run_sync(put, package_store)
            assert caught.value.code == "not_written"
            assert f"{bucket.url}/{PATH}" in str(caught.value)
        else:
            await to_thread.run_sync(put, package_store)

    assert bucket.keys() == ({} if is_final else {PATH: len(BODY)})
    assert bucket.uploads() == []


async def test_an_answer_that_is_lost(open_packages, bucket):
    """An upload whose answer is lost is there once, and is this run's."""
    async with open_fault_proxy(bucket.endpoint, fault("PUT .*_packages", reset_after)) as proxy:
        package_store = await to_thread.run_sync(open_packages, proxy.url)
        assert await to_thread.run_sync(put, package_store) == PATH

    assert bucket.keys() == {PATH: len(BODY)}


async def test_damage_that_may_not_be_removed(open_packages, bucket):
    """A damaged package that may not be removed loses this package, not the run."""
    store(bucket, BODY[:-1])
    denied = refused_by_s3(403, "AccessDenied")
    async with open_fault_proxy(bucket.endpoint, fault("DELETE |POST .*[?]delete", denied, times=None)) as proxy:
        package_store = await to_thread.run_sync(open_packages, proxy.url)
        with pytest.raises(PackageError, match="is damaged and cannot be removed") as caught:
            await to_thread.run_sync(partial(package_store.find, HEX, len(BODY)))

    assert caught.value.code == "damaged"


async def test_an_upload_without_permission(open_packages, bucket):
    """Who may not store packages may store none of them, so the run ends."""
    denied = refused_by_s3(403, "AccessDenied")
    async with open_fault_proxy(bucket.endpoint, fault("PUT ", denied, times=None)) as proxy:
        package_store = await to_thread.run_sync(open_packages, proxy.url)
        with pytest.raises(WriteDeniedError, match=PATH):
            await to_thread.run_sync(put, package_store)
