"""Both event loops for the tests of connections; both ways to a server, direct and through a proxy."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest_asyncio
import uvloop

_spec = importlib.util.spec_from_file_location("forward_proxy", Path(__file__).with_name("forward_proxy.py"))
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
forward_proxy = _module.forward_proxy


def pytest_asyncio_loop_factories(item):
    """Run the tests of the connections on both loops, all others on Python's own."""
    loops = {"asyncio": asyncio.new_event_loop}
    if item.path.name in ("test_connection.py", "test_transport.py"):
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
