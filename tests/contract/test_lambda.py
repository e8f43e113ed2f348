"""One suite for the fake and for moto: what our client and aiobotocore's read from both is of one kind."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

import pytest
from aiobotocore.session import get_session

from lexport.aws.client import LambdaClient
from lexport.aws.endpoints import Endpoints
from lexport.aws.http.pool import open_pool
from lexport.aws.identity import find_identity
from lexport.aws.session import open_session
from lexport.errors import FunctionGoneError
from lexport.extract.decode import decode_object
from lexport.tables.aliases import LIST_ALIASES
from lexport.tables.functions import GET_FUNCTION, LIST_FUNCTIONS, LIST_VERSIONS

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

REGION = "us-east-1"
KEYS = {"region_name": REGION, "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


@asynccontextmanager
async def boto(url, service="lambda"):
    """A plain aiobotocore client: what we are held against."""
    async with get_session().create_client(service, endpoint_url=url, **KEYS) as client:
        yield client


async def fill_moto(url):
    """Make two functions, one of them with a version, tags, concurrency and an alias."""
    async with boto(url, "iam") as iam:
        role = (await iam.create_role(RoleName="runner", AssumeRolePolicyDocument="{}"))["Role"]["Arn"]
    async with boto(url) as aws:
        uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/a:b"
        image = {"PackageType": "Image", "Role": role, "Code": {"ImageUri": uri}}
        await aws.create_function(FunctionName="plain", **image)
        await aws.create_function(FunctionName="rich", Tags={"team": "shop"}, Publish=True, **image)
        await aws.create_alias(FunctionName="rich", Name="live", FunctionVersion="1", Description="")
        await aws.put_function_concurrency(FunctionName="rich", ReservedConcurrentExecutions=3)


@asynccontextmanager
async def backend(kind, request):
    """The URL of a server with functions in it."""
    if kind == "moto":
        url = request.getfixturevalue("moto")
        await fill_moto(url)
        yield url
    else:
        async with request.getfixturevalue("simulator")(functions=60, versions=2) as server:
            yield server.url


@asynccontextmanager
async def our_client(url):
    """Our own client against a URL, as run.py wires it."""
    async with (
        open_session(profile=None, endpoint_url=url) as session,
        open_pool(ca_bundle=None, connections=8) as send,
    ):
        yield LambdaClient(
            region=REGION,
            endpoint=await Endpoints(session).url(REGION),
            find_endpoint=partial(Endpoints(session).url, REGION),
            credentials=session.credentials,
            renew=session.renew,
            send=send,
            clock=lambda: datetime.now(UTC),
        )


def document(response):
    """Return the JSON object of a response."""
    return decode_object(response.body).document


def same(ours, theirs):
    """Compare two documents as botocore would see them: nulls are absent, unknown fields and the link are left out."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict)
        known = {key: value for key, value in ours.items() if value is not None and key in theirs}
        wanted = {key: value for key, value in theirs.items() if key not in ("ResponseMetadata", "Location")}
        return known.keys() == wanted.keys() and all(same(known[key], wanted[key]) for key in wanted)
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs


@pytest.mark.parametrize("kind", ["simulator", "moto"])
async def test_same_answers(aws, request, kind):
    """Our client reads from a server what aiobotocore reads from it, in every operation of a snapshot."""
    async with backend(kind, request) as url, our_client(url) as ours, boto(url) as theirs:
        listed = document(await ours.call(LIST_FUNCTIONS, versions="ALL"))
        assert same(listed, await theirs.list_functions(FunctionVersion="ALL", MaxItems=50))
        names = {item["FunctionName"] for item in listed["Functions"] if "." not in item["FunctionName"]}
        assert names
        for name in sorted(names):
            assert same(
                document(await ours.call(GET_FUNCTION, function_name=name)),
                await theirs.get_function(FunctionName=name),
            )
            assert same(
                document(await ours.call(LIST_VERSIONS, function_name=name)),
                await theirs.list_versions_by_function(FunctionName=name, MaxItems=50),
            )
            assert same(
                document(await ours.call(LIST_ALIASES, function_name=name)),
                await theirs.list_aliases(FunctionName=name, MaxItems=50),
            )


@pytest.mark.parametrize("kind", ["simulator", "moto"])
async def test_same_rules(aws, request, kind):
    """Both servers know functions by name and ARN, versions by number, aliases by name, and answer 404 for the rest."""
    async with backend(kind, request) as url, our_client(url) as ours:
        listed = document(await ours.call(LIST_FUNCTIONS, versions="ALL"))["Functions"]
        aliased = [
            (item["FunctionName"], alias)
            for item in listed
            if item["Version"] == "$LATEST" and "." not in item["FunctionName"]
            for alias in document(await ours.call(LIST_ALIASES, function_name=item["FunctionName"]))["Aliases"]
            if alias["FunctionVersion"] != "$LATEST"
        ]
        name, alias = aliased[0]
        bare = document(await ours.call(GET_FUNCTION, function_name=name))
        arn = bare["Configuration"]["FunctionArn"]

        assert bare["Configuration"]["Version"] == "$LATEST"
        assert arn.split(":")[:4] == ["arn", "aws", "lambda", REGION]
        assert ["function", name] == arn.split(":")[5:7]
        assert bare["Configuration"] == document(await ours.call(GET_FUNCTION, function_name=arn))["Configuration"]
        called = partial(ours.call, GET_FUNCTION, function_name=name)
        by_number = document(await called(qualifier=alias["FunctionVersion"]))["Configuration"]
        by_alias = document(await called(qualifier=alias["Name"]))["Configuration"]
        assert alias["FunctionVersion"] == by_number["Version"] == by_alias["Version"]
        assert by_number["CodeSha256"] == by_alias["CodeSha256"]
        for gone in ((name, "9999"), (name, "no-such-alias"), ("no-such-function", None)):
            with pytest.raises(FunctionGoneError) as caught:
                await ours.call(GET_FUNCTION, function_name=gone[0], qualifier=gone[1])
            assert (caught.value.code, caught.value.http_status) == ("ResourceNotFoundException", 404)


@pytest.mark.parametrize("kind", ["simulator", "moto"])
async def test_identity(aws, request, kind):
    """Both servers' STS names an account of 12 digits and the partition."""
    async with backend(kind, request) as url, open_session(profile=None, endpoint_url=url) as session:
        identity = await find_identity(session, REGION)

    assert (
        identity.partition,
        identity.notes,
        len(identity.account_id),
        identity.account_id.isdecimal(),
    ) == ("aws", (), 12, True)
