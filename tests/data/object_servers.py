"""Real object stores for tests, each in its own process on this machine: SeaweedFS and Azurite."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCESS_KEY = SECRET_KEY = "testing"
SEAWEED_PORTS = 5
GRPC_ABOVE = 10_000  # each port of SeaweedFS has a second one above it
AZURITE = Path(__file__).parents[2] / "build/azurite/node_modules/.bin/azurite-blob"
AZURITE_ACCOUNT = "devstoreaccount1"  # Azurite's own, with a key that its documentation publishes
_IDENTITY = {
    "name": "tests",
    "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
    "actions": ["Admin", "Read", "Write", "List", "Tagging"],
}
_READER = {
    "name": "reader",
    "credentials": [{"accessKey": "reading", "secretKey": "reading"}],
    "actions": ["Read", "List"],
}
STARTS_WITHIN_S = 60


@dataclass(frozen=True)
class Bucket:
    """A bucket of one test. ``client`` is boto3's, for a look from outside."""

    name: str
    endpoint: str
    client: Any

    @property
    def url(self) -> str:
        """The URL as DEST."""
        return f"s3://{self.name}"

    def keys(self) -> dict[str, int]:
        """The size of every object."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}

    def uploads(self) -> list[Any]:
        """The multipart uploads that were neither completed nor aborted."""
        return self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])


def make_bucket(endpoint: str) -> Bucket:
    """Create a bucket with a name of its own."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )
    name = f"lexport-{random.randbytes(6).hex()}"
    client.create_bucket(Bucket=name)
    # SeaweedFS makes the files of a bucket at its first object, and others that come meanwhile wait for seconds.
    client.put_object(Bucket=name, Key="first", Body=b"1")
    client.delete_object(Bucket=name, Key="first")
    return Bucket(name, endpoint, client)


def make_table_bucket(endpoint: str) -> tuple[str, str]:
    """Create a table bucket of SeaweedFS; return its URL and that of the Iceberg catalog beside this S3."""
    port = int(endpoint.rpartition(":")[2])
    name = f"tables-{random.randbytes(6).hex()}"
    weed = str(Path(sysconfig.get_path("scripts")) / "weed")
    done = subprocess.run(
        [weed, "shell", f"-master=127.0.0.1:{port - 3}", f"-filer=127.0.0.1:{port - 1}"],
        input=f"s3tables.bucket -create -name {name} -account 111122223333\nexit\n".encode(),
        capture_output=True,
        check=True,
        timeout=STARTS_WITHIN_S,
    )
    assert f"bucket/{name}".encode() in done.stdout, done.stdout + done.stderr
    return f"s3://{name}", f"http://127.0.0.1:{port + 1}"


def free_ports(count: int, *, also_above: int = 0) -> int:
    """Return the first of so many ports in a row that nobody listens on."""
    for _ in range(200):
        first = random.randrange(20_000, 22_000)
        wanted = [first + number for number in range(count)]
        wanted += [port + also_above for port in wanted if also_above]
        with ExitStack() as sockets:
            try:
                for port in wanted:
                    sockets.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return first
    raise RuntimeError("no free ports")


@contextmanager
def run_seaweed(folder: Path, *arguments: str) -> Iterator[str]:
    """Run SeaweedFS with its data in a folder and more arguments of its own, and yield the URL of its S3."""
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [_IDENTITY, _READER]}))
    port = free_ports(SEAWEED_PORTS, also_above=GRPC_ABOVE)
    command = [
        str(Path(sysconfig.get_path("scripts")) / "weed"),
        "server",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-dir={folder}",
        f"-master.port={port}",
        f"-volume.port={port + 1}",
        "-filer",
        f"-filer.port={port + 2}",
        "-s3",
        f"-s3.port={port + 3}",
        f"-s3.config={config}",
        f"-s3.port.iceberg={port + 4}",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-master.volumeSizeLimitMB=1024",
        "-volume.max=5000",  # each bucket takes some of its own
        *arguments,
    ]
    with _running(command, folder, port + 3) as url:
        make_bucket(url)  # S3 answers before the volume server has joined
        yield url


@contextmanager
def run_azurite(folder: Path) -> Iterator[str]:
    """Run Azurite and yield the URL of its blob service."""
    port = free_ports(1)
    program = str(AZURITE) if AZURITE.exists() else shutil.which("azurite-blob")
    assert program is not None
    command = [program, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder), "--silent"]
    with _running([*command, "--skipApiVersionCheck", "--disableTelemetry"], folder, port) as url:
        yield url


def has_azurite() -> bool:
    """Whether Azurite is installed; ``make azurite`` does that."""
    return AZURITE.exists() or shutil.which("azurite-blob") is not None


@contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[str]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env={"PATH": os.environ["PATH"]}
        )
        try:
            until = time.monotonic() + STARTS_WITHIN_S
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError as error:
                    if process.poll() is not None or time.monotonic() > until:
                        text = (folder / "log").read_text(errors="replace")[-2000:]
                        raise RuntimeError(f"{command[0]} did not start: {text}") from error
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()
