"""Store packages whose links are known, 32 at a time: what lexport does with a link, without the calls around it.

python benchmarks/store_packages.py DEST < LINKS        one "URL CODE_SHA256 SIZE" a line; AWS_CA_BUNDLE as ever
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from anyio import CapacityLimiter

from lexport.artifacts.bandwidth import BytePacer
from lexport.artifacts.presigned import open_links
from lexport.artifacts.store import PackagePlaces
from lexport.artifacts.transfer import WRITING_THREADS, store_package
from lexport.artifacts.url_policy import LinkHosts
from lexport.dataset.local import LocalStore
from lexport.model import Link, PackageRef
from lexport.tables.api import OpenLink

AT_ONCE = 32


async def main() -> None:
    links = []
    for line in sys.stdin:
        url, code_sha256, size = line.split()[:3]
        links.append(Link(url=url, package=PackageRef(code_sha256=code_sha256, size_bytes=int(size))))
    places = PackagePlaces(LocalStore(Path(sys.argv[1])))
    hosts = LinkHosts.named(endpoint_url=links[0].url.rpartition("/")[0])
    pacer, threads, waiting = BytePacer(None, downloads=AT_ONCE), CapacityLimiter(WRITING_THREADS), iter(links)
    async with (
        open_links(ca_bundle=os.environ.get("AWS_CA_BUNDLE"), hosts=hosts, connections=AT_ONCE) as open_link,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(AT_ONCE):
            tasks.create_task(work(waiting, open_link, places, pacer, threads))


async def work(
    waiting: Iterator[Link], open_link: OpenLink, places: PackagePlaces, pacer: BytePacer, threads: CapacityLimiter
) -> None:
    for link in waiting:

        async def ask_link(link: Link = link) -> Link:
            return link

        await store_package(
            link.package, ask_link, link=link, open_link=open_link, places=places, pacer=pacer, threads=threads
        )


asyncio.run(main())
