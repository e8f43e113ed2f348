"""The webhook that a run reports to: what it gets, and that neither it nor its URL can harm the run."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from anyio.from_thread import start_blocking_portal

from lexport.cli._outputs.webhook import parse_webhook, post
from lexport.errors import SettingsError
from lexport.simulator import Fleet, FleetSpec, open_simulator

pytestmark = pytest.mark.slow

TOKEN = "T0K3N-of-a-webhook"
WAITS = {"LEXPORT_TEST_WAITS": "0.1"}  # half a second in place of five


class Receiver:
    """A web server that answers every request in one way, and keeps the requests."""

    def __init__(self, answer):
        self._answer, self.requests = answer, []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/hooks/{TOKEN}?key={TOKEN}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with suppress(OSError):
            while True:
                threading.Thread(target=self._receive, args=(self._server.accept()[0],), daemon=True).start()

    def _receive(self, connection):
        with connection, connection.makefile("rb") as stream, suppress(OSError):
            head = [line.decode().strip() for line in iter(stream.readline, b"\r\n")]
            fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            self.requests.append((head[0], fields, stream.read(int(fields.get("content-length", 0)))))
            for part in self._answer():
                connection.sendall(part)

    def close(self):
        self._server.close()


@contextmanager
def receiver(*parts, endlessly=b"", every_s=0.0):
    """Serve an answer, which may go on for ever."""

    def answer():
        yield from parts
        while endlessly:
            yield endlessly
            time.sleep(every_s)

    server = Receiver(answer)
    try:
        yield server
    finally:
        server.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def closed_port():
    """A URL at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/hooks/{TOKEN}"


def nothing_secret(tmp_path, *texts):
    """Whether neither a text nor any file holds the token."""
    return TOKEN not in "".join(texts) and not any(
        TOKEN.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "url"
    )


def test_what_a_webhook_gets(forks, flags, look, tmp_path):
    """The webhook gets one POST with the summary and a text about it; its URL stands nowhere else."""
    (tmp_path / "url").write_text("")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            open_simulator(Fleet(FleetSpec(functions=2, versions=1)), quotas=False)
        ) as aws,
        receiver(OK) as hook,
    ):
        (tmp_path / "url").write_text(f"{hook.url}\n")
        wanted = ("--notify-url-file", "url", "--summary-file", "run.json")
        ended = forks.run("snapshot", "fleet", *wanted, *flags(aws.url))

    ((line, fields, body),) = hook.requests
    sent = json.loads(body)
    text = sent.pop("text")
    assert ended.code == 0
    assert line == f"POST /hooks/{TOKEN}?key={TOKEN} HTTP/1.1"
    assert fields["content-type"] == "application/json"
    assert sent == json.loads((tmp_path / "run.json").read_bytes())
    assert text.startswith("lexport snapshot fleet: complete (exit code 0, 2 functions, 4 versions, 0 gaps, ")
    assert nothing_secret(tmp_path, ended.err, ended.out, body.decode())


