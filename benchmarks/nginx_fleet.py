"""A fleet as files behind nginx: the simulator's answers, rendered once, served over TLS at next to no CPU.

Nginx checks no signature and knows no quota. It takes the account and the Region from the signature's scope: the keys
of a role are named after its account. A page's marker is its number, so that a query leads to a file. The few calls to
STS are answered by a thread of this process.

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
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, islice
from pathlib import Path
from urllib.parse import parse_qs

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lexport.model import LATEST, Scope
from lexport.simulator import Fleet, FleetSpec, lambda_documents

REGION, ACCOUNT = "us-east-1", "111122223333"
SCOPE = Scope(account_id=ACCOUNT, region=REGION)
PUBLISHED = 4  # versions of each function besides $LATEST
PAGE = 50
ROLE_KEY = "ASIA"  # and the account, in the keys of its role
ANSWER_BYTES = 3_000  # answers that are shorter get a longer link: AWS's hold some 1.5 KB of signature and token

CONFIG = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
worker_rlimit_nofile 16384;
pcre_jit on;
events {{ worker_connections 8192; }}
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
  map $http_authorization $scope {{
    default {account}/{region};
    "~Credential={role_key}(?<role_account>[0-9]+)/[0-9]+/(?<role_region>[a-z0-9-]+)/" $role_account/$role_region;
    "~Credential=[^/]+/[0-9]+/(?<own_region>[a-z0-9-]+)/" {account}/$own_region;
  }}
  server {{
    listen 127.0.0.1:{port} ssl;
    listen 127.0.0.1:{plain_port};
    ssl_certificate {folder}/server.pem;
    ssl_certificate_key {folder}/server.key;
    ssl_session_cache shared:tls:1m;
    root {folder}/www;
    location = / {{ proxy_pass http://127.0.0.1:{sts_port}; }}
    location = /2016-08-19/account-settings {{ try_files /$scope/account.json =404; }}
    location ~ ^/2015-03-31/functions/?$ {{ try_files /$scope/pages/$page.json =404; }}
    location ~ ^/2015-03-31/functions/(?<name>[^/]+)/aliases$ {{ try_files /$scope/functions/$name/aliases.json =404; }}
    location ~ ^/2015-03-31/functions/(?<name>[^/]+)$ {{ try_files /$scope/functions/$name/$version.json =404; }}
  }}
}}
"""
IDENTITY = f"<Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn><UserId>AIDABENCH</UserId><Account>{ACCOUNT}</Account>"
ROLE = """<Credentials><AccessKeyId>{role_key}{account}</AccessKeyId><SecretAccessKey>testing</SecretAccessKey>
<SessionToken>testing</SessionToken><Expiration>{until:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials><AssumedRoleUser>
<Arn>arn:aws:sts::{account}:assumed-role/bench/bench</Arn><AssumedRoleId>AROABENCH:bench</AssumedRoleId>
</AssumedRoleUser>"""


def nginx() -> str | None:
    """Find the program; Debian keeps it where users do not look."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def scope_folder(folder: Path, scope: Scope) -> Path:
    """Return where the answers of an account-region are."""
    return folder / "www" / scope.account_id / scope.region


def render_fleet(folder: Path, versions: int, scopes: Sequence[Scope] = (SCOPE,)) -> None:
    """Write every answer of a fleet as a file, with so many versions in each account-region.

    A folder that holds this very fleet already is taken as it is.
    """
    done, content = folder / "rendered", f"{versions} {[str(scope) for scope in scopes]}"
    if done.is_file() and done.read_text() == content:
        return
    shutil.rmtree(folder / "www", ignore_errors=True)
    done.unlink(missing_ok=True)
    with ProcessPoolExecutor(min(len(scopes), os.cpu_count() or 1)) as processes:
        list(processes.map(partial(_render_scope, folder, versions), scopes))
    done.write_text(content)


def _render_scope(folder: Path, versions: int, scope: Scope) -> None:
    functions = versions // (1 + PUBLISHED)
    fleet = Fleet(
        FleetSpec(
            functions=functions,
            versions=PUBLISHED,
            accounts=(scope.account_id,),
            regions=(scope.region,),
            disabled_regions=(),
        )
    )
    home = scope_folder(folder, scope)
    (home / "pages").mkdir(parents=True)
    listed = _render_functions(fleet, scope, home / "functions")
    number = 0
    page = list(islice(listed, PAGE))
    while page:
        following = list(islice(listed, PAGE))
        document = {"Functions": page} | ({"NextMarker": str(number + 1)} if following else {})
        (home / "pages" / f"{number}.json").write_bytes(orjson.dumps(document))
        page, number = following, number + 1
    settings = {
        "AccountLimit": {"ConcurrentExecutions": 1000},
        "AccountUsage": {"FunctionCount": fleet.counts(scope).functions},
    }
    (home / "account.json").write_bytes(orjson.dumps(settings))


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
            host = f"awslambda-{scope.region}-tasks.s3.{scope.region}.amazonaws.com"
            link = f"https://{host}/snapshots/{function.name}?versionId=x"
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
    program = nginx()
    if program is None:
        sys.exit("nginx is missing: apt-get install nginx-light")
    folder.chmod(0o755)  # nginx's workers are nobody's
    with ThreadingHTTPServer(("127.0.0.1", 0), _Sts) as sts, contextlib.ExitStack() as opened:
        threading.Thread(target=sts.serve_forever, daemon=True).start()
        opened.callback(sts.shutdown)
        (folder / "nginx.conf").write_text(
            CONFIG.format(
                folder=folder,
                port=port,
                plain_port=plain_port,
                sts_port=sts.server_port,
                account=ACCOUNT,
                region=REGION,
                role_key=ROLE_KEY,
            )
        )
        command = [program, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
        server = opened.enter_context(subprocess.Popen(command))
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


class _Sts(BaseHTTPRequestHandler):
    """Answers GetCallerIdentity, and AssumeRole for any role of any account."""

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        action, result = asked["Action"][0], IDENTITY
        if action == "AssumeRole":
            account = asked["RoleArn"][0].split(":")[4]
            result = ROLE.format(role_key=ROLE_KEY, account=account, until=datetime.now(UTC) + timedelta(hours=1))
        name_space = "https://sts.amazonaws.com/doc/2011-06-15/"
        text = f'<{action}Response xmlns="{name_space}"><{action}Result>{result}</{action}Result></{action}Response>'
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


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
