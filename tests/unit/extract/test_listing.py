"""Listings of functions and versions: pages as AWS sends them, and what is made of them."""

from __future__ import annotations

import gc
import json
import math

import pytest
from anyio import create_memory_object_stream, create_task_group, wait_all_tasks_blocked
from listings import SCOPE, Listing, chain, item, page

from lexport.errors import (
    AccessDeniedError,
)
from lexport.extract.listing import PAGES_WITHOUT_NEWS, SEEN_KEPT, Chain, discover_functions
from lexport.model import FunctionRef, Priority

pytestmark = pytest.mark.asyncio


async def test_functions_and_versions(fake_api):
    """One chain of pages names every function and version; ``$LATEST`` is the unqualified call."""
    api = fake_api(functions=chain(page(item("a"), item("a", "1")), page(item("a", "2"), item("b"))))
    listing = await Listing().run(api)

    assert listing.pages == [
        [FunctionRef(function_name="a"), FunctionRef(function_name="a", qualifier="1")],
        [FunctionRef(function_name="a", qualifier="2"), FunctionRef(function_name="b")],
    ]
    assert listing.asked == [("ListFunctions", Priority.LISTING)] * 2
    assert api.calls == [(None, True), ("1", True)]
    assert (listing.notes, listing.lost, listing.error) == ([], [], None)


@pytest.mark.parametrize("is_qualified", [True, False])
async def test_what_managed_instances_run_is_listed_and_left_out(fake_api, is_qualified):
    """``$LATEST.PUBLISHED`` in a list is no wrong answer: it loses no other version, and a note says it is not read."""
    items = [item("m"), item("m", "$LATEST.PUBLISHED"), item("m", "1")]
    listed = page(*items) if is_qualified else page(item("m", is_qualified=False))
    listing = await Listing().run(
        fake_api(functions=lambda *_: listed, versions=lambda *_: page(*items, key="Versions"))
    )

    assert (listing.refs, listing.lost, listing.error) == ([("m", None), ("m", "1")], [], None)
    assert "$LATEST.PUBLISHED of functions on managed instances is listed and not read" in listing.notes[-1]


@pytest.mark.parametrize("end", [{}, {"NextMarker": None}, {"NextMarker": ""}])
async def test_the_end(fake_api, end):
    """NextMarker absent, null or "" is the end."""
    api = fake_api(functions=lambda marker, _: page(item("a")) | end)
    listing = await Listing().run(api)

    assert (listing.refs, listing.error, len(api.calls)) == ([("a", None)], None, 1)


async def test_an_empty_page_goes_on(fake_api):
    """An empty page with a marker is not the end, nor is a short one."""
    listing = await Listing().run(fake_api(functions=chain(page(), page(), page(item("a")), page(), page(item("b")))))

    assert (listing.refs, listing.error) == ([("a", None), ("b", None)], None)


async def test_no_functions(fake_api):
    """An account without functions is an empty page and no error."""
    listing = await Listing().run(fake_api(functions=chain(page())))

    assert (listing.refs, listing.error, listing.notes) == ([], None, [])


async def test_latest_only(fake_api):
    """``--qualifiers latest`` asks for functions, not for versions, and takes unqualified ARNs for granted."""
    api = fake_api(functions=chain(page(item("a", is_qualified=False)), page(item("b", is_qualified=False))))
    listing = await Listing().run(api, qualifiers="latest")

    assert listing.refs == [("a", None), ("b", None)]
    assert api.calls == [(None, False), ("1", False)]
    assert listing.notes == []


async def test_published_calls_latest_all_the_same(fake_api):
    """``--qualifiers published`` needs the unqualified call for tags and concurrency."""
    listing = await Listing().run(fake_api(functions=chain(page(item("a"), item("a", "1")))), qualifiers="published")

    assert listing.refs == [("a", None), ("a", "1")]


@pytest.mark.slow
@pytest.mark.parametrize("tall_at", [0, 1500, 2999])
async def test_a_tall_function_is_not_endless(fake_api, tall_at):
    """3,000 functions of which one has 5,000 versions are a sound listing, wherever that one stands."""
    items = []
    for number in range(3000):
        items.append(item(f"f-{number}"))
        if number == tall_at:
            items += [item(f"f-{number}", str(version)) for version in range(1, 5001)]
    listing = await Listing().run(
        fake_api(functions=chain(*(page(*items[start : start + 50]) for start in range(0, len(items), 50))))
    )

    assert listing.error is None
    assert len(set(listing.refs)) == 8000


async def test_items_listed_twice_are_no_error(fake_api):
    """A function that moves to a later page while others are deleted may come again; the listing goes on."""
    same = page(item("a"), item("b"))
    listing = await Listing().run(fake_api(functions=chain(*[same] * (PAGES_WITHOUT_NEWS - 1), page(item("c")))))

    assert listing.error is None
    assert set(listing.refs) == {("a", None), ("b", None), ("c", None)}


