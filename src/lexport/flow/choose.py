"""settings -> Target: which account-regions, or which listed functions. Pure but for reading the user's list."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from lexport.errors import SettingsError
from lexport.lists import read_lines
from lexport.model import LATEST, FunctionRef, Scope, Target

_REGION = r"(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d"
_NAME = re.compile(
    rf"(?:arn:(?P<partition>aws[a-zA-Z-]*):lambda:)?(?:(?P<region>{_REGION}):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9_.-]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?"
)
_QUALIFIER = re.compile(r"\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+")
LONGEST_NAME = 64  # of a bare name; an edge replica's carries its Region before a dot
LONGEST_ARN = 256
_SURE_HEADERS = {"function_name", "functionname", "function_arn", "functionarn"}
_NAME_HEADERS = _SURE_HEADERS | {"function", "name", "arn"}  # alone on a line, these may be functions
_QUALIFIER_HEADERS = {"qualifier", "version", "alias"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFunction:
    """One function as the user named it, taken apart. ``text`` is the part before the qualifier, as written."""

    text: str
    name: str
    qualifier: str | None
    account_id: str | None
    region: str | None


# --- the list ---------------------------------------------------------------------------------------------------------


def read_selection(functions: Iterable[str], functions_from: str | None) -> tuple[NamedFunction, ...]:
    """Read every function that the user named, in order, each once.

    Raises SettingsError with file, line and reason for the first that is not a function.
    """
    named = [_parse(text, "", where="--function", option="--function") for text in functions]
    if functions_from is not None:
        shown, lines = read_lines(functions_from, option="--functions-from")
        named += _parse_lines(lines, shown)
        if not named:
            raise SettingsError(f"--functions-from {functions_from}: names no function", option="--functions-from")
    return tuple(dict.fromkeys(named))


def _parse_lines(lines: list[str], shown: str) -> Iterator[NamedFunction]:
    """Parse one function a line, or CSV: the function and perhaps a qualifier, with or without a header."""
    name_at, qualifier_at = 0, 1
    is_headed: bool | None = None  # until the first line that says something
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{shown}:{number}"
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], strict=True))]
        except csv.Error as error:
            raise SettingsError(f"{where}: {error}", option="--functions-from") from error
        if is_headed is None:
            lowered = [cell.lower() for cell in cells]
            is_headed = not (_NAME_HEADERS if len(cells) > 1 else _SURE_HEADERS).isdisjoint(lowered)
            if is_headed:
                name_at = next(place for place, cell in enumerate(lowered) if cell in _NAME_HEADERS)
                qualifier_at = next((place for place, cell in enumerate(lowered) if cell in _QUALIFIER_HEADERS), -1)
                continue
        if not is_headed and len(cells) > 2:  # noqa: PLR2004 - function, qualifier
            raise SettingsError(
                f"{where}: {len(cells)} columns without a header line; wanted function[,qualifier]",
                option="--functions-from",
            )
        name = cells[name_at] if name_at < len(cells) else ""
        qualifier = cells[qualifier_at] if 0 <= qualifier_at < len(cells) else ""
        yield _parse(name, qualifier, where=where, option="--functions-from")


def _parse(text: str, qualifier: str, *, where: str, option: str) -> NamedFunction:
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
    if final == "$LATEST.PUBLISHED":
        raise wrong("asks for $LATEST.PUBLISHED, which lexport does not read")
    return NamedFunction(
        text=text.removesuffix(f":{own}") if own else text,
        name=name,
        qualifier=None if final == LATEST else final,
        account_id=account,
        region=region,
    )


# --- the targets ------------------------------------------------------------------------------------------------------


def choose_targets(
    selection: tuple[NamedFunction, ...] | None,
    *,
    account_id: str,
    regions: tuple[str, ...],
    may_be_off: Collection[str] = (),
) -> list[Target]:
    """Return one target per account-region, in order: the fleets of ``regions``, or the listed functions by scope.

    ``may_be_off`` are the Regions that no list calls enabled.
    A listed name without Region is read in each of ``regions``. What says no more than its name is called by name.
    """
    if selection is None:
        return [
            Target(scope=Scope(account_id=account_id, region=region), may_be_off=region in may_be_off)
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
    return [
        Target(scope=scope, refs=tuple(by_scope[scope]))
        for scope in sorted(by_scope, key=lambda scope: (scope.account_id, scope.region))
    ]
