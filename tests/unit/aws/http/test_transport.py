"""The seam, against real servers on loopback."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import subprocess
import traceback
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import botocore
import pytest
from aiohttp import web

from lexport.aws.http.tls import open_trust_store
from lexport.aws.http.transport import Request, Response, open_transport
from lexport.errors import FetchError, NetworkError, ServiceError, SettingsError

BOTOCORES_BUNDLE = str(Path(botocore.__file__).with_name("cacert.pem"))


@asynccontextmanager
async def serve(handle):
    """A real aiohttp server; yields its URL."""
    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(answer, *, tls=None, seen=None, wait=None, arrived=None):
    """A server that reads one head, answers bytes and hangs up; yields its URL."""

    async def handle(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if seen is not None:
                seen.append(head)
            if arrived is not None:
                arrived.set()
            if wait is not None:
                await wait.wait()
            writer.write(answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield "{}://{}:{}".format("https" if tls else "http", *server.sockets[0].getsockname()[:2])


@pytest.fixture
def fetch():
    """One GET through a pool of its own, on the way that the environment says."""

    async def fetch(url, headers=None, ca_bundle=None, **limits):
        async with open_transport(ca_bundle=ca_bundle, connections=4, **limits) as send:
            return await send(Request(url, headers or {}))

    return fetch


@pytest.fixture
def get(fetch, way):
    """The same, directly and through a proxy."""
    return fetch


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def hashed_folder(certificate, tmp_path):
    """The CA as OpenSSL finds it in a folder: under the hash of its name."""
    _, ca_file = certificate
    command = ["openssl", "x509", "-hash", "-noout", "-in", ca_file]
    name_hash = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    (tmp_path / f"{name_hash}.0").write_bytes(Path(ca_file).read_bytes())
    return str(tmp_path)


@pytest.mark.asyncio
async def test_what_is_given_is_what_is_sent(get):
    """The URL goes out byte for byte, with our headers, one User-Agent, and nothing that was not asked for."""
    seen = []
    target = "/p/functions/arn%3Aaws%3Alambda%2F~._-%2E%41?Qualifier=%24LATEST&b=+&a"
    async with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", seen=seen) as url:
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


@pytest.mark.asyncio
async def test_headers_are_looked_up_in_lower_case(get):
    """`retry-after` finds what the server wrote as `Retry-After`."""

    async def handle(request):
        return web.Response(status=429, headers={"Retry-After": "3"})

    async with serve(handle) as url:
        response = await get(url)

    assert response.headers.get("retry-after") == "3"


@pytest.mark.asyncio
async def test_follows_no_redirect(get):
    """A redirect is an answer like any other: a signature is for one host."""
    asked = []

    async def handle(request):
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with serve(handle) as url:
        response = await get(url + "/here")

    assert (response.status, asked) == (302, ["/here"])


@pytest.mark.asyncio
async def test_keeps_no_cookie(way):
    """What one answer sets is not sent with the next call."""
    cookies = []

    async def handle(request):
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "a=b"})

    async with serve(handle) as url, open_transport(ca_bundle=None, connections=1) as send:
        await send(Request(url, {}))
        await send(Request(url, {}))

    assert cookies == [None, None]


@pytest.mark.asyncio
async def test_netrc_adds_no_authorization(fetch, tmp_path, monkeypatch):
    """~/.netrc is not read, neither in place of our signature nor beside it, even where a proxy is set."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    seen = []

    async def handle(request):
        seen.append(request.headers.get("Authorization"))
        return web.Response()

    async with serve(handle) as url:
        await fetch(url, {"Authorization": "AWS4-HMAC-SHA256 x"})
        await fetch(url)

    assert seen == ["AWS4-HMAC-SHA256 x", None]


@pytest.mark.asyncio
async def test_connections_are_kept_and_bounded(way):
    """Never more than `connections` at once, and they are used again."""
    open_now, peak, ports = 0, 0, set()

    async def handle(request):
        nonlocal open_now, peak
        open_now += 1
        peak = max(peak, open_now)
        ports.add(request.transport.get_extra_info("peername")[1])
        await asyncio.sleep(0)
        open_now -= 1
        return web.Response()

    async with serve(handle) as url, open_transport(ca_bundle=None, connections=3) as send:
        await asyncio.gather(*(send(Request(url, {})) for _ in range(30)))

    assert peak <= 3
    assert len(ports) <= 3


