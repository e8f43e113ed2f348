"""Answers of a bucket that are checked for being whole: listings, page by page, and bodies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import obstore
import obstore.exceptions

from lexport.dataset.requests import Requests

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore


def whole(body: bytes, length: int) -> bytes:
    """Return a body that has this length, whatever its Content-Length said; another attempt is made otherwise."""
    if len(body) != length:
        raise obstore.exceptions.GenericError(f"it has {len(body):,} bytes in place of {length:,}")
    return body


def list_folder(client: ObjectStore, key: str, requests: Requests) -> set[str]:
    """List the keys of objects and folders in a folder, without the slash that ends a folder's."""
    listed = obstore.list_with_delimiter(client, key or None)
    folders, files = listed["common_prefixes"], [meta["path"] for meta in listed["objects"]]
    ends = [*(f"{path.rstrip('/')}0" for path in folders), *files]  # 0 follows the slash: after all of a folder
    requests.check_end(f"{key}/" if key else "", ends, len(ends))
    return {path.rstrip("/") for path in folders} | {*files}


class Pages:
    """The pages of a listing. A stream that failed has ended, so the next attempt begins anew, after the last key."""

    def __init__(self, key: str, requests: Requests) -> None:
        self._key, self._requests = key, requests
        self._last = ""
        self._count = 0
        self._stream: Iterator[Sequence[ObjectMeta]] | None = None

    def next_page(self, client: ObjectStore) -> list[ObjectMeta] | None:
        """Return the next page, or None at the end."""
        if self._stream is None:
            self._stream = iter(obstore.list(client, self._key or None, offset=self._last or None, chunk_size=1000))
        try:
            page = next(self._stream, None)
            if page is None:
                self._requests.check_end(f"{self._key}/" if self._key else "", [self._last], self._count)
        except obstore.exceptions.BaseError:
            self._stream = None
            raise
        if page is None:
            return None
        new = [meta for meta in page if meta["path"] > self._last]
        self._count += len(new)
        self._last = max([self._last, *(meta["path"] for meta in new)])
        return new
