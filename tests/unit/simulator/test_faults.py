"""Each scripted fault strikes the call it was written for, as often as it says, and in the way it says."""

import asyncio
import json

import aiohttp
import pytest
from botocore.exceptions import ClientError
from yarl import URL

from lexport.simulator import Fault, open_simulator

pytestmark = pytest.mark.asyncio
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=testing/20261122/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature="
)
AUTHORIZATION += "0" * 64
FUNCTIONS = "/2015-03-31/functions"


async def test_strikes_the_named_call_and_as_often_as_said(fleet, connect):
    """Two throttles of one function strike that function twice, and nothing else."""
    name = fleet.name(1)
    faults = [Fault(operation="GetFunction", function_name=name, kind="throttle", times=2, retry_after_s=3)]
    async with open_simulator(fleet, faults=faults) as simulator, connect(simulator.url) as client:
        await client.get_function(FunctionName=fleet.name(0))
        for _ in range(2):
            with pytest.raises(ClientError) as caught:
                await client.get_function(FunctionName=name)
            assert caught.value.response["retryAfterSeconds"] == "3"
        await client.get_function(FunctionName=name)

    assert simulator.calls["111122223333", "us-east-1", "GetFunction"] == 4
    assert simulator.throttles["111122223333", "us-east-1", "GetFunction"] == 2


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "throttle"}, 429, "TooManyRequestsException"),
        ({"kind": "error"}, 500, "ServiceException"),
        ({"kind": "error", "status": 400, "code": "ThrottlingException"}, 400, "ThrottlingException"),
        ({"kind": "denied"}, 403, "AccessDeniedException"),
        ({"kind": "gone"}, 404, "ResourceNotFoundException"),
        ({"kind": "expired_token"}, 403, "ExpiredTokenException"),
    ],
)
async def test_refusals(fleet, http, fault, status, code):
    """A refusing fault answers with AWS's error, once."""
    async with open_simulator(fleet, verify=False) as simulator:
        simulator.inject(Fault(operation="GetFunction", **fault))
        url = f"{simulator.url}{FUNCTIONS}/{fleet.name(0)}"
        async with http.get(url) as response:
            assert (response.status, response.headers["x-amzn-errortype"]) == (status, code)
            assert isinstance(await response.json(), dict)
        async with http.get(url) as response:
            assert response.status == 200


async def test_not_aws(fleet, http):
    """HTML, an empty body and half a document are sent in place of AWS's response."""
    async with open_simulator(fleet, verify=False) as simulator:
        url = f"{simulator.url}{FUNCTIONS}/{fleet.name(0)}"
        for kind in ("html", "empty", "broken_json"):
            simulator.inject(Fault(operation="GetFunction", kind=kind))
        async with http.get(url) as response:
            assert (response.status, response.content_type) == (502, "text/html")
        async with http.get(url) as response:
            assert (response.status, await response.read()) == (200, b"")
        async with http.get(url) as response:
            text = await response.text()
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