async def test_choice_is_asked_page_by_page(fake_api):
    """What to fetch of a page is chosen before the next page is asked for, and what was held back at the end."""
    api = fake_api(functions=chain(page(item("a"), item("a", "1")), page(item("b")), page(item("c"))))
    refs_out, refs = create_memory_object_stream(math.inf)
    seen = []

    async def choose(refs_of_page):
        if refs_of_page is None:
            return [FunctionRef(function_name="held")]
        seen.append(([ref.function_name for ref in refs_of_page], len(api.calls)))
        return [ref for ref in refs_of_page if ref.function_name != "b" and ref.qualifier is None]

    await discover_functions(
        api, Listing().ask, SCOPE, qualifiers="all", refs_out=refs_out, choose=choose, lose=None, note=None
    )
    async with refs:
        sent = [[ref.function_name for ref in refs_of_page] async for refs_of_page in refs]

    assert sent == [["a"], ["c"], ["held"]]
    assert seen == [(["a", "a"], 1), (["b"], 2), (["c"], 3)]


async def test_what_was_held_back_outlives_a_broken_listing(fake_api):
    """A listing that ends in an error hands on what was listed before it, held back or not."""

    def listing(marker, *_):
        if marker is not None:
            raise AccessDeniedError("no more", code="AccessDeniedException")
        return page(item("a"), marker="m")

    api = fake_api(functions=listing)
    refs_out, refs = create_memory_object_stream(math.inf)

    async def choose(refs_of_page):
        return () if refs_of_page else [FunctionRef(function_name="held")]

    with pytest.raises(AccessDeniedError):
        await discover_functions(
            api, Listing().ask, SCOPE, qualifiers="all", refs_out=refs_out, choose=choose, lose=None, note=None
        )
    async with refs:
        sent = [[ref.function_name for ref in refs_of_page] async for refs_of_page in refs]

    assert sent == [["held"]]


async def test_items_are_kept_on_demand(fake_api):
    """An incremental run gets the listed item with its reference; any other run does not hold it."""
    api = fake_api(functions=chain(page(item("a", "1"))))
    kept = await Listing().run(api, keeps_items=True)
    plain_refs = await Listing().run(api)

    assert [json.loads(ref.listed) for (ref,) in kept.pages] == [item("a", "1")]
    assert [ref.listed for (ref,) in plain_refs.pages] == [None]


async def test_a_listing_that_was_cleaned_is_not_kept(fake_api):
    """What a page had replaced in it is read with care: its versions are fetched, and the finding is not lost."""
    sound = page(item("a", "1") | {"Description": "x"})
    cleaned = page(item("a", "1") | {"Description": "\ud800"}, {"FunctionName": "odd"})
    kept = await Listing().run(fake_api(functions=lambda *_: json.dumps(sound).encode()), keeps_items=True)
    listing = await Listing().run(fake_api(functions=lambda *_: json.dumps(cleaned).encode()), keeps_items=True)

    assert [bool(ref.listed) for refs in kept.pages for ref in refs] == [True]
    assert [ref.listed for refs in listing.pages for ref in refs] == [None]


async def test_a_chain_remembers_so_many_items():
    """What a listing remembers does not grow with it: an item from before the checkpoint passes for new again."""
    listing = Chain("ListFunctions")
    assert listing.admit(["first", "first"]) == [True, False]
    assert all(listing.admit(range(SEEN_KEPT - 2)))
    assert listing.admit(["first"]) == [False]
    assert listing.admit(["a", "b"]) == [True, True]
    assert listing.admit(["first"]) == [True]


@pytest.mark.parametrize("is_qualified", [True, False], ids=["ALL", "function by function"])
async def test_what_was_listed_is_let_go_while_references_wait(fake_api, is_qualified):
    """Many account-regions wait for room at once, and a page of listings is large: only references are held then."""
    name = "nobody-else-has-this-name"
    versions = page(item(name), item(name, "1"), key="Versions")
    functions = page(item(name, is_qualified=is_qualified), item(name, "1", is_qualified=is_qualified))
    api = fake_api(functions=lambda *_: functions, versions=lambda *_: versions)
    refs_out, refs = create_memory_object_stream()

    async def choose(listed):
        return [ref.without_listing() for ref in listed or ()]

    def held():
        return [ref for ref in gc.get_objects() if isinstance(ref, FunctionRef) and ref.function_name == name]

    async def discover():
        await discover_functions(
            api,
            Listing().ask,
            SCOPE,
            qualifiers="all",
            refs_out=refs_out,
            choose=choose,
            keeps_items=True,
            lose=lambda *_: None,
            note=lambda _: None,
        )

    async with create_task_group() as tasks, refs:
        tasks.start_soon(discover)
        await wait_all_tasks_blocked()
        while held():
            assert not [ref for ref in held() if ref.listed]
            await refs.receive()
            await wait_all_tasks_blocked()


async def test_pages_decoded_and_parsed_are_the_same(fake_api):
    """A page that was decoded gives the references, markers and listings that its document gives."""
    pages = [page(item("a", "1"), item("a"), marker="1"), page(item("b"), {"FunctionName": "c"}, marker="")]

    def decoded(marker, *_):
        return json.dumps(pages[int(marker or 0)]).encode()

    for keeps_items in (False, True):
        parsed = await Listing().run(
            fake_api(functions=lambda marker, _: pages[int(marker or 0)]), keeps_items=keeps_items
        )
        listing = await Listing().run(fake_api(functions=decoded), keeps_items=keeps_items)
        listings = [[ref.listed and json.loads(ref.listed) for ref in refs] for refs in listing.pages]

        assert listing.pages == parsed.pages
        assert listing.error is None
        assert listings == [[ref.listed and json.loads(ref.listed) for ref in refs] for refs in parsed.pages]
