"""Many accounts in one run: which accounts are read, how their roles are assumed, and what becomes a gap."""

import json
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from aiobotocore.session import get_session

import lexport
from lexport.aws.quota import retry
from lexport.aws.session import ATTEMPTS
from lexport.errors import CredentialsError, IncompleteError, SettingsError
from lexport.extract.ended_scopes import ended_scopes
from lexport.model import Scope
from lexport.query.catalog import open_catalog
from lexport.simulator import Fault, Fleet, FleetSpec, known_regions

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

HUB = "111122223333"
ACCOUNTS = tuple(str(int(HUB) + position) for position in range(5))
CLOSED, SUSPENDED = ACCOUNTS[3], "111122223340"
OPEN = tuple(account for account in ACCOUNTS if account != CLOSED)
REGIONS, OFF = ("ap-southeast-2", "eu-west-1", "us-east-1"), "me-south-1"
ROLE = "lexport-reader"


def fleet_of(**more):
    """Make five accounts with functions in four Regions, one of which is disabled; one account denies AssumeRole."""
    spec = {
        "accounts": ACCOUNTS,
        "regions": (*REGIONS, OFF),
        "closed_accounts": (CLOSED,),
        "functions": 4,
        "versions": 2,
    }
    return Fleet(FleetSpec(**spec | {"suspended_accounts": (SUSPENDED,)} | more))


@pytest.fixture(autouse=True)
def no_waits(fast_retries, monkeypatch):
    """Refused keys are not retried."""
    monkeypatch.setattr(retry, "REFUSED_FOR_S", 0.0)


@pytest.fixture
def fleet():
    return fleet_of()


def scopes(rows):
    return {(row["account_id"], row["region"]): row["status"] for row in rows["scopes"]}


def assumed(server):
    return server.calls[HUB, "us-east-1", "AssumeRole"] or sum(
        count for (_, _, operation), count in server.calls.items() if operation == "AssumeRole"
    )


# --- which accounts ---------------------------------------------------------------------------------------------------


async def test_organization(simulator, run_lexport, flags, look, fleet, tmp_path):
    """--organization --region all reads every Region of every account whose role can be assumed, and lists the gaps."""
    more = ("--region", "all", "--organization", "--account-role", ROLE)
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url, *more, "--allow-partial"))
        entered = assumed(aws)

    assert done.code == 3, done.err
    assert f"accounts that are not active are not read: {SUSPENDED} (SUSPENDED)" in done.err
    assert f"AccessDenied in AssumeRole, {CLOSED} aws-global" in done.err
    assert len(done.err.splitlines()) < 40
    rows = look.read_rows(tmp_path / "fleet")
    expected = look.expected_rows(fleet, *(Scope(account_id=a, region=r) for a in OPEN for r in REGIONS))
    assert expected["functions"] == look.facts(rows["functions"])
    assert expected["aliases"] == look.facts(rows["aliases"])
    found = scopes(rows)
    assert all(row["account_name"] == f"account-{row['account_id'][-4:]}" for row in rows["scopes"])
    assert {"complete"} == {found[account, region] for account in OPEN for region in REGIONS}
    assert {"unavailable"} == {found[account, OFF] for account in OPEN}
    assert {key: status for key, status in found.items() if key[0] == CLOSED} == {(CLOSED, "aws-global"): "denied"}
    assert {"complete", "unavailable", "denied"} == set(found.values())
    assert [
        (row["account_id"], row["region"], row["operation"], row["error_code"], row["http_status"], row["is_gap"])
        for row in rows["errors"]
    ] == [(CLOSED, "aws-global", "AssumeRole", "AccessDenied", 403, True)]
    assert entered == 4  # the caller's own account is read as it is


async def test_gap_without_allow_partial(simulator, run_lexport, flags, fleet, tmp_path):
    """If one account denies AssumeRole, the others are read, but nothing is published, and the exit code is 1."""
    more = ("--organization", "--account-role", ROLE, "--region", "us-east-1", "--region", "eu-west-1")
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url, *more))

    assert done.code == 1, done.err
    assert not list((tmp_path / "fleet").glob("_runs/*"))
    assert 2 * len(OPEN) == done.err.count("complete, 4 functions")


