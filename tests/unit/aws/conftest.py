"""A private CA, for servers on loopback; both event loops, for what lies directly on them."""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

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


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """No test finds the proxies of the machine it runs on."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


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


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A private CA and its certificate for 127.0.0.1: the server's context, and the CA file to trust."""
    now = datetime.now(UTC)

    def make(name, issuer, public, *extensions):
        made = x509.CertificateBuilder(issuer, name, public, x509.random_serial_number())
        made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        for extension in extensions:
            made = made.add_extension(extension, critical=True)
        return made.sign(ca_key, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in ("test CA", "test"))
    ca = make(ca_name, ca_name, ca_key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
    where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = make(name, ca_name, key.public_key(), x509.BasicConstraints(ca=False, path_length=None), where)
    folder = tmp_path_factory.mktemp("tls")
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    chain_file = folder / "chain.pem"
    chain_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file = folder / "key.pem"
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain_file, key_file)
    return context, str(ca_file)
