"""Credentials, identity, Regions and endpoints: environment and files in a temporary folder, services on loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import traceback
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from botocore.session import Session as BotocoreSession

from lexport.aws.endpoints import LambdaEndpoints
from lexport.aws.identity import Identity, find_identity
from lexport.aws.policy import PARTITIONS
from lexport.aws.regions import Regions, check_region, find_regions, lambda_regions
from lexport.aws.session import open_session
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, ItemError, RunError, SettingsError

pytestmark = pytest.mark.usefixtures("fast_retries")

SECRET = "canary-secret-key-of-40-characters-or-so"
TOKEN = "canary-session-token-of-many-characters"
ACCOUNT = "111122223333"
WHO = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/r/s</Arn><UserId>A</UserId><Account>{ACCOUNT}</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No AWS configuration but what a test writes; the folder it is in."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def levels():
    """Put the levels of loggers back."""
    before = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


@asynccontextmanager
async def service(*answers, asked=None, headers=None):
    """A server that gives its answers in turn, the last one for ever, with these headers; yields its URL."""
    left = list(answers)

    async def handle(request):
        if asked is not None:
            asked.append((request.path, await request.text(), request.headers.get("Authorization", "")))
        status, body = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=status, body=body, content_type="text/xml", headers=headers)

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def sts_error(code, message="no", status=403):
    return (
        status,
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>",
    )


# --- credentials --------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_credentials_of_the_environment(keys):
    """Keys and token of the environment are what is signed with; `repr` shows none of them."""
    async with open_session(profile=None, endpoint_url=None) as session:
        credentials = await session.credentials()

    assert credentials == Credentials("AKIAEXAMPLE", SECRET, TOKEN)
    assert "canary" not in repr(credentials) + repr(session)


@pytest.mark.asyncio
async def test_credentials_of_a_profile(home):
    """--profile chooses among the files' profiles."""
    (home / "credentials").write_text(f"[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = {SECRET}\n")
    async with open_session(profile="work", endpoint_url=None) as session:
        assert await session.credentials() == Credentials("AKIAWORK", SECRET)


@pytest.mark.asyncio
async def test_no_credentials():
    """Where the chain ends with nothing, opening says what to set."""
    with pytest.raises(CredentialsError, match="AWS_PROFILE") as caught:
        async with open_session(profile=None, endpoint_url=None):
            pass

    assert caught.value.exit_code == 5


@pytest.mark.asyncio
async def test_half_a_key(monkeypatch):
    """A key without its secret is said to be incomplete."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    with pytest.raises(CredentialsError, match="AWS_SECRET_ACCESS_KEY"):
        async with open_session(profile=None, endpoint_url=None):
            pass


@pytest.mark.asyncio
async def test_a_profile_that_does_not_exist():
    """A wrong --profile is wrong use."""
    with pytest.raises(SettingsError, match="nobody") as caught:
        async with open_session(profile="nobody", endpoint_url=None):
            pass

    assert caught.value.option == "--profile"


@pytest.mark.asyncio
async def test_a_damaged_config_file(home):
    """A config file that cannot be parsed is named."""
    (home / "config").write_text("[default\nregion = x")
    with pytest.raises(SettingsError, match="config"):
        async with open_session(profile=None, endpoint_url=None):
            pass


@pytest.mark.asyncio
async def test_an_sso_session_that_is_over(home):
    """A profile with SSO and no token says which command to run."""
    (home / "config").write_text(
        "[profile work]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\nregion = eu-west-1\n"
        "[sso-session s]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n"
    )
    with pytest.raises(CredentialsError, match="aws sso login --profile work"):
        async with open_session(profile="work", endpoint_url=None):
            pass


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "reason"),
    [("exit 3", "credential"), ("printf nonsense", "holds no JSON"), ("/nonexistent/vault", "/nonexistent/vault")],
)
async def test_a_credential_process_that_fails(home, text, reason):
    """A helper that breaks, prints nonsense or is missing is an error of the credentials, which says what is wrong."""
    (home / "config").write_text(f"[default]\ncredential_process = {text if '/' in text else 'sh -c ' + repr(text)}\n")
    with pytest.raises(CredentialsError, match=f"cannot load AWS credentials: .*{reason}"):
        async with open_session(profile=None, endpoint_url=None):
            pass


@pytest.mark.asyncio
async def test_a_line_break_in_a_token(keys, monkeypatch):
    """A token with a line break in it, pasted from somewhere, is named without being shown."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN + "\nx")
    with pytest.raises(CredentialsError, match="session token") as caught:
        async with open_session(profile=None, endpoint_url=None):
            pass

    assert "canary" not in str(caught.value)


