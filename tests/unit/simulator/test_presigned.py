"""A presigned URL returns the bytes of its package, for a limited time and by GET alone."""

import base64
import hashlib
import io
import zipfile

import pytest
from yarl import URL

from lexport.model import Scope
from lexport.simulator import Fault, Fleet, FleetSpec, lambda_documents, open_simulator

pytestmark = pytest.mark.asyncio


async def link_of(fleet, http, simulator):
    async with http.get(f"{simulator.url}/2015-03-31/functions/{fleet.name(0)}") as response:
        document = await response.json()
    return URL(document["Code"]["Location"], encoded=True), document["Configuration"]


async def test_link_gives_the_package(fleet, http, anonymous):
    """A download has the size and the hash of the response that its URL came with; ranges of it can be read."""
    async with open_simulator(fleet, verify=False) as simulator:
        link, configuration = await link_of(fleet, http, simulator)
        async with anonymous.get(link) as response:
            body = await response.read()
            assert (response.status, response.content_type) == (200, "application/zip")
        size = len(body)
        for header, start, end in (
            ("bytes=0-0", 0, 1),
            ("bytes=10-19", 10, 20),
            ("bytes=100-", 100, size),
            ("bytes=-7", size - 7, size),
        ):
            async with anonymous.get(link, headers={"Range": header}) as response:
                assert (response.status, await response.read()) == (206, body[start:end])
                assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        async with anonymous.get(link, headers={"Range": f"bytes={size}-"}) as response:
            assert response.status == 416

    assert size == configuration["CodeSize"]
    assert base64.b64encode(hashlib.sha256(body).digest()).decode() == configuration["CodeSha256"]
    assert link.path.startswith(f"/snapshots/111122223333/{fleet.name(0)}-")
    assert link.query["X-Amz-Expires"] == "600"


async def test_link_is_strict(fleet, http, anonymous):
    """HEAD, a changed link and an Authorization header are refused, in S3's XML."""
    async with open_simulator(fleet, verify=False) as simulator:
        link, _ = await link_of(fleet, http, simulator)
        async with anonymous.head(link) as response:
            assert response.status == 403
        async with anonymous.get(URL(str(link).replace("versionId=", "versionId=A"), encoded=True)) as response:
            assert (response.status, response.content_type) == (403, "application/xml")
            assert "<Code>SignatureDoesNotMatch</Code>" in await response.text()
        async with http.get(link) as response:
            assert response.status == 400


async def test_link_expires(fleet, http, anonymous):
    """After its time a link answers S3's own 403."""
    async with open_simulator(fleet, verify=False, link_ttl_s=0) as simulator:
        link, _ = await link_of(fleet, http, simulator)
        async with anonymous.get(link) as response:
            text = await response.text()

    assert response.status == 403
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message><X-Amz-Expires>" in text


async def test_links_have_faults_too(fleet, http, anonymous):
    """Faults of GetObject strike the download and are worded as S3 does."""
    faults = (
        Fault(
            operation="GetObject", kind="error", status=503, code="SlowDown", message="Please reduce your request rate."
        ),
        Fault(operation="GetObject", kind="corrupt", function_name=fleet.name(0)),
    )
    async with open_simulator(fleet, verify=False, faults=faults) as simulator:
        link, configuration = await link_of(fleet, http, simulator)
        async with anonymous.get(link) as response:
            assert (response.status, "<Code>SlowDown</Code>" in await response.text()) == (503, True)
        async with anonymous.get(link) as response:
            body = await response.read()

    assert len(body) == configuration["CodeSize"]
    assert base64.b64encode(hashlib.sha256(body).digest()).decode() != configuration["CodeSha256"]


LARGE = FleetSpec(functions=120, versions=3, large_packages=True)


def distinct_packages(fleet, most_bytes):
    """Function and qualifier of one version for each distinct package up to a size, the largest first."""
    scope = Scope(account_id="111122223333", region="us-east-1")
    found = {}
    for index in fleet.indexes(scope):
        function = fleet.function(scope, index)
        for number in fleet.published(scope, index):
            spec = fleet.version(scope, index, str(number), function)
            if lambda_documents.has_location(spec) and spec.code_size_bytes <= most_bytes:
                found[spec.code_sha256] = (spec.code_size_bytes, function.name, number)
    return sorted(found.values(), reverse=True)


async def test_large_packages_are_true(http, anonymous):
    """A package of megabytes has the size and the hash that Lambda returned, is a valid ZIP file, and has ranges."""
    fleet = Fleet(LARGE)
    size, name, number = distinct_packages(fleet, 8_100_000)[0]
    async with open_simulator(fleet, verify=False) as simulator:
        async with http.get(f"{simulator.url}/2015-03-31/functions/{name}?Qualifier={number}") as response:
            document = await response.json()
        link = URL(document["Code"]["Location"], encoded=True)
        async with anonymous.get(link) as response:
            body = await response.read()
        async with anonymous.get(link, headers={"Range": "bytes=1000000-"}) as response:
            rest = await response.read()

    assert size > 1_000_000
    assert len(body) == document["Configuration"]["CodeSize"] == size
    assert base64.b64encode(hashlib.sha256(body).digest()).decode() == document["Configuration"]["CodeSha256"]
    assert rest == body[1_000_000:]
    with zipfile.ZipFile(io.BytesIO(body)) as opened:
        assert opened.testzip() is None
        assert opened.namelist()[0] == "assets.bin"
        assert "VERSION" in opened.namelist()


async def test_large_fleets_are_as_real_ones():
    """Sizes reach from a kilobyte to 250 MB, half are small, and functions share packages."""
    fleet = Fleet(FleetSpec(functions=1000, versions=3, large_packages=True))
    sizes = [size for size, _, _ in distinct_packages(fleet, 10**9)]

    assert 250_000_000 < sizes[0] < 250_010_000
    assert sizes[-1] < 4_096
    assert 0.4 < sum(size < 5_000 for size in sizes) / len(sizes) < 0.6
    assert any(40_000_000 < size < 60_000_000 for size in sizes)
    assert len(sizes) < 0.95 * 3_000


async def test_layers_have_links(http, anonymous):
    """GetLayerVersionByArn leads to the layer's content; a script may deny it."""
    fleet = Fleet(LARGE)
    scope = Scope(account_id="111122223333", region="us-east-1")
    layer = next(layer for index in fleet.indexes(scope) for layer in fleet.function(scope, index).layers)
    async with open_simulator(fleet, verify=False) as simulator:
        url = URL(f"{simulator.url}/2018-10-31/layers").with_query(find="LayerVersion", Arn=layer.arn)
        async with http.get(url) as response:
            content = (await response.json())["Content"]
        async with anonymous.get(URL(content["Location"], encoded=True)) as response:
            body = await response.read()
        simulator.inject(Fault(operation="GetLayerVersionByArn", kind="denied", layer_arn=layer.arn))
        async with http.get(url) as response:
            assert response.status == 403

    assert len(body) == content["CodeSize"] == layer.code_size_bytes
    assert base64.b64encode(hashlib.sha256(body).digest()).decode() == content["CodeSha256"]
