"""``LambdaClient`` over the real transport against real servers, and the parser alone."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from aiohttp import web
from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.session import Session as BotocoreSession

from lexport.aws.client import LambdaClient
from lexport.aws.http.message import Response
from lexport.aws.http.pool import open_pool
from lexport.aws.signing import Credentials
from lexport.errors import (
    AccessDeniedError,
    CredentialsError,
    ExpiredCredentialsError,
    FetchError,
    FunctionGoneError,
    ServiceError,
    ThrottledError,
)
from lexport.tables.account_settings import GET_ACCOUNT_SETTINGS
from lexport.tables.aliases import LIST_ALIASES
from lexport.tables.call import JsonCall
from lexport.tables.functions import GET_FUNCTION, LIST_FUNCTIONS, LIST_VERSIONS
from lexport.tables.layer_versions import GET_LAYER_VERSION

NOW = datetime(2026, 3, 6, 12, 0, 0, tzinfo=UTC)
FIRST = Credentials("AKIAFIRST", "canary-secret-key-first", "canary-session-token-first")
SECOND = Credentials("AKIASECOND", "canary-secret-key-second", "canary-session-token-second")
LINK = "https://awslambda-eu-west-1-tasks.s3.eu-west-1.amazonaws.com/snapshots/f?versionId=v&X-Amz-Signature=canary"
LOOKUP_EVENTS = JsonCall(
    operation="LookupEvents",
    service="cloudtrail",
    target="com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
    version="1.1",
    iam=("cloudtrail:LookupEvents",),
)
NAMES = [
    "plain",
    "us-east-1.replica",
    "arn:aws:lambda:eu-west-1:111122223333:function:f:$LATEST",
    "a/b?c#d%20e f+g~h",
    "ünï☃",
]


def client(send, endpoint="https://lambda.eu-west-1.amazonaws.com", renew=None, credentials=FIRST):
    async def current():
        return credentials

    async def unchanged(stale):
        return stale

    async def other_endpoint(service):
        return endpoint.replace("lambda", service)

    return LambdaClient(
        region="eu-west-1",
        endpoint=endpoint,
        find_endpoint=other_endpoint,
        credentials=current,
        renew=renew or unchanged,
        send=send,
        clock=lambda: NOW,
    )


def scripted(*responses):
    """A transport that answers in turn and keeps what was sent."""
    left, sent = list(responses), []

    async def send(request):
        sent.append(request)
        return left.pop(0)

    return send, sent


def ok(document=None):
    return Response(200, {}, json.dumps(document or {}).encode())


def refused(code, status=403):
    return Response(status, {"x-amzn-errortype": code}, b'{"message": "no canary-session-token-first"}')


CALLS = [
    (GET_FUNCTION, lambda name: {"function_name": name}, lambda name: {"FunctionName": name}),
    (
        GET_FUNCTION,
        lambda name: {"function_name": name, "qualifier": "$LATEST"},
        lambda name: {"FunctionName": name, "Qualifier": "$LATEST"},
    ),
    (LIST_FUNCTIONS, lambda _: {}, lambda _: {"MaxItems": 50}),
    (
        LIST_FUNCTIONS,
        lambda name: {"versions": "ALL", "marker": name},
        lambda name: {"MaxItems": 50, "FunctionVersion": "ALL", "Marker": name},
    ),
    (
        LIST_VERSIONS,
        lambda name: {"function_name": name, "marker": "m+/="},
        lambda name: {"FunctionName": name, "Marker": "m+/=", "MaxItems": 50},
    ),
    (LIST_ALIASES, lambda name: {"function_name": name}, lambda name: {"FunctionName": name, "MaxItems": 50}),
    (GET_ACCOUNT_SETTINGS, lambda _: {}, lambda _: {}),
    (GET_LAYER_VERSION, lambda name: {"arn": name}, lambda name: {"Arn": name}),
]


@pytest.fixture(scope="module")
def botocore_url():
    """What botocore would send for an operation."""
    session = BotocoreSession()
    session.set_credentials("AKIA", "secret")
    boto = session.create_client("lambda", region_name="eu-west-1", config=Config(retries={"total_max_attempts": 1}))
    urls = []

    def instead_of_sending(request, **_):
        urls.append(request.url)
        return AWSResponse(request.url, 200, {}, type("Raw", (), {"stream": lambda *_a, **_k: [b"{}"]})())

    boto.meta.events.register("before-send.lambda.*", instead_of_sending)

    def ask(method, arguments):
        getattr(boto, method)(**arguments)
        return urls[-1]

    return ask


@pytest.mark.asyncio
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("call", "ours", "theirs"), CALLS, ids=lambda part: getattr(part, "operation", ""))
async def test_urls_are_botocores(botocore_url, name, call, ours, theirs):
    """Path and parameters are encoded as botocore's serialiser does it, for any name."""
    send, sent = scripted(ok())
    await client(send).call(call, **ours(name))
    path, _, query = sent[0].url.partition("?")
    expected_path, _, expected_query = botocore_url(xform_name(call.operation), theirs(name)).partition("?")

    assert expected_path == path
    assert sorted(expected_query.split("&")) == sorted(query.split("&"))