ANSWERS = {
    "error": ((b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",), {}, "it answered HTTP 500"),
    "redirect": (
        (b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",),
        {},
        "it answered with a redirect (HTTP 302), which is never followed",
    ),
    "huge": ((b"HTTP/1.1 200 OK\r\n\r\n",), {"endlessly": b"x" * 65536}, ""),
    "no HTTP": ((b"\0" * 100_000,), {}, None),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_webhook_that_fails(forks, tmp_path, name):
    """Whatever a webhook answers, the run ends with its own exit code within the limit; a warning names the host."""
    parts, more, why = ANSWERS[name]
    with receiver(*parts, **more) as hook:
        started_s = time.monotonic()
        ended = forks.run("snapshot", "fleet", "--nope", LEXPORT_NOTIFY_URL=hook.url)
        took_s = time.monotonic() - started_s

    host = hook.url.split("/")[2]
    assert (ended.code, len(hook.requests)) == (2, 1)
    assert took_s < 15  # on a busy machine; the limit itself is five
    warnings = [line for line in ended.err.splitlines() if "warning" in line]
    if why is None:
        assert warnings[0].startswith(f"lexport: warning: the notification of {host} failed: ")
    else:
        assert warnings == ([f"lexport: warning: the notification of {host} failed: {why}"] if why else [])
    assert nothing_secret(tmp_path, ended.err)


@pytest.mark.asyncio
async def test_a_slow_webhook(run_lexport):
    """A webhook that sends its answer byte by byte, without an end, delays the end of the command by the limit."""
    with receiver(b"HTTP/1.1 200 OK\r\nX: ", endlessly=b"x", every_s=0.01) as hook:
        ended = await run_lexport("snapshot", "fleet", "--nope", LEXPORT_NOTIFY_URL=hook.url, **WAITS)

    host = hook.url.split("/")[2]
    assert (ended.code, len(hook.requests)) == (2, 1)
    assert ended.last in {
        f"lexport: warning: the notification of {host} failed: {why}"
        for why in ("no answer within 0.45 s", "not done within 0.5 s")
    }


def test_a_signal_while_a_webhook_is_waited_for(forks, tmp_path):
    """Ctrl-C while the webhook is waited for ends the wait, and the exit code is still that of the run."""
    with receiver(b"HTTP/1.1 200 OK\r\nX: ", endlessly=b"x", every_s=0.01) as hook:
        pid = forks.start("snapshot", "fleet", "--nope", LEXPORT_NOTIFY_URL=hook.url)
        until_s = time.monotonic() + 20
        while not hook.requests and time.monotonic() < until_s:
            time.sleep(0.005)
        os.kill(pid, signal.SIGINT)
        ended = forks.wait(pid)

    assert ended.code == 2
    assert ended.last.endswith(" failed: interrupted")


def test_a_closed_port(forks, tmp_path):
    """A webhook that cannot be reached is a warning."""
    ended = forks.run("snapshot", "fleet", "--nope", LEXPORT_NOTIFY_URL=closed_port())

    assert ended.code == 2
    assert "warning: the notification of 127.0.0.1:" in ended.last
    assert nothing_secret(tmp_path, ended.err)


WRONG = [
    f"http://hooks.example.com/{TOKEN}",  # without TLS
    f"https://user:{TOKEN}@hooks.example.com/",
    f"https://169.254.169.254/{TOKEN}",
    f"https://[fe80::1]/{TOKEN}",
    f"https://[::ffff:169.254.169.254]/{TOKEN}",
    f"https://[fd00:ec2::254]/{TOKEN}",
    f"https://168.63.129.16/{TOKEN}",
    f"https://0.0.0.0/{TOKEN}",
    f"http://169.254.169.254/{TOKEN}",
    f"ftp://hooks.example.com/{TOKEN}",
    f"hooks.example.com/{TOKEN}",
    f"https://hooks.example.com/\\{TOKEN}",
    f"https://a b/{TOKEN}",
    TOKEN,
]


def test_wrong_urls(forks, tmp_path):
    """A URL to which no summary may be sent is exit 2 before the first call, and is not printed."""
    for url in WRONG:
        with pytest.raises(SettingsError) as caught:
            parse_webhook(url, "LEXPORT_NOTIFY_URL")
        assert TOKEN not in str(caught.value)
    (tmp_path / "url").write_text(WRONG[0])
    by_file = forks.run("snapshot", "fleet", "--notify-url-file", "url", "--summary-file", "run.json")
    by_variable = forks.run("packages", "fleet", LEXPORT_NOTIFY_URL=WRONG[1])
    missing = forks.run("snapshot", "fleet", "--notify-url-file", "none")
    (tmp_path / "lexport.toml").write_text('[snapshot]\nnotify-url-file = "url"\n')
    by_config = forks.run("snapshot", "fleet")
    (tmp_path / "lexport.toml").write_text(f'[snapshot]\nnotify_url = "{TOKEN}"\n')
    as_a_setting = forks.run("snapshot", "fleet")

    for ended in (by_file, by_variable, missing, by_config, as_a_setting):
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert TOKEN not in ended.err
    assert json.loads((tmp_path / "run.json").read_bytes())["exit_code"] == 2
    assert "may come from someone else" in by_config.err
    assert "may come from someone else" in as_a_setting.err


@pytest.mark.asyncio
async def test_the_address_that_is_connected_to(monkeypatch):
    """A name that resolves to an address of this machine or of a metadata service gets nothing, whoever owns it."""
    resolved = socket.getaddrinfo

    def rebound(host, *more, **options):
        addresses = {"hooks.example.com": "127.0.0.1", "meta.example.com": "169.254.169.254", "localhost": "192.0.2.1"}
        return resolved(addresses.get(host, host), *more, **options)

    monkeypatch.setattr("socket.getaddrinfo", rebound)
    for host, kind in (("hooks", "a loopback address"), ("meta", "a link-local address")):
        webhook = parse_webhook(f"https://{host}.example.com/{TOKEN}", "LEXPORT_NOTIFY_URL")
        why = await post(webhook, b"{}", timeout_s=5)
        assert kind in why
        assert TOKEN not in why
    local = parse_webhook("http://localhost:1/", "LEXPORT_NOTIFY_URL")
    assert "an address of another machine" in await post(local, b"{}", timeout_s=5)
    assert TOKEN not in repr(webhook)
