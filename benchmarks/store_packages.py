"""Store packages whose links are known, 32 at a time: what lexport does with a link, without the calls around it.

python benchmarks/store_packages.py DEST < LINKS        one "URL CODE_SHA256 SIZE" a line; AWS_CA_BUNDLE as ever
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lexport.artifacts.bandwidth import BytePacer
from lexport.artifacts.presigned import open_links
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import Transfers
from lexport.artifacts.url_policy import named_hosts
from lexport.dataset.local import LocalStore
from lexport.model import Link, PackageRef

AT_ONCE = 32


async def main() -> None:
    links = []
    for line in sys.stdin:
        url, code_sha256, size = line.split()[:3]
        links.append(Link(url=url, package=PackageRef(code_sha256=code_sha256, size_bytes=int(size))))
    hosts = named_hosts(endpoint_url=links[0].url.rpartition("/")[0])
    async with (
        open_links(ca_bundle=os.environ.get("AWS_CA_BUNDLE"), hosts=hosts, connections=AT_ONCE) as open_link,
        asyncio.TaskGroup() as tasks,
    ):
        transfers = Transfers(
            package_store=PackageStore(LocalStore(Path(sys.argv[1])), Path(sys.argv[1])),
            open_link=open_link,
            pacer=BytePacer(None, downloads=AT_ONCE),
        )
        waiting = iter(links)
        for _ in range(AT_ONCE):
            tasks.create_task(work(waiting, transfers))


async def work(waiting: Iterator[Link], transfers: Transfers) -> None:
    for link in waiting:

        async def request_link(link: Link = link) -> Link:
            return link

        await transfers.store_package(link.package, request_link, link=link)


asyncio.run(main())
