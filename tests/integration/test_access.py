"""Access: Regions that reject the token, failing first calls, credentials that expire, and MFA codes."""

from __future__ import annotations

import socket
import sys

import anyio
import pytest

import lexport
from lexport.aws.quota import retry
from lexport.errors import CredentialsEndedError, CredentialsError, IncompleteError, RunError
from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("fast_retries")]

HUB, OTHER = "111122223333", "111122223334"
REFUSED = ("UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure")
NO_LISTS = tuple(Fault(operation=name, kind="denied", times=None) for name in ("ListRegions", "DescribeRegions"))


def refusal(region, *, code="UnrecognizedClientException", operation=None, **more):
    """A Region that does not know the token."""
    return Fault(
        **{"operation": operation, "region": region, "kind": "error", "status": 403, "code": code, "times": None}
        | more,
        message="The security token included in the request is invalid.",
    )


def fleet_of(*regions, accounts=(HUB,), **more):
    spec = {"disabled_regions": ()} | more
    return Fleet(FleetSpec(functions=2, versions=1, accounts=accounts, regions=regions, **spec))


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def scopes(rows):
    return {(row["account_id"], row["region"]): row["status"] for row in rows["scopes"]}


# --- Regions that refuse the token ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "lists", "code"),
    [
        ("ap-east-1", (), REFUSED[0]),  # AWS's own list calls it enabled
        ("us-west-2", (), REFUSED[1]),
        ("ap-east-1", NO_LISTS[:1], REFUSED[2]),  # EC2's list does
        ("us-west-2", NO_LISTS, REFUSED[0]),  # no list to be had, but nobody can switch it off
    ],
)
async def test_enabled_region_refuses(simulator, aws, settings, look, tmp_path, region, lists, code):
    """A Region that a list calls enabled and that refuses the token is denied and a gap, never unavailable."""
    fleet = fleet_of("us-east-1", region)
    async with simulator(refusal(region, code=code), *lists, fleet=fleet) as server:
        options = settings(server.url, regions=("all",), allow_partial=True)
        await lexport.snapshot(tmp_path / "fleet", options)

    rows = look.read_rows(tmp_path / "fleet")
    assert (scopes(rows)[HUB, region], look.newest(tmp_path / "fleet").gaps) == ("denied", 1)
    assert {status for (_, name), status in scopes(rows).items() if name != region} == {"complete"}
    (error,) = (row for row in rows["errors"] if row["is_gap"])
    assert (error["region"], error["error_code"], error["attempts"] > 1) == (region, code, True)
    assert "set-security-token-service-preferences" in error["message"]


@pytest.mark.parametrize("code", [*REFUSED, "OptInRequired"])
async def test_a_region_that_no_list_calls_enabled(simulator, aws, settings, look, tmp_path, code):
    """A Region that is not enabled is unavailable, and no gap, unless a list names it as enabled."""
    async with simulator(
        refusal("ap-east-1", code=code), *NO_LISTS, fleet=fleet_of("us-east-1", "ap-east-1")
    ) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, regions=("all",)))

    found = scopes(look.read_rows(tmp_path / "fleet"))
    assert (found[HUB, "ap-east-1"], found[HUB, "us-east-1"]) == ("unavailable", "complete")


async def test_named_region_refuses(simulator, aws, settings, look, tmp_path):
    """A Region that the user named is never unavailable: exit 1 without --allow-partial, denied with it."""
    fleet = fleet_of("us-east-1", "me-south-1", disabled_regions=("me-south-1",))
    chosen = {"regions": ("us-east-1", "me-south-1")}
    async with simulator(fleet=fleet) as server:
        with pytest.raises(IncompleteError) as caught:
            await lexport.snapshot(tmp_path / "a", settings(server.url, **chosen))
        await lexport.snapshot(tmp_path / "b", settings(server.url, allow_partial=True, **chosen))

    assert caught.value.exit_code == 1
    assert scopes(look.read_rows(tmp_path / "b")) == {(HUB, "us-east-1"): "complete", (HUB, "me-south-1"): "denied"}


@pytest.mark.parametrize("chosen", [("ap-east-1", "us-west-2"), ("all",)])
async def test_sts_of_a_region_that_refuses(simulator, aws, settings, look, tmp_path, chosen):
    """A Region that was opted in to and that refuses the token does not end the run for the others."""
    aws.setenv("AWS_REGION", "ap-east-1")
    async with simulator(refusal("ap-east-1"), fleet=fleet_of("us-west-2", "ap-east-1")) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, regions=chosen, allow_partial=True))

    found = scopes(look.read_rows(tmp_path / "fleet"))
    assert found.pop((HUB, "ap-east-1")) == "denied"
    assert set(found.values()) == {"complete"}


