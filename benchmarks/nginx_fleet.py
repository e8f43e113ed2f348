"""A fleet as files behind nginx: the simulator's answers, rendered once, served over TLS at next to no CPU.

Nginx checks no signature and knows no quota. A page's marker is its number, so that a query leads to a file.

    with serve_fleet(folder) as environment: ...        # after render_fleet(folder, versions=100_000)
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lexport.model import LATEST, Scope
from lexport.simulator import Fleet, FleetSpec, lambda_documents

REGION, ACCOUNT = "us-east-1", "111122223333"
PUBLISHED = 4  # versions of each function besides $LATEST
PAGE = 50
ANSWER_BYTES = 3_000  # answers that are shorter get a longer link: AWS's hold some 1.5 KB of signature and token

CONFIG = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nodelay on;
  default_type application/json;
  keepalive_timeout 60s;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $arg_marker $page {{ "" 0; default $arg_marker; }}
  map $arg_qualifier $version {{ "" latest; default $arg_qualifier; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    listen 127.0.0.1:{plain_port};
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    ssl_session_cache shared:tls:1m;
    root {folder}/www;
    location = / {{ default_type text/xml; return 200 '{sts}'; }}
    location = /2016-08-19/account-settings {{ try_files /account.json =404; }}
    location ~ ^/2015-03-31/functions/?$ {{ try_files /pages/$page.json =404; }}
    location ~ ^/2015-03-31/functions/(?<name>[^/]+)/aliases$ {{ try_files /functions/$name/aliases.json =404; }}
    location ~ ^/2015-03-31/functions/(?<name>[^/]+)$ {{ try_files /functions/$name/$version.json =404; }}
  }}
}}
"""
STS = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn><UserId>AIDABENCH</UserId><Account>{ACCOUNT}</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)


def nginx() -> str | None:
    """Find the program; Debian keeps it where users do not look."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def render_fleet(folder: Path, versions: int) -> None:
    """Write every answer of a fleet as a file; a folder that holds this very fleet already is taken as it is."""
    done = folder / "rendered"
    if done.is_file() and done.read_text() == str(versions):
        return
    fleet = Fleet(FleetSpec(functions=versions // (1 + PUBLISHED), versions=PUBLISHED))
    scope = Scope(account_id=ACCOUNT, region=REGION)
    www = folder / "www"
    (www / "pages").mkdir(parents=True, exist_ok=True)
    listed = _render_functions(fleet, scope, www / "functions")
    number = 0
    page = list(islice(listed, PAGE))
    while page:
        following = list(islice(listed, PAGE))
        document = {"Functions": page} | ({"NextMarker": str(number + 1)} if following else {})
        (www / "pages" / f"{number}.json").write_bytes(orjson.dumps(document))
        page, number = following, number + 1
    settings = {
        "AccountLimit": {"ConcurrentExecutions": 1000},
        "AccountUsage": {"FunctionCount": fleet.counts(scope).functions},
    }
    (www / "account.json").write_bytes(orjson.dumps(settings))
    done.write_text(str(versions))


def _render_functions(fleet: Fleet, scope: Scope, folder: Path) -> Iterator[dict[str, object]]:
    for index in fleet.indexes(scope):
        function = fleet.function(scope, index)
        home = folder / function.name
        home.mkdir(parents=True)
        aliases = [lambda_documents.alias(function, alias) for alias in fleet.aliases(scope, index)]
        (home / "aliases.json").write_bytes(orjson.dumps({"Aliases": aliases}))
        for version in chain((LATEST,), map(str, fleet.published(scope, index))):
            spec = fleet.version(scope, index, version, function)
            assert spec is not None
            qualifier = None if version == LATEST else version
            link = f"https://awslambda-{REGION}-tasks.s3.{REGION}.amazonaws.com/snapshots/{function.name}?versionId=x"
            document = lambda_documents.get_function(spec, arn_qualifier=qualifier, location=link + "&X-Amz-Signature=")
            missing = ANSWER_BYTES - len(orjson.dumps(document))
            if missing > 0 and "Location" in document["Code"]:
                document["Code"]["Location"] += "5e" * (missing // 2)
            (home / f"{qualifier or 'latest'}.json").write_bytes(orjson.dumps(document))
            yield lambda_documents.configuration(spec, arn_qualifier=version, is_listed=True)


@contextlib.contextmanager
def serve_fleet(folder: Path) -> Iterator[dict[str, str]]:
    """Start nginx on loopback with a CA of its own; yield the environment that finds and trusts it."""
    _write_certificates(folder)
    with socket.socket() as probe, socket.socket() as plain_probe:
        probe.bind(("127.0.0.1", 0))
        plain_probe.bind(("127.0.0.1", 0))
        port, plain_port = probe.getsockname()[1], plain_probe.getsockname()[1]
    config = CONFIG.format(folder=folder, port=port, plain_port=plain_port, sts=STS)
    (folder / "nginx.conf").write_text(config)
    program = nginx()
    if program is None:
        sys.exit("nginx is missing: apt-get install nginx-light")
    folder.chmod(0o755)  # nginx's workers are nobody's
    with subprocess.Popen([program, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]) as server:
        try:
            _wait_for(port)
            kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LEXPORT_"))}
            yield kept | {
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}",
                "PLAIN_URL": f"http://127.0.0.1:{plain_port}",
                "AWS_CA_BUNDLE": f"{folder}/ca.pem",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "NO_PROXY": "127.0.0.1",
            }
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    sys.exit("nginx does not answer")


def _write_certificates(folder: Path) -> None:
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name, name = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in ("bench CA", "bench"))

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        serial = x509.random_serial_number()
        made = x509.CertificateBuilder(ca_name, subject, public, serial)
        made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
        return made.add_extension(x509.BasicConstraints(ca=subject is ca_name, path_length=None), critical=True)

    ca = builder(ca_name, ca_key.public_key()).sign(ca_key, hashes.SHA256())
    where = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder(name, key.public_key()).add_extension(where, critical=False).sign(ca_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "server.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
