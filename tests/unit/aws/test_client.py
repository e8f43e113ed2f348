"""``LambdaClient`` over the real transport against real servers, and the parser alone."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.session import Session as BotocoreSession

from lexport.aws.client import LambdaClient, parse_reply
from lexport.aws.http.transport import Response, open_transport
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, ExpiredCredentialsError, FetchError, FunctionGoneError, ServiceError
from lexport.model import Reply

NOW = datetime(2026, 3, 6, 12, 0, 0, tzinfo=UTC)
FIRST = Credentials("AKIAFIRST", "canary-secret-key-first", "canary-session-token-first")
SECOND = Credentials("AKIASECOND", "canary-secret-key-second", "canary-session-token-second")
LINK = "https://awslambda-eu-west-1-tasks.s3.eu-west-1.amazonaws.com/snapshots/f?versionId=v&X-Amz-Signature=canary"
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

    return LambdaClient(
        region="eu-west-1",
        endpoint=endpoint,
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
    ("get_function", lambda name: (name, None), {}, lambda name: {"FunctionName": name}),
    ("get_function", lambda name: (name, "$LATEST"), {}, lambda name: {"FunctionName": name, "Qualifier": "$LATEST"}),
    ("list_functions", lambda _: (None,), {"all_versions": False}, lambda _: {"MaxItems": 50}),
    (
        "list_functions",
        lambda name: (name,),
        {"all_versions": True},
        lambda name: {"MaxItems": 50, "FunctionVersion": "ALL", "Marker": name},
    ),
    (
        "list_versions_by_function",
        lambda name: (name, "m+/="),
        {},
        lambda name: {"FunctionName": name, "Marker": "m+/=", "MaxItems": 50},
    ),
    ("list_aliases", lambda name: (name, None), {}, lambda name: {"FunctionName": name, "MaxItems": 50}),
    ("get_account_settings", lambda _: (), {}, lambda _: {}),
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
@pytest.mark.parametrize(("method", "positional", "named", "theirs"), CALLS)
async def test_urls_are_botocores(botocore_url, name, method, positional, named, theirs):
    """Path and parameters are encoded as botocore's serialiser does it, for any name."""
    send, sent = scripted(ok())
    await getattr(client(send), method)(*positional(name), **named)
    path, _, query = sent[0].url.partition("?")
    expected_path, _, expected_query = botocore_url(method, theirs(name)).partition("?")

    assert expected_path == path
    assert sorted(expected_query.split("&")) == sorted(query.split("&"))


@asynccontextmanager
async def strict_server(answer):
    """A server that checks each signature against botocore's signer, and answers; yields its port."""

    async def handle(request):
        expected = AWSRequest(method="GET", url=f"http://{request.host}{request.raw_path}")
        keys = FIRST if "AKIAFIRST" in request.headers["Authorization"] else SECOND
        with patch("botocore.auth.get_current_datetime", return_value=NOW):
            SigV4Auth(
                ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token), "lambda", "eu-west-1"
            ).add_auth(expected)
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

    async with strict_server(answer) as port, open_transport(ca_bundle=None, connections=1) as send:
        lambda_ = client(send, endpoint.format(port))
        for name in NAMES:
            reply = await lambda_.get_function(name, "$LATEST")
            base = endpoint.format("").rpartition(":")[2].strip("/")

            assert reply.document["path"].startswith(f"/{base}/2015" if base else "/2015")
        await lambda_.list_functions("a&b=c", all_versions=True)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_a_name_that_would_be_another_path(name):
    """An empty name would ask for the list of all functions."""
    send, sent = scripted(ok())
    with pytest.raises(FetchError) as caught:
        await client(send).get_function(name, None)

    assert caught.value.code == "invalid_name"
    assert sent == []


@pytest.mark.asyncio
async def test_an_error_of_aws():
    """A 404 of AWS is a function that is gone."""
    send, sent = scripted(refused("ResourceNotFoundException", 404))
    with pytest.raises(FunctionGoneError, match="GetFunction f: ResourceNotFoundException"):
        await client(send).get_function("f", "3")

    assert len(sent) == 1


@pytest.mark.asyncio
async def test_the_live_secrets_are_removed_from_errors():
    """Whatever AWS echoes, our token is not in the message."""
    send, _ = scripted(refused("ValidationException", 400))
    with pytest.raises(FetchError) as caught:
        await client(send).get_function("f", None)

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

    reply = await client(send, renew=renew).get_function("f", None)

    assert reply.document == {"a": 1}
    assert stale == [FIRST]
    assert ["AKIASECOND" in request.headers["Authorization"] for request in sent] == [False, True]


@pytest.mark.asyncio
async def test_credentials_that_stay_expired():
    """A second refusal is final: no third call."""
    send, sent = scripted(refused("ExpiredTokenException"), refused("ExpiredTokenException"))

    async def renew(_):
        return SECOND

    with pytest.raises(ExpiredCredentialsError):
        await client(send, renew=renew).get_function("f", None)

    assert len(sent) == 2


@pytest.mark.asyncio
async def test_nothing_newer_means_no_second_call():
    """Where renewing changes nothing, AWS is not asked again."""
    send, sent = scripted(refused("ExpiredTokenException"))
    with pytest.raises(ExpiredCredentialsError) as caught:
        await client(send).get_function("f", None)

    assert caught.value.code == "ExpiredTokenException"
    assert len(sent) == 1


