"""What became of each package and layer -> rows of ``packages``, ``layer_versions`` and ``errors``, and counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lexport.artifacts.package_refs import FunctionVersionRef, ReferencedLayer, ReferencedPackage
from lexport.artifacts.store import PackageStore
from lexport.artifacts.transfer import sha256_hex_of
from lexport.aws.redact import remove_presigned_urls
from lexport.errors import AccessDeniedError, ItemError, PackageDeniedError, PackageError
from lexport.extract.failures import Item
from lexport.extract.progress import PackageProgress
from lexport.extract.rows import Staging
from lexport.model import LATEST, StoredPackage
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGES
from lexport.tables.staged import staged_names
from lexport.tables.table import Table

STORED, PRESENT, NOT_FETCHED, FAILED = "0", "1", "2", "3"
"""The ``answer`` of a staged row. Of several rows about one content, the row with the lowest answer is published."""


def staged_row(table: Table, *, answer: str = "", **values: Any) -> tuple[Any, ...]:
    """Return a staged row with these values by column; the other columns are NULL."""
    return (*(values.get(name) for name in staged_names(table)[:-1]), answer)


def present_row(package_store: PackageStore, code_sha256: str, size_bytes: int | None) -> tuple[Any, ...] | None:
    """Return the row of a package that is stored already, None where it is not. Raises PackageError.

    To be called in the order of the hashes, because a bucket is asked for many packages at once.
    """
    sha256_hex = sha256_hex_of(code_sha256)
    found = package_store.find(sha256_hex, size_bytes, is_listed=True)
    if found is None:
        return None
    return staged_row(
        PACKAGES,
        code_sha256=code_sha256,
        sha256_hex=sha256_hex,
        size_bytes=found.size_bytes,
        path=found.path,
        status="present",
        verified_at=found.modified_at,
        answer=PRESENT,
    )


class ArtifactRows:
    """Records the outcome of each download, in rows for ``staging`` and in ``progress``.

    What could not be fetched is a gap if packages are ``required``.
    """

    def __init__(self, staging: Staging, progress: PackageProgress, *, required: bool) -> None:
        self.staging, self.progress, self._required = staging, progress, required

    def add_package(self, stored: StoredPackage, ref: FunctionVersionRef | str) -> None:
        """Record a package that this run stored; ``ref`` is the function version of the progress report."""
        self.progress.count("package", "stored", example=str(ref))
        self.progress.stored_bytes += stored.size_bytes
        self.add_content(stored)

    def add_content(self, stored: StoredPackage) -> None:
        """Add the row of ``packages`` for the content of a package or layer."""
        self._add(
            PACKAGES,
            code_sha256=stored.package.code_sha256,
            sha256_hex=stored.sha256_hex,
            size_bytes=stored.size_bytes,
            path=stored.path,
            status="present" if stored.was_present else "stored",
            verified_at=datetime.now(UTC),
            answer=PRESENT if stored.was_present else STORED,
        )

    def add_replaced_package(self, item: ReferencedPackage, stored: StoredPackage) -> None:
        """Record that the function's code changed during the run: the new code is stored, the old cannot be fetched."""
        code, new_code = item.package.code_sha256, stored.package.code_sha256
        message = f"the function's code was changed while it was read: {new_code} is stored in the place of {code}"
        self.add_notice(item.refs[0], "GetFunction", "replaced", message)
        self._add_failed_content(item, "failed", "replaced", message)

    def add_failed_package(self, item: ReferencedPackage, error: ItemError) -> None:
        """Record a package that could not be fetched."""
        operation = "GetObject" if isinstance(error, PackageError) else "GetFunction"
        failure = self.staging.failures.record(error, self._item(item.refs[0], operation))
        self._add_failed_content(item, _status_of(error), failure.error_code, str(error))

    def _add_failed_content(self, item: ReferencedPackage, status: str, code: str, message: str) -> None:
        self.progress.count("package", status, code, str(item.refs[0]))
        try:
            sha256_hex = sha256_hex_of(item.package.code_sha256)
        except PackageError:
            sha256_hex = None
        self._add(
            PACKAGES,
            code_sha256=item.package.code_sha256,
            sha256_hex=sha256_hex,
            size_bytes=item.package.size_bytes,
            status=status,
            reason=f"{code}: {remove_presigned_urls(message)}",
            answer=FAILED,
        )

    def add_layer(
        self,
        item: ReferencedLayer,
        values: dict[str, Any],
        *,
        status: str,
        answer: str,
        reason: str | None = None,
        code: str = "",
    ) -> None:
        """Record a layer version; ``values`` are its columns, ``code`` groups it in the progress report."""
        self.progress.count("layer", status, code, item.layer_arn)
        row = values | {"layer_arn": item.layer_arn, "status": status, "reason": reason}
        self._add(LAYER_VERSIONS, answer=answer, **row)

    def add_failed_layer(self, item: ReferencedLayer, error: ItemError, values: dict[str, Any]) -> None:
        """Record a layer version that could not be fetched.

        Access denied to another account's layer is no gap: the owner need not share its content.
        """
        status = _status_of(error)
        is_transfer = isinstance(error, PackageError)
        operation, about = ("GetObject", f"{item.layer_arn}: ") if is_transfer else ("GetLayerVersionByArn", "")
        is_own = any(item.layer_arn.split(":")[4:5] == [ref.scope.account_id] for ref in item.refs)
        is_gap = False if status == "denied" and not is_own else None
        failure = self.staging.failures.record(error, self._item(item.refs[0], operation), is_gap=is_gap, about=about)
        self.add_layer(
            item,
            {"size_bytes": item.size_bytes} | values,
            status=status,
            reason=f"{failure.error_code}: {remove_presigned_urls(str(error))}",
            answer=FAILED,
            code=failure.error_code,
        )

    def add_notice(self, ref: FunctionVersionRef, operation: str, code: str, message: str) -> None:
        """Record something odd about a package or layer; nothing is missing."""
        self.staging.failures.notice(self._item(ref, operation), code, message)

    def _add(self, table: Table, *, answer: str, **values: Any) -> None:
        self.staging.rows.add_item(table, *staged_row(table, answer=answer, **values))

    def _item(self, ref: FunctionVersionRef, operation: str) -> Item:
        return Item(
            scope=ref.scope,
            stage="packages",
            operation=operation,
            function_name=ref.function_name,
            qualifier=None if ref.version == LATEST else ref.version,
            is_optional=not self._required,
        )


def _status_of(error: ItemError) -> str:
    return "denied" if isinstance(error, AccessDeniedError | PackageDeniedError) else "failed"
