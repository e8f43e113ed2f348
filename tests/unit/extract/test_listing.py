"""Listings, sound and sick: pages as AWS sends them, and chains of pages that never end."""

from __future__ import annotations

import gc
import json
import math
from itertools import count

import pytest
from anyio import create_memory_object_stream, create_task_group, wait_all_tasks_blocked

from lexport.errors import (
    AccessDeniedError,
    ExpiredCredentialsError,
    FetchError,
    FunctionGoneError,
    ItemError,
    ListingError,
    ServiceError,
    ShardError,
    WrongAnswerError,
)
from lexport.extract.listing import PAGES_WITHOUT_NEWS, SEEN_KEPT, Chain, discover_functions
from lexport.extract.resources import responses
from lexport.model import FunctionRef, Priority, Scope
from lexport.tables.aliases import RESOURCE
from lexport.tables.resource import Subject

pytestmark = pytest.mark.asyncio

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


# --- sound listings -------------------------------------------------------------------------------------------------


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


# --- sick listings --------------------------------------------------------------------------------------------------


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


# --- servers that do not know ALL -----------------------------------------------------------------------------------


def plain(*names, marker=None):
    return page(*(item(name, is_qualified=False) for name in names), marker=marker)


def versions_of(**names):
    def at(name, marker):
        found = names[name]
        if isinstance(found, Exception):
            raise found
        return page(item(name), *(item(name, version) for version in found), key="Versions")

    return at


async def test_all_not_honoured(fake_api):
    """Unqualified ARNs only: versions are listed function by function, and that is said once."""
    api = fake_api(functions=chain(plain("a"), plain("b", "c")), versions=versions_of(a=["1", "2"], b=[], c=["5"]))
    listing = await Listing().run(api)

    assert listing.refs == [("a", None), ("a", "1"), ("a", "2"), ("b", None), ("c", None), ("c", "5")]
    assert listing.notes == ["the server ignored FunctionVersion=ALL; versions are listed function by function"]
    assert [operation for operation, _ in listing.asked] == [
        "ListFunctions",
        "ListVersionsByFunction",
        "ListFunctions",
        "ListVersionsByFunction",
        "ListVersionsByFunction",
    ]
    assert {priority for _, priority in listing.asked} == {Priority.LISTING}


async def test_empty_pages_do_not_tell_whether_all_is_honoured(fake_api):
    """The first page with items tells, not an empty one before it."""
    listing = await Listing().run(fake_api(functions=chain(page(), plain("a")), versions=versions_of(a=["1"])))

    assert listing.refs == [("a", None), ("a", "1")]
    assert len(listing.notes) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FunctionGoneError("gone", code="ResourceNotFoundException"), "ResourceNotFoundException"),
        (AccessDeniedError("denied", code="AccessDeniedException"), "AccessDeniedException"),
        (ServiceError("broken", code="ServiceException"), "ServiceException"),
    ],
)
async def test_one_function_lost_in_the_fallback(fake_api, error, code):
    """A function whose versions cannot be listed is lost alone."""
    api = fake_api(functions=chain(plain("a", "b", "c")), versions=versions_of(a=["1"], b=error, c=["3"]))
    listing = await Listing().run(api)

    assert listing.refs == [("a", None), ("a", "1"), ("b", None), ("c", None), ("c", "3")]
    assert listing.lost == [("ListVersionsByFunction", "b", code)]
    assert listing.error is None


async def test_an_endless_fallback_is_one_functions(fake_api):
    """A function whose versions never end is lost alone."""

    def versions(name, marker):
        return page(item(name, "1"), key="Versions", marker="again" if name == "a" else "")

    listing = await Listing().run(fake_api(functions=chain(plain("a", "b")), versions=versions))

    assert set(listing.refs) == {("a", None), ("a", "1"), ("b", None), ("b", "1")}
    assert listing.lost == [("ListVersionsByFunction", "a", "repeated_marker")]


async def test_expired_credentials_end_the_fallback(fake_api):
    """Credentials that ran out are not one function's trouble."""
    expired = ExpiredCredentialsError("expired", code="ExpiredTokenException")
    listing = await Listing().run(fake_api(functions=chain(plain("a", "b")), versions=versions_of(a=expired, b=[])))

    assert listing.error is expired
    assert listing.lost == []


async def test_pages_of_the_fallback(fake_api):
    """A function with more versions than a page holds is listed to its end."""
    pages = chain(
        page(item("a"), item("a", "1"), key="Versions"), page(item("a", "2"), {"FunctionName": ""}, key="Versions")
    )
    api = fake_api(functions=chain(plain("a")), versions=lambda name, marker: pages(marker))
    listing = await Listing().run(api)

    assert listing.refs == [("a", None), ("a", "1"), ("a", "2")]
    assert listing.lost == [("ListVersionsByFunction", None, "invalid_item")]


# --- aliases --------------------------------------------------------------------------------------------------------


def alias(name, version="1"):
    return {"Name": name, "AliasArn": f"{ARN}f:{name}", "FunctionVersion": version}


async def aliases(api, name="f"):
    """What a listing of aliases gives, and what ends it."""
    listing, items = Listing(), []
    try:
        async for _, found in responses(api, listing.ask, RESOURCE, Subject(SCOPE, name)):
            items += found
    except ItemError as error:
        return items, error, listing.asked
    return items, None, listing.asked


async def test_aliases(fake_api):
    """Every page of a function's aliases is read, behind everything else; items are handed on as they are."""
    a, b = alias("a"), alias("b", "$LATEST")
    pages = chain(page(a, None, key="Aliases"), page(key="Aliases"), page(b, key="Aliases"))
    items, error, asked = await aliases(fake_api(aliases=lambda name, marker: pages(marker)))

    assert (items, error) == ([a, None, b], None)
    assert asked == [("ListAliases", Priority.RESOURCES)] * 3


async def test_aliases_of_a_function_gone(fake_api):
    """A function that was deleted after it was listed is raised as such: whether it is a gap is decided elsewhere."""

    def gone(*_):
        raise FunctionGoneError("gone", code="ResourceNotFoundException")

    _, error, _ = await aliases(fake_api(aliases=gone))

    assert (type(error), error.code) == (FunctionGoneError, "ResourceNotFoundException")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (page(alias("a"), key="Aliases", marker="again"), "repeated_marker"),
        (page(alias("a"), key="Aliases", marker=5), "invalid_page"),
        ({}, "invalid_page"),
    ],
)
async def test_sick_aliases_are_one_functions(fake_api, document, code):
    """A sick listing of one function's aliases loses that function's, not the account-region."""
    _, error, _ = await aliases(fake_api(aliases=lambda *_: document))

    assert isinstance(error, FetchError)
    assert not isinstance(error, ShardError)
    assert error.code == code