async def test_new_keys(simulator, aws, settings, look, tmp_path):
    """Keys that STS and a Region do not know for a moment are tried again, and the snapshot is whole."""
    aws.setattr(retry, "REFUSED_FOR_S", 60.0)  # it ends with the first answer
    fleet = fleet_of("us-east-1", "us-west-2")
    faults = [refusal("us-west-2", times=5), refusal("us-east-1", operation="GetCallerIdentity", times=2)]
    async with simulator(*faults, fleet=fleet) as server:
        result = await lexport.snapshot(tmp_path / "fleet", settings(server.url, regions=("us-east-1", "us-west-2")))

    rows = look.read_rows(tmp_path / "fleet")
    assert (set(scopes(rows).values()), rows["errors"], result.notes) == ({"complete"}, [], ())


@pytest.mark.parametrize("operation", ["GetFunction", "ListAliases"])
async def test_refused_half_way(simulator, aws, settings, look, tmp_path, operation):
    """A Region that answered once is on: when it refuses the token later, that is a gap, whatever was read by then."""
    fleet = fleet_of("us-east-1", "ap-east-1")
    async with simulator(refusal("ap-east-1", operation=operation), *NO_LISTS, fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, regions=("all",), allow_partial=True))

    rows = look.read_rows(tmp_path / "fleet")
    assert scopes(rows)[HUB, "ap-east-1"] in ("denied", "partial")
    assert [row["region"] for row in rows["errors"] if row["is_gap"]] == ["ap-east-1"]


async def test_refused_everywhere(simulator, aws, settings, tmp_path):
    """If every Region rejects the credentials, none counts as disabled: exit 5."""
    faults = [refusal(None, operation=name) for name in ("ListFunctions", "GetAccountSettings")]
    async with simulator(*faults, *NO_LISTS, fleet=fleet_of("us-east-1")) as server:
        with pytest.raises(CredentialsError, match="nothing may be read") as caught:
            await lexport.snapshot(tmp_path / "fleet", settings(server.url, regions=("all",)))
        with pytest.raises(CredentialsError, match="nothing could be listed"):
            await lexport.plan(settings=settings(server.url, regions=("all",)))

    assert caught.value.exit_code == 5


async def test_refused_in_one_account(simulator, aws, settings, look, tmp_path):
    """Each account is judged by its own responses: if all of its Regions reject calls, none of them is unavailable."""
    operations = ("ListFunctions", "GetAccountSettings", "ListEventSourceMappings", "ListCodeSigningConfigs")
    faults = [refusal(None, operation=name, account_id=OTHER) for name in operations]
    fleet = fleet_of("us-east-1", accounts=(HUB, OTHER), disabled_regions=("me-south-1",))
    chosen = {"regions": ("all",), "account_role": "reader", "accounts": (HUB, OTHER), "allow_partial": True}
    async with simulator(*faults, *NO_LISTS, fleet=fleet) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url, **chosen))

    found = scopes(look.read_rows(tmp_path / "fleet"))
    assert {status for (account, _), status in found.items() if account == OTHER} == {"denied"}
    assert [scope for scope, status in found.items() if status == "unavailable"] == [(HUB, "me-south-1")]


async def test_plan_of_a_region_that_is_off(simulator, aws, settings):
    """A plan omits disabled Regions, also those that only their responses reveal, and counts all others."""
    fleet = fleet_of("us-east-1", disabled_regions=("me-south-1",))
    async with simulator(*NO_LISTS, fleet=fleet) as server:
        planned = await lexport.plan(settings=settings(server.url, regions=("all",)))

    assert planned.missing == ()
    assert "me-south-1" not in {scope.region for scope in planned.scopes}


# --- the first calls -------------------------------------------------------------------------------------------------

TROUBLE = {
    "throttled": {"kind": "error", "status": 400, "code": "ThrottlingException"},
    "failing": {"kind": "error", "status": 503, "code": "ServiceUnavailable"},
    "gateway page": {"kind": "html"},
    "reset": {"kind": "reset"},
}


