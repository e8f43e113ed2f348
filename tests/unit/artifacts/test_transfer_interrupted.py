"""Interrupted, concurrent and killed runs: the next run continues a partial download, and no file is ever wrong."""

import asyncio
import base64
import fcntl
import functools
import json
import os
import sys
from pathlib import Path

import aiohttp
import pytest
from anyio import create_task_group, run_process
from yarl import URL

from lexport.simulator import Fault

pytestmark = pytest.mark.asyncio

MB = 1_000_000
get_object = functools.partial(Fault, operation="GetObject")


# --- interrupted and concurrent runs ----------------------------------------------------------------------------------


async def until(condition) -> None:
    """Wait for a change on disk."""
    while not condition():  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0.005)


def open_files() -> list[str]:
    return [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]


@pytest.mark.parametrize(
    ("left", "moved"),
    [("nothing", 1.0), ("half", 0.5), ("whole", 0.0), ("wrong half", 1.5), ("wrong whole", 1.0), ("too much", 1.0)],
)
async def test_a_partial_download_is_continued(destination, left, moved):
    """The bytes on disk are hashed again: right bytes are not downloaded twice, wrong ones are dropped."""
    link = await destination.request_link()
    size = link.package.size_bytes
    async with aiohttp.ClientSession() as client, client.get(URL(link.url, encoded=True)) as response:
        body = await response.read()
    half = size // 2
    on_disk = {
        "nothing": b"",
        "half": body[:half],
        "whole": body,
        "wrong half": bytes(half),
        "wrong whole": bytes(size),
        "too much": body + b"more",
    }[left]
    partial = destination.partial_path(link.package)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(on_disk)
    stored = await destination.store(link=link)

    assert destination.holds_only(stored)
    assert abs(stored.bytes_moved - moved * size) <= 1


async def test_a_run_that_ended_between_link_and_unlink(destination):
    """A complete partial download is moved into the store without a transfer."""
    stored = await destination.store()
    partial = destination.partial_path(stored.package)
    os.link(destination.root / stored.path, partial)
    (destination.root / stored.path).unlink()
    again = await destination.store(package=stored.package)

    assert destination.holds_only(again)
    assert again.bytes_moved == 0


async def test_two_runs_at_once(destination):
    """Two runs that download the same package never write into the same file, and both succeed."""
    destination.inject(get_object(kind="drip", after_bytes=2 * MB, delay_s=60.0, times=2))
    async with asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(destination.store(idle_timeout_s=0.3)) for _ in range(2)]
        await until(lambda: len(list(destination.root.glob("_staging/packages/*"))) == 2)
    first, second = (run.result() for run in runs)

    assert destination.holds_only(first)
    assert destination.holds_only(second)
    assert first.bytes_moved + second.bytes_moved <= 2 * first.size_bytes


@pytest.mark.parametrize("by", ["asyncio", "anyio"])
async def test_cancelled(destination, by):
    """Cancelled during a transfer, no file and no lock stays open, and the next run continues the download."""
    destination.inject(get_object(kind="drip", after_bytes=3 * MB, delay_s=60.0))
    link = await destination.request_link()
    partial = destination.partial_path(link.package)
    if by == "asyncio":
        run = asyncio.create_task(destination.store(link=link))
        await until(lambda: partial.exists() and partial.stat().st_size >= 2 * MB)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    else:  # as in a run, where a task group ends with the first error
        async with create_task_group() as tasks:
            tasks.start_soon(functools.partial(destination.store, link=link))
            await until(lambda: partial.exists() and partial.stat().st_size >= 2 * MB)
            tasks.cancel_scope.cancel()
    opened = open_files()
    with partial.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    reached = partial.stat().st_size
    stored = await destination.store()

    assert str(partial) not in opened
    assert destination.holds_only(stored)
    assert stored.bytes_moved == stored.size_bytes - reached


# --- killed processes -------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_killed_at_any_write(destination):
    """A run killed before any of its writes leaves no wrong file, and the next run continues with the bytes on disk."""
    link = await destination.request_link()
    script = [sys.executable, str(Path(__file__).with_name("killed.py")), str(destination.root), link.url]
    done = await run_process([*script, link.package.code_sha256, str(link.package.size_bytes)], check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    hex_name = base64.b64decode(link.package.code_sha256).hex()
    right = {f"_packages/sha256/{hex_name[:2]}/{hex_name}.zip": link.package.size_bytes}
    resumed = {line["moved"] for line in lines}

    assert (done.stderr, done.returncode) == (b"", 0)
    assert [line["killed"] for line in lines] == [True] * (len(lines) - 1) + [False]
    assert len(lines) > 12
    for line in lines:
        assert (line["then"], line["failed"]) == (right, False)
        partials = {path: size for path, size in line["left"].items() if path.startswith("_staging/")}
        assert {path: size for path, size in line["left"].items() if path not in partials} in ({}, right)
        on_disk = link.package.size_bytes if right.items() <= line["left"].items() else sum(partials.values())
        assert line["moved"] == link.package.size_bytes - on_disk
    assert len(resumed) >= 4


@pytest.mark.slow
async def test_no_space_left_on_device(destination, tmp_path):
    """On a file system without space, the package fails with `disk_full` and its partial download is removed."""
    code = (
        "import sys; from pathlib import Path; from lexport.dataset.local import LocalStore\n"
        "from lexport.artifacts.store import PackageStore; from lexport.errors import PackageError\n"
        "partial = PackageStore(LocalStore(Path(sys.argv[1])), Path(sys.argv[1])).open_partial('ab' * 32)\n"
        "try: partial.write([bytes(500_000)] * 10)\n"
        "except PackageError as error:\n"
        " partial.close(); print(error.code, partial.size_bytes, partial.path.exists(), error)"
    )
    mounted = tmp_path / "small"
    mounted.mkdir()
    script = f'mount -t tmpfs -o size=1m none "{mounted}" && exec "$0" -c "$1" "{mounted}"'
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, sys.executable, code]
    done = await run_process(inside, check=False)
    if b"unshare" in done.stderr or b"mount" in done.stderr:
        pytest.skip("this machine does not allow mounting a small file system")

    assert done.stdout.decode().startswith("disk_full 0 False no disk space for the package at ")
    assert b"No space left on device" in done.stdout
