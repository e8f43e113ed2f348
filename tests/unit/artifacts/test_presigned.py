"""Opening links against real servers on loopback: requests, trust, and the addresses of host names."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from lexport.artifacts.presigned import open_links
from lexport.artifacts.url_policy import named_hosts
from lexport.errors import PackageError, TransferError

pytestmark = pytest.mark.asyncio
S3 = "awslambda-us-east-1-tasks.s3.us-east-1.amazonaws.com"
BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nSet-Cookie: a=b\r\n\r\nbody"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@asynccontextmanager
async def serve(*answers, tls=None):
    """Start a server that answers each request with the next bytes; yield its URL and the heads of the requests."""
    heads, left = [], list(answers)

    async def handle(reader, writer):
        try:
            while left:
                heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(left.pop(0))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}", heads


async def get(url, *, start=0, endpoint_url=None, ca_bundle=None, times=1):
    """Open a link ``times`` times over one pool; return start, total and bytes of the last transfer."""
    hosts = named_hosts(endpoint_url=endpoint_url or url)
    async with open_links(ca_bundle=ca_bundle, hosts=hosts, connections=4) as open_link:
        for _ in range(times):
            body = b""
            async with open_link(url, start=start) as transfer:
                while parts := await transfer.receive(1024):
                    body += b"".join(parts)
    return transfer.starts_at, transfer.total_bytes, body


async def test_only_what_a_download_needs_is_sent(tmp_path, monkeypatch):
    """The link is sent byte for byte, without AWS headers, cookies or credentials of a netrc file."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login user password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    target = "/snapshots/1/f-%7E?versionId=a%2Bb&X-Amz-Signature=%2F~"
    async with serve(BODY, BODY) as (url, heads):
        await get(url + target, times=2)

    for head in heads:
        lines = head.split("\r\n")
        assert lines[0] == f"GET {target} HTTP/1.1"
        assert {line.split(":")[0] for line in lines[1:] if line} == {"Host", "User-Agent", "Accept-Encoding"}
        assert "Accept-Encoding: identity" in lines
    assert len(heads) == 2


async def test_a_range_is_requested():
    """A transfer that starts at a position requests the rest, and the response has to be exactly that part."""
    answer = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nContent-Range: bytes 6-9/10\r\n\r\nrest"
    async with serve(answer) as (url, heads):
        found = await get(url, start=6)

    assert found == (6, 10, b"rest")
    assert "Range: bytes=6-\r\n" in heads[0]


@pytest.mark.parametrize("given", ["bytes 5-9/10", "bytes */10", "6-9/10", ""])
async def test_another_part_is_refused(given):
    """Bytes of another position are never appended."""
    answer = f"HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nContent-Range: {given}\r\n\r\nrest".encode()
    async with serve(answer) as (url, _):
        with pytest.raises(TransferError, match="another part of the package"):
            await get(url, start=6)


@pytest.mark.parametrize("code", ["RequestTimeout", "SlowDown", "InternalError"])
async def test_retryable_status_400(code):
    """S3 asks for a retry with status 400 too."""
    body = f"<Error><Code>{code}</Code><Message>try again</Message></Error>"
    answer = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    async with serve(answer) as (url, _):
        with pytest.raises(TransferError, match=code):
            await get(url)


@pytest.mark.parametrize("encoding", ["gzip", "br", "aws-chunked"])
async def test_encoded_bodies_are_refused(encoding):
    """No content encoding is decoded: the hash is of the bytes as S3 stores them."""
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Encoding: {encoding}\r\n\r\nbody".encode()
    async with serve(answer) as (url, _):
        with pytest.raises(PackageError) as caught:
            await get(url)

    assert (caught.value.code, caught.value.http_status) == ("unexpected_encoding", 200)


async def test_tls_is_verified(certificate):
    """A host that the user named is trusted only with the CA of AWS_CA_BUNDLE."""
    tls, ca_file = certificate
    async with serve(BODY, tls=tls) as (url, _):
        assert await get(url, ca_bundle=ca_file) == (0, 4, b"body")
    async with serve(BODY, tls=tls) as (url, heads):
        with pytest.raises(TransferError) as caught:
            await get(url)

    assert (caught.value.code, heads) == ("tls_failed", [])
    assert caught.value.__context__ is caught.value.__cause__ is None


async def test_the_proxy_of_the_environment_is_used(monkeypatch):
    """HTTPS_PROXY receives a CONNECT for S3's host and nothing of the link; its own address may be loopback."""
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with serve(refusal) as (url, heads):
        monkeypatch.setenv("HTTPS_PROXY", url.replace("127.0.0.1", "user:secret@localhost"))
        with pytest.raises(TransferError) as caught:
            await get(f"https://{S3}/x?X-Amz-Signature=canary", endpoint_url="https://other.example")

    assert heads[0].startswith(f"CONNECT {S3}:443 HTTP/1.1\r\n")
    assert "canary" not in heads[0]
    assert caught.value.code == "proxy_refused"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "a loopback address"),
        ("169.254.169.254", "a link-local address"),
        ("::ffff:169.254.169.254", "a link-local address"),
        ("fd00:ec2::254", "a metadata address"),
    ],
)
async def test_hosts_of_aws_with_forbidden_addresses(monkeypatch, address, kind):
    """A host of AWS with one forbidden address is not connected to, even if another address is allowed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    looked_up = []

    def resolve(host, port, *_, **__):  # the system's resolver as a rebinding DNS server would have it
        looked_up.append(host)
        end = (address, port, 0, 0) if family == socket.AF_INET6 else (address, port)
        fine = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("52.216.1.1", port))
        return [fine, (family, socket.SOCK_STREAM, 6, "", end)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(PackageError) as caught:
        await get(f"https://{S3}/x?X-Amz-Signature=canary", endpoint_url="http://127.0.0.1:1")

    assert looked_up == [S3]
    assert caught.value.code == "link_refused"
    assert str(caught.value).startswith(f"{S3} resolves to {address}, {kind}, so the package link was not opened")


async def test_a_named_host_may_have_any_address():
    """A host that the user named may resolve to loopback."""
    async with serve(BODY) as (url, _):
        assert await get(url.replace("127.0.0.1", "localhost")) == (0, 4, b"body")
