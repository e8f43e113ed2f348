"""functions and layers, as Parquet -> staged rows of what is wanted, and sorted rows -> one item per content.

A published file is read a row group at a time. What is wanted is told by hash, so however many versions share a
package it is one item; a few of those that refer to it are kept, in case one is gone or denied when it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexport.model import LATEST, PackageRef, Qualifiers, Scope
from lexport.tables.arrow import staged_schema, with_current_names
from lexport.tables.functions import FUNCTIONS, LAYERS
from lexport.tables.table import COMMON, INT64, TEXT, Column, Table

REFS_KEPT = 4  # of one content: whoever is gone or denied is one of few

CHOSEN_PUBLISHED, CHOSEN_LATEST, CHOSEN_REFERENCE, NOT_CHOSEN = "0", "1", "2", "3"
"""Rank of a version among those that share a package: published ones do not change, so they are asked first, and those
whose code lies in the customer's own bucket last."""

_OF_VERSION = ("account_id", "region", "function_name", "version")
_OF_PACKAGE = {
    "code_sha256": "code_sha256",
    "size_bytes": "code_size",
    "package_type": "package_type",
    "s3_bucket": "code_resolved_s3_object_bucket",
    "s3_key": "code_resolved_s3_object_key",
    "s3_version": "code_resolved_s3_object_version",
}
_TYPES = {"size_bytes": INT64}

WANTED_PACKAGES = Table(
    "wanted_packages",
    "Staged only: which versions refer to which package.",
    (
        *COMMON,
        *(Column(name, TEXT, "", "Who refers to it.") for name in _OF_VERSION[2:]),
        Column("rank", TEXT, "", "In which order they are asked."),
        *(Column(name, _TYPES.get(name, TEXT), "", "What they refer to.") for name in _OF_PACKAGE),
    ),
    ("code_sha256", "rank", *_OF_VERSION),
    answer_key=0,
)

