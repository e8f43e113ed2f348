"""Which responses are decoded typed, and which as JSON objects."""

from __future__ import annotations

import json
import re
import sys

import orjson
import pytest

from lexport.aws.redact import _ASCII_IGNORING_CASE
from lexport.errors import ServiceError
from lexport.extract.decode import (
    FUNCTION,
    decode_function,
    decode_listed,
    decode_object,
    decode_typed_function,
    decode_typed_page,
    split_page,
)
from lexport.model import Reply, Scope
from lexport.simulator import Fleet, FleetSpec, lambda_documents
from lexport.simulator.traits import trait_of

SCOPE = Scope(account_id="111122223333", region="us-east-1")
LINK = "https://awslambda-us-east-1-tasks.s3.us-east-1.amazonaws.com/f?versionId=x&X-Amz-Signature=canary"
FROM_THE_FUTURE = {"extra_configuration", "extra_layer", "extra_top", "extra_nested", "extra_items"}


def answer(**changed):
    document = {
        "Configuration": {"FunctionName": "f", "Timeout": 3, "Environment": {"Variables": {"A": "1"}}} | changed,
        "Code": {"RepositoryType": "S3", "Location": LINK},
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def test_common_responses_are_decoded_typed():
    """Every response of the simulator is decoded typed, nulls and rare kinds too, but for unknown fields."""
    fleet = Fleet(FleetSpec(functions=60, versions=3))
    slow = set()
    for index in fleet.indexes(SCOPE):
        for qualifier in (None, *map(str, fleet.published(SCOPE, index))):
            version = fleet.version(SCOPE, index, qualifier or "$LATEST")
            link = LINK if lambda_documents.has_location(version) else None
            document = lambda_documents.get_function(version, arn_qualifier=qualifier, location=link)
            decoded = decode_typed_function(orjson.dumps(document))
            if decoded is None:
                slow.add(trait_of(fleet.spec.seed, SCOPE, index))
            else:
                assert decoded.location == link

    assert slow == FROM_THE_FUTURE


def test_a_typed_reply_has_the_presigned_url_in_location_alone():
    """The presigned URL is in ``location`` and nowhere else in the reply."""
    reply = decode_typed_function(answer())

    assert reply.location == LINK
    assert reply.document["Code"] == {"RepositoryType": "S3"}
    assert b"canary" not in reply.body
    assert "canary" not in repr((reply, FUNCTION.values(reply.typed), reply.document))


def test_repr_has_no_values():
    """The repr of a reply has no value of a variable."""
    reply = decode_typed_function(answer(Environment={"Variables": {"PASSWORD": "canary"}}))

    assert reply.document["Configuration"]["Environment"]["Variables"] == {"PASSWORD": "canary"}
    assert "canary" not in repr(reply)


@pytest.mark.parametrize(
    "text",
    [
        "X-Amz-Signature=1",
        "x-amz-security-token=1",
        "X-AMZ-CREDENTIAL=1",
        "AWSAccessKeyId=1",
        "?signature=1",
        "&Signature%3D1",
        ";Signature%25253d1",
        "X-Amz-Credential\\u003d1",
        "X-Amz-\u017fignature=1",
        "X-Amz-S\u0131gnature=1",
        "X-Amz-S\u0130gnature=1",
        "AWSAccess\u212aeyId=1",
    ],
)
def test_a_presigned_url_elsewhere_is_not_decoded_typed(text):
    """A response with a presigned URL in a value or a name is not decoded typed."""
    for variables in ({"A": text}, {text: "a"}, {"A": f"ü {text}"}):
        assert decode_typed_function(answer(Environment={"Variables": variables})) is None


def test_letters_that_are_ascii_without_case():
    """These are all there are."""
    letter = re.compile("[a-z]", re.IGNORECASE)
    found = [chr(code) for code in range(128, sys.maxunicode + 1) if letter.fullmatch(chr(code))]

    assert tuple(each.encode("utf-8", "surrogatepass") for each in found) == _ASCII_IGNORING_CASE


@pytest.mark.parametrize(
    "body",
    [
        answer(New=1),
        answer(Timeout=3.0),
        answer(Timeout="3"),
        answer(Timeout=True),
        answer(Timeout=2**31),
        answer(CodeSize=2**63),
        answer(Layers=[None]),
        answer(Environment={"Variables": {"A": None}}),
        answer(Description="\u0000"),
        answer(Environment={"Variables": {"Location": "here"}}),
        answer().replace(LINK.encode() + b'"', b'https://h/canary","Location":""'),
        answer().replace(LINK.encode() + b'"', b'https://h/canary","Location":null'),
        answer().replace(LINK.encode() + b'"}', b'https://h/canary"},"Code":{}'),
        answer().replace(b"//", rb"\/\/"),
        answer()[:-1],
        answer() + b"}",
        b"",
        b"[]",
        b"null",
        b'{"a":' * 100_000,
        b'{"Configuration":' * 100_000,
        b'{"Configuration":{"Description":"\xff"}}',
    ],
)
def test_other_responses_are_not_decoded_typed(body):
    """Unknown fields, other types, numbers beyond their column, unusual escapes and broken JSON are refused."""
    assert decode_typed_function(body) is None


@pytest.mark.parametrize("changed", [{"LastModified": "yesterday"}, {"Architectures": ["a", "b"]}])
def test_a_document_can_be_had_of_what_was_decoded(changed):
    """A typed reply has the whole document as well, without the presigned URL."""
    reply = decode_function(answer(**changed))

    assert reply.typed is not None
    assert reply.document == json.loads(answer(**changed).replace(f',"Location":"{LINK}"'.encode(), b""))


# --- listings -------------------------------------------------------------------------------------------------------


def page(*items, **more):
    return json.dumps({"Versions": list(items)} | more, separators=(",", ":")).encode()


def test_common_pages_are_decoded_typed():
    """Every page of the simulator is decoded typed, and each item is kept byte by byte."""
    fleet = Fleet(FleetSpec(functions=60, versions=3))
    versions = [fleet.version(SCOPE, index, "$LATEST") for index in fleet.indexes(SCOPE)]
    items = [lambda_documents.configuration(version, arn_qualifier="$LATEST", is_listed=True) for version in versions]
    items = orjson.loads(orjson.dumps(items))
    body = orjson.dumps({"Functions": items, "NextMarker": "m"})
    reply = decode_typed_page(body, "Functions")

    assert [item.FunctionName for item in reply.typed.Functions] == [item["FunctionName"] for item in items]
    assert [item.FunctionArn for item in reply.typed.Functions] == [item["FunctionArn"] for item in items]
    assert {item.Version for item in reply.typed.Functions} == {"$LATEST"}
    assert reply.typed.NextMarker == "m"
    assert split_page(body, "Functions") == [orjson.dumps(item) for item in items]
    assert reply.document == {"Functions": items, "NextMarker": "m"}
    listed = [decode_listed(item) for item in split_page(body, "Functions")]
    assert [each.document["Configuration"] for each in listed] == items
    assert sum(each.typed is None for each in listed) == len(FROM_THE_FUTURE) - 1  # one of them is in no listing


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"Versions":null}',
        b'{"Functions":[]}',
        b'{"Versions":[]',
        b'{"Versions":[],"X":tru}',
        b'{"Versions":[],"X":' + b"[" * 100_000,
        page(None),
        page("f"),
        page({}),
        page({"FunctionName": None}),
        page({"FunctionName": ""}),
        page({"FunctionName": 1}),
        page({"FunctionName": "a\nb"}),
        page({"FunctionName": "a\0b"}),
        page({"FunctionName": "a\ud800b"}),
        page({"FunctionName": "a", "Version": 1}),
        page({"FunctionName": "a", "Version": "\0"}),
        page({"FunctionName": "a", "FunctionArn": ["a"]}),
        page(NextMarker=1),
        page(NextMarker="\0"),
    ],
)
def test_other_pages_are_not_decoded_typed(body):
    """Items without a name, other types, texts that no table can hold and broken JSON are refused."""
    assert decode_typed_page(body, "Versions") is None


