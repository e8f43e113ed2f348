"""One API resource, declared: the call that reads it, what it is read for, and the tables that its responses fill.

Start from account_settings.py, and register the resource in registry.py; docs/guides/add-a-resource.md says what else
follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lexport.model import LATEST, Scope
from lexport.tables.call import Call
from lexport.tables.events import Event
from lexport.tables.table import FUNCTION_KEY, Table

Per = Literal["account_region", "function", "version", "alias", "layer_version"]
"""What one call of a resource is about. Layer versions are read by ``lexport packages`` alone."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """What one call of a resource is about: an account-region, a function, or a version or alias of it."""

    scope: Scope
    function_name: str | None = None
    qualifier: str | None = None

    def columns(self) -> Row:
        """Return the columns of a row that identify what it is about."""
        return {
            "account_id": self.scope.account_id,
            "region": self.scope.region,
            "function_name": self.function_name,
            "version": self.qualifier,
            "qualifier": self.qualifier or LATEST,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resource:
    """What one operation of AWS returns, and everything that follows from it.

    ``call`` reads one response per account-region, function, version or alias; ``lists`` are the calls that find these.
    ``tables`` are filled by it: the first has one row per response, or per item of a list; the others belong to it.
    ``default``: whether every run reads it, unless the option ``left_out_by`` is given; ``--with`` asks for the others.
    ``is_gap``: whether the snapshot has a gap where it could not be read.
    ``costs_money``: whether AWS bills its calls; then it is only read where ``--with`` names it, not for ``all``.
    ``in_every_snapshot``: whether every release has written its tables; only for those of the first release.

    ``dropped`` are paths that are not stored, since another column has the same. ``gives`` says that each row names an
    alias, by the last column of its key: what is read per alias is read for each of them.

    ``changed_by`` are the events that change it; where there are any, ``--changes-from cloudtrail`` carries it over.

    Three hooks for what a path cannot say. ``mismatch`` says what a response or an item is about if that is not what
    was requested; it gets the item and the function's ``region:account:function:name``. ``complete`` amends the rows
    that were made of an item: the row of the first table, and the rows of the others by table name. ``from_version``
    makes a row of the first table of what GetFunction returns for an alias: the alias and its version.
    """

    name: str
    per: Per
    call: Call
    lists: tuple[Call, ...] = ()
    tables: tuple[Table, ...]
    default: bool = True
    is_gap: bool = True
    costs_money: bool = False
    in_every_snapshot: bool = False
    left_out_by: str = ""
    dropped: tuple[str, ...] = ()
    gives: Literal["alias"] | None = None
    changed_by: tuple[Event, ...] = ()
    mismatch: Callable[[Mapping[str, Any], str], str | None] | None = None
    complete: Callable[[Row, dict[str, list[Row]]], None] | None = None
    from_version: Callable[[str, str], Row] | None = None

    def __post_init__(self) -> None:
        """Refuse tables whose rows of different items would replace each other."""
        key = self.tables[0].key
        for table in self.tables:
            if table.key[: table.answer_key] not in (key, key[: len(FUNCTION_KEY)]):
                raise ValueError(
                    f"the table {table.name} needs answer_key={len(key)}: the length of the key of an item"
                )

    def is_read(self, options: Mapping[str, Any]) -> bool:
        """Return whether a run with these options, as a manifest has them, reads it."""
        if self.default:
            return options.get(self.name, True) is not False and self.name not in options.get("without", ())
        return self.name in options.get("with", ())
