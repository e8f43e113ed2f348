"""Where an S3 bucket is, and credentials for it, for blocking code.

The credentials come from the same chain as those of the Lambda calls. Each load of the chain runs in a thread of its
own with an event loop of its own, so callers may be anywhere.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, TypeVar
from urllib.parse import quote, urlencode

from aiobotocore.config import AioConfig
from botocore import exceptions as boto
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.credentials import Credentials as BotoCredentials

from lexport.aws.botocore_errors import BOTOCORE_ERRORS, error_from_botocore, translate_errors
from lexport.aws.credentials import (
    LONGEST_START_S,
    RENEW_AGAIN_S,
    RENEW_EARLY_S,
    CodePrompt,
    Loaded,
    load_credentials,
)
from lexport.aws.errors import ends_run
from lexport.aws.http.tls import open_trust_store
from lexport.aws.interruptible import run_in_thread
from lexport.aws.quota.retry import retry
from lexport.aws.session import Session, open_session
from lexport.errors import ItemError, RunError, SettingsError

T = TypeVar("T")

_REGION_HEADER = "x-amz-bucket-region"
_ABSENT = 404
_REFUSED = (301, 400, 403)
_LONGEST_PAGE_BYTES = 64 * 1024  # of one object


class S3Credentials(TypedDict):
    """Credentials in the form that obstore takes."""

    access_key_id: str
    secret_access_key: str
    token: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that exists. ``url`` is where its objects are; ``roots`` are more certificates to trust, as PEM."""

    name: str
    region: str
    url: str
    roots: bytes | None