async def test_denied_account_says_why_in_completeness(simulator, aws, settings, look, fleet, tmp_path):
    """If Regions are named, a denied account has a row for each Region, and the view shows the reason in each."""
    chosen = {"account_role": ROLE, "accounts": (CLOSED, OPEN[1]), "regions": REGIONS[:2], "allow_partial": True}
    async with simulator(fleet=fleet) as server:
        result = await lexport.snapshot(tmp_path, settings(server.url, **chosen))

    query = "SELECT account_id, region, status, operation, error_code FROM completeness WHERE status = 'denied'"
    told = (await lexport.sql(tmp_path, query)).to_pylist()
    wanted = {"status": "denied", "operation": "AssumeRole", "error_code": "AccessDenied"}
    assert [{"account_id": CLOSED, "region": region} | wanted for region in REGIONS[:2]] == told
    assert (result.manifest.gaps, result.manifest.status) == (1, "partial")


async def test_all_accounts_denied(simulator, run_lexport, flags, fleet, tmp_path):
    """If every account denies AssumeRole, the exit code is 5 and the error names the role, with --allow-partial too."""
    more = ("--accounts", CLOSED, "--account-role", ROLE, "--allow-partial")
    async with simulator(fleet=fleet) as aws:
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url, *more))

    assert done.code == 5, done.err
    assert f"arn:aws:iam::{CLOSED}:role/{ROLE}" in done.last
    assert not list((tmp_path / "fleet").glob("_runs/*"))


async def test_accounts_of_a_file(simulator, run_lexport, flags, look, fleet, tmp_path):
    """--accounts takes a file with comments; an ARN pattern's path and placeholder are filled in."""
    listed = tmp_path / "accounts.txt"
    listed.write_text(f"# ours\n{OPEN[1]}  # shop\n\n{OPEN[2]}\n{OPEN[1]}\n")
    role = "arn:aws:iam::{account_id}:role/audit/" + ROLE
    async with simulator(fleet=fleet) as aws:
        more = ("--accounts", str(listed), "--account-role", role)
        done = await run_lexport("snapshot", tmp_path / "fleet", *flags(aws.url, *more))

    assert done.code == 0, done.err
    assert [OPEN[1], OPEN[2]] == [row["account_id"] for row in look.read_rows(tmp_path / "fleet")["scopes"]]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--accounts", "{file}"], "accounts.txt:2: '12345' is no account"),
        (["--accounts", "{file}.none"], "No such file"),
        (["--accounts", "111122223333,x"], "--accounts takes ids of 12 digits, not 'x'"),
        (["--accounts", HUB, "--organization"], "exclude each other"),
        (["--accounts", HUB, "--ou", "r-ab12"], "--ou goes with --organization"),
        (["--accounts", HUB, "--exclude-account", HUB], "--exclude-account goes with --organization"),
        (["--organization", "--ou", "prod"], "--ou is an id like"),
        (["--organization", "--exclude-account", "1"], "--exclude-account takes ids of 12 digits"),
        (["--organization", "--function", "f"], "--account-role reads whole fleets"),
        (["--organization", "--external-id", "ä b"], "--external-id is"),
        (["--organization", "--account-role", "a/b"], "--account-role is a role's name, or an ARN"),
        (["--organization", "--account-role", f"arn:aws:iam::{HUB}:role/r"], "arn:aws:iam::{account_id}:role"),
        (["--account-role", ROLE], "--account-role needs the accounts"),
        (["--no-role", "--accounts", HUB], "--accounts goes with --account-role"),
        (["--no-role", "--organization"], "--organization goes with --account-role"),
        (["--no-role", "--external-id", "ab"], "--external-id goes with --account-role"),
    ],
)
async def test_wrong_use(run_lexport, flags, tmp_path, more, said):
    """Options that contradict each other end with exit 2 before any call."""
    (tmp_path / "accounts.txt").write_text(f"{HUB}\n12345\n")
    given = [text.replace("{file}", str(tmp_path / "accounts.txt")) for text in more if text != "--no-role"]
    role = () if {"--no-role", "--account-role"} & set(more) else ("--account-role", ROLE)
    done = await run_lexport("snapshot", tmp_path / "fleet", *flags("http://127.0.0.1:1", *given, *role))

    assert done.code == 2, done.err
    assert said in done.err
    assert not (tmp_path / "fleet").exists()


