"""The manifest of a commit, as JSON. Pure: bytes in, values out.

A manifest is untrusted input, so ``Manifest.from_json`` is strict, and every reader uses it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, get_args

import msgspec
from msgspec import Meta

from lexport.dataset.layout import data_prefix, is_data_path
from lexport.model import ULID_PATTERN, Coverage, Scope, ScopeStatus
from lexport.settings import EnvMode, Qualifiers
from lexport.tables.functions import FUNCTIONS
from lexport.tables.registry import fleet_resources, resource_tables, tables_of_every_snapshot, tables_read
from lexport.tables.run import CHANGES, RETIRED, SCOPES
from lexport.tables.text import plural

FORMAT = "lexport-manifest/1"
RETIREMENT_FORMAT = "lexport-manifest/2"
"""The format of a commit that retires account-regions. Releases that do not know it ask for an upgrade: they would go
on showing what it retires."""
MOST_BYTES = 64 * 2**20
"""The greatest size of a manifest, about 150,000 account-regions. A longer one is not read."""
MOST_DEPTH = 16
"""The deepest nesting of lists and objects in ``options``; lexport writes two levels."""

OF_EVERY_SNAPSHOT = tables_of_every_snapshot()
COUNTED = tuple(table for table in OF_EVERY_SNAPSHOT if table is not FUNCTIONS and table.name in SCOPES.names())
"""Tables whose rows ``scopes`` counts, each in the column of its name. Of ``functions`` it counts the functions."""

_FORMAT = re.compile(r"lexport-manifest/([1-9][0-9]{0,8})")
_FIRST_YEAR, _LAST_YEAR = 2000, 2199  # of every instant; nanoseconds in Arrow end in 2262

Id = Annotated[str, Meta(pattern=rf"\A{ULID_PATTERN}\Z")]
Name = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,62}\Z")]
Release = Annotated[str, Meta(pattern=r"\A[0-9A-Za-z.+_-]{1,64}\Z")]
Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
AccountId = Annotated[str, Meta(pattern=r"\A[0-9]{12}\Z")]
Region = Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,64}\Z")]
EntryStatus = ScopeStatus | Literal["retired"]
KeyId = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f]{1,128}\Z")]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Instant = Annotated[datetime, Meta(tz=True)]

NO_JSON = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What msgspec raises for bytes that are no JSON of the right form."""


class ManifestError(ValueError):
    """A manifest cannot be used, because it is damaged or contradicts itself."""

    kind: ClassVar[str] = "damaged_manifest"


class WrongManifestError(ManifestError):
    """A manifest has the file name of another snapshot."""

    kind = "wrong_manifest"