@pytest.mark.parametrize("what", TROUBLE)
async def test_trouble_at_the_first_calls_passes(simulator, aws, settings, look, tmp_path, what):
    """Every first call is tried again: the run is whole, and nothing is taken for something else."""
    names = ("GetCallerIdentity", "ListAccounts", "AssumeRole", "ListRegions", "ListFunctions")
    faults = [Fault(operation=name, times=2, **TROUBLE[what]) for name in names]
    fleet = fleet_of("us-east-1", accounts=(HUB, OTHER))
    chosen = {"regions": ("all",), "account_role": "reader", "organization": True}
    async with simulator(*faults, fleet=fleet) as server:
        result = await lexport.snapshot(tmp_path / "fleet", settings(server.url, **chosen))

    rows = look.read_rows(tmp_path / "fleet")
    assert (result.published, result.notes, rows["errors"]) == (True, (), [])
    assert {account for account, _ in scopes(rows)} == {HUB, OTHER}


@pytest.mark.parametrize("what", ["throttled", "gateway page"])
async def test_the_account_of_the_first_arn(simulator, aws, settings, look, tmp_path, what):
    """Without STS the account is that of the first ARN, however the call for it stumbles at first."""
    faults = [
        Fault(operation="GetCallerIdentity", kind="denied", times=None),
        Fault(operation="ListFunctions", times=2, **TROUBLE[what]),
    ]
    async with simulator(*faults, fleet=fleet_of("us-east-1")) as server:
        await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    assert scopes(look.read_rows(tmp_path / "fleet")) == {(HUB, "us-east-1"): "complete"}


@pytest.mark.parametrize("chosen", [{}, {"account_role": "reader", "organization": True}])
async def test_nothing_can_be_reached(aws, settings, tmp_path, chosen):
    """If the network is down, the exit code is 1, and the error names the cause first and suggests no permission."""
    port = closed_port()
    for run in (lexport.snapshot, lexport.plan):
        arguments = (tmp_path / "fleet",) if run is lexport.snapshot else ()
        with pytest.raises(RunError) as caught:
            await run(*arguments, settings=settings(f"http://127.0.0.1:{port}", **chosen))

        assert caught.value.exit_code == 1
        assert str(caught.value).startswith(f"cannot reach 127.0.0.1:{port}: connection refused; ")
        assert "allow sts" not in str(caught.value)


@pytest.mark.parametrize("what", ["throttled", "failing"])
async def test_trouble_that_stays(simulator, aws, settings, tmp_path, what):
    """First calls that are throttled or fail to the end are exit 1, not a question of credentials."""
    fault = Fault(operation=None, times=None, **TROUBLE[what])
    async with simulator(fault, fleet=fleet_of("us-east-1")) as server:
        with pytest.raises(RunError, match=TROUBLE[what]["code"]) as caught:
            await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    assert caught.value.exit_code == 1


async def test_permission_for_nothing(simulator, aws, settings, tmp_path):
    """A plan that may list nothing is exit 5, as a snapshot is."""
    async with simulator(Fault(operation="ListFunctions", kind="denied", times=None)) as server:
        with pytest.raises(CredentialsError, match="nothing could be listed") as caught:
            await lexport.plan(settings=settings(server.url))

    assert caught.value.exit_code == 5


CLOCKS = {
    "3 days behind": "expired: 20260301T120000Z is now earlier than 20260304T114500Z (20260304T120000Z - 15 min.)",
    "2 hours ahead of": "not yet current: 20260304T140000Z is still later than 20260304T121500Z"
    " (20260304T120000Z + 15 min.)",
}


@pytest.mark.parametrize("skew", CLOCKS)
async def test_a_wrong_clock(simulator, aws, settings, tmp_path, skew):
    """A clock that AWS does not accept is named with its skew; no other credentials would help, so it is exit 1."""
    fault = Fault(
        operation=None,
        kind="error",
        status=403,
        code="SignatureDoesNotMatch",
        message=f"Signature {CLOCKS[skew]}",
        times=None,
    )
    async with simulator(fault) as server:
        with pytest.raises(RunError, match=f"check this machine's clock, which is {skew} AWS's") as caught:
            await lexport.snapshot(tmp_path / "fleet", settings(server.url))

    assert caught.value.exit_code == 1


# --- credentials that end in mid-run --------------------------------------------------------------------------------


