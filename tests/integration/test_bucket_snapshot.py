"""A snapshot into a bucket: servers that cannot keep its promises are refused, and nothing is left there."""

from __future__ import annotations

import signal
import threading

import anyio
import pytest
from tiny_s3 import open_tiny_s3, refuse


@pytest.mark.asyncio
async def test_a_server_that_ignores_conditions_is_refused(simulator, flags, run_lexport):
    """Where a second create is not refused, nothing is read and published, and no object is left."""
    with open_tiny_s3() as s3:
        s3.ignores_conditions = True
        async with simulator() as aws:
            done = await run_lexport(
                "snapshot", "s3://bucket/fleet", *flags(aws.url), AWS_ENDPOINT_URL_S3=s3.url, XDG_CACHE_HOME=None
            )

    assert (done.code, done.out) == (1, "")
    assert "does not refuse to create a file that exists already" in done.last
    assert not {operation for _, _, operation in aws.calls} & {"GetFunction", "ListFunctions"}
    assert s3.objects == {}


@pytest.mark.asyncio
async def test_a_bucket_that_refuses_writes(simulator, flags, run_lexport):
    """Where nothing may be created, the run ends before it reads, and says what the bucket answered."""
    with open_tiny_s3() as s3:
        s3.faults["PUT"] = [refuse(403, "AccessDenied")] * 99
        async with simulator() as aws:
            done = await run_lexport("snapshot", "s3://bucket/fleet", *flags(aws.url), AWS_ENDPOINT_URL_S3=s3.url)

    assert done.code == 5
    assert "403 AccessDenied" in done.last
    assert not {operation for _, _, operation in aws.calls} & {"GetFunction", "ListFunctions"}
    assert s3.objects == {}


@pytest.mark.asyncio
async def test_objects_are_encrypted_as_asked(simulator, flags, run_lexport):
    """Every object of a snapshot is written with the encryption of --dest-sse, each with one request."""
    with open_tiny_s3() as s3:
        async with simulator(functions=2) as aws:
            done = await run_lexport(
                "snapshot", "s3://bucket/fleet", "--dest-sse", "AES256", *flags(aws.url), AWS_ENDPOINT_URL_S3=s3.url
            )

    assert done.code == 0, done.err
    sent = [headers for method, _, headers in s3.requests if method == "PUT"]
    assert sent
    assert all(headers.get("x-amz-server-side-encryption") == "AES256" for headers in sent)
    assert "POST" not in s3.methods()
    assert not [key for key in s3.objects if "_staging" in key]


@pytest.mark.asyncio
async def test_a_key_that_may_be_lost_is_warned_about(simulator, flags, run_lexport, tmp_path):
    """Without a hash key and with an empty HOME, one warning says what is lost; with the key set there is none."""
    with open_tiny_s3() as s3:
        async with simulator(functions=2) as aws:
            run = ("snapshot", "s3://bucket/fleet", *flags(aws.url))
            where = {"AWS_ENDPOINT_URL_S3": s3.url, "XDG_STATE_HOME": None}
            warned = await run_lexport(*run, LEXPORT_HASH_KEY=None, HOME=str(tmp_path / "empty"), **where)
            quiet = await run_lexport(*run, HOME=str(tmp_path / "empty too"), **where)

    assert (warned.code, quiet.code) == (0, 0)
    assert warned.err.count("warning: the hash key was made in") == 1
    assert "LEXPORT_HASH_KEY" in warned.err
    assert "warning" not in quiet.err


@pytest.mark.parametrize("command", [("sql", "FROM functions"), ("verify",)])
@pytest.mark.asyncio
async def test_a_signal_ends_the_wait_for_a_bucket(start_lexport, environment, command):
    """A command that waits for an answer of a bucket ends at once with 130, not after the time-out of 30 s."""

    is_asked = threading.Event()

    def hang(handler, _carry_out):
        is_asked.set()
        handler.rfile.read(1)

    with open_tiny_s3() as s3:
        s3.faults["GET"] = [hang] * 99
        environment["AWS_ENDPOINT_URL_S3"] = s3.url
        async with start_lexport(command[0], "s3://bucket/fleet", *command[1:]) as process:
            assert await anyio.to_thread.run_sync(is_asked.wait, 30)
            process.send_signal(signal.SIGINT)
            with anyio.fail_after(5):
                assert await process.wait() == 130
