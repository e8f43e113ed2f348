"""Whether an answer is about what was asked: every way to call a function, and every way for an answer to be wrong."""

from __future__ import annotations

import json
from functools import partial

import pytest

from lexport.aws.http.message import Response, ResponseSource
from lexport.errors import FunctionGoneError, WrongAnswerError
from lexport.extract.decode import decode_function, decode_object, decode_page
from lexport.extract.match_response import (
    check_function,
    check_layer_version,
    check_resource,
    check_versions,
    checked,
)
from lexport.model import FunctionRef, Reply, Scope
from lexport.tables import account_settings, aliases
from lexport.tables.resource import Subject

SCOPE = Scope(account_id="111122223333", region="us-west-2")
ARN = "arn:aws:lambda:us-west-2:111122223333:function:f"
WAYS = pytest.mark.parametrize("more", [{}, {"Unknown": 1}], ids=["decoded", "read with care"])


def judge(ref, document, scope=SCOPE):
    check_function(decode_function(json.dumps(document).encode()), ref, scope)


def told(name="f", arn=ARN, version="$LATEST", **more):
    return {"FunctionName": name, "FunctionArn": arn, "Version": version, **more}


# --- GetFunction ----------------------------------------------------------------------------------------------------


@WAYS
@pytest.mark.parametrize(
    ("qualifier", "arn", "version"),
    [
        (None, ARN, "$LATEST"),
        (None, f"{ARN}:$LATEST", "$LATEST"),
        ("$LATEST", f"{ARN}:$LATEST", "$LATEST"),
        ("7", f"{ARN}:7", "7"),
        ("7", ARN, "7"),
        ("live", f"{ARN}:live", "12"),
        ("live", f"{ARN}:12", "12"),
        ("live", ARN, "$LATEST"),
        ("live", f"{ARN}:live", "$LATEST"),
    ],
)
def test_what_aws_answers(qualifier, arn, version, more):
    """An unqualified call brings $LATEST, a number that version, an alias any; the ARN may be qualified or not."""
    judge(FunctionRef(function_name="f", qualifier=qualifier), {"Configuration": told("f", arn, version, **more)})


@pytest.mark.parametrize(
    ("scope", "arn"),
    [
        (Scope(account_id="444455556666", region="us-gov-west-1"), "arn:aws-us-gov:lambda:us-gov-west-1:444455556666"),
        (Scope(account_id="444455556666", region="cn-north-1"), "arn:aws-cn:lambda:cn-north-1:444455556666"),
        (Scope(account_id="444455556666", region="eusc-de-east-1"), "arn:aws-eusc:lambda:eusc-de-east-1:444455556666"),
    ],
)
def test_any_partition(scope, arn):
    """The account and the Region are those of the target, which another account's ARN decides; partitions differ."""
    ref = FunctionRef(function_name="us-east-1.edge", called_as=f"{arn}:function:us-east-1.edge")
    judge(ref, {"Configuration": told("us-east-1.edge", f"{arn}:function:us-east-1.edge")}, scope)


@WAYS
@pytest.mark.parametrize(
    ("qualifier", "wrong"),
    [
        (None, told("g", ARN.replace(":f", ":g"))),
        (None, told("g")),
        (None, told(arn=f"{ARN}g")),
        (None, told(arn=ARN.replace("333:", "334:"))),
        (None, told(arn=ARN.replace("us-west-2", "us-east-2"))),
        (None, told(arn=f"{ARN}:1")),
        (None, told(arn=f"x{ARN}")),
        (None, told(arn=ARN.replace("arn:aws", "arn:aws:evil"))),
        (None, told(arn=ARN.replace("lambda", "s3"))),
        (None, told(arn="")),
        (None, told(version="1")),
        (None, told(version="")),
        (None, told(name="F")),
        (None, told(name=None)),
        (None, told(arn=None)),
        (None, told(version=None)),
        (None, told(version=1)),
        (None, told(name=["f"])),
        (None, told(arn={"f": 1})),
        ("3", told(arn=f"{ARN}:3")),
        ("3", told(arn=f"{ARN}:4", version="4")),
        ("3", told(arn=f"{ARN}:4", version="3")),
        ("3", told(arn=f"{ARN}:3", version="03")),
        ("live", told(arn=f"{ARN}:live", version="live")),
        ("live", told(arn=f"{ARN}:dev", version="3")),
        ("live", told(arn=f"{ARN}:live", version="²")),
        ("live", told(arn=f"{ARN}:live", version=None)),
    ],
)
def test_another_answer(qualifier, wrong, more):
    """Another name, version, ARN, account or Region, or one of another type or none at all, is a wrong answer."""
    with pytest.raises(WrongAnswerError) as caught:
        judge(FunctionRef(function_name="f", qualifier=qualifier), {"Configuration": wrong | more})

    assert (caught.value.code, caught.value.http_status, caught.value.retryable) == ("wrong_answer", 200, True)


