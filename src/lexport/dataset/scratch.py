"""Temporary folders of runs into a bucket and of loads, which the next one removes where one was killed. Blocking.

A run locks its folder for as long as its process lives, so a folder without a lock belongs to no one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from lexport.model import ULID_PATTERN

_LOCK = ".lock"
_LOCKED: dict[Path, int] = {}
"""The folders of this process, with the descriptors that hold their locks."""


def open_temporary(run: str) -> Path:
    """Create a private temporary folder for a run, and remove those that killed runs left. Raises OSError."""
    _remove_abandoned(Path(tempfile.gettempdir()))
    unlocked = Path(tempfile.mkdtemp(prefix="lexport-new-"))  # has its name once it is locked: others look for that
    descriptor = os.open(unlocked / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(OSError):  # a file system without locks; nothing is removed there either
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    folder = unlocked.rename(unlocked.with_name(unlocked.name.replace("new", run, 1)))
    _LOCKED[folder] = descriptor
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a folder of a run, temporary or not, and its lock, as far as that is possible."""
    shutil.rmtree(folder, ignore_errors=True)
    if (descriptor := _LOCKED.pop(folder, None)) is not None:
        os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"lexport-{ULID_PATTERN}-*"):
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its run is at work
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
