"""Which function versions refer to which package or layer: published tables -> staged rows -> one item per content.

``read_functions`` and ``read_layers`` read a Parquet file one row group at a time. ``group_packages`` and
``group_layers`` read the sorted rows: however many versions share a package, it becomes one item. A few of the versions
are kept with it, because some of them may be gone or denied by the time their link is requested.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.model import LATEST, PackageRef, Scope
from lexport.settings import PackageSettings, Qualifiers
from lexport.tables.arrow import staged_schema, with_current_names
from lexport.tables.functions import FUNCTIONS, LAYERS
from lexport.tables.table import COMMON, INT64, TEXT, Column, Table

MAX_REFS = 4  # function versions kept for each content; it is unlikely that all of them are gone or denied

RANK_PUBLISHED, RANK_LATEST, RANK_CUSTOMER_BUCKET, RANK_FILTERED_OUT = "0", "1", "2", "3"
"""Order in which the versions that share a package are used to request a link. Published versions come first because
their code does not change; versions whose code is in the customer's own bucket come last."""

_VERSION_COLUMNS = ("account_id", "region", "function_name", "version")
_PACKAGE_COLUMNS = {
    "code_sha256": "code_sha256",
    "size_bytes": "code_size",
    "package_type": "package_type",
    "s3_bucket": "code_resolved_s3_object_bucket",
    "s3_key": "code_resolved_s3_object_key",
    "s3_version": "code_resolved_s3_object_version",
}
_TYPES = {"size_bytes": INT64}

PACKAGE_REFS = Table(
    "package_refs",
    "Staged only: which function versions refer to which package.",
    (
        *COMMON,
        *(Column(name, TEXT, "", "Names the function version.") for name in _VERSION_COLUMNS[2:]),
        Column("rank", TEXT, "", "Order in which the versions are used to request a link."),
        *(Column(name, _TYPES.get(name, TEXT), "", "Describes the package.") for name in _PACKAGE_COLUMNS),
    ),
    ("code_sha256", "rank", *_VERSION_COLUMNS),
    answer_key=0,
)