@pytest.mark.asyncio
async def test_a_broken_connection_is_not_tried_again_in_secret(get):
    """One call is one request, also where the server hangs up without a word."""
    seen = []
    async with raw(b"", seen=seen) as url:
        with pytest.raises(NetworkError) as caught:
            await get(url)

    assert caught.value.code == "connection_reset"
    assert len(seen) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", ServiceError, "truncated_body"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ServiceError, "truncated_body"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", ServiceError, "invalid_http"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
            ServiceError,
            "unexpected_encoding",
        ),
    ],
)
async def test_damaged_answers(get, answer, error, code):
    """Whatever is wrong with an answer has a code and can be tried again."""
    async with raw(answer) as url:
        with pytest.raises(error) as caught:
            await get(url + "/f?Marker=canary")

    assert caught.value.code == code
    assert caught.value.retryable
    assert "canary" not in str(caught.value)


@pytest.mark.asyncio
async def test_a_body_that_says_it_is_too_large(get):
    """What announces more than any answer has is not read."""

    async def handle(request):
        response = web.StreamResponse(headers={"Content-Length": str(10**11)})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
        except ConnectionError:
            return response

    async with serve(handle) as url:
        with pytest.raises(ServiceError) as caught:
            await get(url)

    assert caught.value.code == "body_too_large"


@pytest.mark.asyncio
async def test_an_endless_body_is_cut(get):
    """A body without a length is read up to the limit only."""

    async def handle(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(10_000):
                await response.write(b"x" * 100)
        except ConnectionError:
            pass
        return response

    async with serve(handle) as url:
        with pytest.raises(ServiceError) as caught:
            await get(url, body_limit_bytes=1000)

    assert caught.value.code == "body_too_large"


@pytest.mark.asyncio
async def test_a_chunked_body_is_read_whole(get):
    """A body without a length but within the limit arrives as it is."""
    async with raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{"\r\n5\r\na":1}\r\n0\r\n\r\n') as url:
        response = await get(url)

    assert response.body == b'{"a":1}'


@pytest.mark.asyncio
async def test_silence_is_a_timeout(get):
    """A server that accepts and says nothing costs the idle time and no more."""
    forever = asyncio.Event()
    async with raw(b"", wait=forever) as url:
        with pytest.raises(NetworkError) as caught:
            await get(url, idle_timeout_s=0.05)
        forever.set()

    assert caught.value.code == "timeout"


@pytest.mark.asyncio
async def test_nobody_listens(fetch):
    """A refused connection names host and port, and what to look at."""
    port = free_port()
    with pytest.raises(NetworkError) as caught:
        await fetch(f"http://127.0.0.1:{port}/f")

    assert caught.value.code == "connect_failed"
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)


@pytest.mark.asyncio
async def test_a_name_that_does_not_exist(fetch):
    """A host that DNS does not know is named."""
    with pytest.raises(NetworkError) as caught:
        await fetch("http://lambda.region.invalid/f")

    assert caught.value.code == "dns_failed"
    assert "lambda.region.invalid" in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "request_", [Request(f"http://{'x' * 70}.invalid/", {}), Request("http://127.0.0.1:1/", {"A": "b\r\nC: d"})]
)
async def test_what_http_cannot_carry_is_no_bug(way, request_):
    """An impossible host name and a header with a line break are errors of ours."""
    async with open_transport(ca_bundle=None, connections=1) as send:
        with pytest.raises(FetchError):
            await send(request_)


@pytest.mark.asyncio
async def test_tls_trusts_the_given_bundle_only(get, certificate):
    """A certificate of a private CA is good with AWS_CA_BUNDLE and refused without, with advice."""
    tls, ca_file = certificate
    async with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", tls=tls) as url:
        response = await get(url, ca_bundle=ca_file)
        with pytest.raises(NetworkError) as caught:
            await get(url)

    assert response.body == b"{}"
    assert caught.value.code == "tls_failed"
    assert "certificate" in str(caught.value)
    assert "AWS_CA_BUNDLE" in str(caught.value)


@pytest.mark.asyncio
async def test_a_folder_of_hashed_files_is_trusted(get, certificate, hashed_folder):
    """AWS_CA_BUNDLE may be a folder as OpenSSL keeps it; the environment is left as it was."""
    tls, _ = certificate
    before = dict(os.environ)
    async with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", tls=tls) as url:
        response = await get(url, ca_bundle=hashed_folder)

    assert response.body == b"{}"
    assert before == dict(os.environ)


