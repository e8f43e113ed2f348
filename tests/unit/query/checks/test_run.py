"""Findings: identity, waivers, the user's checks, and missing data."""

import asyncio
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import lexport
from lexport.errors import RunError, SettingsError

AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
DAY = date(2026, 11, 22)
ARN = "arn:aws-cn:lambda:eu-west-1:111122223333:function:f"
HEAD = "-- title: Mine\n-- severity: low\n-- remediation: None.\n-- grain: one row per function\n"
COLUMNS = "-- column account_id: account\n-- column region: Region\n"

pytestmark = pytest.mark.asyncio


def function(name="f", version="$LATEST", **more):
    return {"function_name": name, "version": version, "function_arn": ARN, **more}


@pytest.fixture(scope="module")
def dest(tmp_path_factory, write_dataset):
    folder = tmp_path_factory.mktemp("fleet")
    functions = [
        function(state="Failed"),
        function(version="10", state="Failed"),
        function(version="9", state="Failed"),
    ]
    routes = [{"function_name": "f", "alias": f"v{number}", "version": number, "weight": 1.0} for number in ("9", "10")]
    write_dataset(folder, [{"at": AT, "functions": functions, "alias_routes": routes}])
    return folder


@pytest.fixture
def own(tmp_path):
    """Write a check of the user and return its folder."""

    def write(query, columns=COLUMNS, **names):
        folder = tmp_path / "own"
        folder.mkdir(exist_ok=True)
        (folder / "mine.sql").write_text(HEAD + columns + query)
        return folder

    return write


async def test_findings(dest):
    """Findings are ordered, versions as numbers, and have the ARN of the version in the fleet's partition."""
    result = await lexport.check(dest, only=["function_failed"])

    assert [(finding.version, finding.arn) for finding in result.findings] == [
        ("$LATEST", ARN),
        ("9", f"{ARN}:9"),
        ("10", f"{ARN}:10"),
    ]
    assert len({finding.fingerprint for finding in result.findings}) == 3
    assert result.at_least("high") == result.findings
    assert result.at_least("critical") == ()


async def test_fingerprint_stays(dest, own):
    """Details do not change the identity; NULL and an empty text are two identities."""
    columns = COLUMNS + "-- column function_name: x\n-- column subject: y\n-- column n: z\n"
    query = "SELECT account_id, region, {} AS function_name, {} AS subject, {} AS n FROM scopes"

    async def fingerprint(*cells):
        return (
            (await lexport.check(dest, own=[own(query.format(*cells), columns)], only=["mine"])).findings[0].fingerprint
        )

    first = await fingerprint("'f'", "NULL", 1)
    assert first == await fingerprint("'f'", "NULL", 2)
    assert len({first, await fingerprint("'f'", "''", 1), await fingerprint("NULL", "'f'", 1)}) == 3


@pytest.mark.parametrize(
    ("today", "waived", "notice"),
    [
        (DAY, 3, None),
        (date(2026, 11, 23), 0, "a waiver expired on 2026-11-22 and is not applied (3 findings): function_failed"),
    ],
)
async def test_waiver_expires(dest, today, waived, notice):
    """A waiver is valid until the end of its day; later the findings count again, with a notice."""
    waiver = lexport.Waiver(check="function_failed", reason="known", expires=DAY, function_name="f")

    result = await lexport.check(dest, only=["function_failed"], waivers=[waiver], today=today)

    assert sum(finding.waiver == waiver for finding in result.findings) == waived
    assert len(result.at_least("high")) == 3 - waived
    assert [line for line in result.notices if "waiver" in line] == ([f"{notice}, function_name f"] if notice else [])


async def test_waiver_of_nothing(dest):
    """A waiver that matches no finding is reported, unless its check did not run."""
    waivers = [
        lexport.Waiver(check="function_failed", reason="x", expires=DAY, region="us-*"),
        lexport.Waiver(check="untagged", reason="x", expires=DAY, region="us-*"),
    ]

    result = await lexport.check(dest, only=["function_failed"], waivers=waivers, today=DAY)

    assert result.notices == ("a waiver matches no finding: function_failed, region us-*",)


