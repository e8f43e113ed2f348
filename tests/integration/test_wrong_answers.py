"""Responses with status 200 that do not match the request are retried, and finally become gaps."""

from __future__ import annotations

import pytest

import lexport
from lexport.aws.quota.retry import FIRST_BACKOFF_S
from lexport.errors import IncompleteError
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Retries wait a twentieth as long."""
    monkeypatch.setattr("lexport.aws.quota.retry.FIRST_BACKOFF_S", FIRST_BACKOFF_S / 20)


ARN = "arn:aws:lambda:us-east-1:111122223333:function:"


@pytest.fixture
def fleet():
    return Fleet(FleetSpec(functions=6, versions=2))


def bent(operation, patch, times=None, **more):
    return Fault(operation=operation, kind="replace_body", patch=patch, times=times, **more)


def gaps(rows):
    return {(row["operation"], row["error_code"]) for row in rows["errors"] if row["is_gap"]}


def is_fewer(rows, expected, look):
    """Return whether the existing rows are right, even if rows are missing."""
    return all(row in expected["functions"] for row in look.facts(rows["functions"]))


WRONG = {
    "nothing": lambda _: {},
    "no configuration": lambda _: {"Configuration": None},
    "an empty configuration": lambda _: {"Configuration": {}},
    "a cache that ignores the qualifier": {"Configuration": {"Version": "$LATEST"}},
    "one function for all": {"Configuration": {"FunctionName": "same", "FunctionArn": f"{ARN}same"}},
    "another account": {"Configuration": {"FunctionArn": "arn:aws:lambda:us-east-1:444455556666:function:f"}},
    "no version": {"Configuration": {"Version": None}},
}


@pytest.mark.parametrize("patch", WRONG.values(), ids=WRONG)
async def test_get_function(simulator, aws, settings, fleet, look, tmp_path, patch):
    """Wrong answers of GetFunction are never rows: each is a gap, the status partial, and nothing is published."""
    async with simulator(bent("GetFunction", patch), fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, allow_partial=True))

    rows = look.read_rows(tmp_path / "fleet")
    (scope,) = rows["scopes"]
    assert (scope["status"], gaps(rows)) == ("partial", {("GetFunction", "wrong_answer")})
    assert is_fewer(rows, look.expected_rows(fleet), look)


async def test_nothing_is_published(simulator, aws, settings, fleet, look, tmp_path):
    """Without --allow-partial a wrong answer that stays wrong publishes nothing."""
    async with simulator(bent("GetFunction", lambda _: {}), fleet=fleet) as server:
        with pytest.raises(IncompleteError, match="items could not be read"):
            await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    assert look.newest(tmp_path / "fleet") is None


@pytest.mark.parametrize("patch", WRONG.values(), ids=WRONG)
async def test_get_function_once(simulator, aws, settings, fleet, look, tmp_path, patch):
    """After a wrong response, the call is retried, and the right response is used."""
    async with simulator(bent("GetFunction", patch, times=2), fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    rows = look.read_rows(tmp_path / "fleet")
    assert look.facts(rows["functions"]) == look.expected_rows(fleet)["functions"]
    assert (rows["errors"], rows["scopes"][0]["status"]) == ([], "complete")


@pytest.mark.parametrize(
    ("operation", "patch", "code"),
    [
        ("ListFunctions", lambda _: {}, "invalid_page"),
        ("ListFunctions", {"Functions": [{"FunctionName": "x", "Version": "1", "FunctionArn": f"{ARN}y:1"}]}, None),
        ("ListAliases", lambda _: {}, "invalid_page"),
        ("ListAliases", {"Aliases": [{"Name": "x", "FunctionVersion": "1", "AliasArn": f"{ARN}y:x"}]}, None),
    ],
)
async def test_listings(simulator, aws, settings, fleet, look, tmp_path, operation, patch, code):
    """A listing of something else is retried, and then is a gap."""
    async with simulator(bent(operation, patch, times=2), fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "healed", settings(server.url))
    async with simulator(bent(operation, patch), fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, allow_partial=True))

    healed, rows, expected = *map(look.read_rows, (tmp_path / "healed", tmp_path / "fleet")), look.expected_rows(fleet)
    for table in ("functions", "aliases", "alias_routes"):
        assert look.facts(healed[table]) == expected[table]
    assert rows["scopes"][0]["status"] == "partial"
    assert gaps(rows) == {(operation, code or "wrong_answer")}
    assert rows["aliases"] == []
    assert is_fewer(rows, expected, look)


@pytest.mark.parametrize("patch", [lambda _: {}, lambda _: {"Versions": []}])
async def test_versions_function_by_function(simulator, aws, settings, fleet, look, tmp_path, patch):
    """If versions are listed per function, a listing without any version is a gap."""
    faults = Fault(operation="ListFunctions", kind="unqualified_all", times=None), bent("ListVersionsByFunction", patch)
    async with simulator(*faults, fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, allow_partial=True))

    rows = look.read_rows(tmp_path / "fleet")
    assert rows["scopes"][0]["status"] == "partial"
    assert gaps(rows) == {("ListVersionsByFunction", "invalid_page")}
    assert {row["version"] for row in rows["functions"]} == {"$LATEST"}


async def test_account_settings(simulator, aws, settings, fleet, look, tmp_path):
    """Account settings without content make no row; a note says that they are missing, and it is no gap."""
    async with simulator(bent("GetAccountSettings", lambda _: {}), fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    rows = look.read_rows(tmp_path / "fleet")
    (error,) = rows["errors"]
    assert rows["account_settings"] == []
    assert (error["operation"], error["error_code"], error["is_gap"]) == ("GetAccountSettings", "wrong_answer", False)


async def test_a_repeated_page(simulator, aws, settings, look, tmp_path):
    """A page that is listed again is not fetched again, and that is noted once."""
    fleet = Fleet(FleetSpec(functions=6, versions=2))
    async with simulator(Fault(operation="ListFunctions", kind="duplicate_page", times=3), fleet=fleet) as server:
        result = await lexport.snapshot(tmp_path / "fleet", settings(server.url))
        calls = server.calls[look.account, look.region, "GetFunction"]

    rows = look.read_rows(tmp_path / "fleet")
    assert look.facts(rows["functions"]) == look.expected_rows(fleet)["functions"]
    assert calls == len(rows["functions"])
    assert [note for note in result.notes if "again" in note] == [
        "111122223333 us-east-1: ListFunctions lists items again that it had listed before; each is read once"
    ]


async def test_no_link_of_a_wrong_answer(simulator, aws, settings, look, tmp_path):
    """A package is never fetched by the link of an answer about another function."""
    fleet = Fleet(FleetSpec(functions=3, versions=0))
    first, other = (fleet.name(number) for number in (0, 1))

    def swap(document):
        document["Configuration"] |= {"FunctionName": other, "FunctionArn": ARN + other}

    fault = bent("GetFunction", swap, function_name=first)
    packages = lexport.PackageSettings(hosts=("127.0.0.1",))
    async with simulator(fault, fleet=fleet) as server:
        await lexport.snapshot(
            tmp_path / "fleet",
            settings(server.url, allow_partial=True, packages=packages),
        )
        links = sum(count for call, count in server.calls.items() if call[2] == "GetObject")

    assert first not in {row["function_name"] for row in look.read_rows(tmp_path / "fleet")["functions"]}
    assert links == 2
