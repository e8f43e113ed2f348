"""A tiny S3 in this process, whose answers a test scripts: for what real servers do once in a million requests."""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Fault = Callable[["Handler", Callable[[], None]], None]
"""Answers one request; the second argument carries it out and answers as usual."""


@dataclass
class TinyS3:
    """The objects of one bucket, the requests so far, and the faults to come, by method."""

    url: str = ""
    region: str = "eu-west-1"
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    head_status: int = 200
    ignores_conditions: bool = False
    hides_absent: bool = False
    denies: str = "\0"
    lock: Any = field(default_factory=threading.RLock)

    def methods(self) -> list[str]:
        """The methods of all requests to objects."""
        return [method for method, _, _ in self.requests]

    def headers(self, method: str) -> dict[str, Any]:
        """The headers and the query of the last request with this method."""
        return next(headers for done, _, headers in reversed(self.requests) if done == method)


def refuse(status: int, code: str, **headers: str) -> Fault:
    """Answer with an error, and do nothing."""
    return lambda handler, _: handler.error(status, code, headers)


def do_and_refuse(status: int, code: str) -> Fault:
    """Carry the request out, and answer with an error."""

    def act(handler: Handler, carry_out: Callable[[], None]) -> None:
        handler.is_muted = True
        carry_out()
        handler.is_muted = False
        handler.error(status, code, {})

    return act


def drop(handler: Handler, _carry_out: Callable[[], None]) -> None:
    """Do nothing, and close the connection."""
    handler.close_connection = True


def do_and_drop(handler: Handler, carry_out: Callable[[], None]) -> None:
    """Carry the request out, and close the connection without an answer."""
    handler.is_muted = True
    carry_out()
    handler.close_connection = True


def cut(handler: Handler, carry_out: Callable[[], None]) -> None:
    """Announce the whole body, send half of it, and close the connection."""
    handler.sends_half = True
    carry_out()
    handler.close_connection = True


def then(*actions: Callable[[], object]) -> Fault:
    """Act first, and answer as usual."""

    def act(_handler: Handler, carry_out: Callable[[], None]) -> None:
        for action in actions:
            action()
        carry_out()

    return act


class Handler(BaseHTTPRequestHandler):
    """Answers GET, HEAD, PUT, DELETE, listings, and POST ?delete, for path-style URLs."""

    protocol_version = "HTTP/1.1"
    state: TinyS3
    is_muted = sends_half = False

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Send an answer, unless it is to be lost."""
        if self.is_muted:
            return
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.state.region:
            self.send_header("x-amz-bucket-region", self.state.region)
        if not (headers or {}).get("Content-Length"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if self.sends_half else body)

    def error(self, status: int, code: str, headers: dict[str, str]) -> None:
        """Send an error of S3."""
        self.answer(status, f"<Error><Code>{code}</Code><Message>scripted</Message></Error>".encode(), headers)

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        key = unquote(parts.path.partition("/")[2].partition("/")[2])
        query = parse_qs(parts.query, keep_blank_values=True)
        state = self.state
        if key or query:
            details: dict[str, Any] = {name.lower(): value for name, value in self.headers.items()} | {
                name: values[0] for name, values in query.items()
            }
            details["deleted"] = re.findall(r"<Key>([^<]*)</Key>", body.decode()) if "delete" in query else []
            state.requests.append((self.command, key, details))
        faults = state.faults.get(self.command, []) if key or query else []
        with state.lock:
            fault = faults.pop(0) if faults else None

        def carry_out() -> None:
            with state.lock:
                self._carry_out(key, query, body)

        if fault is None:
            carry_out()
        else:
            fault(self, carry_out)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _handle  # noqa: N815 - names that http.server calls

    def _carry_out(self, key: str, query: dict[str, list[str]], body: bytes) -> None:
        objects = self.state.objects
        if not key:
            self._of_bucket(query, body)
        elif self.command == "PUT":
            self._put(key, body)
        elif self.command == "DELETE":
            objects.pop(key, None)
            self.answer(204)
        elif key.endswith(self.state.denies) or (key not in objects and self.state.hides_absent):
            self.error(403, "AccessDenied", {})
        elif key not in objects:
            self.error(404, "NoSuchKey", {})
        else:
            self._get(objects[key])

    def _put(self, key: str, body: bytes) -> None:
        before = self.state.objects.get(key)
        if not self.state.ignores_conditions:
            if self.headers.get("If-None-Match") == "*" and before is not None:
                self.error(412, "PreconditionFailed", {})
                return
            if (tag := self.headers.get("If-Match")) and (before is None or tag != etag(before)):
                status, code = (404, "NoSuchKey") if before is None else (412, "PreconditionFailed")
                self.error(status, code, {})
                return
        self.state.objects[key] = body
        self.answer(200, headers={"ETag": etag(body)})

    def _get(self, body: bytes) -> None:
        headers = {"ETag": etag(body), "Last-Modified": formatdate(usegmt=True)}
        status, whole = 200, len(body)
        if match := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            first, last = int(match[1]), int(match[2])
            if first >= whole:
                self.error(416, "InvalidRange", {})
                return
            body, status = body[first : last + 1], 206
            headers["Content-Range"] = f"bytes {first}-{first + len(body) - 1}/{whole}"
        if self.command == "HEAD":
            headers["Content-Length"] = str(whole)
        self.answer(status, body, headers)

    def _of_bucket(self, query: dict[str, list[str]], body: bytes) -> None:
        if self.command == "POST" and "delete" in query:
            for key in re.findall(r"<Key>([^<]*)</Key>", body.decode()):
                self.state.objects.pop(key, None)
            self.answer(200, b"<DeleteResult></DeleteResult>")
            return
        if self.command == "HEAD":
            self.answer(self.state.head_status)
            return
        prefix, after = query.get("prefix", [""])[0], query.get("start-after", [""])[0]
        keys = sorted(key for key in self.state.objects if key.startswith(prefix) and key > after)
        folders, items = set(), ""
        for key in keys:
            head, slash, _ = key[len(prefix) :].partition("/")
            if "delimiter" in query and slash:
                folders.add(prefix + head + "/")
                continue
            items += (
                f"<Contents><Key>{key}</Key><LastModified>2026-11-30T00:00:00.000Z</LastModified>"
                f"<ETag>{etag(self.state.objects[key])}</ETag><Size>{len(self.state.objects[key])}</Size></Contents>"
            )
        items += "".join(f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" for name in sorted(folders))
        self.answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>".encode())


def etag(body: bytes) -> str:
    """The ETag of an object that was written with one PUT."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


class _QuietServer(ThreadingHTTPServer):
    """Prints nothing where a client has gone away."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Do nothing."""


@contextmanager
def open_tiny_s3(context: ssl.SSLContext | None = None) -> Iterator[TinyS3]:
    """Serve it on loopback, with TLS where a context is given."""
    state = TinyS3()
    server = _QuietServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state}))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.url = f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
