"""Open the store of a destination, whatever it is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from lexport.dataset import layout
from lexport.dataset.address import Address, parse_address
from lexport.dataset.local import LocalStore
from lexport.dataset.store import Store
from lexport.errors import SettingsError
from lexport.settings import Destination


def open_store(dest: str | os.PathLike[str], *, group_readable: bool = False, profile: str | None = None) -> Store:
    """Return the store of a folder or of an address like ``s3://bucket/prefix``; nothing is created.

    ``profile`` has the credentials for ``s3://``, unless ``dest`` is a Destination with its own. Blocking. Raises
    SettingsError for a wrong address, a bucket that does not exist and a missing extra; CredentialsError; RunError.
    """
    address = parse_address(dest)
    destination = dest if isinstance(dest, Destination) else Destination(os.fspath(dest))
    if address is not None:
        return _open_cloud(address, destination, profile)
    for option, value in (("--dest-sse", destination.sse), ("--dest-kms-key", destination.kms_key)):
        if value is not None:
            raise SettingsError(f"{option} is for s3:// alone, and DEST {destination} is a folder", option=option)
    return LocalStore(Path(destination).absolute(), group_readable)


def with_profile(dest: str | os.PathLike[str], profile: str | None) -> Destination:
    """Return the destination whose bucket is reached with an AWS profile, unless it names its own."""
    destination = dest if isinstance(dest, Destination) else Destination(os.fspath(dest))
    return replace(destination, dest_profile=destination.dest_profile or profile)


def check_is_dataset(store: Store) -> None:
    """Raise SettingsError where DEST holds no dataset; one that only has unfinished runs is one too. Blocking."""
    dest = store.url
    if isinstance(store, LocalStore) and not store.root.is_dir():
        is_there = store.root.exists()
        raise SettingsError(f"DEST {dest} {'is a file, not a folder' if is_there else 'does not exist'}", option="DEST")
    if not {layout.RUNS, layout.STAGING, layout.PRUNED} & set(store.names("")):
        raise SettingsError(f"DEST {dest} is not a lexport dataset: it has no {layout.RUNS} folder", option="DEST")


def _open_cloud(address: Address, destination: Destination, profile: str | None) -> Store:
    from lexport.dataset.object_stores import object_stores

    stores = object_stores(address, destination, profile)  # raises where obstore is absent, which these import
    from lexport.dataset.cloud import CloudStore
    from lexport.dataset.requests import Requests

    return CloudStore(
        address.url,
        address.prefix,
        Requests(stores, timeout_s=destination.timeout_s),
        cache_size_bytes=destination.cache_size_bytes,
        caches_values=destination.cache_values,
    )