@pytest.mark.parametrize(
    "document", [{}, {"Configuration": None}, {"Configuration": {}}, {"Configuration": []}, {"Code": {}}]
)
def test_an_answer_about_nothing(document):
    """A 200 that tells of no function is a wrong answer, and the message says so."""
    with pytest.raises(WrongAnswerError, match=r"asked for f, version \$LATEST, of 111122223333 us-west-2, .* no func"):
        judge(FunctionRef(function_name="f"), document)


def test_a_message_tells_names_alone():
    """A message quotes what was asked and what came back, escaped and cut, and no other value."""
    odd = told("\x1b[31m" + "g" * 1000, version={"secret": "s"}, Environment={"Variables": {"A": "canary"}})
    with pytest.raises(WrongAnswerError) as caught:
        judge(FunctionRef(function_name="f", qualifier="3"), {"Configuration": odd})

    assert "asked for f, version 3, of 111122223333 us-west-2, the response has '\\x1b[31mggg" in str(caught.value)
    assert "version dict, ARN 'arn:aws:lambda:us-west-2:111122223333:function:f'" in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "canary" not in str(caught.value)
    assert "secret" not in str(caught.value)


# --- listings -------------------------------------------------------------------------------------------------------


def pages(*items, key="Functions"):
    """The same page, decoded and read with care."""
    body = json.dumps({key: list(items)}).encode()
    return decode_page(body, key), decode_object(body)


def listed(name="f", version="3", arn=None):
    return told(name, f"{ARN[:-1]}{name}:{version}" if arn is None else arn, version)


def test_listed_versions():
    """ALL qualifies every ARN, the plain listing none, and replicas at the edge have a dot in their names."""
    for page in pages(
        listed(),
        listed("g", "$LATEST"),
        listed("us-east-1.e", "1"),
        listed("m", "$LATEST.PUBLISHED"),
        told("h", f"{ARN[:-1]}h"),
    ):
        check_versions(page, None, SCOPE)
    for page in pages(listed(), listed(version="$LATEST.PUBLISHED"), key="Versions"):
        check_versions(page, None, SCOPE, "f")


@pytest.mark.parametrize(
    "wrong",
    [
        listed(arn=f"{ARN}:4"),
        listed(arn=f"{ARN}g:3"),
        listed(arn=f"{ARN}:3".replace("333:", "334:")),
        listed(arn=f"{ARN}:3".replace("us-west-2", "us-east-2")),
        listed(version="live"),
        listed(version=""),
        listed("g", arn=f"{ARN}:3"),
    ],
)
def test_a_listing_of_others(wrong):
    """A page with an item of another account or Region, or one that contradicts itself, is a wrong answer whole."""
    for page in pages(listed("a"), wrong, listed("z")):
        with pytest.raises(WrongAnswerError, match="asked for functions of 111122223333 us-west-2"):
            check_versions(page, None, SCOPE)


def test_versions_of_another_function():
    """ListVersionsByFunction tells of the function that was asked for."""
    for page in pages(listed("f"), listed("g"), key="Versions"):
        with pytest.raises(WrongAnswerError, match="asked for f of 111122223333 us-west-2, the response has 'g'"):
            check_versions(page, None, SCOPE, "f")


def alias(name="live", version="3", arn=None, **more):
    return {"Name": name, "AliasArn": arn or f"{ARN}:{name}", "FunctionVersion": version, **more}


def check_aliases(page, marker=None):
    return check_resource(page, aliases.RESOURCE, Subject(SCOPE, "f"), marker)


@pytest.mark.parametrize("items", [[], [alias()], [alias("a", "$LATEST"), alias("b")], [None, {}, {"Name": ""}]])
def test_aliases_of_the_function(items):
    """Aliases of the function pass, none at all too; what has no name is judged one by one later."""
    check_aliases(decode_object(json.dumps({"Aliases": items}).encode()))


