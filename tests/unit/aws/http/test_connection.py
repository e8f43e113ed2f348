"""Our own HTTP, against servers on loopback that mean no good."""

from __future__ import annotations

import asyncio
import random
import ssl
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from lexport.aws.http.connection import Connection
from lexport.aws.http.message import HttpLimits
from lexport.aws.http.transport import Request, Response, open_transport
from lexport.errors import FetchError, NetworkError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HEAD_END = b"\r\n\r\n"
SPLIT = ("canary\r\nX: y", "canary\n", "\rcanary", "canary\0")

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def served(talk, tls=None):
    """A server whose side of each connection is ``talk(reader, writer)``; yields its URL."""

    talks = []

    async def handle(reader, writer):
        talks.append(asyncio.current_task())
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await talk(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls) as server:
        yield "{}://{}:{}".format("https" if tls else "http", *server.sockets[0].getsockname()[:2])
    for task in talks:
        task.cancel()
    await asyncio.gather(*talks, return_exceptions=True)


def answering(answer):
    """Give the same answer to each question, and wait for the next one."""

    async def talk(reader, writer):
        while True:
            await reader.readuntil(HEAD_END)
            writer.write(answer)

    return talk


@asynccontextmanager
async def opened(**options):
    """A pool of one connection, or of more."""
    async with open_transport(**{"ca_bundle": None, "connections": 1, **options}) as send:
        yield send


def sockets_open():
    """How many sockets this process has."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder itself
            count += str(link.readlink()).startswith("socket:")
    return count


async def until(claim):
    """Let the event loop run until it is so."""
    async with asyncio.timeout(10):
        while not claim():  # noqa: ASYNC110 - what is claimed has no event
            await asyncio.sleep(0)


async def test_on_this_loop(request):
    """Each test of this file runs on the event loop that its name says."""
    assert type(asyncio.get_running_loop()).__module__.partition(".")[0] == request.node.callspec.id


# --- an answer is what was said to its own question, and no more ----------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            ANSWER + b"HTTP/1.1 429 Slow\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", id="a second answer"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nRetry-After: 9\r\n\r\n",
            id="a trailer",
        ),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n" + ANSWER, id="an announcement"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nContent-Encoding: br\r\n\r\n" + ANSWER, id="an encoding announced"),
    ],
)
async def test_headers_are_those_of_the_answer(way, answer):
    """What stands before or after an answer adds nothing to its headers."""
    async with served(answering(answer)) as url, opened() as send:
        response = await send(Request(url, {}))

    assert (response.status, response.body) == (200, b"{}")
    assert "retry-after" not in response.headers


async def test_the_first_header_of_a_name_counts(way):
    """A body is compressed where one header says so, whatever a second one says."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}"
    async with served(answering(answer)) as url, opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url, {}))

    assert caught.value.code == "unexpected_encoding"


@pytest.mark.parametrize(
    ("lengths", "code"),
    [
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked", "invalid_http"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 2", "invalid_http"),
        (b"Content-Length: 2\r\nContent-Length: 3", "invalid_http"),
        (b"Content-Length: 2, 2", "invalid_http"),
        (b"Content-Length: +2", "invalid_http"),
        (b"Content-Length: -2", "invalid_http"),
        (b"Content-Length: 99999999999999999999999", "invalid_http"),
        (b"Content-Length: 9223372036854775808", "body_too_large"),
        (b"Upgrade: h2c\r\nConnection: upgrade", "invalid_http"),
    ],
)
async def test_an_answer_whose_end_is_not_sure(way, lengths, code):
    """What could be cut in two ways is no answer, and its connection serves no other question."""
    status = b"101 Switching Protocols" if lengths.startswith(b"Upgrade") else b"200 OK"

    async def talk(reader, writer):
        head = await reader.readuntil(HEAD_END)
        if head.startswith(b"GET /second "):
            writer.write(ANSWER)
        else:
            writer.write(b"HTTP/1.1 " + status + b"\r\n" + lengths + b"\r\n\r\n{}" + ANSWER)
            await reader.readuntil(HEAD_END)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")

    async with served(talk) as url, opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url + "/first", {}))
        response = await send(Request(url + "/second", {}))

    assert caught.value.code == code
    assert response.body == b"{}"


