"""Verify the signatures of requests with botocore's own signer.

The valid keys are ``testing``/``testing`` of the first account, and those that this server's STS has issued.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from botocore.auth import S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lexport.simulator.responses import AwsError, expired_token, unrecognized

ROOT_KEY = "testing"
_MAX_SKEW_S = 15 * 60
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key_id>[^/,\s]+)/\d{8}/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request, *SignedHeaders=(?P<signed_headers>[a-z0-9;_-]+), *Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The owner of a key. ``expires_at_s`` is Unix time, or None for keys that do not expire.

    ``allowed`` are the actions that the session policy allows, or None without a session policy.
    """

    account_id: str
    arn: str
    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires_at_s: float | None = None
    allowed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The content of an Authorization header, not verified yet."""

    key_id: str
    region: str
    service: str
    signed_headers: str
    signature: str


def read_claim(authorization: str | None) -> Claim | None:
    """Parse an Authorization header; return None if it is not of Signature Version 4."""
    matched = _AUTHORIZATION.fullmatch(authorization or "")
    return None if matched is None else Claim(**matched.groupdict())


class KeyRing:
    """The keys that this server accepts."""

    def __init__(self, first_account_id: str) -> None:
        arn = f"arn:aws:iam::{first_account_id}:user/testing"
        root = Caller(account_id=first_account_id, arn=arn, key_id=ROOT_KEY, secret=ROOT_KEY)
        self._identities = {ROOT_KEY: root}
        self._root = root

    def issue(self, account_id: str, arn: str, ttl_s: float, *, allowed: frozenset[str] | None = None) -> Caller:
        """Issue temporary credentials."""
        identity = Caller(
            account_id=account_id,
            arn=arn,
            key_id="ASIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16)),
            secret=secrets.token_urlsafe(30),
            token=secrets.token_urlsafe(96),
            expires_at_s=time.time() + ttl_s,
            allowed=allowed,
        )
        self._identities[identity.key_id] = identity
        return identity

    def believe(self, claim: Claim) -> Caller:
        """Return the owner of a key without verifying the signature; unknown keys belong to the first account."""
        return self._identities.get(claim.key_id, self._root)

    def verify(self, claim: Claim, method: str, path_and_query: str, headers: Mapping[str, str], body: bytes) -> Caller:
        """Return the owner of the key; raises AwsError if the signature is wrong."""
        identity = self._identities.get(claim.key_id)
        token = headers.get("X-Amz-Security-Token")
        if identity is None or identity.token != token:
            raise unrecognized()
        timestamp, signed_headers = headers.get("X-Amz-Date", ""), set(claim.signed_headers.split(";"))
        _check_clock(timestamp)
        # A header that the signature does not cover could be changed on the way: AWS requires that these are covered.
        if not signed_headers.issuperset({"host", "x-amz-date"} | ({"x-amz-security-token"} if token else set())):
            raise _mismatch()
        sent_hash = headers.get("X-Amz-Content-SHA256")
        if sent_hash not in (None, "UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
            raise _mismatch()
        url = f"http://{headers.get('Host', '')}{_normalized(path_and_query)}"
        signed = {name: headers[name] for name in signed_headers if name in headers}
        request = AWSRequest(method=method, url=url, headers=signed, data=body)
        if sent_hash is not None:
            request.headers["X-Amz-Content-SHA256"] = sent_hash
        request.context["timestamp"] = timestamp
        _check_signature(_Verifier(identity, claim), request, claim.signature)
        if identity.expires_at_s is not None and time.time() >= identity.expires_at_s:
            raise expired_token()
        return identity

    def verify_presigned(self, method: str, path_and_query: str, host: str) -> Caller:
        """Return the owner of the key that presigned a URL of S3; raises AwsError if the signature is wrong."""
        path, _, query = path_and_query.partition("?")
        values = dict(parse_qsl(query, keep_blank_values=True))
        key_id, _, region, service = (values.get("X-Amz-Credential", "").split("/") + [""] * 3)[:4]
        identity = self._identities.get(key_id)
        if identity is None or identity.token != values.get("X-Amz-Security-Token"):
            raise AwsError(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist.")
        signature = values.pop("X-Amz-Signature", "")
        request = AWSRequest(method=method, url=f"http://{host}{path}", headers={"host": host}, params=values)
        request.context["timestamp"] = values.get("X-Amz-Date", "")
        credentials = Credentials(identity.key_id, identity.secret)
        _check_signature(S3SigV4QueryAuth(credentials, service, region), request, signature)
        if identity.allowed is not None and "s3:GetObjectVersion" not in identity.allowed:
            raise AwsError(403, "AccessDenied", "Access Denied")
        return identity


class _Verifier(SigV4Auth):  # type: ignore[misc]  # botocore ships no types
    """botocore's signer for the headers that the client has signed."""

    def __init__(self, identity: Caller, claim: Claim) -> None:
        super().__init__(Credentials(identity.key_id, identity.secret), claim.service, claim.region)
        self._signed_headers = set(claim.signed_headers.split(";"))

    def headers_to_sign(self, request: AWSRequest) -> object:
        headers = super().headers_to_sign(request)
        for name in {name.lower() for name in headers} - self._signed_headers:
            del headers[name]
        return headers


def _normalized(path_and_query: str) -> str:
    path, _, query = path_and_query.partition("?")
    pairs = (pair.partition("=")[::2] for pair in query.split("&") if pair)
    encoded = "&".join(
        f"{quote(unquote(name), safe='-_.~')}={quote(unquote(value), safe='-_.~')}" for name, value in pairs
    )
    return urlsplit(path).path + ("?" + encoded if encoded else "")


def _check_signature(auth: SigV4Auth, request: AWSRequest, signature: str) -> None:
    expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    if not hmac.compare_digest(expected, signature):
        raise _mismatch()


def _check_clock(timestamp: str) -> None:
    try:
        signed_at = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise _mismatch() from None
    now = datetime.now(UTC)
    if abs((now - signed_at).total_seconds()) > _MAX_SKEW_S:
        relation = "earlier" if signed_at < now else "later"
        message = f"Signature expired: {timestamp} is now {relation} than {now:%Y%m%dT%H%M%SZ} (15 min.)"
        raise AwsError(403, "InvalidSignatureException", message)


def _mismatch() -> AwsError:
    return AwsError(
        403,
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.",
    )
