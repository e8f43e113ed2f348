"""Servers that do not know FunctionVersion=ALL, and listings of aliases."""

from __future__ import annotations

import pytest
from listings import ARN, SCOPE, Listing, chain, item, page, plain, versions_of

from lexport.errors import (
    AccessDeniedError,
    ExpiredCredentialsError,
    FetchError,
    FunctionGoneError,
    ItemError,
    ServiceError,
    ShardError,
)
from lexport.extract.resources import responses
from lexport.model import Priority
from lexport.tables.aliases import RESOURCE
from lexport.tables.resource import Subject

pytestmark = pytest.mark.asyncio


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
