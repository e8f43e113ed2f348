"""Where a feed is written: a new folder, or a new prefix of a bucket; or one file. Blocking.

Files are drafted on this machine and get their place when all are complete, ``feed.json`` last.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lexport.dataset.address import parse_address
from lexport.dataset.local import hash_file, sync_folder
from lexport.dataset.open_store import open_store
from lexport.dataset.scratch import remove_folder
from lexport.dataset.store import Store, UnavailableError
from lexport.errors import CredentialsError, RunError, SettingsError, WriteError
from lexport.settings import Destination


class Target(Protocol):
    """Where the files of a feed go."""

    def open_draft(self, load_id: str) -> Path:
        """Create a private folder on this machine for the files."""

    def publish(self, files: Sequence[Path]) -> None:
        """Give the synced files of the draft their place, all of them or none, the last one last."""

    def remove_draft(self, draft: Path) -> None:
        """Remove the private folder."""


def find_target(path: str | os.PathLike[str], *, is_file: bool, dest: str | os.PathLike[str]) -> Target:
    """Return the place that ``-o`` names; nothing is created. A bucket is reached as that of ``dest`` is.

    Raises SettingsError where a folder, or an object, is there already, or the place cannot be.
    """
    if not is_in_bucket(path):
        return _Local.find(Path(path).absolute(), shown=str(path), is_file=is_file)
    target = path if isinstance(path, Destination) else Destination(os.fspath(path))
    if not isinstance(path, Destination) and isinstance(dest, Destination):
        target = replace(dest, url=target.url)
    return _Bucket.find(target, is_file=is_file)


def is_in_bucket(path: str | os.PathLike[str]) -> bool:
    """Return whether ``-o`` names a place in a bucket. Raises SettingsError for an address that is none."""
    with _about_output():
        return parse_address(path) is not None


@contextmanager
def _about_output() -> Iterator[None]:
    """Name the option in errors about an address, which are those of a destination."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(str(error).replace("DEST", "-o", 1), option="-o") from error


@contextmanager
def open_draft(target: Target, load_id: str) -> Iterator[Path]:
    """Open the private folder of a feed, and remove it at the end."""
    draft = target.open_draft(load_id)
    try:
        yield draft
    finally:
        target.remove_draft(draft)


def _refusal(shown: str, *, is_file: bool) -> SettingsError:
    return SettingsError(f"-o {shown} is there already; a new {'name' if is_file else 'folder'} is wanted", option="-o")


@dataclass(frozen=True, slots=True)
class _Local:
    """A folder of this machine, which is there whole or not at all; or a file, which replaces an old one."""

    path: Path
    shown: str
    is_file: bool

    @classmethod
    def find(cls, path: Path, *, shown: str, is_file: bool) -> _Local:
        if path.is_dir() if is_file else os.path.lexists(path):
            raise _refusal(shown, is_file=is_file)
        if not path.parent.is_dir():
            raise SettingsError(f"-o {shown}: there is no folder {path.parent}", option="-o")
        return cls(path, shown, is_file)

    def open_draft(self, _load_id: str) -> Path:
        draft = self.path.with_name(f".{self.path.name[:50]}.{os.getpid()}.{secrets.token_hex(4)}")
        draft.mkdir(mode=0o700)
        return draft

    def publish(self, files: Sequence[Path]) -> None:
        draft = files[0].parent
        sync_folder(draft)
        (files[0] if self.is_file else draft).replace(self.path)  # refuses a folder that is not empty by now
        with suppress(OSError):  # the feed is complete; should a loss of power undo the rename, it is written again
            sync_folder(self.path.parent)

    def remove_draft(self, draft: Path) -> None:
        shutil.rmtree(draft, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Bucket:
    """A prefix of a bucket without any object, or one object."""

    store: Store

    @classmethod
    def find(cls, target: Destination, *, is_file: bool) -> _Bucket:
        folder, _, name = target.url.rpartition("/")
        if is_file and (not name or folder.endswith("/")):
            raise SettingsError(f"-o {target.url}: the name of an object is wanted", option="-o")
        with _about_output():
            store = open_store(replace(target, url=folder) if is_file else target)
        try:
            is_there = name in store.names("") if is_file else bool(store.names(""))
        except UnavailableError as error:
            raise RunError(f"-o {target.url} cannot be reached: {error.strerror}") from error
        except PermissionError as error:
            raise CredentialsError(f"-o {target.url} cannot be listed: {error.strerror}") from error
        except OSError as error:
            raise SettingsError(f"-o {target.url}: {error.strerror or error}", option="-o") from error
        if is_there:
            raise _refusal(target.url, is_file=is_file)
        return cls(store)

    def open_draft(self, load_id: str) -> Path:
        return self.store.open_scratch(load_id)

    def publish(self, files: Sequence[Path]) -> None:
        placed: list[str] = []
        try:
            for path in files:
                self.store.place(path, path.name, sha256=hash_file(path))
                placed.append(path.name)
        except BaseException:
            for name in placed:
                with suppress(OSError):
                    self.store.remove(name)
            raise

    def remove_draft(self, draft: Path) -> None:
        remove_folder(draft)


@contextmanager
def errors_of_writing(shown: str) -> Iterator[None]:
    """Raise an OSError of this machine as WriteError."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"cannot write {shown}: {error.strerror or error}", path=shown) from error