# --- renewal ------------------------------------------------------------------------------------------------------


def write_keys(home, access_key):
    (home / "credentials").write_text(
        f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {SECRET}\n"
    )


@pytest.mark.asyncio
async def test_static_credentials_have_nothing_newer(keys):
    """Keys of the environment stay what they are."""
    async with open_session(profile=None, endpoint_url=None) as session:
        stale = await session.credentials()

        assert await session.renew(stale) == stale


@pytest.mark.asyncio
async def test_a_changed_credentials_file_is_read_again(home):
    """Keys that another tool has written meanwhile are found."""
    write_keys(home, "AKIAOLD")
    async with open_session(profile=None, endpoint_url=None) as session:
        stale = await session.credentials()
        write_keys(home, "AKIANEW")
        newer = await session.renew(stale)

        assert newer == Credentials("AKIANEW", SECRET)
        assert await session.credentials() == newer


@pytest.mark.asyncio
async def test_many_find_out_together_and_one_renews(home):
    """A hundred workers with the same expired token cost one run of the credential helper."""
    counter, state = home / "runs", home / "state"
    script = home / "helper.py"
    script.write_text(
        "import json, pathlib\n"
        f"with open({str(counter)!r}, 'a') as runs: runs.write('x')\n"
        f"print(json.dumps({{'Version': 1, 'AccessKeyId': 'AKIA' + pathlib.Path({str(state)!r}).read_text(),"
        f" 'SecretAccessKey': {SECRET!r}}}))\n"
    )
    state.write_text("ONE")
    (home / "config").write_text(f"[default]\ncredential_process = {sys.executable} -S -E {script}\n")
    async with open_session(profile=None, endpoint_url=None) as session:
        stale = await session.credentials()
        state.write_text("TWO")
        newer = await asyncio.gather(*(session.renew(stale) for _ in range(100)))

    assert set(newer) == {Credentials("AKIATWO", SECRET)}
    assert counter.read_text() == "xx"


@pytest.mark.asyncio
async def test_credentials_of_another_account_are_refused(home):
    """A profile that was switched to another account in the middle of a run is not taken for the first one."""
    write_keys(home, "AKIAOLD")
    other = WHO.replace(ACCOUNT, "999999999999")
    async with service((200, WHO), (200, other)) as url, open_session(profile=None, endpoint_url=url) as session:
        await find_identity(session, "eu-west-1")
        stale = await session.credentials()
        write_keys(home, "AKIANEW")
        with pytest.raises(CredentialsError, match="999999999999"):
            await session.renew(stale)

        assert await session.credentials() == stale


# --- identity -----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_sts_says_who_we_are(keys):
    """Account and partition are STS's own words, asked once, signed for the Region."""
    asked = []
    async with service((200, WHO), asked=asked) as url, open_session(profile=None, endpoint_url=url) as session:
        identity = await find_identity(session, "eu-west-1")

    assert identity == Identity(account_id=ACCOUNT, partition="aws")
    assert len(asked) == 1
    assert "Action=GetCallerIdentity" in asked[0][1]
    assert "/eu-west-1/sts/aws4_request" in asked[0][2]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "code", ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch", "AuthFailure"]
)
async def test_credentials_that_aws_does_not_accept(keys, code):
    """Expired and wrong credentials end in one clear line before any call to Lambda."""
    async with service(sts_error(code)) as url, open_session(profile=None, endpoint_url=url) as session:
        with pytest.raises(CredentialsError, match=code) as caught:
            await find_identity(session, "eu-west-1")

    assert "renew" in str(caught.value) or "a few seconds old" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.asyncio
