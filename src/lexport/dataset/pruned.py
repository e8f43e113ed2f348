"""The marks in ``_pruned``: a commit is marked before it is removed, and its files go some time after that. Blocking.

A mark stays for good. It says what was removed, when and why, and which account-regions the commit had read whole:
``lexport feed`` needs that. A mark beside its commit means that a prune was interrupted; the commit still counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from lexport.dataset.commits import DamagedCommit
from lexport.dataset.layout import pruned_path
from lexport.dataset.manifest import NO_JSON, AccountId, Count, Id, Instant, Manifest, Region, Sha256, format_instant
from lexport.dataset.store import Store, StoredFile
from lexport.errors import PublishError, WriteError
from lexport.model import Scope

FORMAT = "lexport-pruned/1"

_Text = Annotated[str, msgspec.Meta(max_length=4_096)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedFile:
    """A file of a pruned commit; its hash is unknown where the manifest was damaged."""

    path: _Text
    size_bytes: Count
    sha256: Sha256 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedScope:
    """An account-region that a pruned commit had read whole."""

    account_id: AccountId
    region: Region


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedCommit:
    """What is known of a pruned commit: its times, its files, and the account-regions that it had read whole.

    Times and ``whole_scopes`` are None where its manifest, or the mark, is damaged.
    """

    snapshot_id: Id
    snapshot_at: Instant | None = None
    committed_at: Instant | None = None
    pruned_at: Instant | None = None
    reason: _Text = ""
    whole_scopes: tuple[PrunedScope, ...] | None = None
    files: tuple[PrunedFile, ...] = ()

    @property
    def scopes(self) -> frozenset[Scope] | None:
        """The account-regions that it had read whole, None where they are unknown."""
        if self.whole_scopes is None:
            return None
        return frozenset(Scope(account_id=scope.account_id, region=scope.region) for scope in self.whole_scopes)

    def to_json(self) -> bytes:
        """Write the mark as readable JSON."""
        body = asdict(self)
        for name in ("snapshot_at", "committed_at", "pruned_at"):
            body[name] = body[name] and format_instant(body[name])
        return json.dumps({"format": FORMAT, **body}, indent=1, ensure_ascii=False).encode() + b"\n"


def describe(
    commit: Manifest | DamagedCommit, found: Iterable[StoredFile], *, reason: str, now: datetime
) -> PrunedCommit:
    """Describe a commit that is about to be removed; ``found`` are its files, where the manifest cannot tell."""
    if isinstance(commit, DamagedCommit):
        files = tuple(PrunedFile(path=file.path, size_bytes=file.size_bytes) for file in found)
        return PrunedCommit(snapshot_id=commit.snapshot_id, pruned_at=now, reason=reason, files=files)
    return PrunedCommit(
        snapshot_id=commit.snapshot_id,
        snapshot_at=commit.snapshot_at,
        committed_at=commit.committed_at,
        pruned_at=now,
        reason=reason,
        whole_scopes=tuple(PrunedScope(**asdict(scope)) for scope in sorted(commit.whole_scopes())),
        files=tuple(
            PrunedFile(path=entry.path, size_bytes=entry.size_bytes, sha256=entry.sha256) for entry in commit.files
        ),
    )


def mark(store: Store, commit: PrunedCommit) -> None:
    """Create the mark of a commit, or date that of an interrupted prune anew: files stay for a while from now on.

    Raises WriteError.
    """
    path, body = pruned_path(commit.snapshot_id), commit.to_json()
    try:
        unsure = store.create(path, body)
    except PublishError:
        try:
            store.swap(path, body, expected=store.read(path))  # where another prune was faster, its mark is as good
        except FileNotFoundError as error:
            raise WriteError(f"{store.url}/{path} was removed meanwhile; run lexport prune again", path=path) from error
        return
    if unsure is not None:
        raise WriteError(f"cannot write {store.url}/{path}: {unsure.strerror or unsure}", path=path) from unsure


def read_mark(store: Store, snapshot_id: str) -> PrunedCommit | None:
    """Return the mark of a commit, None where there is none; of a damaged mark only the id is known. Raises OSError."""
    try:
        body = store.read(pruned_path(snapshot_id))
    except FileNotFoundError:
        return None
    try:
        known = msgspec.json.decode(body, type=PrunedCommit)
    except NO_JSON:
        return PrunedCommit(snapshot_id=snapshot_id)
    return known if known.snapshot_id == snapshot_id else PrunedCommit(snapshot_id=snapshot_id)


def read_marks(store: Store, snapshot_ids: Sequence[str]) -> list[PrunedCommit]:
    """Return the marks of several commits."""
    marks = (read_mark(store, snapshot_id) for snapshot_id in snapshot_ids)
    return [known for known in marks if known is not None]
