"""Presigned URLs of packages: signed, verified, and answered with the package as S3 does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

from lexport.model import Scope
from lexport.simulator.downloads import Download, download
from lexport.simulator.package_files import Package, package
from lexport.simulator.responses import HttpResponse, s3_error
from lexport.simulator.seeded_choices import uuid_text

PREFIX = "/snapshots/"
_RANGE = re.compile(r"bytes=(?:(\d+)-(\d*)|-(\d+))")


class PresignedUrls:
    """The presigned URLs of one server; ``base_url`` is set when the server listens."""

    def __init__(self, seed: int, ttl_s: float) -> None:
        self.base_url = ""
        self._seed = seed
        self._ttl_s = ttl_s
        self._secret = secrets.token_bytes(32)
        self._token = secrets.token_urlsafe(500)  # about as long as AWS's

    def sign_url(self, scope: Scope, name: str, package_key: str) -> str:
        """Return the presigned URL of a package; its ``versionId`` is the key of the package."""
        path = f"{PREFIX}{scope.account_id}/{name}-{uuid_text('link', package_key)}"
        version_id = version_id_of(package_key)
        date = _date_text(int(time.time()))
        query = (
            f"versionId={version_id}&X-Amz-Algorithm=AWS4-HMAC-SHA256"
            f"&X-Amz-Credential=ASIASIMULATOR0000000%2F{date[:8]}%2F{scope.region}%2Fs3%2Faws4_request"
            f"&X-Amz-Date={date}&X-Amz-Expires={math.ceil(self._ttl_s)}&X-Amz-SignedHeaders=host"
            f"&X-Amz-Security-Token={self._token}"
        )
        return f"{self.base_url}{path}?{query}&X-Amz-Signature={self._sign(path, dict(parse_qsl(query)))}"

    def respond(
        self, method: str, path_and_query: str, headers: Mapping[str, str], request_id: str
    ) -> HttpResponse | Download:
        """Respond to a request for a presigned URL: with a download, or 400, 403 or 416."""
        if "Authorization" in headers:
            return s3_error(400, "InvalidArgument", "Only one auth mechanism allowed", request_id, {})
        path, _, query = path_and_query.partition("?")
        values = dict(parse_qsl(query))
        signature = values.pop("X-Amz-Signature", "")
        if method != "GET" or not hmac.compare_digest(self._sign(path, values).encode(), signature.encode()):
            message = (
                "The request signature we calculated does not match the signature you provided. Check your key and "
                "signing method."
            )
            return s3_error(403, "SignatureDoesNotMatch", message, request_id, {})
        signed_at = datetime.strptime(values["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        now_s = time.time()
        if now_s >= signed_at + self._ttl_s:
            more = {
                "X-Amz-Expires": values["X-Amz-Expires"],
                "Expires": f"{datetime.fromtimestamp(signed_at + self._ttl_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
                "ServerTime": f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
            }
            return s3_error(403, "AccessDenied", "Request has expired", request_id, more)
        return _part(self._package(values["versionId"]), headers.get("Range"), request_id)

    def respond_for_object(
        self, path_and_query: str, headers: Mapping[str, str], request_id: str
    ) -> HttpResponse | Download:
        """Respond for an object in a customer's own bucket; its version is the key of the package."""
        version_id = dict(parse_qsl(path_and_query.partition("?")[2])).get("versionId", "")
        try:
            content = self._package(version_id)
        except ValueError:
            return s3_error(404, "NoSuchVersion", "The specified version does not exist.", request_id, {})
        return _part(content, headers.get("Range"), request_id)

    def _sign(self, path: str, values: dict[str, str]) -> str:
        # As in S3, the signature covers the decoded values, so that a client may encode the query in another way.
        canonical = "\n".join((path, *(f"{name}={value}" for name, value in sorted(values.items()))))
        return hmac.new(self._secret, canonical.encode(), hashlib.sha256).hexdigest()

    def _package(self, version_id: str) -> Package:
        key = base64.urlsafe_b64decode(version_id + "=" * (-len(version_id) % 4)).decode()
        return package(self._seed, key)


def version_id_of(package_key: str) -> str:
    """Return the version ID of the object that holds a package."""
    return base64.urlsafe_b64encode(package_key.encode()).decode().rstrip("=")


def function_of_path(path: str) -> str | None:
    """Return the function name in the path of a presigned URL, without the UUID after it."""
    last = unquote(path.partition("?")[0]).rpartition("/")[2]
    return last[:-37] or None


def _part(content: Package, range_header: str | None, request_id: str) -> HttpResponse | Download:
    """Return the range that was requested. As in S3, a Range header that cannot be parsed is ignored."""
    etag = f'"{hashlib.md5(content.code_sha256.encode(), usedforsecurity=False).hexdigest()}"'
    headers = {"Content-Type": "application/zip", "Accept-Ranges": "bytes", "ETag": etag}
    matched = _RANGE.fullmatch(range_header or "")
    if matched is None:
        return download(content, None, headers)
    size = content.code_size
    if matched[3] is not None:
        start, end = max(0, size - int(matched[3])), size - 1
    else:
        start, end = int(matched[1]), min(size - 1, int(matched[2] or size - 1))
    if start > end:
        more = {"RangeRequested": range_header, "ActualObjectSize": size}
        return s3_error(416, "InvalidRange", "The requested range is not satisfiable", request_id, more)
    return download(content, (start, end), headers)


@lru_cache(maxsize=4)
def _date_text(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y%m%dT%H%M%SZ}"
