"""Opaque markers: where a listing goes on, and which listing it is."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import orjson

from lexport.simulator.responses import invalid_parameter

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a listing. ``listing`` names it with its parameters.

    ``after``: -1 nothing of the function at ``index`` was listed yet, 0 its ``$LATEST``, n its version n.
    ``nonce`` makes different markers of one place.
    """

    listing: str
    index: int = 0
    after: int = -1
    nonce: str = ""

    def marker(self) -> str:
        """Write the marker."""
        return base64.urlsafe_b64encode(orjson.dumps([self.listing, self.index, self.after, self.nonce])).decode()


def read_marker(marker: str | None, listing: str) -> Position:
    """Return where to go on; the marker of another listing is refused."""
    if marker is None:
        return Position(listing=listing)
    try:
        found, index, after, nonce = orjson.loads(base64.urlsafe_b64decode(marker.encode()))
        position = Position(listing=str(found), index=int(index), after=int(after), nonce=str(nonce))
    except (ValueError, TypeError):
        raise invalid_parameter("Invalid Marker") from None
    if position.listing != listing:
        raise invalid_parameter("The Marker was made for a request with other parameters")
    return position
