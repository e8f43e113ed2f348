"""Give a finished file its name in one atomic step that never replaces another file.

A hard link does it on most file systems. Where there are none (exFAT, many FUSE and SMB mounts), Linux renames with
RENAME_NOREPLACE. Blocking.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""Errors of ``link`` on a file system without hard links."""
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def link_new(source: Path, target: Path) -> None:
    """Give ``source`` the name ``target`` too. Where it had to be renamed, ``source`` is gone afterwards.

    Raises FileExistsError where the name is taken, OSError otherwise. After an I/O or network error the file may have
    the name nevertheless.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS or not sys.platform.startswith("linux"):
            raise
        refused = _rename_new(source, target)
        if refused in NO_HARD_LINKS:  # neither works: the first error is the one that a user can look up
            raise
        if refused:
            raise OSError(refused, os.strerror(refused), str(source), None, str(target)) from error


def _rename_new(source: Path, target: Path) -> int:
    """Rename unless the target exists; return 0 or the error's number."""
    import ctypes  # only on file systems without hard links

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return errno.ENOSYS
    done: int = rename(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    return ctypes.get_errno() if done else 0