async def test_a_clock_that_is_wrong(keys):
    """A signature that is too old points at the clock."""
    error = sts_error("SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than 2026")
    async with service(error) as url, open_session(profile=None, endpoint_url=url) as session:
        with pytest.raises(RunError, match="clock"):
            await find_identity(session, "eu-west-1")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("off_s", "said"),
    [(-600, ["10 minutes ahead of"]), (7200, ["2 hours behind"]), (30, []), (-30, [])],
)
async def test_a_clock_that_is_off(keys, off_s, said):
    """A clock that AWS still accepts is said where it is off by more than a minute: it tells which night is newest."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=off_s), usegmt=True)
    answer = service((200, WHO), headers={"Date": date})
    async with answer as url, open_session(profile=None, endpoint_url=url) as session:
        identity = await find_identity(session, "eu-west-1")

    assert identity.account_id == ACCOUNT
    assert [note.split(" AWS's")[0] for note in identity.notes] == [f"this machine's clock is {text}" for text in said]


NOT_STS = [
    (200, "<html>a portal</html>"),
    (200, "not XML"),
    (200, ""),
    (200, WHO.replace(ACCOUNT, "x")),
    (404, "<html>not found</html>"),
    (404, ""),
    (403, json.dumps({"message": "Credential should be scoped to correct service: 'lambda'. "})),
    sts_error("SignatureDoesNotMatch", "Credential should be scoped to correct service: 'lambda'."),
    sts_error("AccessDenied", "with an explicit deny in a VPC endpoint policy"),
]


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", NOT_STS)
async def test_something_that_is_not_sts(keys, answer):
    """An endpoint that serves Lambda alone leaves the account unknown, with a note, and is no failure."""
    async with service(answer) as url, open_session(profile=None, endpoint_url=url) as session:
        identity = await find_identity(session, "eu-central-1")

    assert (identity.account_id, identity.partition) == (None, "aws")
    assert len(identity.notes) == 1
    assert "the account is not known" in identity.notes[0]


@pytest.mark.asyncio
async def test_the_account_that_the_credentials_name(keys, monkeypatch):
    """Without STS, AWS_ACCOUNT_ID beside the keys is believed, and the note says so."""
    monkeypatch.setenv("AWS_ACCOUNT_ID", ACCOUNT)
    async with service((404, "")) as url, open_session(profile=None, endpoint_url=url) as session:
        identity = await find_identity(session, "cn-north-1")

    assert (identity.account_id, identity.partition) == (ACCOUNT, "aws-cn")
    assert ACCOUNT in identity.notes[0]


@pytest.mark.asyncio
async def test_the_account_that_a_profile_names(home):
    """Without STS, aws_account_id of the profile is believed."""
    write_keys(home, "AKIAOLD")
    with (home / "credentials").open("a") as file:
        file.write(f"aws_account_id = {ACCOUNT}\n")
    async with service((404, "")) as url, open_session(profile=None, endpoint_url=url) as session:
        identity = await find_identity(session, "eu-west-1")

    assert identity.account_id == ACCOUNT


@pytest.mark.slow
@pytest.mark.asyncio
async def test_sts_cannot_be_reached(keys):
    """A closed port is a note, not a failure; it is tried twice at most."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with open_session(profile=None, endpoint_url=f"http://127.0.0.1:{port}") as session:
        identity = await find_identity(session, "eu-west-1")

    assert identity.account_id is None
    assert f"127.0.0.1:{port}" in identity.notes[0]