@pytest.mark.asyncio
async def test_a_given_bundle_takes_the_place_of_the_systems_cas(get, certificate, monkeypatch):
    """With AWS_CA_BUNDLE, what only the system trusts is refused."""
    tls, ca_file = certificate
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    async with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", tls=tls) as url:
        response = await get(url)
        with pytest.raises(NetworkError) as caught:
            await get(url, ca_bundle=BOTOCORES_BUNDLE)

    assert response.body == b"{}"
    assert caught.value.code == "tls_failed"


@pytest.mark.asyncio
async def test_a_bundle_without_certificates_is_found_at_the_start(fetch, tmp_path):
    """An empty file stops the run before any call, on both clients."""
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(SettingsError) as caught:
        await fetch("http://127.0.0.1:1/", ca_bundle=str(tmp_path / "empty.pem"))

    assert caught.value.option == "AWS_CA_BUNDLE"


def test_a_bundle_that_is_none(tmp_path):
    """A missing or empty CA file is found at the start, by its name."""
    (tmp_path / "empty.pem").write_text("")
    for path in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        with pytest.raises(SettingsError, match="AWS_CA_BUNDLE") as caught:
            open_trust_store(str(path))

        assert caught.value.option == "AWS_CA_BUNDLE"


def test_a_bundle_may_be_a_folder(tmp_path):
    """AWS_CA_BUNDLE may name a folder of hashed CA files."""
    assert open_trust_store(str(tmp_path)).verify_mode is ssl.CERT_REQUIRED


def test_without_a_system_store_botocores_bundle_is_used(tmp_path, monkeypatch):
    """In an image without CA certificates TLS still works."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))

    assert open_trust_store(None).cert_store_stats()["x509_ca"] > 50


@pytest.mark.asyncio
async def test_plain_requests_go_through_the_proxy(fetch, monkeypatch):
    """HTTP_PROXY is used with its credentials, which nobody else sees."""
    seen = []
    async with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", seen=seen) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.replace("//", "//us%40er:canary@"))
        response = await fetch("http://lambda.example.test/f?a=%24")
    head = seen[0].decode()

    assert response.status == 200
    assert head.startswith("GET http://lambda.example.test/f?a=%24 HTTP/1.1")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'us@er:canary').decode()}" in head


@pytest.mark.asyncio
async def test_no_proxy_is_honoured(fetch, monkeypatch):
    """A host in NO_PROXY is reached directly."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as url:
        response = await fetch(url)

    assert response.status == 200


@pytest.mark.asyncio
async def test_a_proxy_that_refuses_keeps_its_password_secret(fetch, monkeypatch):
    """A refused tunnel names the proxy; neither message nor traceback holds password or signature."""
    seen = []
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with raw(answer, seen=seen) as proxy:
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
async def test_a_proxy_that_is_down(fetch, monkeypatch):
    """A proxy that does not listen is named without its password."""
    monkeypatch.setenv("HTTP_PROXY", f"http://user:canary@127.0.0.1:{free_port()}")
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
async def test_a_proxy_without_a_scheme(fetch, monkeypatch):
    """`proxy:3128` is as good as `http://proxy:3128`."""
    async with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.removeprefix("http://"))
        response = await fetch("http://lambda.example.test/f")

    assert response.status == 200


@pytest.mark.asyncio
@pytest.mark.slow
async def test_cancelled_in_flight(way):
    """A cancelled call gives its slot in the pool back."""
    forever, arrived = asyncio.Event(), asyncio.Event()
    async with (
        raw(b"", wait=forever, arrived=arrived) as slow,
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as quick,
        open_transport(ca_bundle=None, connections=1, idle_timeout_s=0.3) as send,
    ):
        task = asyncio.create_task(send(Request(slow, {})))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        response = await send(Request(quick, {}))
        forever.set()

    assert response.status == 200


