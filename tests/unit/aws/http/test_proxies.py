"""Proxies of the environment are used, with their credentials and NO_PROXY; no secret leaves through errors or logs."""

from __future__ import annotations

import asyncio
import base64
import traceback

import pytest

from lexport.aws.http.message import Request, Response
from lexport.errors import NetworkError, SettingsError


@pytest.mark.asyncio
async def test_plain_requests_go_through_the_proxy(fetch, monkeypatch, servers):
    """HTTP_PROXY is used with its credentials."""
    seen = []
    async with servers.raw(servers.OK, seen=seen) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.replace("//", "//us%40er:canary@"))
        response = await fetch("http://lambda.example.test/f?a=%24")
    head = seen[0].decode()

    assert response.status == 200
    assert head.startswith("GET http://lambda.example.test/f?a=%24 HTTP/1.1")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'us@er:canary').decode()}" in head


@pytest.mark.asyncio
async def test_no_proxy_is_honoured(fetch, monkeypatch, servers):
    """A host in NO_PROXY is reached directly."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with servers.raw(servers.OK) as url:
        response = await fetch(url)

    assert response.status == 200


@pytest.mark.asyncio
async def test_a_proxy_that_refuses_keeps_its_password_secret(fetch, monkeypatch, servers):
    """A refused tunnel names the proxy; neither message nor traceback holds password or signature."""
    seen = []
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with servers.raw(answer, seen=seen) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("//", "//user:canary@"))
        with pytest.raises(NetworkError) as caught:
            await fetch("https://lambda.example.test/f?Marker=canary", {"X-Amz-Security-Token": "canary"})
    shown = "".join(traceback.format_exception(caught.value))

    assert seen[0].startswith(b"CONNECT lambda.example.test:443")
    assert b"proxy-authorization: basic" in seen[0].lower()
    assert b"canary" not in seen[0]
    assert caught.value.code == "proxy_refused"
    assert "407" in str(caught.value) or "proxy authorization required" in str(caught.value)
    assert "canary" not in shown.replace('Marker=canary", {"X-Amz-Security-Token": "canary"}', "")


@pytest.mark.asyncio
async def test_a_proxy_that_is_down(fetch, monkeypatch, servers):
    """A proxy that does not listen is named without its password."""
    monkeypatch.setenv("HTTP_PROXY", f"http://user:canary@127.0.0.1:{servers.free_port()}")
    with pytest.raises(NetworkError) as caught:
        await fetch("http://lambda.example.test/f")

    assert caught.value.code == "connect_failed"
    assert "proxy 127.0.0.1:" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1080", "http://", "http://host:port"])
async def test_a_proxy_variable_that_is_no_proxy(fetch, monkeypatch, value):
    """A proxy variable that cannot be used is an error of the settings, not a silent detour."""
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(SettingsError) as caught:
        await fetch("http://127.0.0.1/")

    assert caught.value.option == "HTTPS_PROXY"


@pytest.mark.asyncio
async def test_a_proxy_without_a_scheme(fetch, monkeypatch, servers):
    """`proxy:3128` means `http://proxy:3128`."""
    async with servers.raw(servers.OK) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.removeprefix("http://"))
        response = await fetch("http://lambda.example.test/f")

    assert response.status == 200


@pytest.mark.asyncio
async def test_a_tunnel_through_a_proxy(fetch, certificate, monkeypatch, servers):
    """HTTPS goes through a tunnel: the proxy gets the name of the host and its own password, and nothing else."""
    tls, ca_file = certificate
    asked, seen = [], []

    async def copy(reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def tunnel(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        host, _, port = asked[0].split()[1].decode().partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer), return_exceptions=True)

    async with (
        servers.raw(servers.OK, tls=tls, seen=seen) as url,
        await asyncio.start_server(tunnel, "127.0.0.1", 0) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", "http://user:pass@{}:{}".format(*proxy.sockets[0].getsockname()[:2]))
        response = await fetch(url + "/f?Marker=canary", {"X-Amz-Security-Token": "canary"}, ca_bundle=ca_file)

    assert response.body == b"{}"
    assert asked[0].startswith(f"CONNECT {url.removeprefix('https://')} HTTP/1.1\r\n".encode())
    assert b"proxy-authorization: basic" in asked[0].lower()
    assert b"canary" not in asked[0]
    assert seen[0].startswith(b"GET /f?Marker=canary HTTP/1.1\r\n")
    assert b"proxy-authorization" not in seen[0].lower()


@pytest.mark.asyncio
async def test_no_error_leads_to_a_secret(monkeypatch, servers):
    """Neither an error nor anything chained to it holds a password or a query."""
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with servers.served(servers.answering(refusal)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("//", "//user:canary@"))
        async with servers.opened() as send:
            with pytest.raises(NetworkError) as caught:
                await send(Request("https://lambda.example.test/f?Marker=canary", {"X-Amz-Security-Token": "canary"}))

    assert caught.value.code == "proxy_refused"
    assert "canary" not in servers.chain_of(caught.value)
    assert "Y2FuYXJ5" not in servers.chain_of(caught.value)
    assert "Basic" not in servers.chain_of(caught.value)


@pytest.mark.asyncio
async def test_logs_hold_no_secret(get, caplog, servers):
    """With every logger at its lowest level, no headers and no queries are logged."""
    caplog.set_level(1)
    async with servers.raw(servers.OK) as url:
        await get(url + "/f?Marker=canary", {"X-Amz-Security-Token": "canary"})
    with pytest.raises(NetworkError):
        await get(f"http://127.0.0.1:{servers.free_port()}/f?Marker=canary", {"X-Amz-Security-Token": "canary"})

    assert "canary" not in caplog.text


@pytest.mark.slow
def test_repr_shows_no_header_and_no_body():
    """`repr` of requests and responses shows no secret."""
    shown = repr(Request("https://h/p?X-Amz-Signature=canary", {"Authorization": "canary"}))
    shown += repr(Response(200, {"Set-Cookie": "canary"}, b"canary"))

    assert "canary" not in shown
