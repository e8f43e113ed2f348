"""Fixtures of the tests of aws: both event loops, both ways to a server, AWS configuration files, a fake service."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop
from aiohttp import web

from lexport.aws.session import open_session

_spec = importlib.util.spec_from_file_location("forward_proxy", Path(__file__).with_name("forward_proxy.py"))
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
forward_proxy = _module.forward_proxy

ACCOUNT = "111122223333"
SECRET_KEY = "canary-secret-key-of-40-characters-or-so"
TOKEN = "canary-session-token-of-many-characters"


def pytest_asyncio_loop_factories(item):
    """Run the tests of HTTP on both event loops, all others on Python's own."""
    loops = {"asyncio": asyncio.new_event_loop}
    if item.path.parent.name == "http" and item.path.name != "test_fair_share.py":
        loops["uvloop"] = uvloop.new_event_loop
    return loops


@pytest_asyncio.fixture(params=["direct", "proxied"])
async def way(request, no_proxies, monkeypatch):
    """Run the test on both ways to a server: directly, and through a proxy."""
    if request.param == "direct":
        yield request.param
        return
    async with forward_proxy() as url:
        monkeypatch.setenv("HTTP_PROXY", url)
        monkeypatch.setenv("HTTPS_PROXY", url)
        yield request.param


class Home:
    """A folder with the AWS configuration files of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write_config(self, text: str) -> None:
        """Write the config file."""
        (self.folder / "config").write_text(text)

    def write_keys(self, access_key: str, *, profile: str = "default", more: str = "") -> None:
        """Write the credentials file with one profile."""
        (self.folder / "credentials").write_text(
            f"[{profile}]\naws_access_key_id = {access_key}\naws_secret_access_key = {SECRET_KEY}\n{more}"
        )


@pytest.fixture
def home(tmp_path, monkeypatch):
    """No AWS configuration except the files that the test writes; the levels of loggers are restored."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    before = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    yield Home(tmp_path)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def keys(home, monkeypatch):
    """Keys and a token in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


class FakeService:
    """A server that sends the given responses in turn, the last one for ever. ``requests`` are those it received."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, str, str]] = []  # path, body, Authorization
        self._responses: list[tuple[int, str]] = [(404, "")]
        self._headers: dict[str, str] = {}

    def respond(self, *responses: tuple[int, str], headers: dict[str, str] | None = None) -> None:
        """Set the responses, each a status and a body, and the headers of all of them."""
        self._responses = list(responses)
        self._headers = headers or {}

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Send the next response."""
        self.requests.append((request.path, await request.text(), request.headers.get("Authorization", "")))
        status, body = self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]
        return web.Response(status=status, body=body, content_type="text/xml", headers=self._headers)

    @staticmethod
    def identity(account: str = ACCOUNT) -> tuple[int, str]:
        """Return STS's response to GetCallerIdentity."""
        return 200, (
            '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
            f"<Arn>arn:aws:sts::{account}:assumed-role/r/s</Arn><UserId>A</UserId><Account>{account}</Account>"
            "</GetCallerIdentityResult></GetCallerIdentityResponse>"
        )

    @staticmethod
    def sts_error(code: str, message: str = "no", status: int = 403) -> tuple[int, str]:
        """Return an error response of STS."""
        return status, (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            "</ErrorResponse>"
        )


@pytest_asyncio.fixture
async def service():
    """A fake service on loopback."""
    service = FakeService()
    runner = web.ServerRunner(web.Server(service.handle), shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield service
    await runner.cleanup()


@pytest_asyncio.fixture
async def session(keys, service, fast_retries):
    """A session with keys of the environment, whose calls all go to ``service``."""
    async with open_session(profile=None, endpoint_url=service.url) as session:
        yield session
