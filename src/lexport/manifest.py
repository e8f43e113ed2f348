"""The layout of a dataset on disk, its manifest, and snapshot ids. Pure: names and bytes, no I/O.

Design: a snapshot exists exactly when ``_runs/<snapshot_id>.json`` does; readers follow that file alone.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from lexport.model import Coverage, Scope, ScopeStatus

RUNS = "_runs"
STAGING = "_staging"
LATEST_HINT = "_latest.json"
PACKAGES = "packages"
FORMAT = "lexport-manifest/1"

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
ULID_LENGTH = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One Parquet file of a snapshot; ``path`` is relative to the destination, ``size_bytes`` its length."""

    table: str
    path: str
    size_bytes: int
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeEntry:
    """One account-region of a snapshot, as in the table ``scopes``."""

    account_id: str
    region: str
    coverage: Coverage
    status: ScopeStatus
    functions: int
    versions: int
    aliases: int
    get_function_calls: int
    list_calls: int
    throttles: int

    @property
    def scope(self) -> Scope:
        """The account-region."""
        return Scope(account_id=self.account_id, region=self.region)

    @property
    def is_whole(self) -> bool:
        """Whether the whole fleet of it was read."""
        return self.coverage == "fleet" and self.status == "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one commit says: every file with its hash, every scope, and how the run was asked for.

    ``gaps`` counts the rows of ``errors`` with ``is_gap``. ``hash_key_id`` is None when nothing was hashed.
    """

    snapshot_id: str
    snapshot_at: datetime
    committed_at: datetime
    status: Literal["complete", "partial"]
    gaps: int
    lexport_version: str
    schema_version: str
    hash_key_id: str | None
    options: dict[str, Any]
    files: tuple[FileEntry, ...]
    scopes: tuple[ScopeEntry, ...]

    @property
    def is_snapshot(self) -> bool:
        """Whether the commit says anything of the fleet; without scopes it holds tables of packages alone."""
        return bool(self.scopes)

    def whole_scopes(self) -> set[Scope]:
        """Return the account-regions whose whole fleet was read."""
        return {entry.scope for entry in self.scopes if entry.is_whole}

    def to_json(self) -> bytes:
        """Write the manifest as stable, readable JSON."""
        body = asdict(self)
        body["snapshot_at"] = format_instant(self.snapshot_at)
        body["committed_at"] = format_instant(self.committed_at)
        return json.dumps({"format": FORMAT, **body}, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_json(cls, body: bytes) -> Manifest:
        """Read a manifest; raises ValueError where it is damaged or of a newer format."""
        raw = json.loads(body)
        if not isinstance(raw, dict) or raw.pop("format", None) != FORMAT:
            raise ValueError(f"not a manifest of format {FORMAT}")
        try:
            return cls(
                **{
                    **raw,
                    "snapshot_at": datetime.fromisoformat(raw["snapshot_at"]),
                    "committed_at": datetime.fromisoformat(raw["committed_at"]),
                    "files": tuple(FileEntry(**entry) for entry in raw["files"]),
                    "scopes": tuple(ScopeEntry(**entry) for entry in raw["scopes"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"damaged manifest: {error}") from error


def new_ulid(at: datetime) -> str:
    """Make a ULID: 48 bits of milliseconds, 80 random bits, Crockford's base 32."""
    number = (int(at.timestamp() * 1000) << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def is_ulid(text: str) -> bool:
    """Tell whether a text is a ULID."""
    return _ULID.fullmatch(text) is not None


def format_instant(at: datetime) -> str:
    """Write an instant in UTC, with microseconds and ``Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def run_path(snapshot_id: str) -> str:
    """Return the path of a commit."""
    return f"{RUNS}/{snapshot_id}.json"


def data_path(table: str, snapshot_id: str, snapshot_at: datetime) -> str:
    """Return the path of a table's file in a snapshot."""
    return f"{table}/snapshot_date={snapshot_at.astimezone(UTC):%Y-%m-%d}/{snapshot_id}-0000.parquet"