@pytest.mark.parametrize(
    ("query", "columns", "message"),
    [
        ("SELECT\n  nope\nFROM functions", COLUMNS, "mine.sql, line 8: .*nope"),
        ("SELECT account_id, region\nFROM nowhere", COLUMNS, "mine.sql, line 8: .*nowhere"),
        ("SELECT account_id,\n region FROM FROM functions", COLUMNS, "mine.sql, line 8: .*syntax error"),
        ("SELECT 1; SELECT 2", COLUMNS, "mine.sql: expected one SELECT statement, got 2"),
        ("DROP VIEW functions", COLUMNS, "mine.sql: only SELECT is allowed"),
        ("SELECT content FROM read_text('/etc/hostname')", COLUMNS, "mine.sql, line 7: a query reads the tables"),
        (
            "SELECT account_id, region, 1 AS more FROM scopes",
            COLUMNS,
            "names the columns account_id, region, it returns",
        ),
        ("SELECT NULL AS account_id, region FROM scopes", COLUMNS, "mine.sql: a row has no account_id or no region"),
        ("SELECT account_id, NULL AS region FROM scopes", COLUMNS, "mine.sql: a row has no account_id or no region"),
        (
            "SELECT account_id, region, error('late') AS x FROM scopes",
            COLUMNS + "-- column x: y\n",
            "mine.sql.*late",
        ),
        (
            "SELECT account_id, region, TIMESTAMPTZ 'infinity' AS x FROM scopes",
            COLUMNS + "-- column x: y\n",
            "mine.sql: ",
        ),
    ],
)
async def test_bad_own_check(dest, own, query, columns, message):
    """A check of the user that fails is rejected as wrong use, with file and line."""
    with pytest.raises(SettingsError, match=message) as caught:
        await lexport.check(dest, own=[own(query, columns)], only=["mine"])

    assert caught.value.exit_code == 2


async def test_thresholds_are_values(dest, own):
    """A threshold is a value of the query: SQL in it is only text."""
    columns = (
        "-- threshold names: [] (names): x\n-- threshold least: 0.5 (share): x\n"
        + COLUMNS
        + "-- column subject: a\n-- column least: b\n"
    )
    query = (
        "SELECT s.account_id, s.region, i.item AS subject, t.least FROM scopes AS s "
        "CROSS JOIN threshold_items AS i CROSS JOIN thresholds AS t WHERE i.name = 'names'"
    )
    hostile = "'; DROP TABLE x; --"

    result = await lexport.check(
        dest, own=[own(query, columns)], only=["mine"], thresholds={"mine": {"names": [hostile], "least": 0.25}}
    )

    assert [(finding.subject, finding.details) for finding in result.findings] == [(hostile, {"least": 0.25})]


async def test_example_of_the_docs(dest, own):
    """The check that docs/guides/checks.md shows as an example runs."""
    page = (Path(__file__).parents[4] / "docs" / "guides" / "checks.md").read_text(encoding="utf-8")
    folder = own("")
    (folder / "mine.sql").write_text(re.search(r"```sql\n(.*?)```", page, re.DOTALL).group(1))

    result = await lexport.check(dest, own=[folder], only=["mine"], thresholds={"mine": {"memory_mb": 0}})

    assert result.findings == ()  # the functions of this dataset have no memory_size


async def test_left_out(tmp_path, write_dataset):
    """Data that the run left out is reported for the checks that read it, and for no other."""
    (written,) = write_dataset(tmp_path, [{"at": AT, "account_settings": [{}]}])
    path = tmp_path / "_runs" / f"{written.snapshot_id}.json"
    options = '"options": {"env": "none", "aliases": false, "qualifiers": "all"}'
    path.write_text(path.read_text().replace('"options": {}', options))

    result = await lexport.check(tmp_path, only=["suspected_secret", "canary_weight_left", "untagged"])

    assert [(item.reason, item.checks, item.is_unread) for item in result.unjudged] == [
        ("variables were left out (--env none)", ("suspected_secret",), False),
        ("aliases were left out (--no-aliases)", ("canary_weight_left",), False),
    ]
    assert result.notices == (
        "111122223333 eu-west-1: variables were left out (--env none); not judged there in full: suspected_secret",
        "111122223333 eu-west-1: aliases were left out (--no-aliases); not judged there in full: canary_weight_left",
    )


