"""Where the files of a destination are for Iceberg, and how pyiceberg reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO

from lexport.dataset.address import Address, parse_address
from lexport.dataset.store import Store
from lexport.errors import SettingsError
from lexport.query.catalog import location
from lexport.settings import Destination

_NOT_IN_URLS = re.compile(r"[#?%]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where the files of the destination are: ``root`` is its URL, ``io`` reads below it.

    ``properties`` are those of ``io``, with credentials.
    """

    root: str
    io: FileIO
    properties: dict[str, str]

    def __repr__(self) -> str:
        return f"Files({self.root!r})"

    def location(self, path: str) -> str:
        """Return the URL of a file."""
        return f"{self.root}/{path}"


def open_files(dest: Destination, store: Store) -> Files:
    """Return where the files of a destination are. Raises SettingsError where Iceberg cannot name them."""
    address = parse_address(dest)
    if address is None:
        root, properties = f"file://{location(store)}", {}
    elif address.scheme == "s3":
        root, properties = address.url, _s3_properties(address, dest)
    else:
        raise SettingsError(f"DEST {address.url}: only a folder and s3:// can be published to Iceberg", option="DEST")
    if found := _NOT_IN_URLS.search(root):
        raise SettingsError(f"DEST {root}: readers of Iceberg take {found[0]} for a part of URLs", option="DEST")
    return Files(root=root, io=PyArrowFileIO(properties), properties=properties)


def _s3_properties(address: Address, dest: Destination) -> dict[str, str]:
    from lexport.aws.bucket import BucketAccess  # imports botocore, late

    access = BucketAccess(dest.dest_profile)
    bucket = access.find(address.bucket, dest.timeout_s)
    held = access()
    url = urlsplit(bucket.url)
    is_virtual = url.netloc.startswith(f"{bucket.name}.")
    host = url.netloc.removeprefix(f"{bucket.name}.")
    properties = {
        "s3.endpoint": urlunsplit((url.scheme, host, "", "", "")),
        "s3.region": bucket.region,
        "s3.access-key-id": held["access_key_id"],
        "s3.secret-access-key": held["secret_access_key"],
        "s3.force-virtual-addressing": str(is_virtual).lower(),
        "s3.connect-timeout": str(min(5.0, dest.timeout_s)),
        "s3.request-timeout": str(dest.timeout_s),
    }
    if held["token"] is not None:
        properties["s3.session-token"] = held["token"]
    return properties
