"""Which empty lists of aliases may be another function's: those that came over a connection just before a wrong answer.

An empty list names nothing that could be compared with the question. It is believed once the next answer over the same
connection names what was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from lexport.errors import ItemError, WrongAnswerError
from lexport.model import Reply, Source

DOUBTFUL_KEPT = 10_000  # functions whose aliases are listed again, some 1 MB
UNPROVEN_KEPT = 64  # empty lists that came last, over all connections


class Doubts:
    """The functions of one account-region whose aliases have to be listed again. ``lose`` gets those beyond a limit."""

    def __init__(self, lose: Callable[[str, ItemError], None]) -> None:
        self._lose = lose
        self._doubtful: dict[str, None] = {}
        self._unproven: deque[tuple[Source, str]] = deque(maxlen=UNPROVEN_KEPT)

    def note_empty(self, function_name: str, reply: Reply) -> None:
        """Note that a reply named no alias of this function."""
        if reply.source is not None:
            reply.source.doubt(partial(self._doubt, function_name))
            self._unproven.append((reply.source, function_name))

    def settle(self) -> list[str]:
        """Return the functions to ask about again, at the end: what was last on a connection is among them."""
        for source, function_name in self._unproven:
            if source.has_doubts:
                self._doubt(function_name)
        return list(self._doubtful)

    def _doubt(self, function_name: str) -> None:
        if len(self._doubtful) < DOUBTFUL_KEPT:
            self._doubtful[function_name] = None
        else:
            what = "ListAliases: so many answers were wrong that an empty one cannot be believed"
            self._lose(function_name, WrongAnswerError(what, code="wrong_answer"))