ACCOUNTS = ("111122223333", "444455556666")
REGIONS = ("eu-west-1", "us-east-1")
PLACES = [{"account_id": account_id, "region": region} for account_id in ACCOUNTS for region in REGIONS]


@pytest.mark.parametrize(
    ("pattern", "waived"),
    [
        ({"region": "eu-west-1"}, {(account_id, "eu-west-1") for account_id in ACCOUNTS}),
        ({"region": "us-*"}, {(account_id, "us-east-1") for account_id in ACCOUNTS}),
        ({"account_id": ACCOUNTS[1]}, {(ACCOUNTS[1], region) for region in REGIONS}),
        ({"account_id": ACCOUNTS[0], "region": "us-east-1"}, {(ACCOUNTS[0], "us-east-1")}),
        ({"function_name": "f"}, {tuple(place.values()) for place in PLACES}),
        ({"function_name": "g"}, set()),
    ],
)
async def test_a_waiver_covers_its_places_alone(tmp_path, write_dataset, pattern, waived):
    """A waiver of one account or Region hides no finding of the same check in another."""
    functions = [function(state="Failed", **place) for place in PLACES]
    write_dataset(tmp_path, [{"at": AT, "scopes": PLACES, "functions": functions}])
    waiver = lexport.Waiver(check="function_failed", reason="known", expires=DAY, **pattern)

    result = await lexport.check(tmp_path, only=["function_failed"], waivers=[waiver], today=DAY)

    assert len(result.findings) == len(PLACES)
    assert {(item.account_id, item.region) for item in result.findings if item.waiver} == waived
    assert len(result.at_least("high")) == len(PLACES) - len(waived)


async def test_limits_that_could_not_be_read(tmp_path, write_dataset):
    """Checks of limits are reported as not judged where GetAccountSettings was denied, and nowhere else."""
    near = {"code_size_used": 90, "code_size_limit": 100, "concurrent_executions_limit": 100}
    settings = [{**near, **place} for place in PLACES[:2]]
    write_dataset(tmp_path, [{"at": AT, "scopes": PLACES, "account_settings": settings}])

    result = await lexport.check(tmp_path, only=["code_storage_near_limit", "reservations_near_limit", "untagged"])

    assert [(item.account_id, item.region) for item in result.findings] == [
        tuple(place.values()) for place in PLACES[:2]
    ]
    assert [(item.account_id, item.region, item.reason, set(item.checks)) for item in result.unjudged] == [
        (
            *place.values(),
            "the account's limits could not be read",
            {"code_storage_near_limit", "reservations_near_limit"},
        )
        for place in PLACES[2:]
    ]
    assert len([line for line in result.notices if "the account's limits could not be read" in line]) == 1


async def test_details_of_any_type(dest, own):
    """Details of types that no format has are written as text."""
    query = "SELECT account_id, region, INTERVAL 36 HOUR AS age, ['1'::BIT] AS bits FROM scopes"
    folder = own(query, COLUMNS + "-- column age: a\n-- column bits: b\n")

    result = await lexport.check(dest, own=[folder], only=["mine"])

    assert [finding.details for finding in result.findings] == [{"age": "36:00:00", "bits": ["1"]}]


async def test_cancelled(dest, own):
    """A cancelled run ends at once, although DuckDB would count for minutes."""
    endless = "range(100000000) AS a(i), range(1000) AS b(i) WHERE hash(a.i, b.i) = 1"
    folder = own(f"SELECT account_id, region FROM scopes, {endless}")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lexport.check(dest, own=[folder], only=["mine"]), 0.5)


async def test_nothing_whole(tmp_path, write_dataset):
    """A dataset in which no account-region was ever read whole is an error."""
    write_dataset(
        tmp_path, [{"at": AT, "scopes": [{"status": "denied"}, {"region": "us-east-1", "coverage": "selection"}]}]
    )

    with pytest.raises(RunError, match="nothing to check"):
        await lexport.check(tmp_path)