@asynccontextmanager
async def strict_server(answer):
    """A server that checks each signature against botocore's signer, and answers; yields its port."""

    async def handle(request):
        names = [name for name in ("Content-Type", "X-Amz-Target") if name in request.headers]
        expected = AWSRequest(
            method=request.method,
            url=f"http://{request.host}{request.raw_path}",
            headers={name: request.headers[name] for name in names},
            data=await request.read(),
        )
        keys = FIRST if "AKIAFIRST" in request.headers["Authorization"] else SECOND
        service = "cloudtrail" if names else "lambda"
        with patch("botocore.auth.get_current_datetime", return_value=NOW):
            SigV4Auth(ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token), service, "eu-west-1").add_auth(
                expected
            )
        if any(request.headers.get(name) != value for name, value in expected.headers.items()):
            return web.json_response(
                {"message": "no"}, status=403, headers={"x-amzn-errortype": "SignatureDoesNotMatch"}
            )
        return await answer(request)

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.asyncio
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:{}", "http://LOCALHOST:{}/", "http://127.0.0.1:{}/a/b%20c/"])
async def test_the_signature_holds_on_the_wire(endpoint, way):
    """What arrives at a server is signed as it arrives, base path and host in capitals included."""

    async def answer(request):
        return web.json_response({"path": request.raw_path})

    async with strict_server(answer) as port, open_pool(ca_bundle=None, connections=1) as send:
        lambda_ = client(send, endpoint.format(port))
        for name in NAMES:
            reply = await lambda_.call(GET_FUNCTION, function_name=name, qualifier="$LATEST")
            base = endpoint.format("").rpartition(":")[2].strip("/")

            assert json.loads(reply.body)["path"].startswith(f"/{base}/2015" if base else "/2015")
        await lambda_.call(LIST_FUNCTIONS, marker="a&b=c", versions="ALL")


@pytest.mark.asyncio
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:{}", "http://LOCALHOST:{}/a/b%20c/"])
async def test_the_json_protocol_is_signed_with_its_body(endpoint, way):
    """A call of the JSON protocol is a POST with target and body, which the signature covers, renewed keys included."""
    documents = []

    async def answer(request):
        if request.method == "GET":
            return web.json_response({"method": request.method})
        documents.append(await request.json())
        said = {name: request.headers[name] for name in ("Content-Type", "X-Amz-Target", "Content-Length")}
        if len(documents) == 1:
            fault = {"__type": "com.amazon.coral.service#ExpiredTokenException", "message": "expired"}
            return web.json_response(fault, status=400)
        return web.json_response({**said, "path": request.raw_path, "method": request.method})

    async def renew(_):
        return SECOND

    async with strict_server(answer) as port, open_pool(ca_bundle=None, connections=1) as send:
        parameters = {"NextToken": "ünï☃ \n", "MaxResults": 50}
        reply = await client(send, endpoint.format(port), renew=renew).call_json(LOOKUP_EVENTS, parameters)
        after = await client(send, endpoint.format(port)).call(GET_FUNCTION, function_name="f")

    base = endpoint.format("").rpartition(":")[2].strip("/")
    assert json.loads(reply.body) == {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents",
        "Content-Length": "54",
        "path": f"/{base}/" if base else "/",
        "method": "POST",
    }
    assert documents[:2] == [parameters, parameters]
    assert json.loads(after.body)["method"] == "GET"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "body", "error_class"),
    [
        (400, b'{"__type":"ThrottlingException","message":"Rate exceeded"}', ThrottledError),
        (400, b'{"__type":"com.amazonaws.x#AccessDeniedException","Message":"no"}', AccessDeniedError),
        (500, b'{"__type":"InternalServiceFault"}', ServiceError),
        (503, b"", ServiceError),
        (400, b'{"__type":"InvalidNextTokenException","message":"no canary-session-token-first"}', FetchError),
    ],
)
async def test_errors_of_the_json_protocol(status, body, error_class):
    """Errors of the JSON protocol name their code in the body, and are of the classes that Lambda's errors have."""
    send, sent = scripted(Response(status, {}, body))
    with pytest.raises(error_class, match=r"^LookupEvents: ") as caught:
        await client(send).call_json(LOOKUP_EVENTS, {"a": 1})

    assert sent[0].url == "https://cloudtrail.eu-west-1.amazonaws.com/"
    assert type(caught.value) is error_class
    assert "canary" not in f"{caught.value}{sent[0]!r}"


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_a_name_that_would_be_another_path(name):
    """An empty name would ask for the list of all functions."""
    send, sent = scripted(ok())
    with pytest.raises(FetchError) as caught:
        await client(send).call(GET_FUNCTION, function_name=name)

    assert caught.value.code == "invalid_name"
    assert sent == []