class NewerFormatError(ManifestError):
    """A manifest has a format that this release does not know."""

    kind = "newer_format"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One Parquet file of a snapshot; ``path`` is relative to the destination.

    A table may have several files: the last row of one sorts before the first row of the next. ``read`` is False for
    the empty file of a table that the run did not read, which is there for programs that list folders.
    """

    table: Name
    path: str
    size_bytes: Count
    rows: Count
    sha256: Sha256
    read: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeEntry:
    """One account-region of a snapshot, as in the table ``scopes``.

    ``references`` counts the distinct versions that were listed or named; each is a row of ``functions`` or of
    ``errors``. It is None where the release that wrote the manifest did not count them. The ``status`` is ``retired``
    where the account-region has ended: nothing was read, and what was read before is shown as history alone.
    """

    account_id: AccountId
    region: Region
    coverage: Coverage
    status: EntryStatus
    functions: Count
    versions: Count
    aliases: Count
    get_function_calls: Count
    list_calls: Count
    throttles: Count
    references: Count | None = None

    @property
    def scope(self) -> Scope:
        """The account-region."""
        return Scope(account_id=self.account_id, region=self.region)

    @property
    def is_whole(self) -> bool:
        """Whether its whole fleet was read."""
        return self.coverage == "fleet" and self.status == "complete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One commit: every file with its hash, every scope, and the settings of the run as ``options``.

    ``gaps`` counts the rows of ``errors`` with ``is_gap``. ``hash_key_id`` is None when nothing was hashed.
    ``packages`` counts the distinct packages that the run should have, ``packages_stored`` those of them that are
    stored; both are None where it fetched none.
    """

    snapshot_id: Id
    snapshot_at: Instant
    committed_at: Instant
    status: Literal["complete", "partial"]
    gaps: Count
    lexport_version: Release
    schema_version: Release
    hash_key_id: KeyId | None
    options: dict[str, Any]
    files: tuple[FileEntry, ...]
    scopes: tuple[ScopeEntry, ...]
    packages: Count | None = None
    packages_stored: Count | None = None

    @property
    def is_snapshot(self) -> bool:
        """Whether the commit is of the fleet; one without scopes holds tables of packages alone."""
        return bool(self.scopes) and not self.is_retirement

    @property
    def is_retirement(self) -> bool:
        """Whether the commit says that account-regions have ended; then it says so of all of its account-regions."""
        return bool(self.scopes) and self.scopes[0].status == RETIRED

    def whole_scopes(self) -> set[Scope]:
        """Return the account-regions whose whole fleet was read."""
        return {entry.scope for entry in self.scopes if entry.is_whole}

    def settled_scopes(self) -> set[Scope]:
        """Return the account-regions of which the commit says what there is: all was read, or they have ended."""
        return {entry.scope for entry in self.scopes} if self.is_retirement else self.whole_scopes()

    @property
    def format(self) -> str:
        """The format that the manifest is written in."""
        return RETIREMENT_FORMAT if self.is_retirement else FORMAT

    def to_json(self) -> bytes:
        """Write the manifest as stable, readable JSON."""
        body = asdict(self)
        body["snapshot_at"] = format_instant(self.snapshot_at)
        body["committed_at"] = format_instant(self.committed_at)
        for name in ("packages", "packages_stored"):
            if body[name] is None:
                del body[name]
        return json.dumps({"format": self.format, **body}, indent=1, ensure_ascii=False).encode() + b"\n"

    def entries(self, table: str) -> list[FileEntry]:
        """Return the files of a table in the order of their rows, none where the run did not read the table."""
        return sorted(
            (entry for entry in self.files if entry.table == table and entry.read), key=lambda entry: entry.path
        )

    @classmethod
    def from_json(cls, body: bytes, *, snapshot_id: str | None = None) -> Manifest:
        """Decode a manifest; fields that this release does not know are ignored.

        Raises ManifestError where it is damaged or contradicts itself, NewerFormatError for a newer format.
        """
        if len(body) > MOST_BYTES:
            raise ManifestError(f"it has more than {MOST_BYTES:,} bytes")
        keys = Counter(_UNIQUE_KEYS.findall(body))
        if repeated := next((key.decode() for key, count in keys.items() if count > 1), None):
            raise ManifestError(f"damaged manifest: the key {repeated!r} stands in it twice")
        try:
            written_as = _HEAD.decode(body).format
            _check_format(written_as)
            manifest = _MANIFEST.decode(body)
        except NO_JSON as error:
            raise ManifestError(f"damaged manifest: {error}") from error
        if snapshot_id is not None and manifest.snapshot_id != snapshot_id:
            raise WrongManifestError(f"it is the manifest of {manifest.snapshot_id}")
        contradiction = _contradiction(manifest, written_as)
        if contradiction is not None:
            raise ManifestError(f"damaged manifest: {contradiction}")
        return manifest


_UNIQUE_KEYS = re.compile(rb'"(format|snapshot_id|snapshot_at|committed_at|files|scopes)"\s*:')
"""Keys of the manifest itself. Where one is there twice, DuckDB would read the first and msgspec the last."""


class _Head(msgspec.Struct):
    format: str


_HEAD, _MANIFEST = msgspec.json.Decoder(_Head), msgspec.json.Decoder(Manifest)
"""Made once, in one thread: msgspec crashes where several threads prepare the same type at the same time."""


def _check_format(text: str) -> None:
    if _FORMAT.fullmatch(text) is None:
        raise ManifestError(f"not a manifest of format {FORMAT}")
    if text not in (FORMAT, RETIREMENT_FORMAT):
        raise NewerFormatError(f"written by a newer lexport (format {text}); upgrade lexport")


