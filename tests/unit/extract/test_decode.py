"""Which answers are decoded at once, and which are left to careful reading."""

from __future__ import annotations

import json
import re
import sys

import orjson
import pytest

from lexport.aws.client import parse_function
from lexport.extract.decode import (
    _ASCII_WITHOUT_CASE,
    FUNCTION,
    decode_function,
    decode_page,
    read_listed,
    split_page,
)
from lexport.model import Scope
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


def test_ordinary_answers_are_decoded_at_once():
    """All that the simulator knows of AWS is ordinary, nulls and rare kinds too, but for fields of the future."""
    fleet = Fleet(FleetSpec(functions=60, versions=3))
    slow = set()
    for index in fleet.indexes(SCOPE):
        for qualifier in (None, *map(str, fleet.published(SCOPE, index))):
            version = fleet.version(SCOPE, index, qualifier or "$LATEST")
            link = LINK if lambda_documents.has_location(version) else None
            document = lambda_documents.get_function(version, arn_qualifier=qualifier, location=link)
            decoded = decode_function(orjson.dumps(document))
            if decoded is None:
                slow.add(trait_of(fleet.spec.seed, SCOPE, index))
            else:
                assert decoded.location == link

    assert slow == FROM_THE_FUTURE


def test_the_link_is_handed_over_alone():
    """The link stands in ``location``, and nowhere else in the reply."""
    reply = decode_function(answer())

    assert reply.location == LINK
    assert reply.document["Code"] == {"RepositoryType": "S3"}
    assert b"canary" not in reply.body
    assert "canary" not in repr((reply, FUNCTION.read(reply.answer), reply.document))


def test_nothing_of_an_answer_is_shown():
    """No variable is in what a reply shows of itself."""
    reply = decode_function(answer(Environment={"Variables": {"PASSWORD": "canary"}}))

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
def test_a_link_elsewhere_is_read_with_care(text):
    """Whatever links.py takes for a signed link, in a value or a name, is for careful reading."""
    for variables in ({"A": text}, {text: "a"}, {"A": f"ü {text}"}):
        assert decode_function(answer(Environment={"Variables": variables})) is None


def test_letters_that_are_ascii_without_case():
    """These are all there are."""
    letter = re.compile("[a-z]", re.IGNORECASE)
    found = [chr(code) for code in range(128, sys.maxunicode + 1) if letter.fullmatch(chr(code))]

    assert tuple(each.encode("utf-8", "surrogatepass") for each in found) == _ASCII_WITHOUT_CASE


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
        answer().replace(b'"Location":', b'"Location" : '),
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
def test_odd_answers_are_not(body):
    """Fields that nobody knows, other types, numbers beyond their column, odd spelling, broken JSON."""
    assert decode_function(body) is None


@pytest.mark.parametrize("changed", [{"LastModified": "yesterday"}, {"Architectures": ["a", "b"]}])
def test_a_document_can_be_had_of_what_was_decoded(changed):
    """What no type can say is seen later; then the document is there, without the link."""
    reply = parse_function(answer(**changed))

    assert reply.answer is not None
    assert reply.document == json.loads(answer(**changed).replace(f',"Location":"{LINK}"'.encode(), b""))


# --- listings -------------------------------------------------------------------------------------------------------


def page(*items, **more):
    return json.dumps({"Versions": list(items)} | more, separators=(",", ":")).encode()


def test_ordinary_pages_are_decoded_at_once():
    """Every listed version that the simulator knows is; what it has besides its name is kept byte by byte."""
    fleet = Fleet(FleetSpec(functions=60, versions=3))
    versions = [fleet.version(SCOPE, index, "$LATEST") for index in fleet.indexes(SCOPE)]
    items = [lambda_documents.configuration(version, arn_qualifier="$LATEST", is_listed=True) for version in versions]
    body = orjson.dumps({"Functions": items, "NextMarker": "m"})
    reply = decode_page(body, "Functions")

    assert [item.FunctionName for item in reply.answer.Functions] == [item["FunctionName"] for item in items]
    assert [item.FunctionArn for item in reply.answer.Functions] == [item["FunctionArn"] for item in items]
    assert {item.Version for item in reply.answer.Functions} == {"$LATEST"}
    assert reply.answer.NextMarker == "m"
    assert split_page(body, "Functions") == [orjson.dumps(item) for item in items]
    assert reply.document == {"Functions": items, "NextMarker": "m"}
    listed = [read_listed(item) for item in split_page(body, "Functions")]
    assert [each.document["Configuration"] for each in listed] == items
    assert sum(each.answer is None for each in listed) == len(FROM_THE_FUTURE) - 1  # one of them is in no listing


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
def test_odd_pages_are_read_with_care(body):
    """Items without a name, other types, texts that no table can hold, broken JSON."""
    assert decode_page(body, "Versions") is None


@pytest.mark.parametrize(
    "item", [b'{"Description":"\\u0000"}', b'{"Description":"\xff"}', b'{"New":' + b"[" * 9000 + b"]" * 9000 + b"}"]
)
def test_a_listing_that_no_table_can_hold(item):
    """Such a version is fetched, not carried forward."""
    assert read_listed(item) is None
