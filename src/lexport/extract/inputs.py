"""The files that the settings name, read before the first call: functions, accounts and the key of the HMACs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from anyio import to_thread

from lexport.dataset.commits import newest_first
from lexport.dataset.store import Store
from lexport.extract.accounts import read_accounts
from lexport.extract.cluster_options import check_cluster_options
from lexport.extract.hash_key import KEY_VARIABLE, HashKey, load_hash_key
from lexport.extract.selection import Selection, read_selection
from lexport.settings import SnapshotSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The content of the user's files. ``selection`` is None where whole fleets are read."""

    selection: Selection | None
    accounts: tuple[str, ...]
    hash_key: HashKey | None = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """A hash of the functions and accounts that were read from files and options."""
        content = repr((self.accounts, self.selection)).encode("utf-8", "backslashreplace")
        return hashlib.sha256(content).hexdigest()[:16]

    @property
    def hash_key_id(self) -> str | None:
        """The id of the key; None where no variables are read."""
        return self.hash_key.key_id if self.hash_key else None


async def read_inputs(
    settings: SnapshotSettings, *, note: Callable[[str], None], needs_hash_key: bool = True
) -> Inputs:
    """Read every file that the settings name; raises SettingsError for the first that is wrong.

    The options that name workers are checked too, because it is the first step of each run that has them.
    """
    check_cluster_options(settings, note)
    read = partial(to_thread.run_sync, abandon_on_cancel=True)  # reading from a pipe may take for ever
    select = partial(read_selection, settings.functions, settings.functions_from, note=note)
    reads_variables = needs_hash_key and settings.env != "none"
    return Inputs(
        selection=await read(select) if settings.is_selection else None,
        accounts=await read(read_accounts, settings.accounts, settings.accounts_from),
        hash_key=await read(load_hash_key, settings.hash_key_file) if reads_variables else None,
    )


def note_other_key(inputs: Inputs, store: Store, *, note: Callable[[str], None]) -> None:
    """Note it where hashes of this snapshot cannot be compared with those of the last, or of the next. Blocking.

    Who writes to a bucket may have no disk that lasts, so a key that was just made there is likely to be lost.
    """
    if store.moved is not None and inputs.hash_key and inputs.hash_key.made_in:
        note(
            f"warning: the hash key was made in {inputs.hash_key.made_in}; if this disk does not last, the next run"
            " makes another one, value_hmac cannot be compared, changed values of variables are not seen, and"
            f" --incremental reads everything again; keep the key, and set {KEY_VARIABLE} or --hash-key-file"
        )
    last = next(newest_first(store, lambda damaged: note(damaged.note)), None)
    if inputs.hash_key_id and last and last.hash_key_id not in (None, inputs.hash_key_id):
        note(
            f"the hash key {inputs.hash_key_id} is not the {last.hash_key_id} of the last snapshot, so value_hmac"
            f" cannot be compared with it; carry the key over: set {KEY_VARIABLE} or --hash-key-file to that of the"
            " earlier runs"
        )
