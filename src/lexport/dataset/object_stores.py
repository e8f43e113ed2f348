"""Open the object store of an address with obstore, which is imported here first: it is the extra ``[cloud]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from lexport.aws.errors import one_line
from lexport.dataset.address import Address
from lexport.errors import SettingsError
from lexport.settings import Destination

if TYPE_CHECKING:
    from obstore.store import ObjectStore

CONNECT_TIMEOUT_S = 5.0
USER_AGENT = "lexport"
_VARIABLES = {
    "gs": "GOOGLE_SERVICE_ACCOUNT, GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or a managed or workload identity",
}
_OK = 200


@dataclass(frozen=True, slots=True)
class ObjectStores:
    """How requests to one bucket are made.

    ``open`` makes a client whose requests end after so many seconds, body included. ``renew`` loads newer credentials
    and returns whether there are any. ``check_end`` gets a prefix and the last key that was listed, and raises where a
    listing did not end there. Keys of the bucket are given whole, with the prefix.
    """

    open: Callable[[float], ObjectStore]
    renew: Callable[[], bool] = lambda: False
    failure: Callable[[], Exception | None] = lambda: None
    check_end: Callable[[str, str], None] = lambda _prefix, _after: None


def need_obstore(url: str) -> None:
    """Raise SettingsError where the extra is not installed."""
    try:
        import obstore  # noqa: F401 - only looked for
    except ImportError:
        raise SettingsError(
            f"DEST {url} is in an object store, which needs the extra [cloud]; run: pip install 'lexport[cloud]'",
            option="DEST",
        ) from None


def object_stores(address: Address, destination: Destination, profile: str | None) -> ObjectStores:
    """Find the bucket and return how to reach it.

    Raises SettingsError where obstore is not installed, or the bucket does not exist; CredentialsError; RunError.
    """
    need_obstore(address.url)
    import obstore.exceptions

    if address.scheme == "s3":
        return _s3(address, destination, destination.dest_profile or profile)
    for option, value in (
        ("--dest-profile", destination.dest_profile),
        ("--dest-sse", destination.sse),
        ("--dest-kms-key", destination.kms_key),
    ):
        if value is not None:
            raise SettingsError(f"{option} is for s3:// alone, and DEST is {address.url}", option=option)
    stores = _gs(address) if address.scheme == "gs" else _az(address)
    try:
        stores.open(destination.timeout_s)  # so that a missing setting is found here
    except obstore.exceptions.BaseError as error:
        missing = one_line(str(error)).rpartition("error: ")[2]
        raise SettingsError(
            f"DEST {address.url} cannot be opened: {missing}; set the variables of its account:"
            f" {_VARIABLES[address.scheme]}",
            option="DEST",
        ) from None
    return stores


def _client(timeout_s: float, *, allow_http: bool, **more: Any) -> Any:
    return {
        "timeout": timedelta(seconds=timeout_s),
        "connect_timeout": timedelta(seconds=min(CONNECT_TIMEOUT_S, timeout_s)),
        "allow_http": allow_http,
        "user_agent": USER_AGENT,
        **more,
    }


def _s3(address: Address, destination: Destination, profile: str | None) -> ObjectStores:
    from obstore.exceptions import GenericError
    from obstore.store import S3Store

    from lexport.aws.bucket import BucketAccess  # imports botocore, late
    from lexport.aws.errors import describe

    access = BucketAccess(profile)
    bucket = access.find(address.bucket, destination.timeout_s)
    access()  # so that missing credentials are found here, with their own error
    # Every setting that obstore would otherwise take from a variable is given.
    config: dict[str, Any] = {
        "endpoint": bucket.url,
        "aws_endpoint_url_s3": bucket.url,
        "virtual_hosted_style_request": True,  # the URL is the bucket's own, also where it is in the path
        "region": bucket.region,
        "conditional_put": "etag",
        "checksum_algorithm": "sha256",
        "unsigned_payload": False,
        "skip_signature": False,
        "s3_express": False,
        "disable_bulk_delete": True,  # its answer to one object is 200, whatever became of it
    }
    if destination.sse is not None or destination.kms_key is not None:
        config["server_side_encryption"] = destination.sse or "aws:kms"
    if destination.kms_key is not None:
        config["sse_kms_key_id"] = destination.kms_key
    roots = {} if bucket.roots is None else {"root_certificate": bucket.roots}

    def open_client(timeout_s: float) -> ObjectStore:
        return S3Store(
            address.bucket,
            config=cast("Any", config),
            client_options=_client(timeout_s, allow_http=bucket.url.startswith("http:"), **roots),
            retry_config={"max_retries": 0},
            credential_provider=cast("Any", access),
        )

    def check_end(prefix: str, after: str) -> None:
        try:
            status, page = access.list_after(bucket, prefix, after, destination.timeout_s)
        except OSError as error:
            raise GenericError(f'kind: Request, error: "{error}"') from None
        if status != _OK:
            raise GenericError(f"status: {status} {page.decode(errors='replace')}")
        if b"<ListBucketResult" not in page:
            raise GenericError(f"a listing was answered with {describe(page)}")
        if b"<Contents>" in page:
            raise GenericError("a listing ended early")

    return ObjectStores(open_client, access.renew, lambda: access.failure, check_end)


def _gs(address: Address) -> ObjectStores:
    from obstore.store import GCSStore

    return ObjectStores(
        lambda timeout_s: GCSStore(
            address.bucket, client_options=_client(timeout_s, allow_http=False), retry_config={"max_retries": 0}
        )
    )


def _az(address: Address) -> ObjectStores:
    import os

    from obstore.store import AzureStore

    is_emulator = os.environ.get("AZURE_STORAGE_USE_EMULATOR", "").lower() in ("1", "true")
    return ObjectStores(
        lambda timeout_s: AzureStore(
            address.bucket, client_options=_client(timeout_s, allow_http=is_emulator), retry_config={"max_retries": 0}
        )
    )
