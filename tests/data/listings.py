"""Pages of listings, and a listing that notes what it gives."""

from __future__ import annotations

import math

from anyio import create_memory_object_stream

from lexport.errors import (
    ItemError,
)
from lexport.extract.listing import discover_functions
from lexport.model import Scope

SCOPE = Scope(account_id="123456789012", region="us-west-2")
ARN = "arn:aws:lambda:us-west-2:123456789012:function:"


def item(name, version="$LATEST", *, is_qualified=True):
    return {
        "FunctionName": name,
        "Version": version,
        "FunctionArn": f"{ARN}{name}:{version}" if is_qualified else ARN + name,
    }


def page(*items, marker=None, key="Functions"):
    return {key: list(items)} if marker is None else {key: list(items), "NextMarker": marker}


def chain(*pages):
    """Pages by their place: the marker of page n is n."""

    def at(marker, *_):
        place = 0 if marker is None else int(marker)
        document = dict(pages[place])
        return document | {"NextMarker": str(place + 1)} if place + 1 < len(pages) else document

    return at


class Listing:
    """What came of a listing: references, operations with their priority, notes, losses, the error."""

    def __init__(self):
        self.pages, self.asked, self.notes, self.lost, self.error = [], [], [], [], None

    @property
    def refs(self):
        return [(ref.function_name, ref.qualifier) for refs in self.pages for ref in refs]

    async def ask(self, call, attempt):
        self.asked.append((call.operation, call.priority))
        return await attempt()

    async def run(self, api, qualifiers="all", *, keeps_items=False):
        refs_out, refs = create_memory_object_stream(math.inf)
        listed = []

        async def choose(page):
            listed.append(page)
            return page or ()

        try:
            await discover_functions(
                api,
                self.ask,
                SCOPE,
                qualifiers=qualifiers,
                keeps_items=keeps_items,
                refs_out=refs_out,
                choose=choose,
                lose=lambda operation, name, error: self.lost.append((operation, name, error.code)),
                note=self.notes.append,
            )
        except ItemError as error:
            self.error = error
        async with refs:
            self.pages = [refs_of_page async for refs_of_page in refs]  # ends, so the other end is closed
        assert [page for page in listed if page] == self.pages
        return self


def plain(*names, marker=None):
    return page(*(item(name, is_qualified=False) for name in names), marker=marker)


def versions_of(**names):
    def at(name, marker):
        found = names[name]
        if isinstance(found, Exception):
            raise found
        return page(item(name), *(item(name, version) for version in found), key="Versions")

    return at
