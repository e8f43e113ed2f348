"""Opaque markers of list operations: the position in a listing, and the listing that it belongs to."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from lexport.simulator.responses import ApiCall, invalid_parameter, invalid_shape

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position in a listing. ``listing`` names the listing and its parameters.

    ``after`` is the last version of the function at ``index`` that was listed: -1 for none, 0 for ``$LATEST``.
    ``nonce`` makes different markers for one position.
    """

    listing: str
    index: int = 0
    after: int = -1
    nonce: str = ""

    def marker(self) -> str:
        """Encode the position."""
        return base64.urlsafe_b64encode(orjson.dumps([self.listing, self.index, self.after, self.nonce])).decode()


def read_marker(marker: str | None, listing: str) -> Position:
    """Decode a marker; raises AwsError for the marker of another listing."""
    if marker is None:
        return Position(listing=listing)
    try:
        name, index, after, nonce = orjson.loads(base64.urlsafe_b64decode(marker.encode()))
        position = Position(listing=str(name), index=int(index), after=int(after), nonce=str(nonce))
    except (ValueError, TypeError):
        raise invalid_parameter("Invalid Marker") from None
    if position.listing != listing:
        raise invalid_parameter("The Marker was made for a request with other parameters")
    return position


def start_of(call: ApiCall, listing: str) -> Position:
    """Return where the page of a call begins, and note the listing for faults."""
    call.listing = listing
    return read_marker(call.query.get("Marker"), listing)


def max_items(call: ApiCall, *, page_size: int = PAGE_SIZE, most: int = 10_000) -> int:
    """Return how many items the page of a call has; raises AwsError for a number above ``most``."""
    text = call.query.get("MaxItems", str(page_size))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise invalid_shape("maxItems", text, f"Member must have value between 1 and {most}")
    return min(page_size, int(text))


def page_of(items: Iterable[tuple[Any, Position]], start: Position, size: int) -> tuple[list[Any], Position | None]:
    """Return the first ``size`` items and the position after them, None where these are all."""
    page: list[Any] = []
    after = start
    for item, following in items:
        if len(page) == size:
            return page, after
        page.append(item)
        after = following
    return page, None


def with_marker(document: dict[str, Any], following: Position | None) -> dict[str, Any]:
    """Return a page with the marker of the next one, if there is one."""
    return document if following is None else {**document, "NextMarker": following.marker()}


def page_of_list(
    call: ApiCall, key: str, items: Sequence[Any], *, page_size: int = PAGE_SIZE, most: int = PAGE_SIZE
) -> dict[str, Any]:
    """Return a page of a short list, with the marker of the next one."""
    start = start_of(call, f"{call.operation}/{call.function_name}/{call.parameters.get('item', '')}")
    end = start.index + max_items(call, page_size=page_size, most=most)
    following = replace(start, index=end, nonce="") if end < len(items) else None
    return with_marker({key: list(items[start.index : end])}, following)
