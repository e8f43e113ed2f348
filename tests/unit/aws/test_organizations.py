"""Listing an organization: pages may be empty, states have two names, units nest; part of a list is never all of it."""

import pytest

from lexport.aws.organizations import Member, list_members
from lexport.errors import NetworkError, RunError

pytestmark = pytest.mark.asyncio


class Stub:
    """A session that answers by operation and parent, in turn; exceptions are raised."""

    def __init__(self, **answers):
        self.answers = {name: list(pages) for name, pages in answers.items()}
        self.asked = []

    async def call(self, service, region, operation, **arguments):
        assert service == "organizations"
        self.asked.append((operation, arguments))
        key = "_".join((operation, *([arguments["ParentId"]] if "ParentId" in arguments else [])))
        answer = self.answers[key].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def accounts(*ids, token=None, **more):
    page = {"Accounts": [{"Id": account, "State": "ACTIVE"} | more for account in ids]}
    return page | ({"NextToken": token} if token else {})


async def test_empty_pages_do_not_end_the_list():
    """An empty page with a token is followed by the next one; MaxResults is 20."""
    stub = Stub(list_accounts=[accounts(token="a"), accounts("1", token="b"), accounts(token="c"), accounts("2")])
    found = await list_members(stub, "us-east-1", ())

    assert found == (Member(account_id="1", state="ACTIVE"), Member(account_id="2", state="ACTIVE"))
    assert [arguments.get("NextToken") for _, arguments in stub.asked] == [None, "a", "b", "c"]
    assert {arguments["MaxResults"] for _, arguments in stub.asked} == {20}


async def test_state_before_status():
    """`State` tells whether an account is active; `Status` where there is no `State`."""
    page = {
        "Accounts": [
            {"Id": "1", "State": "PENDING_CLOSURE", "Status": "ACTIVE"},
            {"Id": "2", "Status": "SUSPENDED"},
            {"Id": "3"},
        ]
    }
    found = await list_members(Stub(list_accounts=[page]), "us-east-1", ())

    assert [member.state for member in found] == ["PENDING_CLOSURE", "SUSPENDED", "unknown"]


async def test_names_are_made_storable():
    """The name of an account is kept without what no table can hold; an account without a name has none."""
    page = {"Accounts": [{"Id": "1", "Name": " pay\ud800\x00ments "}, {"Id": "2", "Name": 3}, {"Id": "3", "Name": " "}]}
    found = await list_members(Stub(list_accounts=[page]), "us-east-1", ())

    assert [member.name for member in found] == ["pay\ufffd\ufffdments", None, None]


async def test_units_within_units():
    """Every unit below is listed once, and so is each account, even if the given units overlap."""
    units = "list_organizational_units_for_parent"
    stub = Stub(
        list_accounts_for_parent_a=[accounts("1")],
        list_accounts_for_parent_b=[accounts("2")],
        list_accounts_for_parent_c=[accounts("3", token="x"), accounts("4")],
        **{
            f"{units}_a": [
                {"OrganizationalUnits": [{"Id": "b"}], "NextToken": "y"},
                {"OrganizationalUnits": [{"Id": "c"}]},
            ],
            f"{units}_b": [{"OrganizationalUnits": []}],
            f"{units}_c": [{"OrganizationalUnits": []}],
        },
    )
    found = await list_members(stub, "us-east-1", ("a", "b"))

    assert [member.account_id for member in found] == ["1", "2", "3", "4"]


async def test_token_that_comes_again():
    """A listing that repeats itself ends the run instead of going on for ever."""
    stub = Stub(list_accounts=[accounts("1", token="a"), accounts("2", token="a"), accounts("3", token="a")])
    with pytest.raises(RunError, match="repeats itself"):
        await list_members(stub, "us-east-1", ())


async def test_page_that_is_lost():
    """A page that is lost after all attempts ends the run: part of a list would pass for all of it."""
    lost = NetworkError("no way", code="timeout")
    with pytest.raises(RunError, match=r"no way; .* cannot be listed"):
        await list_members(Stub(list_accounts=[accounts("1", token="a"), lost]), "us-east-1", ())


@pytest.mark.parametrize("answer", [{}, {"NextToken": "b"}, {"Roots": []}])
async def test_page_without_a_list(answer):
    """An answer that has no list at all is no empty one: accounts would be missing in silence."""
    with pytest.raises(RunError, match=r"organizations:list_accounts came without Accounts; .* cannot be listed"):
        await list_members(Stub(list_accounts=[accounts("1", token="a"), answer]), "us-east-1", ())
