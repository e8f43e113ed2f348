"""Requests to one bucket: clients with a time-out that fits the size, and repetition of what may be repeated."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import obstore.exceptions

from lexport.aws.interruptible import run_interruptibly
from lexport.dataset.answers import Answer, Outcome, read_answer
from lexport.dataset.object_stores import ObjectStores

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")

ATTEMPTS = 7
FIRST_PAUSE = 1 / 60
"""The longest first pause between attempts, as a share of the time-out: 0.5 s of 30 s. It doubles: 32 s in all."""
PAGE_NAMES = 1000
"""The names of a full page of a listing, in every object store."""
SLOWEST_BYTES_PER_S = 256 * 1024
"""A body that moves slower than this is given up, once the time-out is over."""

_REPEATED = frozenset({Outcome.TAKEN, Outcome.CONFLICT, Outcome.UNSENT, Outcome.BROKEN, Outcome.LOST})


class StillFailingError(Exception):
    """The last attempt failed too, or another attempt would get the same answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


class Requests:
    """Requests to one bucket, from any number of threads."""

    def __init__(self, stores: ObjectStores, *, timeout_s: float) -> None:
        self._stores = stores
        self._timeout_s = timeout_s
        self._clients: dict[int, ObjectStore] = {}
        self._lock = threading.Lock()

    def client(self, size_bytes: int = 0) -> ObjectStore:
        """Return a client for a body of this size. Time-outs are powers of two, so that there are few clients."""
        ratio = size_bytes / (SLOWEST_BYTES_PER_S * self._timeout_s)
        doubled = 0
        while 2**doubled < ratio:
            doubled += 1
        with self._lock:
            if doubled not in self._clients:
                self._clients[doubled] = self._stores.open(self._timeout_s * 2**doubled)
            return self._clients[doubled]

    def check_end(self, prefix: str, keys: Iterable[str], count: int) -> None:
        """Check with another request that a listing has ended, where the number of its names does not show that.

        obstore takes every document for a listing, for example the HTML page of a proxy for an empty one. A page that
        is not full is the last, so only after a full page, or none, may such a document have ended the listing.
        """
        if count % PAGE_NAMES == 0:
            self._stores.check_end(prefix, max(keys, default=""))

    def failures(self, send: Callable[[], object]) -> Iterator[Answer]:
        """Send a request until it succeeds; yield what every failed attempt got, also the last one.

        Credentials that have expired are renewed once. Raises StillFailingError where no other attempt is made.
        """
        renewed = False
        for is_last in self._attempts():
            try:
                run_interruptibly(send)
            except (obstore.exceptions.BaseError, FileNotFoundError) as error:
                answer = self._read(error)
            else:
                return
            if answer.outcome is Outcome.EXPIRED and not renewed:
                renewed = self._renew()
                if renewed:
                    continue
            yield answer
            if is_last or answer.outcome not in _REPEATED:
                raise StillFailingError(answer)

    def repeat(self, target: str, request: Callable[[ObjectStore], T], *, size_bytes: int = 0) -> T:
        """Make a request that may be repeated, and return what it returns. Raises OSError that names ``target``."""
        results: list[T] = []
        try:
            for _ in self.failures(lambda: results.append(request(self.client(size_bytes)))):
                pass
        except StillFailingError as failing:
            error = failing.answer.error(target)
        else:
            return results[0]
        raise error  # outside the `except`: obstore's text has addresses and headers of the server

    def _attempts(self) -> Iterator[bool]:
        """Yield for each attempt whether it is the last; pause before each but the first."""
        for attempt in range(ATTEMPTS):
            if attempt:
                longest_s = self._timeout_s * FIRST_PAUSE * 2 ** (attempt - 1)
                time.sleep(longest_s * random.uniform(0.5, 1))  # noqa: S311 - spreads requests
            yield attempt == ATTEMPTS - 1

    def _read(self, error: Exception) -> Answer:
        failure = self._stores.failure()
        if failure is not None and isinstance(error, obstore.exceptions.UnauthenticatedError):
            return Answer(Outcome.DENIED, str(failure))
        return read_answer(error)

    def _renew(self) -> bool:
        """Load newer credentials after the old ones were refused; return whether there are any."""
        if not self._stores.renew():
            return False
        with self._lock:
            self._clients.clear()  # obstore keeps credentials with the client
        return True
