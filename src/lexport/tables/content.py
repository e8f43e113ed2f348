"""Which rows about the content of packages and layers are the latest ones. Content belongs to no account-region."""

from __future__ import annotations

from dataclasses import dataclass

from lexport.tables.functions import FUNCTIONS, LAYERS
from lexport.tables.layer_versions import LAYER_VERSIONS
from lexport.tables.packages import PACKAGE_DEPENDENCIES, PACKAGE_FILES, PACKAGE_SECRETS, PACKAGES
from lexport.tables.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRule:
    """The latest rows of a table are, for each value of the column ``key`` that is named, those of the newest commit.

    ``named_by`` are the tables, each with its column, that name such values. A column in ``lasting`` shows its newest
    value that is not NULL: a package is inspected once, and later commits do not repeat the result.
    """

    key: str
    named_by: tuple[tuple[Table, str], ...]
    lasting: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[Table, ...]:
        """The tables that name values of the key."""
        return tuple(table for table, _ in self.named_by)


_OF_PACKAGES = ContentRule(key="sha256_hex", named_by=((PACKAGES, "sha256_hex"),))
CONTENT_RULES: dict[Table, ContentRule] = {
    PACKAGES: ContentRule(
        key="code_sha256",
        named_by=((FUNCTIONS, "code_sha256"), (LAYER_VERSIONS, "code_sha256")),
        lasting=("dependencies_status", "secrets_status", "secret_rules_version"),
    ),
    LAYER_VERSIONS: ContentRule(key="layer_arn", named_by=((LAYERS, "layer_arn"),)),
    PACKAGE_FILES: _OF_PACKAGES,
    PACKAGE_DEPENDENCIES: _OF_PACKAGES,
    PACKAGE_SECRETS: _OF_PACKAGES,
}
