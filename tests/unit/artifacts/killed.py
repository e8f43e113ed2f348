"""Kill a download at each of its writes to the disk, one after the other, and let the next run take it up.

python killed.py DEST URL CODE_SHA256 SIZE; prints one JSON line per write. Forks, so that the imports are paid once.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import warnings
from pathlib import Path

from anyio import CapacityLimiter

from lexport.artifacts import partial_download
from lexport.artifacts.bandwidth import BytePacer
from lexport.artifacts.presigned import open_links
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import Transfers
from lexport.artifacts.url_policy import named_hosts
from lexport.dataset import linking, local
from lexport.dataset.local import LocalStore
from lexport.model import Link, PackageRef

warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # no thread of the parent holds a lock then
WRITES = {"write", "fsync", "link", "unlink", "open", "mkdir", "ftruncate", "replace"}
FILES = {partial_download.__file__, linking.__file__, local.__file__}


def kill_at(number: int) -> None:
    """End this process, as ``kill -9`` does, right before the n-th system call that changes something."""
    count = 0

    def profile(frame, event, function):
        nonlocal count
        if event == "c_call" and function.__name__ in WRITES and _is_ours(frame):
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(profile)


def _is_ours(frame) -> bool:
    above = (frame, frame.f_back, frame.f_back and frame.f_back.f_back)  # pathlib stands in between
    return any(each is not None and each.f_code.co_filename in FILES for each in above)


async def store(dest: Path, link: Link) -> int:
    async def request_link() -> Link:
        return link

    hosts = named_hosts(endpoint_url=link.url.partition("/snapshots")[0])
    async with open_links(ca_bundle=None, hosts=hosts, connections=1) as open_link:
        transfers = Transfers(
            package_store=PackageStore(LocalStore(dest), dest),
            open_link=open_link,
            pacer=BytePacer(None),
            threads=CapacityLimiter(1),
        )
        stored = await transfers.store_package(link.package, request_link, link=link)
    return stored.bytes_moved


def run(dest: Path, link: Link, number: int) -> tuple[bool, int]:
    """Run in a process of its own; return whether it was killed, and how many bytes moved."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        if number:
            kill_at(number)
        os.write(writing, json.dumps(asyncio.run(store(dest, link))).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        moved = said.read()
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status), int(moved or 0)


def files(dest: Path) -> dict[str, int]:
    return {str(path.relative_to(dest)): path.stat().st_size for path in dest.rglob("*") if path.is_file()}


def main() -> None:
    dest, url, code_sha256, size = sys.argv[1:]
    link = Link(url=url, package=PackageRef(code_sha256=code_sha256, size_bytes=int(size)))
    number, is_killed = 0, True
    while is_killed:
        number += 1
        place = Path(dest) / str(number)
        place.mkdir(parents=True)
        is_killed, _ = run(place, link, number)
        left = files(place)
        is_killed_again, moved = run(place, link, 0)
        line = {"number": number, "killed": is_killed, "left": left, "failed": is_killed_again, "moved": moved}
        print(json.dumps(line | {"then": files(place)}), flush=True)


main()