async def test_the_wire_breaks(fleet, http):
    """A truncated answer and a reset connection are errors of the connection, and the next call is well."""
    async with open_simulator(fleet, verify=False) as simulator:
        url = f"{simulator.url}{FUNCTIONS}/{fleet.name(0)}"
        simulator.inject(Fault(operation="GetFunction", kind="truncate"))
        async with http.get(url) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        simulator.inject(Fault(operation="GetFunction", kind="reset"))
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(url).port)  # aiohttp would try twice
        writer.write(f"GET {URL(url).path} HTTP/1.1\r\nHost: x\r\nAuthorization: {AUTHORIZATION}\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        async with http.get(url) as response:
            assert response.status == 200


async def test_hang_and_slow(fleet, http):
    """A call that hangs lasts until its client goes, and does not keep the simulator from closing."""
    async with open_simulator(fleet, verify=False) as simulator:
        url = f"{simulator.url}{FUNCTIONS}/{fleet.name(0)}"
        simulator.inject(Fault(operation="GetFunction", kind="slow", delay_s=0.001))
        simulator.inject(Fault(operation="GetFunction", kind="gone", after=1))
        async with http.get(url) as response:
            assert response.status == 200
        async with http.get(url) as response:
            assert response.status == 404
        simulator.inject(Fault(operation="GetFunction", kind="hang"))
        hanging = asyncio.create_task(http.get(url))
        while simulator.calls["111122223333", "us-east-1", "GetFunction"] < 3:  # noqa: ASYNC110 - a Counter has no event
            await asyncio.sleep(0)
    with pytest.raises(aiohttp.ClientConnectionError):
        await asyncio.wait_for(hanging, 5)


async def pages_of(http, url, *, limit=12):
    """Follow the markers, at most so many pages."""
    marker, pages = None, []
    while len(pages) < limit:
        parameters = {"FunctionVersion": "ALL"} | ({"Marker": marker} if marker else {})
        async with http.get(url, params=parameters) as response:
            page = await response.json()
        pages.append((marker, [f"{item['FunctionName']}:{item['Version']}" for item in page["Functions"]]))
        marker = page.get("NextMarker")
        if not marker:
            break
    return pages, page


@pytest.mark.parametrize(
    ("kind", "markers", "names"),
    [("repeat_marker", 2, 100), ("cycle_markers", 3, 100), ("endless", 12, 50)],
)
async def test_listings_that_never_end(fleet, http, kind, markers, names):
    """The listing repeats a marker, goes round in two of them, or has ever new ones and never a new name."""
    fault = Fault(operation="ListFunctions", kind=kind, times=None)
    async with open_simulator(fleet, verify=False, faults=[fault]) as simulator:
        pages, _ = await pages_of(http, simulator.url + FUNCTIONS)

    assert len(pages) == 12
    assert len({marker for marker, _ in pages}) == markers
    assert len({name for _, page in pages for name in page}) <= names


@pytest.mark.parametrize(("kind", "last"), [("null_marker", None), ("empty_marker", "")])
async def test_last_markers(fleet, http, kind, last):
    """The last page may carry a marker that is null or empty; the fault waits for it."""
    fault = Fault(operation="ListFunctions", kind=kind)
    async with open_simulator(fleet, verify=False, faults=[fault]) as simulator:
        pages, page = await pages_of(http, simulator.url + FUNCTIONS)

    assert len(pages) == 5
    assert page["NextMarker"] == last


async def test_duplicate_page(fleet, http):
    """A page comes twice under two markers, and then the listing goes on to its end."""
    fault = Fault(operation="ListFunctions", kind="duplicate_page")
    async with open_simulator(fleet, verify=False, faults=[fault]) as simulator:
        pages, _ = await pages_of(http, simulator.url + FUNCTIONS)

    assert len(pages) == 6
    assert pages[0][1] == pages[1][1]
    assert len({name for _, page in pages for name in page}) == 240


async def test_unqualified_all(fleet, http):
    """ListFunctions may ignore FunctionVersion=ALL."""
    fault = Fault(operation="ListFunctions", kind="unqualified_all", times=None)
    async with open_simulator(fleet, verify=False, faults=[fault]) as simulator:
        pages, page = await pages_of(http, simulator.url + FUNCTIONS)

    assert [len(names) for _, names in pages] == [50, 10]
    assert page["Functions"][0]["FunctionArn"].endswith(page["Functions"][0]["FunctionName"])


async def test_replace_body(fleet, http):
    """A mapping is merged into the document, a callable changes a copy, and values that orjson refuses are sent."""
    shared = {"Configuration": {"Timeout": "thirty", "New": {"Deep": 2**70}}}

    def without_arn(document):
        document["Configuration"].clear()

    async with open_simulator(fleet, verify=False) as simulator:
        url = f"{simulator.url}{FUNCTIONS}/{fleet.name(0)}"
        simulator.inject(Fault(operation="GetFunction", kind="replace_body", patch=shared))
        simulator.inject(Fault(operation="GetFunction", kind="replace_body", patch=without_arn, after=1))
        answers = []
        for _ in range(3):
            async with http.get(url) as response:
                answers.append(await response.json())

    assert answers[0]["Configuration"]["Timeout"] == "thirty"
    assert answers[0]["Configuration"]["New"] == {"Deep": 2**70}
    assert answers[0]["Configuration"]["FunctionName"] == fleet.name(0)
    assert answers[1]["Configuration"] == {}
    assert answers[2]["Configuration"]["FunctionName"] == fleet.name(0)
