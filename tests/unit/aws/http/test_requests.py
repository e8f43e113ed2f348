"""Requests are sent byte for byte, and what HTTP cannot carry is refused."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

import pytest
from aiohttp import web

from lexport.aws.http.message import Request
from lexport.aws.http.pool import open_pool
from lexport.errors import FetchError, NetworkError

pytestmark = pytest.mark.asyncio

SPLIT = ("canary\r\nX: y", "canary\n", "\rcanary", "canary\0")


async def test_what_is_given_is_what_is_sent(get, servers):
    """The URL is sent byte for byte, with our headers, one User-Agent, and no other header."""
    seen = []
    target = "/p/functions/arn%3Aaws%3Alambda%2F~._-%2E%41?Qualifier=%24LATEST&b=+&a"
    async with servers.raw(servers.OK, seen=seen) as url:
        response = await get(url + target, {"X-Amz-Date": "now", "Authorization": "signed"})
        lines = seen[0].decode().split("\r\n")

    assert lines[0] == f"GET {target} HTTP/1.1"
    assert {line.split(":")[0] for line in lines[1:] if line} == {
        "Host",
        "User-Agent",
        "Accept",
        "Accept-Encoding",
        "X-Amz-Date",
        "Authorization",
    }
    assert f"User-Agent: lexport/{version('lexport')}" in lines
    assert (response.status, response.body) == (200, b"{}")


async def test_headers_are_looked_up_in_lower_case(get, servers):
    """`retry-after` finds the header that the server sent as `Retry-After`."""

    async def handle(request):
        return web.Response(status=429, headers={"Retry-After": "3"})

    async with servers.serve(handle) as url:
        response = await get(url)

    assert response.headers.get("retry-after") == "3"


async def test_follows_no_redirect(get, servers):
    """A redirect is a response like any other: the signature is valid for one host."""
    asked = []

    async def handle(request):
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with servers.serve(handle) as url:
        response = await get(url + "/here")

    assert (response.status, asked) == (302, ["/here"])


async def test_keeps_no_cookie(way, servers):
    """A cookie that one response sets is not sent with the next request."""
    cookies = []

    async def handle(request):
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "a=b"})

    async with servers.serve(handle) as url, open_pool(ca_bundle=None, connections=1) as send:
        await send(Request(url, {}))
        await send(Request(url, {}))

    assert cookies == [None, None]


async def test_netrc_adds_no_authorization(fetch, tmp_path, monkeypatch, servers):
    """~/.netrc is not read, neither in place of our signature nor beside it, even where a proxy is set."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    seen = []

    async def handle(request):
        seen.append(request.headers.get("Authorization"))
        return web.Response()

    async with servers.serve(handle) as url:
        await fetch(url, {"Authorization": "AWS4-HMAC-SHA256 x"})
        await fetch(url)

    assert seen == ["AWS4-HMAC-SHA256 x", None]


@pytest.mark.parametrize(
    "request_", [Request(f"http://{'x' * 70}.invalid/", {}), Request("http://127.0.0.1:1/", {"A": "b\r\nC: d"})]
)
async def test_what_http_cannot_carry_is_no_bug(way, request_):
    """An impossible host name and a header with a line break are errors of ours."""
    async with open_pool(ca_bundle=None, connections=1) as send:
        with pytest.raises(FetchError):
            await send(request_)


@pytest.mark.parametrize(
    "url",
    [
        "canary",
        "/canary",
        "http://",
        "http:///canary",
        "ftp://127.0.0.1/canary",
        "http://127.0.0.1:99999/canary",
        "http://127.0.0.1:x/canary",
        "http://[::1/canary",
        "http://[zz]/canary",
        "http://user:canary@127.0.0.1:1/",
        "http://127.0.0.1\r\nX: canary/",
        "http://127.0.0.1:1/a b?canary",
        "http://127.0.0.1:1/a\tb?canary",
        "http://127.0.0.1:1/?canary\r\nX: y",
        "http://127.0.0.1:1/?canary\0",
        "http://127.0.0.1:1/?canary\x7f",
        "http://127.0.0.1:1/ü?canary",
        "http://127.0.0.1:1/a#canary",
        "http://127.0.0.1:1/?canary\n",
    ],
)
async def test_urls_that_http_cannot_carry(way, url, servers):
    """They are refused before a connection is opened, and the error does not repeat them."""
    async with servers.opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url, {}))

    assert caught.value.code == "invalid_request"
    assert "canary" not in servers.chain_of(caught.value)


@pytest.mark.parametrize("value", [*SPLIT, "canary ü", "canary €"])
async def test_headers_that_http_cannot_carry(way, value, servers):
    """A header that would split into two, or that is not ASCII, is refused."""
    async with servers.opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request("http://127.0.0.1:1/", {"A": value}))

    assert caught.value.code == "invalid_request"
    assert "canary" not in servers.chain_of(caught.value)


@pytest.mark.parametrize(
    ("rest", "target"),
    [
        ("", "/"),
        ("?", "/?"),
        ("?a=/b", "/?a=/b"),
        ("/", "/"),
        ("/base//x/?", "/base//x/?"),
        ('/"<>[]^`{|}', '/"<>[]^`{|}'),
    ],
)
async def test_the_target_of_a_url(way, rest, target, servers):
    """A URL may have no path, and the characters of a path are sent unchanged."""
    heads = []

    async def talk(reader, writer):
        heads.append((await reader.readuntil(servers.HEAD_END)).decode())
        writer.write(servers.OK)

    async with servers.served(talk) as url, servers.opened() as send:
        if way == "proxied" and target.endswith("?"):  # aiohttp's URL drops it, and then the signature would not fit
            with pytest.raises(FetchError, match="HTTP cannot carry it"):
                await send(Request(url + rest, {}))
            return
        await send(Request(url + rest, {}))

    assert heads[0].startswith(f"GET {target} HTTP/1.1\r\nHost: {url.removeprefix('http://')}\r\n")


async def test_a_host_that_names_nothing(servers):
    """Whatever stands in place of a host, the error is ours."""
    async with servers.opened() as send:
        for host in ("...", "a..b", "127.1", "1.2.3.4.5", "xn--a"):
            with pytest.raises(FetchError) as caught:
                await send(Request(f"http://{host}/", {}))

            assert caught.value.code in ("invalid_request", "dns_failed", "connect_failed")


async def test_an_ipv6_host(servers):
    """An address in brackets is connected to, and sent unchanged in Host."""
    heads = []

    async def handle(reader, writer):
        heads.append((await reader.readuntil(servers.HEAD_END)).decode())
        writer.write(servers.OK)
        writer.close()

    try:
        server = await asyncio.start_server(handle, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    port = server.sockets[0].getsockname()[1]
    async with server, servers.opened() as send:
        response = await send(Request(f"http://[::1]:{port}/f", {}))

    assert response.body == b"{}"
    assert f"\r\nHost: [::1]:{port}\r\n" in heads[0]


async def test_a_refused_connection(fetch, servers):
    """The error of a refused connection names host and port, and what to check."""
    port = servers.free_port()
    with pytest.raises(NetworkError) as caught:
        await fetch(f"http://127.0.0.1:{port}/f")

    assert caught.value.code == "connect_failed"
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)


async def test_a_name_that_does_not_exist(fetch):
    """A host that DNS does not know is named."""
    with pytest.raises(NetworkError) as caught:
        await fetch("http://lambda.region.invalid/f")

    assert caught.value.code == "dns_failed"
    assert "lambda.region.invalid" in str(caught.value)
