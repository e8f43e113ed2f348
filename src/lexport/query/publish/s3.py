"""How other libraries reach the bucket of a destination, with its credentials."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lexport.aws.redact import remember_secret
from lexport.dataset.address import Address
from lexport.settings import Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """The server of a bucket, and credentials that are valid for some time.

    ``is_virtual``: the name of the bucket comes before that of the host.
    """

    scheme: str
    host: str
    region: str
    is_virtual: bool
    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(repr=False)


def s3_access(address: Address, dest: Destination) -> S3Access:
    """Find the bucket and load credentials. Raises SettingsError, CredentialsError and RunError."""
    from lexport.aws.bucket import BucketAccess  # imports botocore, late

    access = BucketAccess(dest.dest_profile)
    bucket = access.find(address.bucket, dest.timeout_s)
    held = access()
    remember_secret(held["secret_access_key"], held["token"])
    url = urlsplit(bucket.url)
    return S3Access(
        scheme=url.scheme,
        host=url.netloc.removeprefix(f"{bucket.name}."),
        region=bucket.region,
        is_virtual=url.netloc.startswith(f"{bucket.name}."),
        key_id=held["access_key_id"],
        secret=held["secret_access_key"],
        token=held["token"],
    )
