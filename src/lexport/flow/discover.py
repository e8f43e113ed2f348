"""Target -> pages of FunctionRef; the names whose aliases are wanted beside it.

ListFunctions(ALL) enumerates functions and versions in one chain of pages. The next page is asked for when there is
room for it, so a fleet of any size is never held in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson
from anyio.streams.memory import MemoryObjectSendStream

from lexport.aws.api import Ask, LambdaApi
from lexport.decode import split_page
from lexport.errors import (
    ExpiredCredentialsError,
    FetchError,
    FunctionGoneError,
    ItemError,
    ListingError,
    ServiceError,
)
from lexport.model import LATEST, FunctionRef, Priority, Qualifiers, Reply

SEEN_KEPT = 16_384  # hashes of items since the last checkpoint, some 1.5 MB for an account-region
PAGES_WITHOUT_NEWS = 50  # so many pages in a row that bring nothing new are an endless chain

Lose = Callable[[str, str | None, ItemError], None]  # operation, function name, what happened


class Chain:
    """Follows the markers of one listing and raises ListingError when it repeats itself or does not end.

    Markers and pages are remembered as hashes. Items are too, back to a checkpoint that moves when ``SEEN_KEPT`` are
    held: a sound listing brings news on every page, and an endless one runs out of it, however often its markers change
    and however long its circle is.
    """

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._markers: set[int] = set()
        self._pages: set[int] = set()
        self._seen: set[int] = set()
        self._pages_without_news = 0

    def next_marker(self, marker: Any, items: list[Any]) -> str | None:
        """Return the marker of the next page, None after the last one (absent, null or empty); ``items`` are hashed."""
        if marker is None or marker == "":
            return None
        if not isinstance(marker, str):
            raise self._error("invalid_page", "NextMarker is no text")
        if hash(marker) in self._markers:
            raise self._error("repeated_marker", f"a marker came again after {len(self._markers)} pages")
        self._markers.add(hash(marker))
        if len(self._seen) > SEEN_KEPT:
            self._seen.clear()
        known = len(self._seen)
        self._seen.update(hash(item) for item in items)
        page = hash(tuple(items))
        is_news = len(self._seen) > known and page not in self._pages
        self._pages.add(page)
        self._pages_without_news = 0 if is_news else self._pages_without_news + 1
        if self._pages_without_news >= PAGES_WITHOUT_NEWS:
            raise self._error("endless_listing", f"{PAGES_WITHOUT_NEWS} pages in a row brought nothing new")
        return marker

    def _error(self, code: str, what: str) -> ListingError:
        return ListingError(f"{self._operation}: {what}; the listing was given up", code=code)


async def discover_functions(
    api: LambdaApi,
    ask: Ask,
    *,
    qualifiers: Qualifiers,
    refs_out: MemoryObjectSendStream[Sequence[FunctionRef]],
    choose: Callable[[Sequence[FunctionRef] | None], Awaitable[Sequence[FunctionRef]]],
    keeps_items: bool = False,
    lose: Lose,
    note: Callable[[str], None],
) -> None:
    """List every function and version; ``choose`` tells of each page which to fetch now. Closes ``refs_out``.

    A page that is not chosen as it is, is emptied. At the end, that of a broken listing too, ``choose`` is asked for
    what it held back: its page is None then.
    Order: as AWS lists. What was listed before an error stays listed; single items that are lost go to ``lose``.
    """
    trouble: ItemError | None = None
    async with refs_out:
        try:
            async for page in _list_pages(api, ask, qualifiers, lose, note, keeps_items=keeps_items):
                chosen = await choose(page)
                if chosen is not page:  # many account-regions may wait here, and what was listed is large
                    page.clear()
                if chosen:
                    await refs_out.send(chosen)
        except ItemError as error:
            trouble = error
        if chosen := await choose(None):
            await refs_out.send(chosen)
    if trouble is not None:
        raise trouble


async def _list_pages(
    api: LambdaApi, ask: Ask, qualifiers: Qualifiers, lose: Lose, note: Callable[[str], None], *, keeps_items: bool
) -> AsyncIterator[list[FunctionRef]]:
    wants_versions = qualifiers != "latest"
    honours_all: bool | None = None
    chain = Chain("ListFunctions")
    marker: str | None = None
    while True:
        attempt = partial(api.list_functions, marker, all_versions=wants_versions)
        reply = await ask("ListFunctions", attempt, Priority.LISTING)
        entries, listings = _entries(reply, "Functions", "ListFunctions", lose, keeps_items=keeps_items)
        if wants_versions and honours_all is None and entries:
            honours_all = any(entry.is_qualified for entry in entries)
            if not honours_all:
                note("the server ignored FunctionVersion=ALL; versions are listed function by function")
        # At a yield no more than the references is held, which who takes them may empty: a page is a megabyte.
        sent, hashes = _next_marker(reply), [hash(entry) for entry in entries]
        del reply
        if wants_versions and honours_all is False:
            names = dict.fromkeys(entry.function_name for entry in entries)
            del entries, listings
            for name in names:
                async for page in _list_versions(api, ask, name, lose, keeps_items=keeps_items):
                    yield page
        else:
            refs = list(map(_ref, entries, listings))
            del entries, listings
            yield refs
        marker = chain.next_marker(sent, hashes)
        if marker is None:
            return


async def _list_versions(
    api: LambdaApi, ask: Ask, function_name: str, lose: Lose, *, keeps_items: bool
) -> AsyncIterator[list[FunctionRef]]:
    """List the versions of one function; ``$LATEST`` is there whatever the listing says."""
    yield [FunctionRef(function_name=function_name)]
    chain = Chain("ListVersionsByFunction")
    marker: str | None = None
    while True:
        attempt = partial(api.list_versions_by_function, function_name, marker)
        try:
            reply = await ask("ListVersionsByFunction", attempt, Priority.LISTING)
            entries, listings = _entries(reply, "Versions", "ListVersionsByFunction", lose, keeps_items=keeps_items)
            refs, sent = [ref for ref in map(_ref, entries, listings) if ref.qualifier is not None], _next_marker(reply)
            del reply, listings
            yield refs
            marker = chain.next_marker(sent, entries)
        except ExpiredCredentialsError:
            raise  # it is every function's trouble
        except ItemError as error:
            _gone_is_no_gap(error)
            lose("ListVersionsByFunction", function_name, error)
            return
        if marker is None:
            return


async def discover_aliases(api: LambdaApi, ask: Ask, function_name: str) -> AsyncIterator[tuple[Reply, list[Any]]]:
    """List the aliases of one function, a page at a time: the reply and its items, unchecked."""
    chain = Chain("ListAliases")
    marker: str | None = None
    try:
        while True:
            attempt = partial(api.list_aliases, function_name, marker)
            reply = await ask("ListAliases", attempt, Priority.ALIASES)
            items = _items(reply, "Aliases", "ListAliases")
            yield reply, items
            names = [item.get("Name") for item in items if isinstance(item, dict)]
            sent = reply.document.get("NextMarker")
            marker = chain.next_marker(sent, [name for name in names if isinstance(name, str)])
            if marker is None:
                return
    except FunctionGoneError as error:
        _gone_is_no_gap(error)
        raise
    except ListingError as error:  # of one function: the others' aliases can be read
        raise FetchError(str(error), code=error.code) from error


def _gone_is_no_gap(error: ItemError) -> None:
    """Mark a listed function that is gone since as no gap: it is not in the fleet any more."""
    if isinstance(error, FunctionGoneError):
        error.code, error.is_gap = "gone", False


def _items(reply: Reply, key: str, operation: str) -> list[Any]:
    items = reply.document.get(key)
    if not isinstance(items, list):
        raise ServiceError(f"{operation}: the page has no list of {key}", code="invalid_page")
    return items


class _Entry(NamedTuple):
    """One item of a listing."""

    function_name: str
    version: str
    is_qualified: bool


def _ref(entry: _Entry, listing: bytes | None) -> FunctionRef:
    qualifier = None if entry.version == LATEST else entry.version
    return FunctionRef(function_name=entry.function_name, qualifier=qualifier, listed=listing)


def _entries(
    reply: Reply, key: str, operation: str, lose: Lose, *, keeps_items: bool
) -> tuple[list[_Entry], list[bytes | None]]:
    """Read the items of a page and, where wanted, their JSON; one without a name cannot be fetched and is lost."""
    listings: list[bytes | None]
    if reply.answer is not None:
        items = getattr(reply.answer, key)
        entries = [_Entry(item.FunctionName, item.Version or LATEST, _is_qualified(item.FunctionArn)) for item in items]
        return entries, [*split_page(reply.body, key)] if keeps_items else [None] * len(entries)
    entries, listings = [], []
    for item in _items(reply, key, operation):
        configuration = item if isinstance(item, dict) else {}
        name, version, arn = (configuration.get(part) for part in ("FunctionName", "Version", "FunctionArn"))
        if not (isinstance(name, str) and name) or "\n" in name:
            lose(operation, None, ServiceError("a listed function has no name", code="invalid_item"))
        elif not (version is None or isinstance(version, str)):
            lose(operation, name, ServiceError("a listed version is no text", code="invalid_item"))
        else:
            entries.append(_Entry(name, version or LATEST, _is_qualified(arn)))
            is_kept = keeps_items and not reply.cleaned  # what was cleaned is to be read with care
            listings.append(_as_json(configuration) if is_kept else None)
    return entries, listings


def _is_qualified(arn: Any) -> bool:
    # arn:partition:lambda:region:account:function:name[:qualifier]
    return isinstance(arn, str) and arn.count(":") > 6  # noqa: PLR2004


def _as_json(item: dict[str, Any]) -> bytes | None:
    """Keep an item in a third of the room; None for one that is nested too deep."""
    try:
        return orjson.dumps(item)
    except (orjson.JSONEncodeError, TypeError):
        return None


def _next_marker(reply: Reply) -> Any:
    return reply.document.get("NextMarker") if reply.answer is None else reply.answer.NextMarker
