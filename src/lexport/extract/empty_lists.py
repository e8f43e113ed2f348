"""Find the empty lists that may belong to another request, so that they are requested again.

An empty list has no name that could be compared with the request. It is believed once the next response over the same
connection matches its request; it is doubtful if that response belongs to another request, or if there is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from lexport.errors import ItemError, WrongAnswerError
from lexport.model import Reply, Source

MAX_DOUBTFUL = 10_000  # requests that are repeated, some 1 MB
MAX_UNCONFIRMED = 64  # most recent empty lists, over all connections


class EmptyLists:
    """The requests of one account-region for one resource that an empty list came for.

    ``lose`` is called with each request that is doubtful when ``MAX_DOUBTFUL`` of them are kept.
    """

    def __init__(self, operation: str, lose: Callable[[str, ItemError], None]) -> None:
        self._operation, self._lose = operation, lose
        self._doubtful: dict[str, None] = {}
        self._unconfirmed: deque[tuple[Source, str]] = deque(maxlen=MAX_UNCONFIRMED)

    def add(self, request: str, reply: Reply) -> None:
        """Add a request whose list is empty in this reply."""
        if reply.source is not None:
            reply.source.on_mixup(partial(self._add_doubtful, request))
            self._unconfirmed.append((reply.source, request))

    def doubtful(self) -> list[str]:
        """Return the requests that must be repeated, after the last response of the account-region."""
        for source, request in self._unconfirmed:
            if source.is_unconfirmed:
                self._add_doubtful(request)
        return list(self._doubtful)

    def _add_doubtful(self, request: str) -> None:
        if len(self._doubtful) < MAX_DOUBTFUL:
            self._doubtful[request] = None
        else:
            message = f"{self._operation}: so many responses were wrong that an empty one cannot be believed"
            self._lose(request, WrongAnswerError(message, code="wrong_answer"))
