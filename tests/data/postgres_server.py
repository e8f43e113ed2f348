"""A PostgreSQL of the tests' own: one server for a test process, a database for each test."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from object_servers import free_ports

OWNER = "postgres"
STARTS_WITHIN_S = 60
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "40",
    "timezone": "America/New_York",  # what lexport loads must not depend on it
}


@dataclass(frozen=True)
class PostgresServer:
    """A running server. Connections by its socket need no password, those by TCP need ``password``."""

    folder: Path
    port: int
    password: str

    def url(self, database: str, *, tcp: bool = False, user: str = OWNER) -> str:
        """Return the URL of a database, without a password."""
        if tcp:
            return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def create_database(self) -> str:
        """Create an empty database and return its URL."""
        import psycopg

        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)


def postgres_programs() -> Path | None:
    """Return the folder of the newest PostgreSQL server of this machine, None where there is none."""
    found = [
        path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb") if re.fullmatch(r"\d+", path.parts[-3])
    ]
    if found:
        return max(found, key=lambda folder: int(folder.parts[-2]))
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


@contextmanager
def run_postgres(programs: Path) -> Iterator[PostgresServer]:
    """Run a server with its data in a folder directly under the temporary one.

    PostgreSQL refuses to run as root: then the user ``postgres`` runs it, who cannot enter pytest's own folders.
    """
    as_user = {"user": OWNER, "group": OWNER, "extra_groups": []} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="lexport-pg-"))
    try:
        password = secrets.token_urlsafe(12)
        secret = folder / "password"
        secret.write_text(password)
        if as_user:
            owner = pwd.getpwnam(OWNER)
            for path in (secret, folder):
                os.chown(path, owner.pw_uid, owner.pw_gid)
        data = folder / "data"
        initdb = (f"--pgdata={data}", f"--username={OWNER}", f"--pwfile={secret}", "--no-sync", "--encoding=UTF8")
        trust = ("--auth-local=trust", "--auth-host=scram-sha-256")
        # Most servers sort texts as people do, and their views have to show the same rows. Needs PostgreSQL 15.
        locale = ("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        subprocess.run(
            [programs / "initdb", *initdb, *trust, *locale],
            check=True,
            capture_output=True,
            env=environment,
            cwd="/",
            **as_user,
        )
        port = free_ports(1)
        settings = {**_SETTINGS, "unix_socket_directories": str(folder), "port": str(port)}
        flags = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", data, *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd="/",
                **as_user,
            )
        server = PostgresServer(folder, port, password)
        try:
            _wait_for(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)  # which ends it at once
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(server: PostgresServer, process: subprocess.Popen[bytes]) -> None:
    import psycopg

    until = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            psycopg.connect(server.url("postgres")).close()
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > until:
                text = (server.folder / "log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"postgres did not start: {text}") from error
            time.sleep(0.05)
        else:
            return