class BucketAccess:
    """The credentials of one profile, loaded once and renewed before they expire. It may be used by many threads.

    ``failure`` is the error of the last renewal, where that failed.
    """

    def __init__(self, profile: str | None, *, clock: Callable[[], float] = time.time) -> None:
        self.failure: RunError | None = None
        self._profile = profile
        self._clock = clock
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._renew_at_s = math.inf

    def __repr__(self) -> str:
        return f"BucketAccess(profile={self._profile!r})"

    def find(self, name: str, timeout_s: float) -> Bucket:
        """Find the bucket and its Region. Raises SettingsError where there is none, CredentialsError, or RunError."""
        return _run(lambda: _find(self._profile, name, timeout_s))

    def __call__(self) -> S3Credentials:
        """Return credentials to sign with now. Raises CredentialsError or RunError."""
        with self._lock:
            if self._loaded is None or self._clock() >= self._renew_at_s:
                self._load()
            assert self._loaded is not None
            signing, expires_at_s = self._loaded.credentials, self._loaded.expires_at_s
        return {
            "access_key_id": signing.access_key,
            "secret_access_key": signing.secret_key,
            "token": signing.token,
            "expires_at": None if expires_at_s is None else datetime.fromtimestamp(expires_at_s, UTC),
        }

    def list_after(self, bucket: Bucket, prefix: str, after: str, timeout_s: float) -> tuple[int, bytes]:
        """List one object with this prefix after this key; return status and body. Raises OSError."""
        query = urlencode({"list-type": "2", "max-keys": "1", "prefix": prefix, "start-after": after}, quote_via=quote)
        held = self()
        keys = BotoCredentials(held["access_key_id"], held["secret_access_key"], held["token"])
        signed = AWSRequest("GET", f"{bucket.url.rstrip('/')}/?{query}")
        S3SigV4Auth(keys, "s3", bucket.region).add_auth(signed)
        roots = None if bucket.roots is None else bucket.roots.decode("ascii", errors="ignore")
        tls = open_trust_store(None) if roots is None else ssl.create_default_context(cadata=roots)
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls))
        request = urllib.request.Request(signed.url, headers=dict(signed.headers))  # noqa: S310 - the bucket's own URL
        try:
            with opener.open(request, timeout=timeout_s) as response:
                return response.status, response.read(_LONGEST_PAGE_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(_LONGEST_PAGE_BYTES)

    def renew(self) -> bool:
        """Load the chain once more, after the credentials were refused as expired; return whether it has others."""
        with self._lock:
            before = self._loaded and self._loaded.credentials
            self._load()
            assert self._loaded is not None
            return self._loaded.credentials != before

    def _load(self) -> None:
        prompt: Callable[[str], str] = CodePrompt(self._profile)
        if self._loaded is not None:
            prompt = CodePrompt(self._profile).refuse
        now_s = self._clock()
        try:
            self._loaded = _run(
                lambda: retry(partial(load_credentials, self._profile, prompt), longest_s=LONGEST_START_S)
            )
        except (ItemError, RunError) as error:
            expires_at_s = None if self._loaded is None else self._loaded.expires_at_s
            if expires_at_s is not None and now_s < expires_at_s:  # valid credentials are used until they expire
                self._renew_at_s = min(now_s + RENEW_AGAIN_S, expires_at_s)
                return
            self.failure = error if isinstance(error, RunError) else ends_run(error)
            raise self.failure from None
        self.failure = None
        expires_at_s = self._loaded.expires_at_s
        if expires_at_s is None:
            self._renew_at_s = math.inf
        else:
            early_s = expires_at_s - RENEW_EARLY_S
            self._renew_at_s = early_s if early_s > now_s else min(now_s + RENEW_AGAIN_S, expires_at_s)


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return run_in_thread(lambda: asyncio.run(work()))


async def _find(profile: str | None, name: str, timeout_s: float) -> Bucket:
    patience = AioConfig(
        connect_timeout=min(timeout_s, 5), read_timeout=timeout_s, retries={"mode": "standard", "total_max_attempts": 4}
    )
    try:
        async with open_session(profile=profile, endpoint_url=None) as session:
            region, url = await _ask(session, name, session.home_region, patience)
            if region not in (None, session.home_region):
                url = await _url_in(session, name, str(region))
            return Bucket(name, region or session.home_region, url.rstrip("/"), _roots(session.ca_bundle))
    except ItemError as error:
        raise ends_run(error) from None


async def _ask(session: Session, name: str, region: str, patience: AioConfig) -> tuple[str | None, str]:
    """Return the bucket's Region, where the server says it, and the bucket's URL in ``region``.

    S3 names the Region in every answer to HeadBucket, also where it refuses the caller.
    """
    urls: list[str] = []
    failure: Exception
    async with session.client("s3", region, await session.credentials(), patience) as client:
        client.meta.events.register("before-call.s3.HeadBucket", lambda params, **_: urls.append(params["url"]))
        try:
            return _header(await client.head_bucket(Bucket=name)), urls[0]
        except boto.ClientError as error:
            found, status = _header(error.response), error.response["ResponseMetadata"].get("HTTPStatusCode")
            if status == _ABSENT:
                failure = SettingsError(f"DEST: there is no bucket {name}; create it first", option="DEST")
            elif found is not None or status in _REFUSED:
                return found, urls[0]
            else:
                failure = RunError(f"cannot find the bucket {name}: HeadBucket was answered with status {status}")
        except BOTOCORE_ERRORS as error:
            failure = error_from_botocore(error, doing=f"cannot find the bucket {name}", profile=session.profile)
    raise failure  # outside the `except`, so that botocore's error is not chained to it


async def _url_in(session: Session, name: str, region: str) -> str:
    """Return the bucket's URL in a Region, by botocore's rules for partitions and AWS_ENDPOINT_URL_S3.

    A call is begun, and stopped before it is sent.
    """
    urls: list[str] = []

    def stop(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        urls.append(params["url"])
        return AWSResponse(params["url"], 200, {}, None), {}

    async def begin_call() -> None:
        async with session.client("s3", region, await session.credentials()) as client:
            client.meta.events.register("before-call.s3.HeadBucket", stop)
            await client.head_bucket(Bucket=name)

    await translate_errors(begin_call, doing=f"cannot find the URL of the bucket {name}", profile=session.profile)
    return urls[0]


def _header(answer: Any) -> str | None:
    found = answer["ResponseMetadata"].get("HTTPHeaders", {}).get(_REGION_HEADER)
    return str(found) if found else None


def _roots(ca_bundle: str | None) -> bytes | None:
    if ca_bundle is None:
        return None
    path = Path(ca_bundle)
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return b"\n".join(file.read_bytes() for file in files if file.is_file())
    except OSError as error:
        raise SettingsError(
            f"the CA file {ca_bundle} cannot be read: {error.strerror}", option="AWS_CA_BUNDLE"
        ) from error