@pytest.mark.parametrize(
    "wrong",
    [
        alias(arn=f"{ARN}g:live"),
        alias(arn=f"{ARN}:other"),
        alias(arn=ARN.replace("333:", "334:") + ":live"),
        {"Name": "live", "FunctionVersion": "3"},
        alias(version=None),
        alias(version=3),
        alias(version="live"),
    ],
)
def test_aliases_of_another_function(wrong):
    """An alias of another function, or one that leads to no version, is a wrong answer."""
    with pytest.raises(WrongAnswerError, match="asked for aliases of f of 111122223333 us-west-2"):
        check_aliases(decode_object(json.dumps({"Aliases": [alias("a"), wrong]}).encode()))


def test_a_page_that_names_itself():
    """The page before the one that was asked for names it as the next one, and is a wrong answer."""
    page = decode_page(json.dumps({"Functions": [listed()], "NextMarker": "m"}).encode(), "Functions")
    aliases_page = decode_object(json.dumps({"Aliases": [alias()], "NextMarker": "m"}).encode())
    check_versions(page, "l", SCOPE)
    check_aliases(aliases_page, "l")
    for check in (partial(check_versions, page, "m", SCOPE), partial(check_aliases, aliases_page, "m")):
        with pytest.raises(WrongAnswerError) as caught:
            check()

        assert caught.value.code == "repeated_marker"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("message", "is_gone"),
    [
        ("Function not found", True),
        (f"Function not found: {ARN}:3", True),
        (f"Function not found: {ARN}", True),
        (f"GetFunction {ARN}: ResourceNotFoundException: Function not found: {ARN}:3 (HTTP 404)", True),
        (f"Function not found: {ARN}:4", False),
        (f"Function not found: {ARN}g:3", False),
        (f"Function not found: {ARN}:3".replace("333:", "334:"), False),
        (f"GetFunction {ARN}: ResourceNotFoundException: Function not found: {ARN}g:3", False),
    ],
)
async def test_not_found_is_about_the_function(message, is_gone):
    """A function is gone where AWS says so of this very function; "not found" of another is a wrong answer."""

    class Api:
        def on_fresh_connections(self):
            return self

    async def call(_api):
        raise FunctionGoneError(message, code="ResourceNotFoundException", http_status=404)

    with pytest.raises(FunctionGoneError if is_gone else WrongAnswerError):
        await checked(Api(), call, decode_object, lambda _: True, function=(SCOPE, "f", "3"))()


# --- the rest -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [{}, {"AccountLimit": {"TotalCodeSize": 1}}, {"AccountLimit": {}, "AccountUsage": {}}, {"AccountUsage": None}],
)
def test_settings_of_no_account(document):
    """GetAccountSettings with half of its answer is no answer."""
    with pytest.raises(
        WrongAnswerError,
        match=r"asked for account settings of 111122223333 us-west-2, .* no Account",
    ):
        check_resource(Reply(parsed=document, body=b""), account_settings.RESOURCE, Subject(SCOPE), None)


def test_a_layer_version():
    """GetLayerVersionByArn tells of the ARN that was asked for; AWS's own layers are asked for without a version."""
    arn, of_aws = "arn:aws:lambda:us-west-2:111122223333:layer:l:3", "arn:aws:lambda:::awslayer:AmazonLinux1803"
    check_layer_version(Reply(parsed={"LayerVersionArn": arn}, body=b""), arn)
    check_layer_version(Reply(parsed={"LayerVersionArn": f"{of_aws}:1"}, body=b""), of_aws)
    for wrong in (None, 3, arn.replace(":3", ":4"), f"{arn}3"):
        with pytest.raises(WrongAnswerError):
            check_layer_version(Reply(parsed={"LayerVersionArn": wrong}, body=b""), arn)


@pytest.mark.asyncio
async def test_after_a_wrong_answer_every_attempt_has_a_connection_of_its_own():
    """The connection of a wrong answer is closed, and the next attempts go over fresh ones."""

    class Api:
        def __init__(self, name):
            self.name = name

        def on_fresh_connections(self):
            return Api("fresh")

    class Connection(ResponseSource):
        def __init__(self, number):
            super().__init__()
            self.number = number

        def retire(self):
            seen.append(f"retired {self.number}")

    seen = []

    async def call(api):
        seen.append(api.name)
        number = len(seen)
        return Response(200, {}, b'{"n": %d}' % number, Connection(number))

    def check(reply, least):
        if reply.document["n"] < least:
            raise WrongAnswerError("wrong", code="wrong_answer")
        return True

    attempt = checked(Api("usual"), call, decode_object, check, 5)
    for _ in range(2):
        with pytest.raises(WrongAnswerError):
            await attempt()
    reply = await attempt()

    assert seen == ["usual", "retired 1", "fresh", "retired 3", "fresh"]
    assert reply.document == {"n": 5}