async def test_units_and_exclusions(simulator, aws, settings, look, tmp_path):
    """--ou reads accounts at any depth, --exclude-account skips accounts, and an exclusion without effect is noted."""
    fleet = fleet_of(closed_accounts=())
    async with simulator(fleet=fleet) as server:

        async def read(dest, **more):
            options = settings(server.url, account_role=ROLE, organization=True, **more)
            result = await lexport.snapshot(tmp_path / dest, options)
            return [scope.account_id for scope in result.manifest.scopes], result.notes

        prod, root = await organization_of(server.url)
        below, _ = await read("prod", organizational_units=(prod,))
        all_of_it, _ = await read("root", organizational_units=(root, prod))
        but, notes = await read("but", exclude_accounts=(ACCOUNTS[1], "999999999999"))
        with pytest.raises(SettingsError, match="not in this organization"):
            await read("none", organizational_units=("ou-none-11111111",))
        with pytest.raises(SettingsError, match="no account is left"):
            await read("empty", exclude_accounts=ACCOUNTS)

    assert [ACCOUNTS[2], ACCOUNTS[4]] == below
    assert list(ACCOUNTS) == all_of_it
    assert [ACCOUNTS[0], *ACCOUNTS[2:]] == but
    assert "--exclude-account names accounts that were not listed: 999999999999" in notes


