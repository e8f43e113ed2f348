"""A simulator with one large package, and a destination to download it into."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import aiohttp
import pytest_asyncio
from anyio import CapacityLimiter

from lexport.artifacts.bandwidth import BytePacer
from lexport.artifacts.presigned import LinkLimits, open_links
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import Transfers
from lexport.artifacts.url_policy import named_hosts
from lexport.dataset.local import LocalStore
from lexport.errors import FunctionGoneError
from lexport.model import Link, PackageRef
from lexport.simulator import Fault, Fleet, FleetSpec, Simulator, lambda_documents

MB = 1_000_000
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=testing/20261122/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, "
    "Signature=" + "0" * 64
)


class Destination:
    """A dataset folder, a function with a package of four megabytes, and the server that has it."""

    def __init__(self, root: Path, aws: Simulator, session: aiohttp.ClientSession, function_name: str) -> None:
        self.root = root
        self.aws = aws
        self.session = session
        self.function_name = function_name
        self.link_requests = 0
        self.package_store = PackageStore(LocalStore(root), root)
        self.pacer = BytePacer(None)
        self.hosts = named_hosts(endpoint_url=aws.url)

    def inject(self, *faults: Fault) -> None:
        """Let the server make these faults, one after the other."""
        for fault in faults:
            self.aws.inject(fault)

    async def request_link(self) -> Link:
        """Call GetFunction for a link."""
        self.link_requests += 1
        async with self.session.get(f"{self.aws.url}/2015-03-31/functions/{self.function_name}") as response:
            document = await response.json()
        if response.status != 200:
            raise FunctionGoneError("gone", code=response.headers["x-amzn-errortype"])
        configuration = document["Configuration"]
        package = PackageRef(code_sha256=configuration["CodeSha256"], size_bytes=configuration["CodeSize"])
        return Link(url=document["Code"]["Location"], package=package)

    async def store(self, *, link: Link | None = None, package: PackageRef | None = None, **limits):
        """Store a package; without one, the package of ``link`` or of a fresh link."""
        if package is None:
            link = link or await self.request_link()
            package = link.package
        async with open_links(
            ca_bundle=None, hosts=self.hosts, connections=4, limits=LinkLimits(**limits)
        ) as open_link:
            transfers = Transfers(
                package_store=self.package_store,
                open_link=open_link,
                pacer=self.pacer,
                threads=CapacityLimiter(2),
                random_unit=lambda: 0.0,
            )
            return await transfers.store_package(package, self.request_link, link=link)

    def files(self) -> dict[str, bytes]:
        """Return every file in the folder."""
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def gets(self) -> int:
        """Return how often a link was opened."""
        return sum(count for (_, _, operation), count in self.aws.calls.items() if operation == "GetObject")

    def holds_only(self, stored) -> bool:
        """Return whether the folder holds exactly this package, right, and no partial download."""
        ((path, body),) = self.files().items()
        digest = hashlib.sha256(body).digest()
        expected = (stored.path, stored.sha256_hex, stored.package.code_sha256, stored.size_bytes)
        return expected == (path, digest.hex(), base64.b64encode(digest).decode(), len(body))

    def partial_path(self, package: PackageRef) -> Path:
        """Return the path of a partial download."""
        return self.root / "_staging" / "packages" / f"{base64.b64decode(package.code_sha256).hex()}.part"


@pytest_asyncio.fixture
async def destination(simulator, tmp_path, look):
    """An empty destination."""
    fleet = Fleet(FleetSpec(functions=40, versions=2, large_packages=True))
    async with (
        simulator(verify=False, fleet=fleet) as aws,
        aiohttp.ClientSession(headers={"Authorization": AUTHORIZATION}) as session,
    ):
        yield Destination(tmp_path / "dest", aws, session, _large_function(fleet, look.scope))


def _large_function(fleet: Fleet, scope) -> str:
    """Return the first function whose `$LATEST` has a package of four megabytes."""
    for index in fleet.indexes(scope):
        version = fleet.version(scope, index, "$LATEST")
        if lambda_documents.has_location(version) and 4 * MB <= version.code_size_bytes < 5 * MB:
            return version.function.name
    raise AssertionError("no such function")