LAYER_REFS = Table(
    "layer_refs",
    "Staged only: which function versions use which layer version.",
    (
        *COMMON,
        *(Column(name, TEXT, "", "Names the function version.") for name in _VERSION_COLUMNS[2:]),
        Column("layer_arn", TEXT, "", "ARN of the layer version."),
        Column("size_bytes", INT64, "", "Size of the layer version.", "bytes"),
    ),
    ("layer_arn", *_VERSION_COLUMNS),
    answer_key=0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFilter:
    """Selects the function versions whose packages are fetched; an empty filter selects all of them."""

    versions: Qualifiers = "all"
    runtimes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()

    def matches(self, function_name: str, version: str, runtime: str | None) -> bool:
        """Return whether the filter selects this version; ``regions`` and ``accounts`` are not checked."""
        return (
            (self.versions == "all" or (self.versions == "latest") == (version == LATEST))
            and (not self.runtimes or runtime in self.runtimes)
            and (not self.names or any(fnmatchcase(function_name, pattern) for pattern in self.names))
        )


def package_filter_of(settings: PackageSettings) -> PackageFilter:
    """Return the filter that the settings describe, for all accounts and Regions."""
    return PackageFilter(versions=settings.packages_for, runtimes=settings.runtimes, names=settings.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Object:
    """The object of a package that the customer keeps in a bucket of their own."""

    bucket: str
    key: str
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionVersionRef:
    """One function version that refers to a package or uses a layer."""

    scope: Scope
    function_name: str
    version: str

    def __str__(self) -> str:
        return f"{self.function_name}:{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencedPackage:
    """One distinct package and up to ``MAX_REFS`` function versions that refer to it, by rank.

    ``scopes`` are the account-regions of all that refer to it, where the package is not read from a line.
    """

    package: PackageRef
    package_type: str | None
    is_selected: bool
    s3_object: S3Object | None
    refs: tuple[FunctionVersionRef, ...]
    scopes: frozenset[Scope] = frozenset()

    @property
    def size_bytes(self) -> int | None:
        """The size of the package, where it is known."""
        return self.package.size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencedLayer:
    """One distinct layer version and up to ``MAX_REFS`` function versions that use it."""

    layer_arn: str
    size_bytes: int | None
    refs: tuple[FunctionVersionRef, ...]


def read_functions(
    path: Path, scopes: Collection[Scope] | None, package_filter: PackageFilter
) -> Iterator[pa.RecordBatch]:
    """Yield staged rows of PACKAGE_REFS for the versions of these account-regions; of all for None. Blocking."""
    names = [*_VERSION_COLUMNS, "runtime", *_PACKAGE_COLUMNS.values()]
    for group in _row_groups(path, FUNCTIONS, names, scopes):
        rows = group.filter(pc.is_valid(group.column("code_sha256")))
        columns = {name: rows.column(source) for name, source in _PACKAGE_COLUMNS.items()}
        columns |= {name: rows.column(name) for name in _VERSION_COLUMNS}
        columns["rank"] = _ranks(rows, package_filter, rows.column(_PACKAGE_COLUMNS["s3_bucket"]))
        yield from _staged(PACKAGE_REFS, columns, len(rows))


def read_layers(
    path: Path, scopes: Collection[Scope] | None, package_filter: PackageFilter
) -> Iterator[pa.RecordBatch]:
    """Yield staged rows of LAYER_REFS for the selected versions of these account-regions; of all for None. Blocking.

    The filter's runtimes are ignored: the ``layers`` table has no runtime.
    """
    without_runtimes = replace(package_filter, runtimes=())
    for group in _row_groups(path, LAYERS, [*_VERSION_COLUMNS, "layer_arn", "code_size"], scopes):
        is_selected = pc.not_equal(_ranks(group, without_runtimes), RANK_FILTERED_OUT)
        rows = group.filter(pc.and_(pc.is_valid(group.column("layer_arn")), is_selected))
        columns = {name: rows.column(name) for name in (*_VERSION_COLUMNS, "layer_arn")}
        yield from _staged(LAYER_REFS, columns | {"size_bytes": rows.column("code_size")}, len(rows))


def _row_groups(path: Path, table: Table, names: list[str], scopes: Collection[Scope] | None) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            rows = with_current_names(file.read_row_group(number, columns=table.stored_names(names)), table)
            if scopes is not None:
                keys = pc.binary_join_element_wise(rows.column("account_id"), rows.column("region"), " ")
                scope_keys = pa.array([f"{scope}" for scope in scopes], pa.string())
                rows = rows.filter(pc.is_in(keys, value_set=scope_keys))
            if len(rows):
                yield rows


def _staged(table: Table, columns: dict[str, pa.ChunkedArray], count: int) -> Iterator[pa.RecordBatch]:
    schema = staged_schema(table)
    empty = pa.repeat("", count)
    yield from pa.Table.from_arrays([columns.get(field.name, empty) for field in schema], schema=schema).to_batches()


def _ranks(rows: pa.Table, package_filter: PackageFilter, buckets: pa.ChunkedArray | None = None) -> pa.Array:
    is_latest = pc.equal(rows.column("version"), LATEST)
    is_selected = pa.repeat(True, len(rows))
    if package_filter.versions != "all":
        is_selected = is_latest if package_filter.versions == "latest" else pc.invert(is_latest)
    for name, texts in (
        ("runtime", package_filter.runtimes),
        ("region", package_filter.regions),
        ("account_id", package_filter.accounts),
    ):
        if texts:
            is_selected = pc.and_(is_selected, pc.is_in(rows.column(name), value_set=pa.array(texts, pa.string())))
    if package_filter.names:
        is_selected = pc.and_(is_selected, _match(rows.column("function_name"), package_filter.names))
    ranks = pc.if_else(is_latest, RANK_LATEST, RANK_PUBLISHED)
    if buckets is not None:
        ranks = pc.if_else(pc.is_valid(buckets), RANK_CUSTOMER_BUCKET, ranks)
    return pc.if_else(is_selected, ranks, RANK_FILTERED_OUT)


def _match(names: pa.ChunkedArray, patterns: tuple[str, ...]) -> pa.Array:
    encoded = names.combine_chunks().dictionary_encode()
    hits = [any(fnmatchcase(name, pattern) for pattern in patterns) for name in encoded.dictionary.to_pylist()]
    return pa.array(hits, pa.bool_()).take(encoded.indices)


def group_packages(slabs: Iterable[pa.Table]) -> Iterator[ReferencedPackage]:
    """Yield one item for all sorted rows of one package."""
    for rows, scopes in _groups(slabs, "code_sha256"):
        first = rows[0]
        bucket, key = first["s3_bucket"], first["s3_key"]
        yield ReferencedPackage(
            package=PackageRef(code_sha256=first["code_sha256"], size_bytes=first["size_bytes"]),
            package_type=first["package_type"],
            is_selected=first["rank"] != RANK_FILTERED_OUT,
            s3_object=S3Object(bucket=bucket, key=key, version=first["s3_version"]) if bucket and key else None,
            refs=_refs(rows),
            scopes=frozenset(Scope(account_id=account, region=region) for account, region in scopes),
        )


def group_layers(slabs: Iterable[pa.Table]) -> Iterator[ReferencedLayer]:
    """Yield one item for all sorted rows of one layer version."""
    for rows, _ in _groups(slabs, "layer_arn"):
        first = rows[0]
        yield ReferencedLayer(layer_arn=first["layer_arn"], size_bytes=first["size_bytes"], refs=_refs(rows))


def _refs(rows: list[dict[str, Any]]) -> tuple[FunctionVersionRef, ...]:
    return tuple(
        FunctionVersionRef(
            scope=Scope(account_id=row["account_id"], region=row["region"]),
            function_name=row["function_name"],
            version=row["version"],
        )
        for row in rows
    )


def _groups(slabs: Iterable[pa.Table], key: str) -> Iterator[tuple[list[dict[str, Any]], set[tuple[str, str]]]]:
    """Yield the first ``MAX_REFS`` rows of each key, and the accounts and Regions of all its rows."""
    group: list[dict[str, Any]] = []
    scopes: set[tuple[str, str]] = set()
    for slab in slabs:
        names = slab.column_names
        for values in zip(*(column.to_pylist() for column in slab.columns), strict=True):
            row = dict(zip(names, values, strict=True))
            if group and group[0][key] != row[key]:
                yield group, scopes
                group, scopes = [], set()
            scopes.add((row["account_id"], row["region"]))
            if len(group) < MAX_REFS:
                group.append(row)
    if group:
        yield group, scopes


def item_to_line(item: ReferencedPackage | ReferencedLayer) -> str:
    """Write an item as one line of JSON, so that a long queue takes disk space instead of memory."""
    return msgspec.json.encode(
        replace(item, scopes=frozenset()) if isinstance(item, ReferencedPackage) else item
    ).decode()


def package_from_line(line: str) -> ReferencedPackage:
    """Read a line of a package."""
    return msgspec.json.decode(line, type=ReferencedPackage)


def layer_from_line(line: str) -> ReferencedLayer:
    """Read a line of a layer version."""
    return msgspec.json.decode(line, type=ReferencedLayer)