WANTED_LAYERS = Table(
    "wanted_layers",
    "Staged only: which versions use which layer version.",
    (
        *COMMON,
        *(Column(name, TEXT, "", "Who uses it.") for name in _OF_VERSION[2:]),
        Column("layer_arn", TEXT, "", "What they use."),
        Column("size_bytes", INT64, "", "Its size.", "bytes"),
    ),
    ("layer_arn", *_OF_VERSION),
    answer_key=0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which function versions' packages are wanted; the empty choice wants all."""

    versions: Qualifiers = "all"
    runtimes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()

    def wants(self, function_name: str, version: str, runtime: str | None) -> bool:
        """Tell whether one version of an account-region that is read is chosen."""
        return (
            (self.versions == "all" or (self.versions == "latest") == (version == LATEST))
            and (not self.runtimes or runtime in self.runtimes)
            and (not self.names or any(fnmatchcase(function_name, pattern) for pattern in self.names))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Object:
    """Where a package lies that the customer keeps in a bucket of their own."""

    bucket: str
    key: str
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """One function version that refers to a content."""

    scope: Scope
    function_name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPackage:
    """One distinct package and up to ``REFS_KEPT`` versions that refer to it, the best to ask first."""

    package: PackageRef
    package_type: str | None
    is_chosen: bool
    s3_object: S3Object | None
    referrers: tuple[Referrer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedLayer:
    """One distinct layer version and up to ``REFS_KEPT`` function versions that use it."""

    layer_arn: str
    size_bytes: int | None
    referrers: tuple[Referrer, ...]


# --- Parquet -> staged rows ------------------------------------------------------------------------------------------


def read_functions(path: Path, scopes: Collection[Scope] | None, choice: Choice) -> Iterator[pa.RecordBatch]:
    """Yield staged rows of WANTED_PACKAGES for the versions of some account-regions; of all for None. Blocking."""
    names = [*_OF_VERSION, "runtime", *_OF_PACKAGE.values()]
    for rows in _row_groups(path, FUNCTIONS, names, scopes):
        known = rows.filter(pc.is_valid(rows.column("code_sha256")))
        columns = {name: known.column(source) for name, source in _OF_PACKAGE.items()}
        columns |= {name: known.column(name) for name in _OF_VERSION}
        columns["rank"] = _ranks(known, choice, known.column(_OF_PACKAGE["s3_bucket"]))
        yield from _staged(WANTED_PACKAGES, columns, len(known))


def read_layers(path: Path, scopes: Collection[Scope] | None, choice: Choice) -> Iterator[pa.RecordBatch]:
    """Yield staged rows of WANTED_LAYERS for the chosen versions of some account-regions; of all for None. Blocking.

    The table of layers knows no runtimes, so those choose no layers.
    """
    without_runtimes = replace(choice, runtimes=())
    for rows in _row_groups(path, LAYERS, [*_OF_VERSION, "layer_arn", "code_size"], scopes):
        is_chosen = pc.not_equal(_ranks(rows, without_runtimes), NOT_CHOSEN)
        known = rows.filter(pc.and_(pc.is_valid(rows.column("layer_arn")), is_chosen))
        columns = {name: known.column(name) for name in (*_OF_VERSION, "layer_arn")}
        yield from _staged(WANTED_LAYERS, columns | {"size_bytes": known.column("code_size")}, len(known))


def _row_groups(path: Path, table: Table, names: list[str], scopes: Collection[Scope] | None) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            rows = with_current_names(file.read_row_group(number, columns=table.stored_names(names)), table)
            if scopes is not None:
                keys = pc.binary_join_element_wise(rows.column("account_id"), rows.column("region"), " ")
                wanted = pa.array([f"{scope.account_id} {scope.region}" for scope in scopes], pa.string())
                rows = rows.filter(pc.is_in(keys, value_set=wanted))
            if len(rows):
                yield rows


def _staged(table: Table, columns: dict[str, pa.ChunkedArray], count: int) -> Iterator[pa.RecordBatch]:
    schema = staged_schema(table)
    empty = pa.repeat("", count)
    yield from pa.Table.from_arrays([columns.get(field.name, empty) for field in schema], schema=schema).to_batches()


def _ranks(rows: pa.Table, choice: Choice, buckets: pa.ChunkedArray | None = None) -> pa.Array:
    is_latest = pc.equal(rows.column("version"), LATEST)
    chosen = pa.repeat(True, len(rows))
    if choice.versions != "all":
        chosen = is_latest if choice.versions == "latest" else pc.invert(is_latest)
    for name, texts in (("runtime", choice.runtimes), ("region", choice.regions), ("account_id", choice.accounts)):
        if texts:
            chosen = pc.and_(chosen, pc.is_in(rows.column(name), value_set=pa.array(texts, pa.string())))
    if choice.names:
        chosen = pc.and_(chosen, _match(rows.column("function_name"), choice.names))
    ranked = pc.if_else(is_latest, CHOSEN_LATEST, CHOSEN_PUBLISHED)
    if buckets is not None:
        ranked = pc.if_else(pc.is_valid(buckets), CHOSEN_REFERENCE, ranked)
    return pc.if_else(chosen, ranked, NOT_CHOSEN)


def _match(names: pa.ChunkedArray, patterns: tuple[str, ...]) -> pa.Array:
    """Match each distinct name once."""
    encoded = names.combine_chunks().dictionary_encode()
    hits = [any(fnmatchcase(name, pattern) for pattern in patterns) for name in encoded.dictionary.to_pylist()]
    return pa.array(hits, pa.bool_()).take(encoded.indices)


# --- sorted staged rows -> items -------------------------------------------------------------------------------------


def group_packages(slabs: Iterable[pa.Table]) -> Iterator[WantedPackage]:
    """Make one item of all sorted rows about one package."""
    for rows in _groups(slabs, "code_sha256"):
        first = rows[0]
        bucket, key = first["s3_bucket"], first["s3_key"]
        yield WantedPackage(
            package=PackageRef(code_sha256=first["code_sha256"], size_bytes=first["size_bytes"]),
            package_type=first["package_type"],
            is_chosen=first["rank"] != NOT_CHOSEN,
            s3_object=S3Object(bucket=bucket, key=key, version=first["s3_version"]) if bucket and key else None,
            referrers=_referrers(rows),
        )


def group_layers(slabs: Iterable[pa.Table]) -> Iterator[WantedLayer]:
    """Make one item of all sorted rows about one layer version."""
    for rows in _groups(slabs, "layer_arn"):
        first = rows[0]
        yield WantedLayer(layer_arn=first["layer_arn"], size_bytes=first["size_bytes"], referrers=_referrers(rows))


def _referrers(rows: list[dict[str, Any]]) -> tuple[Referrer, ...]:
    return tuple(
        Referrer(
            scope=Scope(account_id=row["account_id"], region=row["region"]),
            function_name=row["function_name"],
            version=row["version"],
        )
        for row in rows
    )


def _groups(slabs: Iterable[pa.Table], key: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the first ``REFS_KEPT`` rows of each key."""
    group: list[dict[str, Any]] = []
    for slab in slabs:
        names = slab.column_names
        for values in zip(*(column.to_pylist() for column in slab.columns), strict=True):
            row = dict(zip(names, values, strict=True))
            if group and group[0][key] != row[key]:
                yield group
                group = []
            if len(group) < REFS_KEPT:
                group.append(row)
    if group:
        yield group


# --- items as lines, so that a long queue takes disk and no memory ----------------------------------------------------


def package_line(wanted: WantedPackage) -> str:
    """Write a package as one line."""
    s3 = wanted.s3_object
    return json.dumps(
        [
            wanted.package.code_sha256,
            wanted.package.size_bytes,
            wanted.package_type,
            s3 and [s3.bucket, s3.key, s3.version],
            _referrers_json(wanted.referrers),
        ]
    )


def read_package_line(line: str) -> WantedPackage:
    """Read what ``package_line`` wrote."""
    code_sha256, size_bytes, package_type, s3, referrers = json.loads(line)
    return WantedPackage(
        package=PackageRef(code_sha256=code_sha256, size_bytes=size_bytes),
        package_type=package_type,
        is_chosen=True,
        s3_object=S3Object(bucket=s3[0], key=s3[1], version=s3[2]) if s3 else None,
        referrers=_read_referrers(referrers),
    )


def layer_line(wanted: WantedLayer) -> str:
    """Write a layer version as one line."""
    return json.dumps([wanted.layer_arn, wanted.size_bytes, _referrers_json(wanted.referrers)])


def read_layer_line(line: str) -> WantedLayer:
    """Read what ``layer_line`` wrote."""
    layer_arn, size_bytes, referrers = json.loads(line)
    return WantedLayer(layer_arn=layer_arn, size_bytes=size_bytes, referrers=_read_referrers(referrers))


def _referrers_json(referrers: Iterable[Referrer]) -> list[list[str]]:
    return [[ref.scope.account_id, ref.scope.region, ref.function_name, ref.version] for ref in referrers]


def _read_referrers(values: list[list[str]]) -> tuple[Referrer, ...]:
    return tuple(
        Referrer(scope=Scope(account_id=account_id, region=region), function_name=name, version=version)
        for account_id, region, name, version in values
    )
