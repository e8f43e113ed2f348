"""Check that a snapshot can be published at a destination, before anything is read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from lexport.dataset import layout
from lexport.dataset.commit import prepare_destination
from lexport.dataset.local import LocalStore
from lexport.dataset.open_store import open_store
from lexport.dataset.store import Store
from lexport.errors import CredentialsError, RunError, SettingsError
from lexport.tables.registry import BY_NAME

_OURS = {
    layout.RUNS,
    layout.STAGING,
    layout.LATEST_HINT,
    layout.PRUNED,
    layout.STORED_PACKAGES,
    *BY_NAME,
}
_LOOKED_AT = 1000
"""Objects of one page of a listing: a bucket with other content is known by the first."""


def prepare_store(
    dest: str | os.PathLike[str], *, group_readable: bool, with_packages: bool = False, profile: str | None = None
) -> Store:
    """Return the store of a destination that can be published to; a folder is created if it is absent.

    ``profile`` has the credentials for ``s3://`` where ``dest`` names none. Blocking. Raises SettingsError for a wrong
    address, a bucket that does not exist, a file, a folder that cannot be written, and for a place with other content;
    CredentialsError where a bucket may not be listed; RunError where it cannot be reached. Whether objects can be
    created is found when the first is.
    """
    store = open_store(dest, group_readable=group_readable, profile=profile)
    if store.moved is None:
        return prepare_destination(Path(dest), group_readable=group_readable, with_packages=with_packages)
    try:
        other = other_content(store)
    except PermissionError as error:
        raise CredentialsError(f"DEST {store.url} may not be listed: {error.strerror}") from None
    except OSError as error:
        raise RunError(f"DEST {store.url} cannot be listed: {error.strerror or error}") from None
    if other is not None:
        raise SettingsError(
            f"DEST {store.url} holds something else ({other}); choose a prefix without objects, or a lexport dataset",
            option="DEST",
        )
    return store


def other_content(store: Store) -> str | None:
    """Return the name of something in a destination that is not a dataset; None where there is nothing else."""
    if store.names(layout.RUNS):
        return None
    if isinstance(store, LocalStore):
        names: Iterable[str] = store.names("")
    else:
        names = dict.fromkeys(file.path.partition("/")[0] for file in islice(store.files(""), _LOOKED_AT))
    return next((name for name in names if name not in _OURS and not name.startswith((".", "lost+found"))), None)
