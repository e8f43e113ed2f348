"""Find the empty lists of aliases that may belong to another request, so that they are requested again.

An empty list has no name that could be compared with the request. It is believed once the next response over the same
connection matches its request; it is doubtful if that response belongs to another request, or if there is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from lexport.errors import ItemError, WrongAnswerError
from lexport.model import Reply, Source

MAX_DOUBTFUL = 10_000  # functions whose aliases are listed again, some 1 MB
MAX_UNCONFIRMED = 64  # most recent empty lists, over all connections


class EmptyAliasLists:
    """The functions of one account-region with an empty list of aliases.

    ``lose`` is called with each function that is doubtful when ``MAX_DOUBTFUL`` of them are kept.
    """

    def __init__(self, lose: Callable[[str, ItemError], None]) -> None:
        self._lose = lose
        self._doubtful: dict[str, None] = {}
        self._unconfirmed: deque[tuple[Source, str]] = deque(maxlen=MAX_UNCONFIRMED)

    def add(self, function_name: str, reply: Reply) -> None:
        """Add a function whose list of aliases is empty in this reply."""
        if reply.source is not None:
            reply.source.doubt(partial(self._add_doubtful, function_name))
            self._unconfirmed.append((reply.source, function_name))

    def doubtful(self) -> list[str]:
        """Return the functions whose aliases must be listed again, after the last response of the account-region."""
        for source, function_name in self._unconfirmed:
            if source.has_doubts:
                self._add_doubtful(function_name)
        return list(self._doubtful)

    def _add_doubtful(self, function_name: str) -> None:
        if len(self._doubtful) < MAX_DOUBTFUL:
            self._doubtful[function_name] = None
        else:
            message = "ListAliases: so many answers were wrong that an empty one cannot be believed"
            self._lose(function_name, WrongAnswerError(message, code="wrong_answer"))
