"""Signatures, assumed roles, accounts and Regions: only requests with a valid signature are accepted."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from yarl import URL

from lexport.simulator import Fleet, FleetSpec, open_simulator

pytestmark = pytest.mark.asyncio
CODES = {
    "lambda": ("list_functions", "InvalidSignatureException", "UnrecognizedClientException"),
    "account": ("list_regions", "InvalidSignatureException", "UnrecognizedClientException"),
    "organizations": ("list_accounts", "InvalidSignatureException", "UnrecognizedClientException"),
    "sts": ("get_caller_identity", "SignatureDoesNotMatch", "InvalidClientTokenId"),
    "ec2": ("describe_regions", "AuthFailure", "AuthFailure"),
}


def signed(url, *, key_id="testing", secret="testing", token=None, region="us-east-1", service="lambda"):
    request = AWSRequest(method="GET", url=url)
    SigV4Auth(Credentials(key_id, secret, token), service, region).add_auth(request)
    return dict(request.headers)


def keys_of(credentials):
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }


@pytest.mark.parametrize("service", CODES)
async def test_wrong_keys_are_refused_in_each_protocol(fleet, connect, service):
    """A wrong secret and an unknown key id get AWS's code in the form of the service's protocol."""
    operation, mismatch, unknown = CODES[service]
    async with open_simulator(fleet) as simulator:
        for options, code in (({"aws_secret_access_key": "x"}, mismatch), ({"aws_access_key_id": "AKIA"}, unknown)):
            async with connect(simulator.url, service, **options) as client:
                with pytest.raises(ClientError) as caught:
                    await getattr(client, operation)()

                assert caught.value.response["Error"]["Code"] == code
    assert not simulator.calls


@pytest.mark.parametrize(
    "path",
    [
        "/2015-03-31/functions?FunctionVersion=ALL&MaxItems=5",
        "/2015-03-31/functions/{name}?Qualifier=%24LATEST",
        "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A111122223333%3Afunction%3A{name}",
    ],
)
async def test_a_plain_signature_is_enough(fleet, anonymous, path):
    """A hand-signed GET is let in; one changed query parameter later it is not."""
    async with open_simulator(fleet) as simulator:
        url = simulator.url + path.format(name=fleet.name(0))
        async with anonymous.get(URL(url, encoded=True), headers=signed(url)) as response:
            assert response.status == 200
        other = url + ("&" if "?" in url else "?") + "MaxItems=7"
        async with anonymous.get(URL(other, encoded=True), headers=signed(url)) as response:
            assert (response.status, response.headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")


async def test_no_signature_and_an_old_one(fleet, anonymous):
    """Without a signature there is a 403, and with one that is 16 minutes old as well."""
    async with open_simulator(fleet) as simulator:
        url = f"{simulator.url}/2015-03-31/functions"
        async with anonymous.get(url) as response:
            assert (response.status, response.headers["x-amzn-errortype"]) == (
                403,
                "MissingAuthenticationTokenException",
            )
        old = f"{datetime.now(UTC) - timedelta(minutes=16):%Y%m%dT%H%M%SZ}"
        async with anonymous.get(url, headers=signed(url) | {"X-Amz-Date": old}) as response:
            assert response.status == 403
            assert "Signature expired" in (await response.json())["message"]


async def test_assumed_role_reads_the_other_account(fleet, connect):
    """Credentials of AssumeRole work, belong to the role's account, need their token, and are not issued for all."""
    role = "arn:aws:iam::111122223334:role/reader"
    async with open_simulator(fleet) as simulator:
        async with connect(simulator.url, "sts") as sts:
            credentials = (await sts.assume_role(RoleArn=role, RoleSessionName="lexport"))["Credentials"]
            with pytest.raises(ClientError, match="AccessDenied"):
                await sts.assume_role(RoleArn="arn:aws:iam::999999999999:role/reader", RoleSessionName="lexport")
        async with connect(simulator.url, **keys_of(credentials)) as client:
            arn = (await client.list_functions())["Functions"][0]["FunctionArn"]
        async with connect(simulator.url, "sts", **keys_of(credentials)) as sts:
            identity = await sts.get_caller_identity()
            with pytest.raises(ClientError, match="1 hour session limit"):
                await sts.assume_role(RoleArn=role, RoleSessionName="lexport", DurationSeconds=7200)
        async with connect(simulator.url, **keys_of(credentials) | {"aws_session_token": None}) as client:
            with pytest.raises(ClientError, match="UnrecognizedClientException"):
                await client.list_functions()

    assert ":111122223334:" in arn
    assert identity["Arn"] == "arn:aws:sts::111122223334:assumed-role/reader/lexport"
    assert simulator.calls["111122223334", "us-east-1", "ListFunctions"] == 1


async def test_assumed_role_expires(fleet, connect):
    """Temporary credentials end: then every call is an ExpiredTokenException."""
    async with open_simulator(fleet, credentials_ttl_s=0) as simulator:
        async with connect(simulator.url, "sts") as sts:
            answer = await sts.assume_role(RoleArn="arn:aws:iam::111122223334:role/reader", RoleSessionName="lexport")
        async with connect(simulator.url, **keys_of(answer["Credentials"])) as client:
            with pytest.raises(ClientError, match="ExpiredTokenException"):
                await client.list_functions()


async def test_disabled_region_is_refused(fleet, connect):
    """A Region that is disabled, or does not exist, refuses all keys."""
    async with open_simulator(fleet) as simulator:
        for region in ("me-south-1", "mars-east-1"):
            async with connect(simulator.url, region_name=region) as client:
                with pytest.raises(ClientError, match="UnrecognizedClientException"):
                    await client.list_functions()


async def test_organization_in_pages_of_twenty(connect):
    """ListAccounts gives pages of 20 with State; the tree of units holds each account once."""
    accounts = tuple(str(111122223333 + position) for position in range(45))
    fleet = Fleet(FleetSpec(functions=1, versions=0, accounts=accounts, suspended_accounts=("999988887777",)))
    async with open_simulator(fleet) as simulator, connect(simulator.url, "organizations") as client:
        pages = [page["Accounts"] async for page in client.get_paginator("list_accounts").paginate()]
        root = (await client.list_roots())["Roots"][0]["Id"]
        units = (await client.list_organizational_units_for_parent(ParentId=root))["OrganizationalUnits"]
        tree = []
        for parent in (root, *(unit["Id"] for unit in units)):
            paginator = client.get_paginator("list_accounts_for_parent")
            tree += [
                account["Id"] async for page in paginator.paginate(ParentId=parent) for account in page["Accounts"]
            ]
        organization = (await client.describe_organization())["Organization"]

    assert [len(page) for page in pages] == [20, 20, 6]
    assert [account["Id"] for page in pages for account in page if account["State"] == "ACTIVE"] == list(accounts)
    assert sorted(tree) == sorted((*accounts, "999988887777"))
    assert organization["MasterAccountId"] == accounts[0]


async def test_regions(fleet, connect):
    """ListRegions and DescribeRegions agree on which Regions are switched on."""
    async with open_simulator(fleet) as simulator:
        async with connect(simulator.url, "account") as client:
            listed = (
                await client.list_regions(MaxResults=50, RegionOptStatusContains=["ENABLED", "ENABLED_BY_DEFAULT"])
            )["Regions"]
        async with connect(simulator.url, "ec2") as client:
            described = (await client.describe_regions())["Regions"]

    assert {item["RegionName"] for item in listed} == {item["RegionName"] for item in described}
    assert "us-east-1" in {item["RegionName"] for item in listed}
    assert "me-south-1" not in {item["RegionName"] for item in listed}