@pytest.mark.asyncio
async def test_an_error_of_aws():
    """A 404 of AWS is a function that is gone."""
    send, sent = scripted(refused("ResourceNotFoundException", 404))
    with pytest.raises(FunctionGoneError, match="GetFunction f: ResourceNotFoundException"):
        await client(send).call(GET_FUNCTION, function_name="f", qualifier="3")

    assert len(sent) == 1


@pytest.mark.asyncio
async def test_the_live_secrets_are_removed_from_errors():
    """Whatever AWS echoes, our token is not in the message."""
    send, _ = scripted(refused("ValidationException", 400))
    with pytest.raises(FetchError) as caught:
        await client(send).call(GET_FUNCTION, function_name="f")

    assert "no [removed]" in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException"])
async def test_expired_credentials_are_renewed_once(code):
    """The call is made again with the newer credentials, and its answer is the answer."""
    send, sent = scripted(refused(code), ok({"a": 1}))
    stale = []

    async def renew(credentials):
        stale.append(credentials)
        return SECOND

    reply = await client(send, renew=renew).call(GET_FUNCTION, function_name="f")

    assert json.loads(reply.body) == {"a": 1}
    assert stale == [FIRST]
    assert ["AKIASECOND" in request.headers["Authorization"] for request in sent] == [False, True]


@pytest.mark.asyncio
async def test_credentials_that_stay_expired():
    """A second refusal is final: no third call."""
    send, sent = scripted(refused("ExpiredTokenException"), refused("ExpiredTokenException"))

    async def renew(_):
        return SECOND

    with pytest.raises(ExpiredCredentialsError):
        await client(send, renew=renew).call(GET_FUNCTION, function_name="f")

    assert len(sent) == 2


@pytest.mark.asyncio
async def test_nothing_newer_means_no_second_call():
    """Where renewing changes nothing, AWS is not asked again."""
    send, sent = scripted(refused("ExpiredTokenException"))
    with pytest.raises(ExpiredCredentialsError) as caught:
        await client(send).call(GET_FUNCTION, function_name="f")

    assert caught.value.code == "ExpiredTokenException"
    assert len(sent) == 1


@pytest.mark.asyncio
async def test_invalid_credentials_are_not_renewed():
    """Only a token that ran out is worth renewing; a region that is off or a wrong key is not."""
    send, sent = scripted(refused("UnrecognizedClientException"))

    async def renew(_):
        raise AssertionError

    with pytest.raises(ExpiredCredentialsError):
        await client(send, renew=renew).call(GET_FUNCTION, function_name="f")

    assert len(sent) == 1


@pytest.mark.asyncio
async def test_a_failed_renewal_loses_the_target_not_the_run():
    """When the chain has nothing left, this account-region ends; the run may go on elsewhere."""
    send, _ = scripted(refused("ExpiredTokenException"))

    async def renew(_):
        raise CredentialsError("run `aws sso login`")

    with pytest.raises(ExpiredCredentialsError, match="aws sso login") as caught:
        await client(send, renew=renew).call(GET_FUNCTION, function_name="f")

    assert caught.value.code == "credentials_lost"