@pytest.mark.asyncio(loop_factories=["asyncio"])  # uvloop hands over what came first when we have asked already
async def test_an_answer_before_the_question(certificate, monkeypatch):
    """A server that speaks first does not speak HTTP; aiohttp would have read the beginning, and we the rest."""
    tls, ca_file = certificate
    monkeypatch.setattr(tls, "maximum_version", ssl.TLSVersion.TLSv1_2)  # here the server has the last word in opening

    async def talk(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
        await answering(ANSWER)(reader, writer)

    async with served(talk, tls) as url, opened(ca_bundle=ca_file) as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url, {}))

    assert caught.value.code == "invalid_http"


@pytest.mark.parametrize("coding", [b"identity", b"gzip"])
async def test_a_body_in_a_coding_that_has_no_end(way, coding):
    """Only chunks say where they end: any other transfer coding lasts until the connection does."""

    async def talk(reader, writer):
        await reader.readuntil(HEAD_END)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + coding + b"\r\n\r\n{}")

    async with served(talk) as url, opened() as send:
        response = await send(Request(url, {}))

    assert response.body == b"{}"


async def test_a_body_without_a_length_that_breaks_off(way):
    """A connection that was reset is no end of a body."""

    async def talk(reader, writer):
        await reader.readuntil(HEAD_END)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n{")
        await writer.drain()
        await reached.wait()
        writer.transport.abort()

    reached = asyncio.Event()
    async with served(talk) as url, opened() as send:
        asking = asyncio.create_task(send(Request(url, {"Padding": "x" * 100_000})))
        await asyncio.sleep(0.02)
        reached.set()
        with pytest.raises(FetchError) as caught:
            await asking

    assert caught.value.code in ("truncated_body", "connection_reset")


# --- no more is read than there may be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001, id="in chunks"),
        pytest.param(b"\r\n" + b"x" * 1001, id="without a length"),
    ],
)
async def test_the_limit_is_exact(way, answer):
    """One byte more than the limit is too much, and known at once."""
    async with served(answering(b"HTTP/1.1 200 OK\r\n" + answer)) as url, opened(body_limit_bytes=1000) as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url, {}))

    assert (caught.value.code, caught.value.http_status) == ("body_too_large", 200)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"A: " + b"a" * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nA: ", b"a" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 1000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: " + b"a" * 1000 + b"\r\n"),
    ],
)
async def test_headers_without_end(way, start, more, monkeypatch):
    """What is no body has an end, or is no HTTP."""
    monkeypatch.setattr("lexport.aws.http.proxied.TOTAL_TIMEOUT_S", 0.3)  # aiohttp reads on after "100 Continue"
    sent = 0

    async def talk(reader, writer):
        nonlocal sent
        await reader.readuntil(HEAD_END)
        writer.write(start)
        while True:
            writer.write(more)
            await writer.drain()
            sent += len(more)

    async with served(talk) as url, opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url, {}))

    assert caught.value.code in (
        ("invalid_http",) if way == "direct" else ("invalid_http", "truncated_body", "timeout")
    )
    if way == "direct":  # aiohttp skips the extensions of a chunk until the time is up
        assert sent < 16 * 1024 * 1024  # most of it lies in the buffers of the system


# --- what cannot be asked -------------------------------------------------------------------------------------------


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
async def test_urls_that_http_cannot_carry(way, url):
    """They are refused before anybody is connected to, in words that do not repeat them."""
    async with opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request(url, {}))

    assert caught.value.code == "invalid_request"
    assert "canary" not in chain_of(caught.value)


@pytest.mark.parametrize("value", [*SPLIT, "canary ü", "canary €"])
async def test_headers_that_http_cannot_carry(way, value):
    """A header that would be two, or that others read in another way, is refused."""
    async with opened() as send:
        with pytest.raises(FetchError) as caught:
            await send(Request("http://127.0.0.1:1/", {"A": value}))

    assert caught.value.code == "invalid_request"
    assert "canary" not in chain_of(caught.value)


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
async def test_what_is_asked_for(way, rest, target):
    """A URL may have no path, and what a path has is sent as it stands."""
    heads = []

    async def talk(reader, writer):
        heads.append((await reader.readuntil(HEAD_END)).decode())
        writer.write(ANSWER)

    async with served(talk) as url, opened() as send:
        if way == "proxied" and target.endswith("?"):  # aiohttp's URL drops it, and then the signature would not fit
            with pytest.raises(FetchError, match="HTTP cannot carry it"):
                await send(Request(url + rest, {}))
            return
        await send(Request(url + rest, {}))

    assert heads[0].startswith(f"GET {target} HTTP/1.1\r\nHost: {url.removeprefix('http://')}\r\n")


