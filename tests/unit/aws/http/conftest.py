"""Fixtures of the tests of HTTP: servers, and one GET request directly or through a proxy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from lexport.aws.http.message import Request
from lexport.aws.http.pool import open_pool

_spec = importlib.util.spec_from_file_location("http_servers", Path(__file__).with_name("servers.py"))
assert _spec is not None
assert _spec.loader is not None
_servers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_servers)


@pytest.fixture
def servers():
    """The module ``servers.py``."""
    return _servers


@pytest.fixture
def fetch():
    """Send one request through a transport of its own, on the way that the environment names; a GET without a body."""

    async def fetch(url, headers=None, ca_bundle=None, body=None, **limits):
        async with open_pool(ca_bundle=ca_bundle, connections=4, **limits) as send:
            return await send(Request(url, headers or {}, body=body))

    return fetch


@pytest.fixture
def get(fetch, way):
    """Send one GET request, directly and through a proxy."""
    return fetch
