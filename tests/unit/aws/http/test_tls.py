"""TLS trusts AWS_CA_BUNDLE alone, else the system, else the CA file of botocore."""

from __future__ import annotations

import os
import ssl
import subprocess
from pathlib import Path

import botocore
import pytest

from lexport.aws.http.tls import open_trust_store
from lexport.errors import NetworkError, SettingsError

BOTOCORE_BUNDLE = str(Path(botocore.__file__).with_name("cacert.pem"))


@pytest.fixture
def hashed_folder(certificate, tmp_path):
    """The CA as OpenSSL finds it in a folder: under the hash of its name."""
    _, ca_file = certificate
    command = ["openssl", "x509", "-hash", "-noout", "-in", ca_file]
    name_hash = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    (tmp_path / f"{name_hash}.0").write_bytes(Path(ca_file).read_bytes())
    return str(tmp_path)


@pytest.mark.asyncio
async def test_tls_trusts_the_given_bundle_only(get, certificate, servers):
    """A certificate of a private CA is accepted with AWS_CA_BUNDLE, and refused without it, with advice."""
    tls, ca_file = certificate
    async with servers.raw(servers.OK, tls=tls) as url:
        response = await get(url, ca_bundle=ca_file)
        with pytest.raises(NetworkError) as caught:
            await get(url)

    assert response.body == b"{}"
    assert caught.value.code == "tls_failed"
    assert "certificate" in str(caught.value)
    assert "AWS_CA_BUNDLE" in str(caught.value)


@pytest.mark.asyncio
async def test_a_folder_of_hashed_files_is_trusted(get, certificate, hashed_folder, servers):
    """AWS_CA_BUNDLE may be a folder as OpenSSL keeps it; the environment is left as it was."""
    tls, _ = certificate
    before = dict(os.environ)
    async with servers.raw(servers.OK, tls=tls) as url:
        response = await get(url, ca_bundle=hashed_folder)

    assert response.body == b"{}"
    assert before == dict(os.environ)


@pytest.mark.asyncio
async def test_a_given_bundle_takes_the_place_of_the_systems_cas(get, certificate, monkeypatch, servers):
    """With AWS_CA_BUNDLE, the CAs of the system are not trusted."""
    tls, ca_file = certificate
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    async with servers.raw(servers.OK, tls=tls) as url:
        response = await get(url)
        with pytest.raises(NetworkError) as caught:
            await get(url, ca_bundle=BOTOCORE_BUNDLE)

    assert response.body == b"{}"
    assert caught.value.code == "tls_failed"


@pytest.mark.asyncio
async def test_a_bundle_without_certificates_is_found_at_the_start(fetch, tmp_path):
    """An empty file stops the run before any call."""
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