# --- Regions ------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_PROFILE": "work"}, "eu-north-1"),
        ({}, None),
    ],
)
async def test_the_default_region(keys, home, monkeypatch, environment, region):
    """AWS_REGION wins over AWS_DEFAULT_REGION, that over the profile."""
    (home / "config").write_text("[profile work]\nregion = eu-north-1\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with open_session(profile=None, endpoint_url=None) as session:
        assert session.default_region == region
        assert session.home_region == (region or "us-east-1")


@pytest.mark.asyncio
async def test_every_partition_has_its_policy(keys):
    """The partitions that a policy can be printed for are those that botocore knows."""
    async with open_session(profile=None, endpoint_url=None) as session:
        assert set(lambda_regions(session)) == set(PARTITIONS)


@pytest.mark.asyncio
async def test_regions_are_checked(keys):
    """Regions of every partition pass; a slip of the pen is answered with the likely one."""
    async with open_session(profile=None, endpoint_url=None) as session:
        for name in ("us-east-1", "cn-northwest-1", "us-gov-west-1", "eusc-de-east-1"):
            check_region(session, name)
        for wrong, hint in (("us-esat-1", "us-east-1"), ("EU-WEST-1", "eu-west-1"), ("", "us-east-1")):
            with pytest.raises(SettingsError, match=hint) as caught:
                check_region(session, wrong)

            assert caught.value.option == "--region"


def region_entries(*names, status="ENABLED"):
    return [{"RegionName": name, "RegionOptStatus": status} for name in names]


@pytest.mark.asyncio
async def test_account_says_which_regions_are_on(keys):
    """All pages of account:ListRegions count; one that is being switched on or off is tried."""
    pages = [
        {"Regions": region_entries("us-east-1", status="ENABLED_BY_DEFAULT"), "NextToken": "more"},
        {"Regions": []} | {"NextToken": "still more"},
        {
            "Regions": region_entries("af-south-1")
            + region_entries("me-south-1", status="DISABLED")
            + region_entries("ap-east-1", status="ENABLING")
        },
    ]
    answers = [(200, json.dumps(page)) for page in pages]
    async with service(*answers) as url, open_session(profile=None, endpoint_url=url) as session:
        found = await find_regions(session, "aws", "us-east-1")

    assert found == Regions(enabled=("af-south-1", "us-east-1"), uncertain=("ap-east-1",), disabled=("me-south-1",))


@pytest.mark.asyncio
async def test_ec2_says_it_where_account_does_not(keys):
    """Where account:ListRegions is denied, ec2:DescribeRegions is asked."""
    denied = (403, json.dumps({"__type": "AccessDeniedException", "message": "no"}))
    regions = "".join(
        f"<item><regionName>{name}</regionName><optInStatus>{status}</optInStatus></item>"
        for name, status in (("us-east-1", "opt-in-not-required"), ("af-south-1", "not-opted-in"))
    )
    ec2 = (200, f"<DescribeRegionsResponse><regionInfo>{regions}</regionInfo></DescribeRegionsResponse>")
    async with service(denied, ec2) as url, open_session(profile=None, endpoint_url=url) as session:
        found = await find_regions(session, "aws", "us-east-1")

    assert found == Regions(enabled=("us-east-1",), disabled=("af-south-1",))


@pytest.mark.asyncio
async def test_nobody_lists_the_regions(keys):
    """Without any list the Regions that nobody can switch off are enabled, and those to opt in to may be off."""
    async with service((403, "{}")) as url, open_session(profile=None, endpoint_url=url) as session:
        found = await find_regions(session, "aws", "us-east-1")

    assert (len(found.enabled), found.disabled) == (17, ())
    assert {"us-east-1", "eu-north-1", "ap-northeast-3"} <= set(found.enabled)
    assert {"ap-east-1", "me-south-1", "eu-south-1", "il-central-1"} <= set(found.uncertain)


@pytest.mark.asyncio
async def test_a_list_that_does_not_end(keys):
    """Part of a list of Regions is never taken for all of it; a name that can be none of a Region is left out."""
    endless = (200, json.dumps({"Regions": region_entries("us-east-1", "evil.example/#"), "NextToken": "more"}))
    async with service(endless) as url, open_session(profile=None, endpoint_url=url) as session:
        found = await find_regions(session, "aws", "us-east-1")
    async with (
        service((200, json.dumps({"Regions": region_entries("us-east-1", "evil.example/#")}))) as url,
        open_session(profile=None, endpoint_url=url) as session,
    ):
        ended = await find_regions(session, "aws", "us-east-1")

    assert found.note is not None
    assert ended == Regions(enabled=("us-east-1",))


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [(403, "{}"), (404, "<html>"), (200, "{}")])
async def test_botocores_list_stands_in(keys, answer):
    """Where neither may be asked, every Region of the partition is taken as on, and a note says so."""
    async with service(answer) as url, open_session(profile=None, endpoint_url=url) as session:
        found = await find_regions(session, "aws-cn", "cn-north-1")

    assert (found.enabled, found.uncertain) == (("cn-north-1", "cn-northwest-1"), ())
    assert "account:ListRegions" in found.note


