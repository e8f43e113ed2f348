"""Presigned links give true bytes to whoever holds them, for a while, by GET alone."""

import base64
import hashlib

import pytest
from yarl import URL

from lexport.simulator import Fault, open_simulator

pytestmark = pytest.mark.asyncio


async def link_of(fleet, http, simulator):
    async with http.get(f"{simulator.url}/2015-03-31/functions/{fleet.name(0)}") as response:
        document = await response.json()
    return URL(document["Code"]["Location"], encoded=True), document["Configuration"]


async def test_link_gives_the_package(fleet, http, anonymous):
    """The bytes behind a link have the size and hash that the same answer told; parts of them can be had."""
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
