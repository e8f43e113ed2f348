"""The user's list of functions, and the shards of an account: its Regions, or the listed functions in them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lexport.errors import SettingsError
from lexport.extract.list_file import ListRow, read_lines, read_rows
from lexport.model import LATEST, LATEST_PUBLISHED, FunctionRef, Scope, Shard

_REGION = r"(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d"
_NAME = re.compile(
    rf"(?:arn:(?P<partition>aws[a-zA-Z-]*):lambda:)?(?:(?P<region>{_REGION}):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_.-]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?"
)
_QUALIFIER = re.compile(r"\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+")
LONGEST_NAME = 64  # of a bare name; an edge replica's carries its Region before a dot
LONGEST_ARN = 256
HEADS = ("function_name", "function_arn", "function", "name", "arn")
"""Headers of the column of functions, in any case, with blanks or dashes too: ``FunctionName``, ``Name``."""
_HEADS = {head.replace("_", "") for head in HEADS}
_SURE_HEADS = {"functionname", "functionarn"}  # the others may be functions, too
_QUALIFIER_HEADS = {"qualifier", "version", "functionversion", "alias"}
_LIKE_HEADS = {
    *("functions", "functionnames", "functionid", "functionarns", "names", "arns", "fn", "fnname"),
    *("lambda", "lambdas", "lambdaname", "lambdaarn", "lambdafunction", "lambdafunctionname"),
    *("resource", "resourcename", "resourcearn", "resourceid"),
}
_ONE_A_LINE = "write one function a line, as --query 'Functions[].[FunctionName]' --output text does"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFunction:
    """One function as the user named it, taken apart. ``text`` is the part before the qualifier, as written."""

    text: str
    name: str
    qualifier: str | None
    account_id: str | None
    region: str | None


Selection = tuple[NamedFunction, ...]


# --- the list ---------------------------------------------------------------------------------------------------------


def read_selection(
    functions: Iterable[str], functions_from: str | None, *, note: Callable[[str], None] = lambda _: None
) -> tuple[NamedFunction, ...]:
    """Read every function that the user named, in order, each once.

    Raises SettingsError with file, line and reason for the first that is not a function. ``note`` gets a note
    about a first line that can be read in two ways.
    """
    named = [parse_function(text, where="--function", option="--function") for text in functions]
    if functions_from is not None:
        shown, lines = read_lines(functions_from, option="--functions-from")
        rows = list(read_rows(lines, shown=shown, option="--functions-from"))
        named += _parse_rows(rows, shown, note)
        if not named:
            raise SettingsError(f"--functions-from {functions_from}: names no function", option="--functions-from")
    return tuple(dict.fromkeys(named))


def _parse_rows(rows: Sequence[ListRow], shown: str, note: Callable[[str], None]) -> Iterator[NamedFunction]:
    """Parse the function and perhaps a qualifier of each row, by the header in the first row or by position."""
    words = [re.sub(r"[\W_]+", "", cell.lower()) for cell in rows[0].cells] if rows else []
    name_at, qualifier_at = 0, 1
    is_headed = not _HEADS.isdisjoint(words) and not any(map(_is_version, rows[0].cells))
    if is_headed and len(words) == 1 and words[0] not in _SURE_HEADS:
        is_headed = len(rows) > 1
        if is_headed:
            note(
                f"{shown}:{rows[0].number}: {rows[0].cells[0]!r} is taken for the head of the list;"
                f" a function of this name is written {rows[0].cells[0]}:{LATEST}"
            )
    if is_headed:
        name_at = next(index for index, word in enumerate(words) if word in _HEADS)
        qualifier_at = next((index for index, word in enumerate(words) if word in _QUALIFIER_HEADS), -1)
    elif len(rows) > 1 and words[0] in _LIKE_HEADS:
        note(f"{shown}:{rows[0].number}: {rows[0].cells[0]!r} is read as a function; {_KNOWN_HEADS}")
    for row in rows[is_headed:]:
        where = f"{shown}:{row.number}"
        if not is_headed:
            _check_place(row, where, is_first=row is rows[0])
        name = row.cells[name_at] if name_at < len(row.cells) else ""
        qualifier = row.cells[qualifier_at] if 0 <= qualifier_at < len(row.cells) else ""
        try:
            yield parse_function(name, qualifier, where=where, option="--functions-from")
        except SettingsError as error:
            if is_headed or row is not rows[0]:
                raise
            raise SettingsError(f"{error}; {_KNOWN_HEADS}", option=error.option) from error


_KNOWN_HEADS = f"if it is a head: known are {', '.join(HEADS)}"


def _is_version(cell: str) -> bool:
    return cell == LATEST or cell.isdecimal()


def _check_place(row: ListRow, where: str, *, is_first: bool) -> None:
    """Refuse a row without a head whose cells may mean more than one thing."""
    if row.is_tabbed and not (len(row.cells) == 2 and _is_version(row.cells[1])):  # noqa: PLR2004 - function, qualifier
        raise SettingsError(f"{where}: several cells without a head; {_ONE_A_LINE}", option="--functions-from")
    if len(row.cells) > 2:  # noqa: PLR2004 - function, qualifier
        hint = f"; {_KNOWN_HEADS}" if is_first else ""
        raise SettingsError(
            f"{where}: {len(row.cells)} columns without a header line; wanted function[,qualifier]{hint}",
            option="--functions-from",
        )


def parse_function(text: str, qualifier: str = "", *, where: str, option: str = "") -> NamedFunction:
    """Parse a function's name, partial ARN or ARN, each with or without a qualifier. ``where`` begins error messages.

    Raises SettingsError, naming ``option``, for anything else.
    """

    def wrong(reason: str) -> SettingsError:
        return SettingsError(f"{where}: {text!r} {reason}", option=option)

    if not text:
        raise wrong("names no function")
    match = _NAME.fullmatch(text)
    if match is None:
        raise wrong("is no function name, partial ARN or ARN")
    partition, region, account, name, own = match.group("partition", "region", "account", "name", "qualifier")
    if partition and not (region and account and ":function:" in text):
        raise wrong("is no function name, partial ARN or ARN")
    if len(text) > LONGEST_ARN:
        raise wrong(f"is longer than {LONGEST_ARN} characters")
    if len(name) > LONGEST_NAME and "." not in name:
        raise wrong(f"has a name longer than {LONGEST_NAME} characters")
    if qualifier and not _QUALIFIER.fullmatch(qualifier):
        raise wrong(f"has a qualifier that is none: {qualifier!r}")
    if own and qualifier and own != qualifier:
        raise wrong(f"says {own!r} itself, the qualifier column {qualifier!r}")
    final = own or qualifier or None
    if final == LATEST_PUBLISHED:
        raise wrong(f"asks for {LATEST_PUBLISHED}, which lexport does not read")
    return NamedFunction(
        text=text.removesuffix(f":{own}") if own else text,
        name=name,
        qualifier=None if final == LATEST else final,
        account_id=account,
        region=region,
    )


# --- the shards ------------------------------------------------------------------------------------------------------


def choose_shards(
    selection: tuple[NamedFunction, ...] | None,
    *,
    account_id: str,
    regions: tuple[str, ...],
    uncertain: Collection[str] = (),
) -> list[Shard]:
    """Return one shard per account-region, in order: the fleets of ``regions``, or the listed functions by scope.

    ``uncertain`` are the Regions that no list calls enabled.
    A listed name without a Region is read in each of ``regions``. Functions of this account are called by name alone.
    """
    if selection is None:
        return [
            Shard(
                scope=Scope(account_id=account_id, region=region),
                region_status="uncertain" if region in uncertain else "enabled",
            )
            for region in regions
        ]
    by_scope: dict[Scope, dict[FunctionRef, None]] = defaultdict(dict)
    for named in selection:
        owner = named.account_id or account_id
        for region in (named.region,) if named.region else regions:
            ref = FunctionRef(
                function_name=named.name,
                qualifier=named.qualifier,
                called_as=None if owner == account_id else named.text,
                is_named=True,
            )
            by_scope[Scope(account_id=owner, region=region)][ref] = None
    return [Shard(scope=scope, refs=tuple(by_scope[scope])) for scope in sorted(by_scope)]
