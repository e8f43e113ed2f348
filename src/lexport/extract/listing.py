"""Shard -> pages of FunctionRef: every function and version of an account-region, in the order of the listing.

ListFunctions(ALL) enumerates functions and versions in one chain of pages. The next page is requested once the
consumer has taken the last ones, so a fleet of any size is never in memory as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Sequence
from functools import partial
from itertools import compress
from operator import methodcaller
from typing import Any, NamedTuple

import orjson
from anyio.streams.memory import MemoryObjectSendStream

from lexport.aws.client import LambdaClient
from lexport.aws.quota.pacer import CallApi
from lexport.errors import ExpiredCredentialsError, ItemError, ListingError, ServiceError
from lexport.extract.decode import decode_page, split_page
from lexport.extract.match_response import check_versions, checked, list_of, names_of, next_marker_of
from lexport.model import LATEST, LATEST_PUBLISHED, FunctionRef, Reply, Scope
from lexport.settings import Qualifiers
from lexport.tables.functions import LIST_FUNCTIONS, LIST_VERSIONS

SEEN_KEPT = 16_384  # hashes of items since the last checkpoint, some 1.5 MB for an account-region
_IMAGE = "Image"
PAGES_WITHOUT_NEWS = 50  # so many pages in a row that bring nothing new are an endless chain

Lose = Callable[[str, str | None, ItemError], None]  # operation, function name, what happened


class Chain:
    """Follows the markers of one listing and raises ListingError when it repeats itself or does not end.

    Markers, pages and items are remembered as hashes; items back to a checkpoint that moves after ``SEEN_KEPT`` of
    them. A sound listing brings new items on every page, and an endless one stops bringing any, however often its
    markers change and however long its circle is.
    """

    def __init__(self, operation: str, note: Callable[[str], None] = lambda _: None) -> None:
        self.has_items = False
        self._operation = operation
        self._note = note
        self._markers: set[int] = set()
        self._pages: set[int] = set()
        self._seen: set[int] = set()
        self._pages_without_news = 0
        self._has_repeats = False

    def admit(self, items: Sequence[Hashable]) -> list[bool]:
        """Take a page; return of each item whether it is new. One from before the checkpoint passes for new again."""
        self.has_items = self.has_items or bool(items)
        if len(self._seen) > SEEN_KEPT:
            self._seen.clear()
        hashes, is_new = list(map(hash, items)), []
        for item in hashes:
            is_new.append(item not in self._seen)
            self._seen.add(item)
        page = hash(tuple(hashes))
        is_news = any(is_new) and page not in self._pages
        self._pages.add(page)
        self._pages_without_news = 0 if is_news else self._pages_without_news + 1
        if not (all(is_new) or self._has_repeats):
            self._has_repeats = True
            self._note(f"{self._operation} lists items again that it had listed before; each is read once")
        return is_new

    def next_marker(self, marker: Any) -> str | None:
        """Return the marker of the page after the one that was admitted last, None after the last page.

        Absent, null and empty all say that it was the last.
        """
        if marker is None or marker == "":
            return None
        if not isinstance(marker, str):
            raise self._error("invalid_page", "NextMarker is no text")
        if hash(marker) in self._markers:
            raise self._error("repeated_marker", f"a marker came again after {len(self._markers)} pages")
        self._markers.add(hash(marker))
        if self._pages_without_news >= PAGES_WITHOUT_NEWS:
            raise self._error("endless_listing", f"{PAGES_WITHOUT_NEWS} pages in a row brought nothing new")
        return marker

    def _error(self, code: str, what: str) -> ListingError:
        return ListingError(f"{self._operation}: {what}; the listing was given up", code=code)


async def discover_functions(
    api: LambdaClient,
    call_api: CallApi,
    scope: Scope,
    *,
    qualifiers: Qualifiers,
    refs_out: MemoryObjectSendStream[Sequence[FunctionRef]],
    choose: Callable[[Sequence[FunctionRef] | None], Awaitable[Sequence[FunctionRef]]],
    keeps_items: bool = False,
    lose: Lose,
    note: Callable[[str], None],
) -> None:
    """List every function and version; ``choose`` tells of each page which to fetch now. Closes ``refs_out``.

    A page that is not chosen as it is, is emptied. At the end, that of a broken listing too, ``choose`` is called with
    None for what it has kept back.
    Order: as AWS lists. What was listed before an error stays listed; single items that are lost go to ``lose``.
    """
    trouble: ItemError | None = None
    async with refs_out:
        try:
            async for page in _list_pages(
                api, call_api, scope, qualifiers=qualifiers, lose=lose, note=note, keeps_items=keeps_items
            ):
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
    api: LambdaClient,
    call_api: CallApi,
    scope: Scope,
    *,
    qualifiers: Qualifiers,
    lose: Lose,
    note: Callable[[str], None],
    keeps_items: bool,
) -> AsyncIterator[list[FunctionRef]]:
    operation, key = "ListFunctions", "Functions"
    wants_versions = qualifiers != "latest"
    honours_all: bool | None = None
    chain = Chain(operation, note)
    marker: str | None = None
    while True:
        call = methodcaller("call", LIST_FUNCTIONS, marker=marker, versions="ALL" if wants_versions else None)
        attempt = checked(api, call, partial(decode_page, key=key), check_versions, marker, scope)
        reply = await call_api(LIST_FUNCTIONS, attempt)
        entries, listings = _entries(reply, key, operation, lose, keeps_items=keeps_items)
        is_new = chain.admit(entries)
        entries, listings = list(compress(entries, is_new)), list(compress(listings, is_new))
        if wants_versions and honours_all is None and entries:
            honours_all = any(entry.is_qualified for entry in entries)
            if not honours_all:
                note("the server ignored FunctionVersion=ALL; versions are listed function by function")
        # At a yield only the references are in memory, and the consumer may empty them: a page is a megabyte.
        sent = next_marker_of(reply)
        del reply
        if wants_versions and honours_all is False:
            names = dict.fromkeys(entry.function_name for entry in entries)
            del entries, listings
            for name in names:
                async for page in _list_versions(api, call_api, scope, name, lose, keeps_items=keeps_items):
                    yield _without_pointers(page, note)
        else:
            refs = _without_pointers(list(map(_ref, entries, listings)), note)
            del entries, listings
            yield refs
        marker = chain.next_marker(sent)
        if marker is None:
            return


async def _list_versions(
    api: LambdaClient, call_api: CallApi, scope: Scope, function_name: str, lose: Lose, *, keeps_items: bool
) -> AsyncIterator[list[FunctionRef]]:
    """List the versions of one function; ``$LATEST`` is there whatever the listing says."""
    yield [FunctionRef(function_name=function_name)]
    operation, key = "ListVersionsByFunction", "Versions"
    function = scope, function_name, None
    chain = Chain(operation)
    marker: str | None = None
    while True:
        call = methodcaller("call", LIST_VERSIONS, function_name=function_name, marker=marker)
        decode = partial(decode_page, key=key)
        attempt = checked(api, call, decode, check_versions, marker, scope, function_name, function=function)
        try:
            reply = await call_api(LIST_VERSIONS, attempt)
            entries, listings = _entries(reply, key, operation, lose, keeps_items=keeps_items)
            listed = compress(map(_ref, entries, listings), chain.admit(entries))
            refs, sent = [ref for ref in listed if ref.qualifier is not None], next_marker_of(reply)
            del reply, listings, listed
            yield refs
            marker = chain.next_marker(sent)
            if marker is None and not chain.has_items:  # there is ``$LATEST`` at the least
                raise ServiceError(f"{operation}: the listing has no version", code="invalid_page")
        except ExpiredCredentialsError:
            raise  # it is every function's trouble
        except ItemError as error:
            lose(operation, function_name, error)
            return
        if marker is None:
            return


class _Entry(NamedTuple):
    """One item of a listing; all three parts of it are there."""

    function_name: str
    version: str
    is_qualified: bool
    is_image: bool


def _ref(entry: _Entry, listing: bytes | None) -> FunctionRef:
    qualifier = None if entry.version == LATEST else entry.version
    return FunctionRef(function_name=entry.function_name, qualifier=qualifier, is_image=entry.is_image, listed=listing)


def _without_pointers(refs: list[FunctionRef], note: Callable[[str], None]) -> list[FunctionRef]:
    """Take out what is no version but points to one that moves, and return the same list; a note says so."""
    kept = [ref for ref in refs if ref.qualifier != LATEST_PUBLISHED]
    if len(kept) < len(refs):
        refs[:] = kept
        note(f"{LATEST_PUBLISHED} of functions on managed instances is listed and not read; their versions are")
    return refs


def _entries(
    reply: Reply, key: str, operation: str, lose: Lose, *, keeps_items: bool
) -> tuple[list[_Entry], list[bytes | None]]:
    """Read the items of a page and, where ``keeps_items``, their JSON; one without name, version and ARN is lost."""
    listings: list[bytes | None]
    if reply.typed is not None:
        items = getattr(reply.typed, key)
        entries = [
            _Entry(item.FunctionName, item.Version, _is_qualified(item.FunctionArn), item.PackageType == _IMAGE)
            for item in items
        ]
        return entries, [*split_page(reply.body, key)] if keeps_items else [None] * len(entries)
    entries, listings = [], []
    for item in list_of(reply, key, operation):
        name, version, arn = names_of(item)
        if not (isinstance(name, str) and name) or "\n" in name:
            lose(operation, None, ServiceError("a listed function has no name of one line", code="invalid_item"))
        elif not (isinstance(version, str) and isinstance(arn, str)):
            what = "version" if not isinstance(version, str) else "ARN"
            lose(operation, name, ServiceError(f"a listed item has no {what} that is text", code="invalid_item"))
        else:
            entries.append(_Entry(name, version, _is_qualified(arn), item.get("PackageType") == _IMAGE))
            is_kept = keeps_items and not reply.cleaned  # what was cleaned needs a notice, which only a fetch adds
            listings.append(_as_json(item) if is_kept else None)
    return entries, listings


def _is_qualified(arn: str) -> bool:
    # arn:partition:lambda:region:account:function:name[:qualifier]
    return arn.count(":") > 6  # noqa: PLR2004


def _as_json(item: dict[str, Any]) -> bytes | None:
    """Return an item as JSON, which takes a third of the memory; None for one that is nested too deeply."""
    try:
        return orjson.dumps(item)
    except (orjson.JSONEncodeError, TypeError):
        return None