@pytest.mark.asyncio
async def test_expired_credentials_are_no_missing_permission(keys):
    """Credentials that ran out are not answered with a guess."""
    expired = (403, json.dumps({"__type": "ExpiredTokenException", "message": "no"}))
    async with service(expired) as url, open_session(profile=None, endpoint_url=url) as session:
        with pytest.raises(CredentialsError, match="ExpiredToken"):
            await find_regions(session, "aws", "us-east-1")


# --- endpoints ----------------------------------------------------------------------------------------------------

ENDPOINTS = [
    ({}, "", "https://lambda.eu-west-1.amazonaws.com"),
    ({"AWS_USE_FIPS_ENDPOINT": "true"}, "", "https://lambda-fips.eu-west-1.amazonaws.com"),
    ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "", "https://lambda.eu-west-1.api.aws"),
    ({"AWS_ENDPOINT_URL": "http://all:1"}, "", "http://all:1"),
    ({"AWS_ENDPOINT_URL": "http://all:1", "AWS_ENDPOINT_URL_LAMBDA": "http://one:2/x"}, "", "http://one:2/x"),
    (
        {"AWS_ENDPOINT_URL": "http://all:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        "",
        "https://lambda.eu-west-1.amazonaws.com",
    ),
    (
        {},
        "[default]\nservices = local\n[services local]\nlambda =\n  endpoint_url = http://file:3\n",
        "http://file:3",
    ),
    ({}, "[default]\nendpoint_url = http://file:4\n", "http://file:4"),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("environment", "config", "url"), ENDPOINTS)
async def test_endpoints(keys, home, monkeypatch, environment, config, url):
    """Every way to say where Lambda is, is heard."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (home / "config").write_text(config)
    async with open_session(profile=None, endpoint_url=None) as session:
        assert await LambdaEndpoints(session).url("eu-west-1") == url


@pytest.mark.asyncio
async def test_the_flag_wins(keys, monkeypatch):
    """--endpoint-url wins over the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://one:2")
    async with open_session(profile=None, endpoint_url="http://flag:5/base") as session:
        assert await LambdaEndpoints(session).url("eu-west-1") == "http://flag:5/base"


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize("variables", [(), ("AWS_USE_FIPS_ENDPOINT",), ("AWS_USE_DUALSTACK_ENDPOINT",)])
async def test_every_regions_endpoint_is_what_botocore_calls(keys, monkeypatch, variables):
    """In each Region the URL is the one that botocore's rules give for a call, not an older table's."""
    for name in variables:
        monkeypatch.setenv(name, "true")
    boto = BotocoreSession()
    async with open_session(profile=None, endpoint_url=None) as session:
        for names in lambda_regions(session).values():
            for region in names:
                client = boto.create_client("lambda", region_name=region)
                theirs = client._ruleset_resolver.construct_endpoint(
                    client.meta.service_model.operation_model("ListFunctions"), {}, {}
                )

                assert await LambdaEndpoints(session).url(region) == theirs.url


@pytest.mark.asyncio
@pytest.mark.parametrize("url", ["localhost:4566", "ftp://h", "http://", "http://u:p@h", "http://h?x", "http://h:port"])
async def test_an_endpoint_that_is_none(keys, url):
    """A URL that cannot be signed and sent as it stands is wrong use."""
    with pytest.raises(SettingsError) as caught:
        async with open_session(profile=None, endpoint_url=url):
            pass

    assert caught.value.option == "--endpoint-url"


