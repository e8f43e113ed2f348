"""Where the files of a destination are for Iceberg, and how pyiceberg reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO

from lexport.dataset.address import Address, parse_address
from lexport.dataset.store import Store
from lexport.errors import SettingsError
from lexport.query.catalog import location
from lexport.query.publish.s3 import s3_access
from lexport.settings import Destination

NOT_IN_URLS = re.compile(r"[#?%]")


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
        """Return the URL of a file, whose path is relative to the destination or a URL itself."""
        return path if "://" in path else f"{self.root}/{path}"


def open_files(dest: Destination, store: Store) -> Files:
    """Return where the files of a destination are. Raises SettingsError where Iceberg cannot name them."""
    address = parse_address(dest)
    if address is None:
        root, properties = f"file://{location(store)}", {}
    elif address.scheme == "s3":
        root, properties = address.url, _s3_properties(address, dest)
    else:
        raise SettingsError(f"DEST {address.url}: only a folder and s3:// can be published to Iceberg", option="DEST")
    if found := NOT_IN_URLS.search(root):
        raise SettingsError(f"DEST {root}: readers of Iceberg take {found[0]} for a part of URLs", option="DEST")
    return Files(root=root, io=PyArrowFileIO(properties), properties=properties)


def _s3_properties(address: Address, dest: Destination) -> dict[str, str]:
    access = s3_access(address, dest)
    properties = {
        "s3.endpoint": f"{access.scheme}://{access.host}",
        "s3.region": access.region,
        "s3.access-key-id": access.key_id,
        "s3.secret-access-key": access.secret,
        "s3.force-virtual-addressing": str(access.is_virtual).lower(),
        "s3.connect-timeout": str(min(5.0, dest.timeout_s)),
        "s3.request-timeout": str(dest.timeout_s),
    }
    if access.token is not None:
        properties["s3.session-token"] = access.token
    return properties