async def test_ended_everywhere_and_in_one_region(simulator, aws, settings, look, tmp_path):
    """Exit 5 where the credentials ended in every account-region, 1 where in some; with --allow-partial what was read
    is published."""
    fleet = fleet_of("us-east-1", "us-west-2")
    both = {"regions": ("us-east-1", "us-west-2")}
    codes = []
    for region in ("us-west-2", None):
        fault = Fault(operation="GetFunction", kind="expired_token", region=region, after=1, times=None)
        async with simulator(fault, fleet=fleet) as server:
            with pytest.raises(IncompleteError) as caught:
                await lexport.snapshot(tmp_path / "a", settings(server.url, **both))
            codes.append((type(caught.value), caught.value.exit_code))
            assert look.newest(tmp_path / "a") is None
    async with simulator(fault, fleet=fleet) as server:
        result = await lexport.snapshot(tmp_path / "b", settings(server.url, allow_partial=True, **both))

    assert codes == [(IncompleteError, 1), (CredentialsEndedError, 5)]
    assert result.published
    assert "partial" in scopes(look.read_rows(tmp_path / "b")).values()


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException"])
async def test_packages_without_credentials(simulator, aws, settings, tmp_path, code):
    """A run over packages whose credentials end everywhere is exit 5; what ends in one Region, another one may have."""
    fleet = Fleet(FleetSpec(functions=4, versions=1, seed=3, regions=("us-east-1", "us-west-2")))
    async with simulator(fleet=fleet) as server:
        for dest in ("a", "b"):
            await lexport.snapshot(tmp_path / dest, settings(server.url, regions=("us-east-1", "us-west-2")))
        server.inject(refusal("us-west-2", code=code, operation="GetFunction"))
        result = await lexport.packages(tmp_path / "a", settings(server.url))
        server.inject(refusal(None, code=code, operation="GetFunction"))
        with pytest.raises(CredentialsEndedError, match=code) as caught:
            await lexport.packages(tmp_path / "b", settings(server.url))

    assert (result.published, caught.value.exit_code) == (True, 5)


# --- codes of MFA devices, SSO ---------------------------------------------------------------------------------------

CONFIG = """
[profile base]
aws_access_key_id = testing
aws_secret_access_key = testing
[profile mfa]
role_arn = arn:aws:iam::111122223333:role/x
source_profile = base
mfa_serial = arn:aws:iam::111122223333:mfa/me
region = us-east-1
[profile sso]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = ReadOnly
region = us-east-1
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://corp.awsapps.example/start
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return {"AWS_CONFIG_FILE": str(path), "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


@pytest.mark.parametrize(
    ("command", "profile", "said"),
    [
        ("plan", "mfa", "there is no terminal"),
        ("snapshot", "mfa", "there is no terminal"),
        ("plan", "sso", "aws sso login --profile sso"),
    ],
)
async def test_nobody_to_ask(run_lexport, config, tmp_path, profile, said, command):
    """An MFA code that cannot be typed and an expired session end with one line and exit 5, without a traceback."""
    dest = ("fleet",) if command == "snapshot" else ()
    done = await run_lexport(command, *dest, "--profile", profile, cwd=tmp_path, **config)

    assert (done.code, len(done.err.splitlines())) == (5, 1), done.err
    assert said in done.err


@pytest.mark.parametrize(("typed", "code"), [(b"123456\n", 0), (b"\x04", 5), (b"\x03", 5)])
async def test_a_code_is_typed(simulator, environment, config, lexport_path, tmp_path, typed, code):
    """At a terminal, the MFA code is prompted for once; ^D and ^C end with one line and exit 5."""
    run = f"pty.spawn([{lexport_path!r}, 'plan', '--profile', 'mfa'])"
    spawn = f"import os, pty; os._exit(os.waitstatus_to_exitcode({run}))"
    async with simulator(Fault(operation="AssumeRole", kind="error", status=503)) as server:
        variables = {name: value for name, value in (environment | config).items() if value is not None}
        process = await anyio.open_process(
            [sys.executable, "-c", spawn], env=variables | {"AWS_ENDPOINT_URL": server.url}, cwd=tmp_path
        )
        async with process:
            said = b""
            while b"Enter MFA code" not in said:
                said += await process.stdout.receive()
            await process.stdin.send(typed)
            async for more in process.stdout:
                said += more
        text = said.decode()

    assert (process.returncode, text.count("Enter MFA code"), "Traceback" in text) == (code, 1, False), text
    assert ("none was typed" in text) == (code == 5)


async def test_account_that_refuses_is_one_line_without_repeats(simulator, run_lexport, flags):
    """The last line holds the message of AWS once, with the service that sent it."""
    role = ("--account-role", "reader", "--accounts", OTHER)
    fleet = fleet_of("us-east-1", accounts=(HUB, OTHER), closed_accounts=(OTHER,))
    async with simulator(fleet=fleet) as server:
        done = await run_lexport("snapshot", "fleet", *flags(server.url, *role))

    assert done.code == 5
    assert done.last.startswith(
        f"lexport: nothing may be read: AssumeRole in {OTHER} aws-global answered AccessDenied: "
    )
    assert done.last.count("answered") == 1