@pytest.mark.asyncio
async def test_a_connection_that_went_stale_is_not_tried_again_in_secret(way):
    """The server closes a kept connection when the second call comes: that call fails, and was sent once."""
    heads = []

    async def handle(reader, writer):
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            heads.append(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        url = "http://{}:{}/".format(*server.sockets[0].getsockname()[:2])
        async with open_transport(ca_bundle=None, connections=1) as send:
            first = await send(Request(url, {}))
            with pytest.raises(NetworkError) as caught:
                await send(Request(url, {}))

    assert first.status == 200
    assert caught.value.code == "connection_reset"
    assert len(heads) == 2


@pytest.mark.asyncio
async def test_an_answer_without_a_length_ends_with_the_connection(get):
    """A body that neither says its length nor comes in chunks is whole when the server hangs up."""
    async with raw(b'HTTP/1.1 200 OK\r\nServer: old\r\n\r\n{"a":1}') as url:
        response = await get(url)

    assert response.body == b'{"a":1}'


@pytest.mark.asyncio
async def test_an_answer_that_is_only_announced(get):
    """`100 Continue` is no answer: the one after it counts."""
    async with raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}") as url:
        response = await get(url)

    assert (response.status, response.body) == (404, b"{}")


@pytest.mark.asyncio
async def test_an_answer_in_pieces(get):
    """It does not matter where the network cuts an answer."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nRetry-After: 3\r\n\r\n" + b'{"a":1}'

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for byte in answer:
            writer.write(bytes([byte]))
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        response = await get("http://{}:{}/".format(*server.sockets[0].getsockname()[:2]))

    assert (response.headers.get("retry-after"), response.body) == ("3", b'{"a":1}')


@pytest.mark.asyncio
@pytest.mark.slow
async def test_an_answer_that_trickles_for_ever(get, monkeypatch):
    """A server that says a little again and again costs the total time and no more."""
    monkeypatch.setattr("lexport.aws.http.connection.TOTAL_TIMEOUT_S", 0.2)
    monkeypatch.setattr("lexport.aws.http.proxied.TOTAL_TIMEOUT_S", 0.2)

    async def handle(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.01)
        except ConnectionError:
            return response

    async with serve(handle) as url:
        with pytest.raises(FetchError) as caught:
            await get(url, idle_timeout_s=0.15)

    assert caught.value.retryable
    assert caught.value.code in ("timeout", "truncated_body")


@pytest.mark.asyncio
async def test_an_idle_connection_makes_room_for_another_host(way):
    """A pool whose connections wait idly for one host still reaches another."""

    async def handle(request):
        return web.Response(text=str(request.transport.get_extra_info("sockname")[1]))

    async with (
        serve(handle) as one,
        serve(handle) as other,
        open_transport(ca_bundle=None, connections=1) as send,
    ):
        bodies = [(await send(Request(url, {}))).body.decode() for url in (one, other, one)]

    assert bodies == [url.rpartition(":")[2] for url in (one, other, one)]


@pytest.mark.asyncio
@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nanother", b"HTTP/1.1 2", b"\0", b"H"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_bytes_that_nobody_asked_for(more, at_once):
    """What a server sends without a question is never taken for the answer to the next one."""
    connections = 0

    async def handle(reader, writer):
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        writer.write(answer + more if at_once else answer)
        await writer.drain()
        if not at_once:
            writer.write(more)
        await reader.read()  # until the other side hangs up
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        url = "http://{}:{}/".format(*server.sockets[0].getsockname()[:2])
        async with open_transport(ca_bundle=None, connections=1) as send:
            bodies = []
            while connections < 3:
                bodies.append((await send(Request(url, {}))).body)

    assert set(bodies) == {b"{}"}


@pytest.mark.asyncio
async def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch):
    """The server may be closing it just now, and then the call would be lost."""
    monkeypatch.setattr("lexport.aws.http.connection.KEEP_ALIVE_S", 0.0)
    ports = set()

    async def handle(request):
        ports.add(request.transport.get_extra_info("peername")[1])
        return web.Response()

    async with serve(handle) as url, open_transport(ca_bundle=None, connections=1) as send:
        for _ in range(3):
            await send(Request(url, {}))

    assert len(ports) == 3


@pytest.mark.asyncio
async def test_cancelled_while_it_waits_for_a_connection():
    """Who gives up waiting leaves its place to the next, also when its turn has just come."""
    go, arrived = asyncio.Event(), asyncio.Event()

    async def handle(request):
        arrived.set()
        await go.wait()
        return web.Response()

    async with serve(handle) as url, open_transport(ca_bundle=None, connections=1) as send:
        first = asyncio.create_task(send(Request(url, {})))
        await arrived.wait()
        waiting = [asyncio.create_task(send(Request(url, {}))) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        go.set()
        await first
        waiting[1].cancel()  # its turn has come
        ended = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(end) for end in ended[:2]] == [asyncio.CancelledError] * 2
    assert ended[2].status == 200


@pytest.mark.asyncio
async def test_a_tunnel_through_a_proxy(fetch, certificate, monkeypatch):
    """HTTPS goes through the proxy as a tunnel: it sees the name of the host and its own password, nothing else."""
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
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", tls=tls, seen=seen) as url,
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
async def test_logs_hold_no_secret(get, caplog):
    """At the loudest level, neither client prints headers or queries, the one in Rust included."""
    caplog.set_level(1)
    async with raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as url:
        await get(url + "/f?Marker=canary", {"X-Amz-Security-Token": "canary"})
    with pytest.raises(NetworkError):
        await get(f"http://127.0.0.1:{free_port()}/f?Marker=canary", {"X-Amz-Security-Token": "canary"})

    assert "canary" not in caplog.text


@pytest.mark.slow
def test_repr_shows_no_header_and_no_body():
    """Requests and answers may be logged by accident without harm."""
    shown = repr(Request("https://h/p?X-Amz-Signature=canary", {"Authorization": "canary"}))
    shown += repr(Response(200, {"Set-Cookie": "canary"}, b"canary"))

    assert "canary" not in shown


def by_connection():
    """A handler that answers with the number of the connection and that of the request on it."""
    connections = {}

    async def handle(request):
        number, requests = connections.setdefault(request.transport, (len(connections), []))
        requests.append(request.path)
        return web.Response(text=f"{number} {len(requests)}")

    return handle


@pytest.mark.asyncio
async def test_a_fresh_connection(way):
    """A request that needs a fresh connection is the first one on it, however many wait idly."""
    async with serve(by_connection()) as url, open_transport(ca_bundle=None, connections=3) as send:
        await asyncio.gather(*(send(Request(url, {})) for _ in range(3)))
        bodies = [(await send(Request(url, {}, needs_fresh_connection=True))).body for _ in range(3)]
        after = await send(Request(url, {}))

    assert [body.split()[1] for body in bodies] == [b"1"] * 3
    assert after.body.split()[1] == b"2"


@pytest.mark.asyncio
async def test_a_fresh_connection_where_all_are_busy():
    """Who waits for a place and needs a fresh connection does not take the one that is handed over."""
    go, arrived = asyncio.Event(), asyncio.Event()
    answer = by_connection()

    async def handle(request):
        arrived.set()
        await go.wait()
        return await answer(request)

    async with serve(handle) as url, open_transport(ca_bundle=None, connections=1) as send:
        first = asyncio.create_task(send(Request(url, {})))
        await arrived.wait()
        second = asyncio.create_task(send(Request(url, {}, needs_fresh_connection=True)))
        await asyncio.sleep(0)
        go.set()
        bodies = [(await call).body for call in (first, second)]

    assert bodies == [b"0 1", b"1 1"]


@pytest.mark.asyncio
async def test_a_retired_connection():
    """A connection that brought a wrong answer is not used again, and one in use not after its answer."""
    go, arrived = asyncio.Event(), asyncio.Event()
    answer = by_connection()

    async def handle(request):
        if request.path == "/wait":
            arrived.set()
            await go.wait()
        return await answer(request)

    async with serve(handle) as url, open_transport(ca_bundle=None, connections=1) as send:
        wrong = await send(Request(url, {}))
        wrong.source.retire()
        other = await send(Request(url, {}))
        in_use = asyncio.create_task(send(Request(f"{url}/wait", {})))
        await arrived.wait()
        other.source.retire()
        go.set()
        same, last = await in_use, await send(Request(url, {}))

    assert [each.body for each in (wrong, other, same, last)] == [b"0 1", b"1 1", b"1 2", b"2 1"]


@pytest.mark.asyncio
async def test_many_fresh_connections_while_others_wait_for_answers(way):
    """Fresh connections take nothing from requests in flight: each answer comes to who asked for it."""

    async def handle(request):
        return web.Response(text=request.path)

    async with serve(handle) as url, open_transport(ca_bundle=None, connections=4) as send:
        paths = [f"/{number}" for number in range(40)]
        answers = await asyncio.gather(
            *(send(Request(url + path, {}, needs_fresh_connection=path.endswith("3"))) for path in paths)
        )

    assert [answer.body.decode() for answer in answers] == paths
