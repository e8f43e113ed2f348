"""Broken listings: chains of pages that never end, and documents that are no pages."""

from __future__ import annotations

from itertools import count

import pytest
from listings import Listing, chain, item, page

from lexport.errors import (
    AccessDeniedError,
    ListingError,
    WrongAnswerError,
)
from lexport.extract.listing import PAGES_WITHOUT_NEWS, SEEN_KEPT

pytestmark = pytest.mark.asyncio


async def test_a_repeated_marker(fake_api):
    """A page that names itself as the next one ends the listing; what was listed stays."""
    api = fake_api(functions=lambda marker, _: page(item("a"), marker="again"))
    listing = await Listing().run(api)

    assert (type(listing.error), listing.error.code) == (WrongAnswerError, "repeated_marker")
    assert len(api.calls) == 2
    assert set(listing.refs) == {("a", None)}


async def test_a_circle_of_markers(fake_api):
    """A, B, A, B is found at the second A."""
    following = {None: "A", "A": "B", "B": "A"}
    api = fake_api(functions=lambda marker, _: page(item(f"after-{marker}"), marker=following[marker]))
    listing = await Listing().run(api)

    assert (type(listing.error), listing.error.code) == (ListingError, "repeated_marker")
    assert [marker for marker, _ in api.calls] == [None, "A", "B"]


async def test_endless_fresh_markers(fake_api):
    """Markers that are new each time, pages that are not: given up after some pages without news."""
    markers = count()
    api = fake_api(functions=lambda marker, _: page(item("a"), marker=f"m-{next(markers)}"))
    listing = await Listing().run(api)

    assert (type(listing.error), listing.error.code) == (ListingError, "endless_listing")
    assert len(api.calls) == PAGES_WITHOUT_NEWS + 1


async def test_endless_empty_pages(fake_api):
    """Empty pages for ever bring no news either."""
    markers = count()
    listing = await Listing().run(fake_api(functions=lambda marker, _: page(marker=f"m-{next(markers)}")))

    assert listing.error.code == "endless_listing"


@pytest.mark.slow
@pytest.mark.parametrize("versions", [SEEN_KEPT // 2, SEEN_KEPT, SEEN_KEPT + 50, 2 * SEEN_KEPT])
async def test_a_great_circle(fake_api, versions):
    """A listing that begins anew with fresh markers is found out, however many items it has, within some pages."""
    pages = -(-versions // 50)
    markers = count(1)

    def at(marker, _):
        start = 50 * ((int(marker) if marker else 0) % pages)
        return page(*(item("f", str(start + place)) for place in range(50)), marker=str(next(markers)))

    api = fake_api(functions=at)
    listing = await Listing().run(api)

    assert listing.error.code == "endless_listing"
    assert len(api.calls) <= pages + PAGES_WITHOUT_NEWS + SEEN_KEPT // 50 + 2


@pytest.mark.parametrize("marker", [5, True, ["a"], {"a": 1}, 1.5])
async def test_a_marker_that_is_no_text(fake_api, marker):
    """A marker of a wrong type is no end: the page is invalid."""
    listing = await Listing().run(fake_api(functions=lambda *_: page(item("a"), marker=marker)))

    assert (type(listing.error), listing.error.code) == (ListingError, "invalid_page")
    assert listing.refs == [("a", None)]


@pytest.mark.parametrize("document", [{}, {"Functions": None}, {"Functions": {}}, {"Functions": "x"}])
async def test_a_page_without_a_list(fake_api, document):
    """A page without a list of functions is a lost page, not an empty one."""
    listing = await Listing().run(fake_api(functions=lambda *_: document))

    assert (type(listing.error), listing.error.code) == (WrongAnswerError, "invalid_page")


async def test_items_without_a_name(fake_api):
    """An item without a name, or with a version that is none, is lost and said; its neighbours are not."""
    bad = [{}, {"FunctionName": ""}, {"FunctionName": 5}, {"FunctionName": "a\nb"}, None, "x", []]
    listing = await Listing().run(
        fake_api(functions=chain(page(*bad, item("f", 7), item("f", ["1"]), item("good"), item("good", "1"))))
    )

    assert listing.refs == [("good", None), ("good", "1")]
    assert listing.lost == [("ListFunctions", None, "invalid_item")] * 7 + [("ListFunctions", "f", "invalid_item")] * 2


@pytest.mark.parametrize("part", ["Version", "FunctionArn"])
@pytest.mark.parametrize("value", [None, 5, ["1"]])
async def test_an_item_without_a_part(fake_api, part, value):
    """An item that tells no version, or no ARN, may be any version: it is lost alone, and said."""
    listing = await Listing().run(fake_api(functions=chain(page(item("a", "1") | {part: value}, item("b")))))

    assert (listing.refs, listing.lost) == ([("b", None)], [("ListFunctions", "a", "invalid_item")])


async def test_what_ends_the_listing_keeps_what_came(fake_api):
    """An error on the second page leaves the first one as it was sent."""

    def at(marker, _):
        if marker:
            raise AccessDeniedError("no more", code="AccessDeniedException")
        return page(item("a"), marker="next")

    listing = await Listing().run(fake_api(functions=at))

    assert (listing.refs, type(listing.error)) == ([("a", None)], AccessDeniedError)