@pytest.mark.parametrize(
    "item", [b'{"Description":"\\u0000"}', b'{"Description":"\xff"}', b'{"New":' + b"[" * 9000 + b"]" * 9000 + b"}"]
)
def test_a_listing_that_no_table_can_hold(item):
    """A listed version whose text would be replaced is fetched, not carried."""
    assert decode_listed(item) is None


# --- any response -------------------------------------------------------------------------------------------------


def test_a_plain_answer():
    """The document is the JSON object, the body its bytes."""
    body = '{"a": [1, 2.5, null, true, "ü"], "b": {}}'.encode()

    assert decode_object(body) == Reply(parsed={"a": [1, 2.5, None, True, "ü"], "b": {}}, body=body)


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
    """Characters that no table can hold are replaced and counted, and numbers beyond a double become text."""
    reply = decode_object(body)

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
    """A status 200 with another body is retried, and the error does not quote the body."""
    with pytest.raises(ServiceError) as caught:
        decode_object(body)

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
    """`Code.Location` is in neither document nor body, whatever its type and escapes; exact numbers stay."""
    body = f'{{"big": 123456789012345678901234567890, "Code": {{{code}}}, "n": 1.5}}'.encode()
    reply = decode_object(body)

    assert reply.document["Code"] == {"RepositoryType": "S3"}
    assert b"canary" not in reply.body
    assert b"canary" not in repr(reply).encode()
    assert json.loads(reply.body)["big"] == 123456789012345678901234567890
    assert json.loads(reply.body)["n"] == 1.5


@pytest.mark.parametrize("name", ["Code", "Content"])
def test_the_link_is_handed_over_alone(name):
    """The presigned URL of a function or of a layer version is in ``location`` and nowhere else in the reply."""
    reply = decode_object(f'{{"{name}": {{"Location": "{LINK}", "CodeSize": 1}}}}'.encode())

    assert (reply.location, reply.document) == (LINK, {name: {"CodeSize": 1}})
    assert b"canary" not in reply.body
    assert "canary" not in repr(reply)


@pytest.mark.parametrize("code", ["{}", '{"Location": ""}', '{"Location": null}', '{"Location": ["x"]}', "[]"])
def test_no_link(code):
    """A location that is no text is not a URL."""
    assert decode_object(f'{{"Code": {code}}}'.encode()).location is None


def test_only_the_codes_own_location_is_dropped():
    """A `Location` elsewhere is data."""
    body = b'{"Configuration": {"Environment": {"Variables": {"Location": "here"}}}, "Code": {}}'

    assert decode_object(body).document["Configuration"]["Environment"]["Variables"] == {"Location": "here"}