async def test_a_host_that_names_nothing():
    """Whatever stands in the place of a host, the error is ours."""
    async with opened() as send:
        for host in ("...", "a..b", "127.1", "1.2.3.4.5", "xn--a"):
            with pytest.raises(FetchError) as caught:
                await send(Request(f"http://{host}/", {}))

            assert caught.value.code in ("invalid_request", "dns_failed", "connect_failed")


async def test_an_ipv6_host():
    """An address in brackets is connected to and named as it stands."""
    heads = []

    async def handle(reader, writer):
        heads.append((await reader.readuntil(HEAD_END)).decode())
        writer.write(ANSWER)
        writer.close()

    try:
        server = await asyncio.start_server(handle, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    port = server.sockets[0].getsockname()[1]
    async with server, opened() as send:
        response = await send(Request(f"http://[::1]:{port}/f", {}))

    assert response.body == b"{}"
    assert f"\r\nHost: [::1]:{port}\r\n" in heads[0]


def chain_of(error):
    """Everything that an error leads to, as repr shows it."""
    shown, seen = "", []
    while error is not None and error not in seen:
        seen.append(error)
        shown += repr(error) + repr(vars(error))
        error = error.__cause__ or error.__context__
    return shown


async def test_no_error_leads_to_a_secret(monkeypatch):
    """Also those who follow an error to where it came from find no password and no query."""
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with served(answering(refusal)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("//", "//user:canary@"))
        async with opened() as send:
            with pytest.raises(NetworkError) as caught:
                await send(Request("https://lambda.example.test/f?Marker=canary", {"X-Amz-Security-Token": "canary"}))

    assert caught.value.code == "proxy_refused"
    assert "canary" not in chain_of(caught.value)
    assert "Y2FuYXJ5" not in chain_of(caught.value)
    assert "Basic" not in chain_of(caught.value)


# --- places in the pool ---------------------------------------------------------------------------------------------


async def test_first_come_first_served():
    """Who asks again and again leaves room for who waits, also for one who wants to go elsewhere."""
    got = []

    async def ask_for_ever(send, url):
        while True:
            await send(Request(url, {}))
            got.append("again")

    async def ask_once(send, url, name):
        await send(Request(url, {}))
        got.append(name)

    async with served(answering(ANSWER)) as here, served(answering(ANSWER)) as there, opened() as send:
        again = asyncio.create_task(ask_for_ever(send, here))
        await until(lambda: got)
        waiting = [asyncio.create_task(ask_once(send, url, url)) for url in (here, there, here)]
        await until(lambda: all(task.done() for task in waiting) or len(got) > 1000)
        again.cancel()
        await asyncio.gather(again, *waiting, return_exceptions=True)

    assert [name for name in got if name != "again"] == [here, there, here]
    assert len(got) < 20


@pytest.mark.slow
@pytest.mark.parametrize("is_tls", [False, True])
async def test_a_storm_loses_no_place(certificate, is_tls):
    """After calls that were cancelled, cut off, refused and answered in any order, the pool has all its places."""
    tls, ca_file = certificate
    dice = random.Random(7)
    connections, asked, all_asked = 4, 0, asyncio.Event()

    async def talk(reader, writer):
        nonlocal asked
        while True:
            head = await reader.readuntil(HEAD_END)
            if b"/calm" in head:
                asked += 1
                if asked == connections:
                    all_asked.set()
                await all_asked.wait()
                writer.write(ANSWER)
                continue
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            fate = dice.randrange(8)
            if fate == 0:
                writer.transport.abort()
                return
            writer.write(ANSWER[: dice.randrange(len(ANSWER))] if fate == 1 else ANSWER)
            if fate <= 2:
                return
            if fate == 3:
                writer.write(b"garbage")

    async def ask(send, url):
        with suppress(FetchError):
            await send(Request(url, {}))

    async with served(talk, tls if is_tls else None) as one, served(talk, tls if is_tls else None) as other:
        nobody = one.rpartition(":")[0] + ":1"
        async with opened(connections=connections, ca_bundle=ca_file) as send:
            tasks = []
            for _ in range(600):
                tasks.append(asyncio.create_task(ask(send, dice.choice((one, other, one, other, nobody)))))
                for _ in range(dice.randrange(4)):
                    await asyncio.sleep(0)
                if dice.randrange(3) == 0:
                    dice.choice(tasks).cancel()
            async with asyncio.timeout(20):
                await asyncio.gather(*tasks, return_exceptions=True)
                responses = await asyncio.gather(
                    *(send(Request(f"{dice.choice((one, other))}/calm", {})) for _ in range(3 * connections))
                )

    assert [response.body for response in responses] == [b"{}"] * 3 * connections


async def test_leaving_with_calls_on_their_way(certificate):
    """Who leaves the pool ends all calls: those that connect, that wait for a place, and that wait for an answer."""
    tls, ca_file = certificate
    before, asked = sockets_open(), asyncio.Event()

    async def silent(reader, writer):
        asked.set()
        await reader.read()

    async with served(silent) as plain, served(silent, tls) as secure, served(answering(ANSWER)) as quick:
        async with opened(connections=4, ca_bundle=ca_file) as send:
            await send(Request(quick, {}))
            calls = [asyncio.create_task(send(Request(url, {}))) for url in (plain, secure, plain, quick, plain, quick)]
            await asked.wait()
        async with asyncio.timeout(5):
            ends = await asyncio.gather(*calls, return_exceptions=True)
    await until(lambda: sockets_open() == before)  # the servers' side ends a little later

    assert {type(end) for end in ends} == {NetworkError, Response}  # the quick one may have answered


async def test_a_handshake_that_never_ends(monkeypatch):
    """A server that accepts and says nothing costs the connect time, and leaves its place."""
    monkeypatch.setattr("lexport.aws.http.pool.CONNECT_TIMEOUT_S", 0.05)
    hung_up = asyncio.Event()

    async def silent(reader, writer):
        await reader.read()
        hung_up.set()

    async with served(silent) as deaf, served(answering(ANSWER)) as quick, opened() as send:
        calls = [send(Request(deaf.replace("http:", "https:"), {})), send(Request(quick, {}))]
        refused, response = await asyncio.gather(*calls, return_exceptions=True)
        async with asyncio.timeout(5):
            await hung_up.wait()

    assert (type(refused), refused.code) == (NetworkError, "timeout")
    assert "connecting to" in str(refused)
    assert response.body == b"{}"


async def test_a_lost_connection_is_not_used_again():
    """Also in the moment between the end and the news of it."""

    async def talk(reader, writer):
        await reader.readuntil(HEAD_END)
        writer.write(ANSWER)

    async with served(talk) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        limits = HttpLimits(connections=1, idle_timeout_s=1, body_limit_bytes=100)
        ended = []
        transport, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(limits, ended.append), host, int(port)
        )
        await connection.send(b"GET / HTTP/1.1\r\n\r\n")
        was_fresh = connection.is_fresh()
        await until(transport.is_closing)
        is_fresh = connection.is_fresh()
        await until(lambda: ended)

    assert (was_fresh, is_fresh) == (True, False)


async def test_cancelled_as_the_answer_breaks(caplog):
    """Nobody is told of an error whose call was given up in the same moment."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def talk(reader, writer):
        await reader.readuntil(HEAD_END)
        writer.write(b"garbage")
        await asyncio.sleep(0)
        for task in calls:
            task.cancel()

    async with served(talk) as url, opened(connections=3) as send:
        calls = [asyncio.create_task(send(Request(url, {}))) for _ in range(5)]
        ends = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(end) for end in ends} <= {asyncio.CancelledError, NetworkError, type(ends[0])}
    assert complaints == []
    assert "never retrieved" not in caplog.text