@pytest.mark.asyncio
async def test_invalid_credentials_are_not_renewed():
    """Only a token that ran out is worth renewing; a region that is off or a wrong key is not."""
    send, sent = scripted(refused("UnrecognizedClientException"))

    async def renew(_):
        raise AssertionError

    with pytest.raises(ExpiredCredentialsError):
        await client(send, renew=renew).get_function("f", None)

    assert len(sent) == 1


@pytest.mark.asyncio
async def test_a_failed_renewal_loses_the_target_not_the_run():
    """When the chain has nothing left, this account-region ends; the run may go on elsewhere."""
    send, _ = scripted(refused("ExpiredTokenException"))

    async def renew(_):
        raise CredentialsError("run `aws sso login`")

    with pytest.raises(ExpiredCredentialsError, match="aws sso login") as caught:
        await client(send, renew=renew).get_function("f", None)

    assert caught.value.code == "credentials_lost"


# --- the parser ---------------------------------------------------------------------------------------------------


def test_a_plain_answer():
    """The document is the JSON object, the body its bytes."""
    body = '{"a": [1, 2.5, null, true, "ü"], "b": {}}'.encode()

    assert parse_reply(body) == Reply(parsed={"a": [1, 2.5, None, True, "ü"], "b": {}}, body=body)


@pytest.mark.parametrize(
    ("body", "document", "cleaned"),
    [
        (rb'{"a": "x\ud800y"}', {"a": "x\ufffdy"}, 1),
        (rb'{"a": "\ud83d\ude00"}', {"a": "\U0001f600"}, 0),
        (rb'{"a\u0000": ["\u0000\u0000"]}', {"a\ufffd": ["\ufffd\ufffd"]}, 3),
        (b'{"a": "x\xffy"}', {"a": "x\ufffdy"}, 1),
        ('{"a": "\ufffd"}'.encode(), {"a": "\ufffd"}, 0),
        (b'{"a": NaN, "b": -Infinity}', {"a": "NaN", "b": "-Infinity"}, 0),
        (b'{"a": 1e999, "b": 1.5}', {"a": "1e999", "b": 1.5}, 0),
        (rb'{"a": "\\u0000"}', {"a": r"\u0000"}, 0),
    ],
)
def test_what_no_table_can_hold(body, document, cleaned):
    """Odd characters and numbers are replaced and counted, not lost."""
    reply = parse_reply(body)

    assert (reply.document, reply.cleaned) == (document, cleaned)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "an empty body"),
        (b"<!DOCTYPE html><html>login canary", "an HTML page"),
        (b"<?xml version='1.0'?><a/>", "an XML document"),
        (b"canary", "plain text"),
        (b'{"a": canary', "broken JSON"),
        (b"[1]", "other JSON"),
        (b"null", "plain text"),
        (b'{"a":' * 100_000, "broken JSON"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "broken JSON"),
    ],
)
def test_what_is_no_json_object(body, words):
    """A 200 that is no JSON object can be tried again, and is told without its contents."""
    with pytest.raises(ServiceError) as caught:
        parse_reply(body)

    assert (caught.value.code, caught.value.retryable) == ("invalid_body", True)
    assert words in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "code",
    [
        f'"Location": "{LINK}", "RepositoryType": "S3"',
        f'"RepositoryType": "S3", "Location":"{LINK}"',
        f'"RepositoryType": "S3", "Location": "{LINK}"'.replace("&", r"\u0026"),
        f'"RepositoryType": "S3", "Location": "{LINK}"'.replace("/", r"\/"),
        f'"RepositoryType": "S3", "\\u004cocation": "{LINK}"',
        f'"RepositoryType": "S3", "Location": "{LINK}", "Location": "{LINK}2"',
        f'"RepositoryType": "S3", "Location": ["{LINK}"]',
        f'"RepositoryType": "S3", "Location": {{"url": "{LINK}"}}',
        f'"RepositoryType": "S3", "Location": "{LINK}\\u0000"',
        '"RepositoryType": "S3", "Location": "1"',
        '"RepositoryType": "S3", "Location": ""',
        '"RepositoryType": "S3", "Location": null',
    ],
)
def test_the_link_is_dropped(code):
    """`Code.Location` is in neither document nor body, whatever its type and spelling; exact numbers stay."""
    body = f'{{"big": 123456789012345678901234567890, "Code": {{{code}}}, "n": 1.5}}'.encode()
    reply = parse_reply(body)

    assert reply.document["Code"] == {"RepositoryType": "S3"}
    assert b"canary" not in reply.body
    assert b"canary" not in repr(reply).encode()
    assert json.loads(reply.body)["big"] == 123456789012345678901234567890
    assert json.loads(reply.body)["n"] == 1.5


@pytest.mark.parametrize("name", ["Code", "Content"])
def test_the_link_is_handed_over_alone(name):
    """The link of a function or of a layer version stands in ``location``, and nowhere else in the reply."""
    reply = parse_reply(f'{{"{name}": {{"Location": "{LINK}", "CodeSize": 1}}}}'.encode())

    assert (reply.location, reply.document) == (LINK, {name: {"CodeSize": 1}})
    assert b"canary" not in reply.body
    assert "canary" not in repr(reply)


@pytest.mark.parametrize("code", ["{}", '{"Location": ""}', '{"Location": null}', '{"Location": ["x"]}', "[]"])
def test_no_link(code):
    """What is no text is no link."""
    assert parse_reply(f'{{"Code": {code}}}'.encode()).location is None


def test_only_the_codes_own_location_is_dropped():
    """A `Location` elsewhere is data."""
    body = b'{"Configuration": {"Environment": {"Variables": {"Location": "here"}}}, "Code": {}}'

    assert parse_reply(body).document["Configuration"]["Environment"]["Variables"] == {"Location": "here"}