@pytest.mark.asyncio
@pytest.mark.parametrize("url", ["localhost:4566", "http://u:canary@h"])
async def test_an_endpoint_of_the_environment_that_is_none(keys, monkeypatch, url):
    """The same holds for AWS_ENDPOINT_URL, whose password is not repeated."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    async with open_session(profile=None, endpoint_url=None) as session:
        with pytest.raises(SettingsError) as caught:
            await LambdaEndpoints(session).url("eu-west-1")

    assert caught.value.option == "--endpoint-url"
    assert "canary" not in str(caught.value)


@pytest.mark.asyncio
async def test_a_setting_that_is_wrong_is_no_missing_permission(keys, monkeypatch):
    """A bad URL for STS is said, not taken for an STS that does not answer."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "nonsense")
    async with open_session(profile=None, endpoint_url=None) as session:
        with pytest.raises(SettingsError, match="nonsense"):
            await find_identity(session, "eu-west-1")


@pytest.mark.asyncio
async def test_the_ca_bundle(keys, home, monkeypatch):
    """AWS_CA_BUNDLE and the profile's ca_bundle are handed on."""
    async with open_session(profile=None, endpoint_url=None) as session:
        assert session.ca_bundle is None
    (home / "config").write_text("[default]\nca_bundle = /from/file\n")
    async with open_session(profile=None, endpoint_url=None) as session:
        assert session.ca_bundle == "/from/file"
    monkeypatch.setenv("AWS_CA_BUNDLE", "/from/environment")
    async with open_session(profile=None, endpoint_url=None) as session:
        assert session.ca_bundle == "/from/environment"


# --- secrets ------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_no_secret_in_any_log_record(keys, caplog):
    """With everything at DEBUG, no record and no traceback holds key or token; children with own levels included."""
    caplog.set_level(logging.DEBUG)
    for name in ("botocore", "botocore.auth", "botocore.endpoint", "botocore.hooks", "botocore.parsers", "aiobotocore"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    echo = sts_error("InvalidClientTokenId", f"no\nx-amz-security-token:{TOKEN}")
    async with service((200, WHO), echo) as url, open_session(profile=None, endpoint_url=url) as session:
        await find_identity(session, "eu-west-1")
        await LambdaEndpoints(session).url("eu-west-1")
        with pytest.raises(CredentialsError) as caught:
            await find_identity(session, "eu-west-1")
        await find_regions(session, "aws", "eu-west-1")
    text = caplog.text + "".join(repr(record.__dict__) for record in caplog.records)

    assert "canary" not in text
    assert "canary" not in str(caught.value)
    assert logging.getLogger("botocore.auth").getEffectiveLevel() == logging.INFO
    assert traceback.format_exception_only(caught.value)


def chain_of(error):
    """The texts of an error and of all that hangs on it."""
    if error is None:
        return []
    return [str(error), repr(error), *chain_of(error.__cause__), *chain_of(error.__context__)]


@pytest.mark.asyncio
@pytest.mark.parametrize("proxy", ["http://user:canary@127.0.0.1:{port}", "http://user:canary@127.0.0.1:99999"])
async def test_the_password_of_a_proxy(keys, monkeypatch, proxy):
    """A proxy that is down, or whose URL is wrong, does not give its password away, nor does anything chained to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", proxy.format(port=probe.getsockname()[1]))
    async with open_session(profile=None, endpoint_url=None) as session:
        with pytest.raises((ItemError, SettingsError)) as caught:
            await session.call("sts", "us-east-1", "get_caller_identity")
        identity = await find_identity(session, "us-east-1")

    assert "canary" not in " ".join([*chain_of(caught.value), *identity.notes])


@pytest.mark.asyncio
async def test_stricter_levels_stay(keys):
    """A user who silenced botocore keeps it silent."""
    logging.getLogger("botocore").setLevel(logging.ERROR)
    async with open_session(profile=None, endpoint_url=None):
        assert logging.getLogger("botocore").level == logging.ERROR
