"""The command line in this process, a private CA for servers on loopback, and no proxies."""

from __future__ import annotations

import csv
import io
import ipaddress
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lexport.cli.main import run


@dataclass(frozen=True)
class Ended:
    """One run of the command."""

    code: int
    out: bytes
    err: str

    @property
    def cells(self):
        """Standard output as CSV, the header first."""
        return list(csv.reader(io.StringIO(self.out.decode(), newline="")))


@pytest.fixture(scope="session")
def dest(tmp_path_factory, write_dataset):
    """A dataset of one function, whose description is a formula."""
    folder = tmp_path_factory.mktemp("cli") / "fleet"
    function = {"function_name": "f", "version": "$LATEST", "description": "=1+1", "runtime": "python2.7"}
    write_dataset(folder, [{"at": datetime.now(UTC), "functions": [function]}])
    return folder


@pytest.fixture
def lexport(capsysbinary, monkeypatch, tmp_path):
    """Return a function: arguments -> how the command ended. Its working folder is ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LEXPORT_")]:
        monkeypatch.delenv(name)

    def ask(*arguments):
        code = run([str(argument) for argument in arguments])
        captured = capsysbinary.readouterr()
        return Ended(code, captured.out, captured.err.decode())

    return ask


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """No test finds the proxies of the machine it runs on."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A private CA and its certificate for 127.0.0.1: the server's context, and the CA file to trust."""
    now = datetime.now(UTC)

    def make(name, issuer, public, extensions):
        made = x509.CertificateBuilder(issuer, name, public, x509.random_serial_number())
        made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        for extension, critical in extensions.items():
            made = made.add_extension(extension, critical=critical)
        return made.sign(ca_key, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in ("test CA", "test"))
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())  # Python 3.13 insists on it
    is_ca = x509.BasicConstraints(ca=True, path_length=0)
    own_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    signs = x509.KeyUsage(
        **dict.fromkeys((*names, "encipher_only", "decipher_only"), False), key_cert_sign=True, crl_sign=True
    )
    ca = make(ca_name, ca_name, ca_key.public_key(), {is_ca: True, own_id: False, signs: True})
    where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    is_server = x509.BasicConstraints(ca=False, path_length=None)
    made = make(name, ca_name, key.public_key(), {is_server: True, where: True, signed_by: False})
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
