"""What a table is made of: types, columns, tables, and the columns that several tables have.

Flattening, the Parquet schemas with their field metadata, ``lexport schema`` and the README's table are made from the
tables of this folder. Nothing here imports pyarrow. Column names keep AWS's words in snake_case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from lexport.tables.convert import Convert


class Type(StrEnum):
    """The scalar types every warehouse has."""

    TEXT = "text"
    INT32 = "int32"
    INT64 = "int64"
    BOOL = "bool"
    DOUBLE = "double"
    TIMESTAMP = "timestamp"
    DATE = "date"


TEXT, INT32, INT64, BOOL, DOUBLE, TIMESTAMP, DATE = Type

Kind = Literal["fact", "secret"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``source`` is the path in AWS's answer, empty where lexport makes the value.

    ``kind``: a ``secret`` must not be shared without thought. Which columns tell rows apart, the table says.
    ``former_names`` are the names that files of older schema versions have for it; every reader maps them to ``name``.
    ``convert`` makes the value where AWS does not send a scalar of ``type``. ``is_hashed``: whether it has an HMAC, so
    that it differs between runs with different keys. ``values`` are the only ones that lexport gives it, besides NULL;
    those that AWS gives are not listed, because AWS adds new ones.
    """

    name: str
    type: Type
    source: str
    meaning: str
    unit: str = ""
    kind: Kind = "fact"
    former_names: tuple[str, ...] = ()
    convert: Convert | None = None
    is_hashed: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table. Rows are sorted by ``key``; the first ``answer_key`` columns of it tell which answer a row is from.

    ``row_key`` tells rows of one snapshot apart: ``key`` and, where that is not enough, ``tie_break``.
    ``row_group_rows`` bounds a Parquet row group: wide tables get small ones, so that writing them takes little memory.
    ``parent`` is the table whose rows these rows belong to: they come and go with them.

    For comparisons: ``compared`` are the columns that are compared, all by default. ``title`` names a row by the parts
    of its key that follow account and Region, ``plural`` names several rows. Of ``main_column`` old and new value are
    shown without the name of the column. With ``is_state`` off the rows are what was measured: they are not compared.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    answer_key: int = 4
    tie_break: tuple[str, ...] = ()
    row_group_rows: int = 32_768
    parent: Table | None = None
    compared: tuple[str, ...] = ()
    title: str = ""
    plural: str = ""
    main_column: str = ""
    is_state: bool = True

    def names(self) -> tuple[str, ...]:
        """Return the column names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def row_key(self) -> tuple[str, ...]:
        """The columns that no two rows of a snapshot have the same values in; NULL is a value here."""
        return (*self.key, *self.tie_break)

    def title_of(self, parts: Sequence[str]) -> str:
        """Name a row by the parts of its key that follow account and Region."""
        title = self.title or "{} " + self.name.replace("_", " ") + " {}" * (len(self.key) - len(SCOPE_KEY) - 1)
        return title.format(*parts)

    def kind_of(self, column: Column) -> Literal["key", "fact", "secret"]:
        """Return what a column of this table is in the files of one snapshot, as their field metadata says."""
        return "key" if column.name in self.row_key else column.kind

    def renames(self) -> dict[str, str]:
        """Return the name of today for each former name of a column."""
        return {former: column.name for column in self.columns for former in column.former_names}

    def stored_names(self, names: Iterable[str]) -> list[str]:
        """Return the names that some columns may have in a file: those of today, then the former ones."""
        chosen = list(names)
        return [*chosen, *(former for former, name in self.renames().items() if name in chosen)]


def sent(
    path: str, type_: Type, meaning: str, unit: str = "", *, name: str = "", above: str = "", **more: Any
) -> Column:
    """Declare a column that AWS sends at ``above`` + ``path``.

    Its name is AWS's, in snake_case: the path behind the last list, a word that follows itself once. ``name`` is for
    where that is too long or leaves out what matters.
    """
    return Column(name or _snake_case(path), type_, above + path, meaning, unit, **more)


def _snake_case(path: str) -> str:
    words = re.findall(r"[A-Z]+[0-9]*(?![a-z])|[A-Z]?[a-z0-9]+", path.rpartition("[].")[2])
    return "_".join(word.lower() for word, before in zip(words, ("", *words), strict=False) if word != before)


def key(name: str, meaning: str, *, source: str = "", type_: Type = TEXT) -> Column:
    """Declare a column that is in a key of most tables that have it."""
    return Column(name, type_, source, meaning)


COMMON = (
    key("snapshot_id", "ULID of the snapshot; greater is newer."),
    Column("snapshot_at", TIMESTAMP, "", "Start of the run, UTC."),
    key("account_id", "12-digit account that owns the row."),
    key("region", "AWS Region."),
)
SCOPE_KEY = ("account_id", "region")

FUNCTION_NAME = key("function_name", "Name of the function, never an ARN.")
VERSION = key("version", "`$LATEST` or the number of a published version.")
FUNCTION_KEY = (*SCOPE_KEY, "function_name")
VERSION_KEY = (*FUNCTION_KEY, "version")
EXTRA_JSON = Column(
    "extra_json", TEXT, "", "JSON object, path -> value: fields unknown to this table and raw values of wrong types."
)
FETCHED_AT = Column("fetched_at", TIMESTAMP, "", "`snapshot_at` of the snapshot that really read this row.")
CARRIED_FORWARD = Column("carried_forward", BOOL, "", "Whether the row was taken over from an earlier snapshot.")
