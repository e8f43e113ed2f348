"""One API resource, declared: the call that reads it, what it is read for, and the tables that its responses fill.

Start from resources/recursion.py, the shortest one; docs/guides/add-a-resource.md says what follows from a declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lexport.model import LATEST, FunctionRef, Scope
from lexport.tables.call import Call
from lexport.tables.events import Event
from lexport.tables.table import FUNCTION_KEY, Table

Per = Literal["account_region", "function", "published_function", "version", "alias", "item", "fleet", "layer_version"]
"""What one call of a resource is about. ``published_function`` is a function of which a version is published, ``item``
a row of another resource. ``fleet`` is read once all functions and aliases are known, by a reader of its
own. Layer versions are read by ``lexport packages`` alone."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """What one call of a resource is about: an account-region, a function, a version or alias of it, or an item.

    ``item`` is the column that names an item of another resource, and its value.
    """

    scope: Scope
    function_name: str | None = None
    qualifier: str | None = None
    item: tuple[str, str] | None = None

    def columns(self) -> Row:
        """Return the columns of a row that identify what it is about."""
        return {
            "account_id": self.scope.account_id,
            "region": self.scope.region,
            "function_name": self.function_name,
            "version": self.qualifier,
            "qualifier": self.qualifier or LATEST,
            **(dict([self.item]) if self.item else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """The rows that the hook ``expand`` made of a response, by table, and what its rows cannot show.

    ``extra_json`` of a row are values by their path, and None where it has none.
    Each notice is an error code and a message; it becomes a row of ``errors``.
    """

    rows: Mapping[str, Sequence[Row]]
    notices: Sequence[tuple[str, str]] = field(default_factory=tuple)


Mask = Callable[[str], str | None]
"""Makes a keyed HMAC of a value that may be secret; None where the run has no key."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resource:
    """What one operation of AWS returns, and everything that follows from it.

    ``call`` reads one response per account-region, function, version, alias or item; ``lists`` are the calls that find
    these. ``tables`` are filled by it: the first has one row per response, or per item of a list; the others belong to
    it. ``default``: whether every run reads it, unless the option ``left_out_by`` is given or ``--without`` names it;
    ``--with`` asks for the others. ``part_of`` is the name that these options take, where one name stands for several
    operations. ``is_gap``: whether the snapshot has a gap where it could not be read.
    ``costs_money``: whether AWS bills its calls; then it is only read where ``--with`` names it, not for ``all``.
    ``in_every_snapshot``: whether every release has written its tables; only for those of the first release.

    ``settings`` are the settings of a snapshot that have an effect on it alone.

    ``of`` is the resource whose rows ``per="item"`` is read for; the path names the last column of their key as
    ``{item}``. ``after_rows`` says that a function or version is asked for after its row was read, not when it is
    listed. ``dropped`` are paths that are not stored, since another column has the same. ``gives`` says that each row
    names an alias, by the last column of its key: what is read per alias is read for each of them.

    ``carried_by`` says what shows an incremental run that the rows of the last snapshot still hold: the same
    ``revision`` of the function, version or alias, or the ``history`` of events (``--changes-from``) that names no
    change of the function. ``changed_by`` are the events that change it, ``is_settled`` whether a row can be carried
    over at all.

    Hooks for what a path cannot say. ``applies`` says whether a run with these options, as a manifest has them, makes
    this call. ``takes`` says whether the call is made for a listed function or version. ``mismatch`` says what a
    response or an item is about if that is not what was requested; it gets the item and the function's
    ``region:account:function:name``. ``complete`` amends the rows that were made of an item: the row of the first
    table, and the rows of the others by table name. ``expand`` makes all rows of a response that is a document of its
    own. ``from_version`` makes a row of the first table of what GetFunction returns for an alias: the alias and its
    version.
    """

    name: str
    per: Per
    call: Call
    lists: tuple[Call, ...] = ()
    tables: tuple[Table, ...]
    part_of: str = ""
    default: bool = True
    is_gap: bool = False
    costs_money: bool = False
    in_every_snapshot: bool = False
    left_out_by: str = ""
    settings: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    gives: Literal["alias"] | None = None
    carried_by: tuple[Literal["history", "revision"], ...] = ()
    changed_by: tuple[Event, ...] = ()
    is_settled: Callable[[Row], bool] | None = None
    of: Resource | None = None
    after_rows: bool = False
    applies: Callable[[Mapping[str, Any]], bool] | None = None
    takes: Callable[[FunctionRef], bool] | None = None
    mismatch: Callable[[Mapping[str, Any], str], str | None] | None = None
    complete: Callable[[Row, dict[str, list[Row]]], None] | None = None
    expand: Callable[[Mapping[str, Any], Subject, Mask], Expansion] | None = None
    from_version: Callable[[str, str], Row] | None = None

    def __post_init__(self) -> None:
        """Refuse tables whose rows of different items would replace each other."""
        key = self.tables[0].key
        for table in self.tables if self.expand is None else ():
            if table.key[: table.answer_key] not in (key, key[: len(FUNCTION_KEY)]):
                raise ValueError(
                    f"the table {table.name} needs answer_key={len(key)}: the length of the key of an item"
                )

    @property
    def option(self) -> str:
        """The name that ``--with``, ``--without`` and ``--require`` take."""
        return self.part_of or self.name

    @property
    def follows(self) -> bool:
        """Whether it is read for the rows of another resource."""
        return self.per in ("alias", "item")

    def is_after(self, leader: Resource) -> bool:
        """Return whether it is read for each row of another resource."""
        return leader.gives == "alias" if self.per == "alias" else self.of is leader

    def is_read(self, options: Mapping[str, Any]) -> bool:
        """Return whether a run with these options, as a manifest has them, reads it."""
        if self.option in options.get("without", ()) or not (self.applies is None or self.applies(options)):
            return False
        if self.per == "alias" and options.get("aliases", True) is False:  # nothing names them then
            return False
        if self.default:
            return options.get(self.option, True) is not False
        return self.option in options.get("with", ())
