"""Serve a folder as a bucket, without signatures: the requests of readers to S3, of which a test refuses some."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "lexport-folder"


@dataclass
class ServedFolder:
    """What is served. ``refuse`` returns the status and the code of an error for a key, or None."""

    folder: Path
    endpoint: str = ""
    url: str = f"s3://{BUCKET}/fleet"
    refuse: Callable[[str], tuple[int, str] | None] = lambda _key: None
    keys: list[str] = field(default_factory=list)
    """The keys that were asked for, in the order of the requests; that of a listing is empty."""


@contextmanager
def serve_folder(folder: Path) -> Iterator[ServedFolder]:
    """Serve a dataset as ``s3://lexport-folder/fleet``."""
    served = ServedFolder(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the client has ended
                self._get()

        def _get(self) -> None:
            parts = urlsplit(self.path)
            key = unquote(parts.path).removeprefix(f"/{BUCKET}").strip("/")
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if not key and "list-type" not in query:  # HeadBucket
                self._answer(200, b"")
                return
            served.keys.append(key)
            if refusal := served.refuse(key or query.get("prefix", "")):
                status, code = refusal
                self._answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())
            elif not key:
                self._answer(200, _listing(served.folder, query))
            elif not (path := served.folder / key.removeprefix("fleet/")).is_file():
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            else:
                self._object(path.read_bytes())

        def _object(self, body: bytes) -> None:
            if bounds := self.headers["Range"]:
                start, _, end = bounds.removeprefix("bytes=").partition("-")
                part = body[int(start) : int(end) + 1]
                self._answer(206, part, {"Content-Range": f"bytes {start}-{int(start) + len(part) - 1}/{len(body)}"})
            else:
                self._answer(200, body)

        def _answer(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
            self.send_response(status)
            headers = {"Content-Length": f"{len(body)}", "Last-Modified": formatdate(usegmt=True), "ETag": '"1"'}
            for name, value in (headers | {"x-amz-bucket-region": "us-east-1"} | (more or {})).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def _listing(folder: Path, query: dict[str, str]) -> bytes:
    """List all keys below a prefix on one page."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    keys = sorted(f"fleet/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*") if path.is_file())
    found = [key for key in keys if key.startswith(prefix) and key > query.get("start-after", "")]
    folders = dict.fromkeys(
        prefix + name + delimiter
        for key in found
        if delimiter and (name := key.removeprefix(prefix).partition(delimiter)[0]) and delimiter in key[len(prefix) :]
    )
    objects = [key for key in found if not delimiter or delimiter not in key[len(prefix) :]]
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{(folder / key.removeprefix('fleet/')).stat().st_size}</Size>"
        '<LastModified>2026-11-22T02:00:00.000Z</LastModified><ETag>"1"</ETag></Contents>'
        for key in objects
    )
    common = "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in folders)
    return (
        f"<ListBucketResult><Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount>"
        f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{contents}{common}</ListBucketResult>"
    ).encode()
