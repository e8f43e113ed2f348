"""Forked commands whose waits are a twentieth as long and whose disk can fail; certificates of every kind."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import Forks, fork_server
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

IS_WHOLE = os.environ.get("LEXPORT_FAULTS") == "whole"
WAITS = 1.0 if IS_WHOLE else 0.05

spec = importlib.util.spec_from_file_location("disk", Path(__file__).parents[1] / "disk" / "disk.py")
disks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(disks)


@pytest.fixture(scope="session")
def disk(need_program, tmp_path_factory):
    """A disk that can fail, for the commands that are forked here."""
    folder = tmp_path_factory.mktemp("shim")
    return disks.Disk(disks.build(need_program("cc", "gcc", "clang", package="gcc"), folder), folder / "disk")


@pytest.fixture(scope="session")
def server(disk):
    """The process that the commands are forked from."""
    with fork_server(**disk.variables(), LEXPORT_TEST_WAITS=str(WAITS)) as started:
        yield started


@pytest.fixture
def forks(server, environment, tmp_path):
    """Run commands in folders of their own: ``home`` and ``tmp``, which they have to leave empty."""
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    folders = {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "XDG_STATE_HOME": "",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    return Forks(server, tmp_path, environment | folders)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Name of a kind of certificate -> the server's context; and the file of the CA that signed all but one."""
    folder, now = tmp_path_factory.mktemp("tls"), datetime.now(UTC)
    day = timedelta(days=1)
    ca_file, ca = _ca(folder / "ca.pem", now)
    _, other_ca = _ca(folder / "other-ca.pem", now)
    kinds = {
        "good": _server(folder / "good", ca, "127.0.0.1", now - day, now + day),
        "unknown CA": _server(folder / "unknown", other_ca, "127.0.0.1", now - day, now + day),
        "wrong name": _server(folder / "name", ca, "127.0.0.2", now - day, now + day),
        "expired": _server(folder / "expired", ca, "127.0.0.1", now - 3 * day, now - 2 * day),
    }
    return kinds, str(ca_file)


def _name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _ca(path, now):
    key = ec.generate_private_key(ec.SECP256R1())
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage = dict.fromkeys((*names, "encipher_only", "decipher_only"), False) | {"key_cert_sign": True, "crl_sign": True}
    made = (
        x509.CertificateBuilder(_name(path.stem), _name(path.stem), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path, (made, key)


def _server(path, ca, address, since, until):
    ca_certificate, ca_key = ca
    key = ec.generate_private_key(ec.SECP256R1())
    where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    made = (
        x509.CertificateBuilder(ca_certificate.subject, _name("server"), key.public_key(), x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(where, critical=False)
        .add_extension(signed_by, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    chain, key_file = path.with_suffix(".pem"), path.with_suffix(".key")
    chain.write_bytes(made.public_bytes(encoding))
    key_file.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key_file)
    return context
