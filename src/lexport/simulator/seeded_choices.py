"""Seeded pseudo-random choices: the same key always gives the same choices, so nothing has to be stored.

Faster than ``random.Random``: seeding that takes longer than computing a whole version here.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

_T = TypeVar("_T")
_REFILL_BELOW = 1 << 64


def digest_hex(*key: object, size: int = 16) -> str:
    """Return a stable hex digest of a key, ``size`` bytes long."""
    return blake2b("/".join(map(str, key)).encode(), digest_size=size).hexdigest()


def uuid_text(*key: object) -> str:
    """Return a stable text in the form of a UUID."""
    text = digest_hex(*key)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


class SeededChoices:
    """Choices drawn in sequence from the digest of a key."""

    __slots__ = ("_key", "_pool")

    def __init__(self, *key: object) -> None:
        self._key = blake2b("/".join(map(str, key)).encode()).digest()
        self._pool = int.from_bytes(self._key, "big")

    def pick(self, count: int) -> int:
        """Return a number from 0 to ``count`` - 1."""
        if self._pool < _REFILL_BELOW:
            self._key = blake2b(self._key).digest()
            self._pool = int.from_bytes(self._key, "big")
        self._pool, number = divmod(self._pool, count)
        return number

    def choose(self, options: Sequence[_T]) -> _T:
        """Return one of the options."""
        return options[self.pick(len(options))]

    def chance(self, percent: int) -> bool:
        """Return True in ``percent`` of all cases."""
        return self.pick(100) < percent

    def hex(self, length: int) -> str:
        """Return ``length`` hex digits."""
        return f"{self.pick(16**length):0{length}x}"
