"""Opaque markers of list operations: the position in a listing, and the listing that it belongs to."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import orjson

from lexport.simulator.responses import invalid_parameter

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