async def organization_of(url):
    """The first unit and the root."""
    options = {"endpoint_url": url, "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    async with get_session().create_client("organizations", region_name="us-east-1", **options) as client:
        root = (await client.list_roots())["Roots"][0]["Id"]
        units = await client.list_organizational_units_for_parent(ParentId=root)
    return units["OrganizationalUnits"][0]["Id"], root


async def test_more_accounts_than_a_page(simulator, aws, settings, tmp_path):
    """An organization of 45 accounts comes in three pages, and all of them are read side by side."""
    accounts = tuple(str(int(HUB) + position) for position in range(45))
    async with simulator(fleet=Fleet(FleetSpec(accounts=accounts, functions=1, versions=0))) as server:
        result = await lexport.snapshot(tmp_path, settings(server.url, account_role=ROLE, organization=True))
        pages = server.calls[HUB, "us-east-1", "ListAccounts"]

    assert accounts == tuple(scope.account_id for scope in result.manifest.scopes)
    assert pages == 3


async def test_organization_that_may_not_be_listed(simulator, aws, settings, tmp_path):
    """If Organizations denies access, the error suggests an option with exit 5; if it is down, the exit code is 1."""
    more = {"account_role": ROLE, "organization": True}
    denied = Fault(operation="ListAccounts", kind="denied", times=1)
    down = Fault(operation="ListAccounts", kind="error", status=500, times=None)
    async with simulator(denied, down, fleet=fleet_of()) as server:
        with pytest.raises(CredentialsError, match="iam-policy --for hub"):
            await lexport.snapshot(tmp_path, settings(server.url, **more))
        with pytest.raises(lexport.RunError, match="cannot be listed") as caught:
            await lexport.snapshot(tmp_path, settings(server.url, **more))

    assert caught.value.exit_code == 1


# --- how they are entered ---------------------------------------------------------------------------------------------


async def test_external_id(simulator, aws, settings, tmp_path):
    """A role that requires an external id can be assumed with this id only."""
    fleet = fleet_of(external_id="the-id-we-agreed-on", closed_accounts=())
    chosen = {"account_role": ROLE, "accounts": ACCOUNTS[1:3]}
    async with simulator(fleet=fleet) as server:
        with pytest.raises(CredentialsError, match="AssumeRole"):
            await lexport.snapshot(tmp_path / "a", settings(server.url, **chosen))
        result = await lexport.snapshot(
            tmp_path / "b", settings(server.url, external_id="the-id-we-agreed-on", **chosen)
        )

    assert result.published
    assert "the-id-we-agreed-on" not in json.dumps(result.manifest.options)


@pytest.mark.parametrize(
    ("role", "region", "said"),
    [("arn:aws-cn:iam::{account_id}:role/r", "us-east-1", "partition aws-cn"), ("r", "cn-north-1", "partition aws-cn")],
)
async def test_another_partition(simulator, aws, settings, tmp_path, role, region, said):
    """A role or a Region of another partition is an error before any role is assumed."""
    chosen = {"account_role": role, "accounts": ACCOUNTS[1:3], "regions": ("us-east-1", region)}
    async with simulator(fleet=fleet_of()) as server:
        with pytest.raises(SettingsError, match=said):
            await lexport.snapshot(tmp_path, settings(server.url, **chosen))

        assert assumed(server) == 0


async def test_throttled_sts_is_asked_again(simulator, aws, settings, tmp_path):
    """An AssumeRole that is throttled or fails is tried again; one that goes on failing is a gap, and no denial."""
    chosen = {"account_role": ROLE, "accounts": ACCOUNTS[1:2], "regions": REGIONS[:2]}
    passing = [
        Fault(operation="AssumeRole", kind="error", status=400, code="Throttling"),
        Fault(operation="AssumeRole", kind="reset"),
    ]
    async with simulator(*passing, fleet=fleet_of()) as server:
        result = await lexport.snapshot(tmp_path / "a", settings(server.url, **chosen))
        assert (assumed(server), result.published) == (3, True)
        server.inject(Fault(operation="AssumeRole", kind="error", status=503, code="ServiceUnavailable", times=None))
        with pytest.raises(IncompleteError) as caught:
            await lexport.snapshot(tmp_path / "b", settings(server.url, **chosen))

    lost = caught.value.result
    assert [scope.status for scope in lost.manifest.scopes] == ["partial", "partial"]
    assert [(kind.error_code, example.attempts) for kind, _, example in lost.failures] == [
        ("ServiceUnavailable", ATTEMPTS)
    ]


async def test_regions_where_the_account_api_is_denied(simulator, aws, settings, look, fleet, tmp_path):
    """If account:ListRegions is denied, EC2 lists the Regions; if EC2 denies too, each Region of botocore is tried."""
    chosen = {"account_role": ROLE, "accounts": OPEN[1:3], "regions": ("all",)}
    denied = [Fault(operation="ListRegions", account_id=OPEN[1], kind="denied", times=None)]
    denied += [
        Fault(operation=name, account_id=OPEN[2], kind="denied", times=None)
        for name in ("ListRegions", "DescribeRegions")
    ]
    async with simulator(*denied, fleet=fleet) as server:
        result = await lexport.snapshot(tmp_path, settings(server.url, **chosen))

    found = scopes(look.read_rows(tmp_path))
    assert result.published
    for account in OPEN[1:3]:
        assert found[account, OFF] == "unavailable"
        assert {"complete"} == {found[account, region] for region in REGIONS}
    assert any("every Region that botocore knows is tried" in note for note in result.notes)


async def test_credentials_are_renewed_in_a_long_run(simulator, aws, settings, look, tmp_path):
    """Roles whose credentials last two seconds read a fleet that takes longer, without a gap."""
    fleet = fleet_of(closed_accounts=(), functions=24, versions=3)
    chosen = {"account_role": ROLE, "accounts": ACCOUNTS[1:3], "regions": REGIONS[:2], "get_function_rate_per_s": 24.0}
    async with simulator(fleet=fleet, credentials_ttl_s=2) as server:
        result = await lexport.snapshot(tmp_path, settings(server.url, quota_share=1.0, **chosen))
        asked = assumed(server)

    assert result.published
    assert result.duration_s > 3
    assert 4 <= asked <= 2 * (2 + result.duration_s / 0.7)
    expected = look.expected_rows(fleet, *(Scope(account_id=a, region=r) for a in ACCOUNTS[1:3] for r in REGIONS[:2]))
    assert expected["functions"] == look.facts(look.read_rows(tmp_path)["functions"])


async def test_expired_in_the_middle(simulator, aws, settings, tmp_path):
    """Credentials that AWS rejects as expired before their time are refreshed once for all concurrent calls."""
    chosen = {"account_role": ROLE, "accounts": ACCOUNTS[1:2], "regions": REGIONS}
    early = Fault(operation="GetFunction", kind="expired_token", times=1, after=5)
    async with simulator(early, fleet=fleet_of()) as server:
        result = await lexport.snapshot(tmp_path, settings(server.url, **chosen))

        assert (result.published, assumed(server)) == (True, 2)


async def test_role_that_is_taken_away(simulator, aws, settings, tmp_path):
    """A role that cannot be assumed again ends its own account-regions with a gap; the others are read whole."""
    fleet = fleet_of(closed_accounts=(), functions=12, versions=3)
    chosen = {"account_role": ROLE, "accounts": ACCOUNTS[0:2], "regions": REGIONS[:2], "get_function_rate_per_s": 16.0}
    gone = Fault(operation="AssumeRole", kind="denied", after=1, times=None)
    async with simulator(gone, fleet=fleet, credentials_ttl_s=2) as server:
        result = await lexport.snapshot(tmp_path, settings(server.url, allow_partial=True, quota_share=1.0, **chosen))

    status = {(scope.account_id, scope.region): scope.status for scope in result.manifest.scopes}
    assert {"complete"} == {status[ACCOUNTS[0], region] for region in REGIONS[:2]}
    assert {"partial"} == {status[ACCOUNTS[1], region] for region in REGIONS[:2]}
    assert any("AssumeRole" in example.message for _, _, example in result.failures)


async def test_no_secret_is_told(simulator, aws, settings, caplog, tmp_path):
    """Keys and tokens of assumed roles stand in no log, note, error or manifest, at DEBUG and with faults too."""
    caplog.set_level(logging.DEBUG)
    faults = [
        Fault(operation="GetFunction", kind="denied", account_id=ACCOUNTS[1]),
        Fault(operation="ListRegions", kind="html"),
    ]
    async with simulator(*faults, fleet=fleet_of()) as server:
        result = await lexport.snapshot(
            tmp_path, settings(server.url, account_role=ROLE, organization=True, regions=("all",), allow_partial=True)
        )
        issued = [identity for identity in server._keys._identities.values() if identity.token]

    said = (
        caplog.text
        + repr(result)
        + "".join(path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    )
    assert len(issued) == 3
    assert [secret for identity in issued for secret in (identity.secret, identity.token) if secret in said] == []


async def test_policies_are_what_a_run_calls(simulator, run_lexport, flags, tmp_path):
    """The session policy permits every call that a run makes, and the hub makes only the calls of its policy."""
    more = ("--region", "all", "--organization", "--account-role", ROLE)
    async with simulator(fleet=fleet_of(closed_accounts=(), regions=REGIONS)) as aws:
        _, root = await organization_of(aws.url)
        aws.calls.clear()
        for dest, unit in (("all", ()), ("unit", ("--ou", root))):
            done = await run_lexport("snapshot", tmp_path / dest, *flags(aws.url, *more, *unit))

            assert done.code == 0, done.err
        called = {(account, operation) for account, _, operation in aws.calls}
    printed = await run_lexport("iam-policy", "--for", "hub", "--account-role", ROLE)
    wrong = [await run_lexport("iam-policy", "--for", "hub"), await run_lexport("iam-policy", "--account-role", ROLE)]

    enter, organization = json.loads(printed.out)["Statement"]
    assert (enter["Action"], enter["Resource"]) == ("sts:AssumeRole", f"arn:aws:iam::*:role/{ROLE}")
    hub = {operation for account, operation in called if account == HUB}
    others = {operation for account, operation in called if account != HUB}
    assert hub - others - {"AssumeRole", "GetCallerIdentity"} == {
        action.removeprefix("organizations:") for action in organization["Action"]
    }
    assert [done.code for done in wrong] == [2, 2]


# --- what has ended ---------------------------------------------------------------------------------------------------


async def test_what_has_ended_is_retired(simulator, run_lexport, flags, settings, tmp_path, aws):
    """--retire-after retires an account that left and a Region that was switched off, where they are old enough.

    A run with gaps retires nothing. What comes back is read whole, with a row in ``changes`` for each thing.
    """
    dest, left, summary = tmp_path / "fleet", ACCOUNTS[2], tmp_path / "summary.json"
    small = {"accounts": ACCOUNTS[:3], "closed_accounts": (), "functions": 2, "versions": 1}
    off = tuple(known_regions.REAL - {"us-east-1"})
    small |= {"regions": ("us-east-1", OFF), "suspended_accounts": ()}
    small |= {"disabled_regions": tuple(name for name in off if name != OFF)}
    whole, ended = fleet_of(**small), fleet_of(**small | {"accounts": ACCOUNTS[:2], "disabled_regions": off})
    chosen = {"organization": True, "account_role": ROLE, "regions": ("all",), "incremental": True}
    chosen |= {"retire_after": timedelta(days=14)}

    async def night(fleet, *faults, **more):
        async with simulator(*faults, fleet=fleet) as server:
            return await lexport.snapshot(dest, settings(server.url, **chosen | more))

    first = await night(whole, snapshot_at=datetime.now(UTC) - timedelta(days=20))
    denied = Fault(operation="GetFunction", function_name=ended.name(0), kind="denied", times=None)
    partial = await night(ended, denied, allow_partial=True)
    assert (first.retired, partial.retired) == ((), ())
    assert "nothing was retired, because the snapshot has gaps" in partial.notes

    more = ("--region", "all", "--organization", "--account-role", ROLE, "--retire-after", "14d")
    async with simulator(fleet=ended) as server:
        done = await run_lexport("snapshot", dest, *flags(server.url, *more, "--summary-file", str(summary)))
    gone = [(ACCOUNTS[0], OFF), (ACCOUNTS[1], OFF), (left, OFF), (left, "us-east-1")]
    assert done.code == 0, done.err
    assert (
        f"{left} us-east-1: retired with 2 functions, last read whole {first.manifest.snapshot_at:%Y-%m-%d}" in done.err
    )
    assert [(scope["account_id"], scope["region"]) for scope in json.loads(summary.read_text())["retired"]] == gone
    catalog = open_catalog(dest)
    assert sorted((scope.account_id, scope.region) for scope in catalog.retired()) == gone
    assert {(scope.account_id, scope.region) for scope in catalog.latest()} == {
        (account, "us-east-1") for account in ACCOUNTS[:2]
    }
    assert json.loads((dest / "_latest.json").read_text())["snapshot_id"] == catalog.newest.snapshot_id
    readings = catalog.as_of(first.snapshot_id, option="A").latest()
    assert ended_scopes([], readings, before=first.manifest.snapshot_at, is_all_regions=True) == {}
    assert ended_scopes([], readings, before=datetime.now(UTC), is_all_regions=True) == readings

    back = await night(whole)
    assert open_catalog(dest).retired() == {}
    assert f"was retired in {next(iter(catalog.retired().values())).snapshot_id}" in "\n".join(back.notes)
    changes = Counter(
        (row["account_id"], row["region"], row["kind"])
        for path in open_catalog(dest).files("changes", [back.manifest])
        for row in pq.read_table(path).to_pylist()
        if row["table_name"] == "functions"
    )
    versions = {(entry.account_id, entry.region): entry.versions for entry in back.manifest.scopes}
    assert changes == {(*scope, "added"): versions[scope] for scope in gone}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({}, "goes with --organization"),
        (
            {"organization": True, "account_role": ROLE, "organizational_units": ("r-ab12",)},
            "and --ou exclude each other",
        ),
        (
            {"organization": True, "account_role": ROLE, "exclude_accounts": (HUB,)},
            "--exclude-account exclude each other",
        ),
    ],
)
async def test_retiring_needs_the_whole_organization(more, reason):
    """--retire-after is refused where an account that is still there might not be listed, and without a duration."""
    with pytest.raises(SettingsError, match=r"--retire-after is a duration above 0, not 0s"):
        lexport.SnapshotSettings(retire_after=timedelta(0), **more)
    with pytest.raises(SettingsError, match=f"--retire-after.*{reason}"):
        lexport.SnapshotSettings(retire_after=timedelta(days=14), **more)