def _contradiction(manifest: Manifest, written_as: str) -> str | None:
    """Describe what is impossible in a well-formed manifest: foreign files or contradicting parts; else None."""
    for name in ("snapshot_at", "committed_at"):
        if not _FIRST_YEAR <= getattr(manifest, name).year <= _LAST_YEAR:
            return f"{name} is in the year {getattr(manifest, name).year}"
    prefix = data_prefix(manifest.snapshot_id, manifest.snapshot_at)
    for entry in manifest.files:
        if not is_data_path(entry.path, entry.table, prefix):
            return f"{entry.path!r} is no file of table {entry.table} of this snapshot"
    for kind, counted in (
        ("the file", Counter(entry.path for entry in manifest.files)),
        ("the account-region", Counter(f"{entry.account_id} {entry.region}" for entry in manifest.scopes)),
    ):
        repeated = next((text for text, count in counted.items() if count > 1), None)
        if repeated is not None:
            return f"{kind} {repeated} is there twice"
    if (manifest.status == "partial") != (manifest.gaps > 0):
        return f"status {manifest.status} with {manifest.gaps:,} gaps"
    packages, stored = manifest.packages, manifest.packages_stored
    if (packages is None) != (stored is None) or (stored or 0) > (packages or 0):
        return f"{stored} stored packages of {packages}"
    return _wrong_option(manifest.options) or _wrong_sum(manifest) or _wrong_retirement(manifest, written_as)


_OF_RETIREMENT = {SCOPES.name, CHANGES.name}
_COUNTS = ("functions", "versions", "aliases", "get_function_calls", "list_calls", "throttles", "references")

_CHOICES: dict[str, tuple[object, ...]] = {
    "env": get_args(EnvMode),
    "qualifiers": get_args(Qualifiers),
    **{resource.name: (True, False) for resource in fleet_resources() if resource.left_out_by},
}


def _wrong_option(options: dict[str, Any]) -> str | None:
    """Check the options that readers use, and the nesting of all of them; else None."""
    for name, choices in _CHOICES.items():
        value = options.get(name, choices[0])
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            return f"option {name} is {str(value)[:40]!r}"
    level: list[object] = [options]
    for _ in range(MOST_DEPTH):
        level = [
            value
            for item in level
            if isinstance(item, dict | list)
            for value in (item.values() if isinstance(item, dict) else item)
        ]
    return f"options are nested more than {MOST_DEPTH} levels deep" if level else None


def _wrong_sum(manifest: Manifest) -> str | None:
    """Compare the tables and their rows with the account-regions; a commit of packages alone has neither."""
    rows: Counter[str] = Counter()
    for entry in manifest.files:
        if entry.read:
            rows[entry.table] += entry.rows
    for entry in manifest.files:
        if not entry.read and (entry.rows or entry.table in rows):
            return f"the table {entry.table} was not read, and has {plural(entry.rows + rows[entry.table], 'row')}"
    if manifest.is_snapshot:
        left_out = {*resource_tables()} - tables_read(manifest.options)
        found = {entry.table for entry in manifest.files}
        for table in OF_EVERY_SNAPSHOT:
            if table.name not in (found if table in left_out else rows):
                return f"the table {table.name} is missing"
    for table, count in (
        (SCOPES, len(manifest.scopes)),
        (FUNCTIONS, sum(entry.versions for entry in manifest.scopes)),
        *((table, sum(getattr(entry, table.name) for entry in manifest.scopes)) for table in COUNTED),
    ):
        if rows[table.name] != count:
            return f"{table.name} has {plural(rows[table.name], 'row')}, the account-regions make {count:,}"
    return None


def _wrong_retirement(manifest: Manifest, written_as: str) -> str | None:
    """Check that account-regions are retired by a commit that does nothing else; else None."""
    retired = [entry for entry in manifest.scopes if entry.status == RETIRED]
    if len(retired) not in (0, len(manifest.scopes)):
        return f"{retired[0].scope} is retired in a commit that read others"
    if manifest.format != written_as:
        return f"format {written_as} of a commit that should have {manifest.format}"
    if not retired:
        return None
    for entry in retired:
        if entry.coverage != "fleet" or any(getattr(entry, name) for name in _COUNTS):
            return f"{entry.scope} is retired and has counts"
    others = {entry.table for entry in manifest.files} - _OF_RETIREMENT
    if others or manifest.status != "complete" or manifest.packages is not None:
        return f"a retirement with {min(others, default='gaps or packages')}"
    return None


def format_instant(at: datetime) -> str:
    """Write an instant in UTC, with microseconds and ``Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
