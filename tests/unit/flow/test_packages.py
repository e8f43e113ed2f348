"""Link -> verified bytes in the store, against the simulator: once, right, and never under a wrong name."""

from __future__ import annotations

import base64
import hashlib
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from anyio import CapacityLimiter

from lexport.aws.guard import LinkHosts
from lexport.aws.links import LinkLimits, open_links
from lexport.errors import PackageError
from lexport.flow.packages import store_package
from lexport.model import Link, PackageRef
from lexport.quota.transfer import BytePacer
from lexport.store.local import LocalStore
from lexport.store.packages import PackagePlaces

pytestmark = pytest.mark.asyncio

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=testing/20261122/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, "
    "Signature=" + "0" * 64
)


class Shop:
    """A destination, and everything a package needs to get into it."""

    def __init__(self, dest: Path, aws, session) -> None:
        self.dest = dest
        self.aws = aws
        self.session = session
        self.asked = 0
        self.places = PackagePlaces(LocalStore(dest))
        self.pacer = BytePacer(None)

    async def answer(self, name: str) -> Link:
        """Call GetFunction, as the caller would."""
        self.asked += 1
        async with self.session.get(f"{self.aws.url}/2015-03-31/functions/{name}") as response:
            document = await response.json()
        configuration = document["Configuration"]
        package = PackageRef(code_sha256=configuration["CodeSha256"], size_bytes=configuration["CodeSize"])
        return Link(url=document["Code"]["Location"], package=package)

    async def store(self, name: str, *, link: Link | None = None, package: PackageRef | None = None, **limits):
        """Store the package of a function."""
        hosts = LinkHosts.named(endpoint_url=self.aws.url)
        package = package or (link or await self.answer(name)).package
        async with open_links(ca_bundle=None, hosts=hosts, connections=4, limits=LinkLimits(**limits)) as open_link:
            return await store_package(
                package,
                lambda: self.answer(name),
                link=link,
                open_link=open_link,
                places=self.places,
                pacer=self.pacer,
                threads=CapacityLimiter(2),
                random_unit=lambda: 0.0,
            )

    def files(self) -> dict[str, bytes]:
        """Everything below the destination."""
        return {str(path.relative_to(self.dest)): path.read_bytes() for path in self.dest.rglob("*") if path.is_file()}


@pytest_asyncio.fixture
async def shop(simulator, tmp_path):
    """``async with shop(fault, ...) as it``."""

    @asynccontextmanager
    async def opened(*faults, **more):
        async with (
            simulator(*faults, verify=False, **more) as aws,
            aiohttp.ClientSession(headers={"Authorization": AUTHORIZATION}) as session,
        ):
            yield Shop(tmp_path / "dest", aws, session)

    return opened


async def test_a_package_is_stored_under_its_hash(shop):
    """What the link leads to lies under the name of its content, and nothing else is left."""
    async with shop() as it:
        name = it.aws.fleet.name(0)
        link = await it.answer(name)
        stored = await it.store(name, link=link)
        (path, body), *rest = it.files().items()

    assert (stored.path, rest) == (path, [])
    assert path == f"packages/sha256/{stored.sha256_hex[:2]}/{stored.sha256_hex}.zip"
    assert hashlib.sha256(body).hexdigest() == stored.sha256_hex
    assert base64.b64encode(bytes.fromhex(stored.sha256_hex)).decode() == link.package.code_sha256
    assert (stored.package, stored.size_bytes, stored.bytes_moved) == (link.package, len(body), len(body))
    assert stored.was_present is False
    assert it.asked == 1


async def test_what_is_there_costs_nothing(shop):
    """A second time no link is asked for and no byte moves."""
    async with shop() as it:
        name = it.aws.fleet.name(0)
        first = await it.store(name)
        before = sum(it.aws.calls.values())
        second = await it.store(name, package=first.package)

        assert (second.was_present, second.bytes_moved, second.path) == (True, 0, first.path)
        assert sum(it.aws.calls.values()) == before


async def test_links_lead_to_named_hosts_only(shop):
    """A link to a host that is neither AWS's nor named is not opened, and the error names the host alone."""
    async with shop() as it:
        link = await it.answer(it.aws.fleet.name(0))
        elsewhere = Link(url=link.url.replace(urlsplit(link.url).netloc, "example.com:80"), package=link.package)
        with pytest.raises(PackageError, match=r"leads to example\.com:?8?0?, which is no host of AWS") as caught:
            await it.store(it.aws.fleet.name(0), link=elsewhere)

    assert caught.value.code == "link_refused"
    assert "X-Amz" not in str(caught.value)
