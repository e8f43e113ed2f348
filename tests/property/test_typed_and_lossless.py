"""Typed decoding results in the same rows as lossless reading, or refuses the response."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from expected_rows import KEY
from function_responses import FULL, SECRET, responses
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import examples

from lexport.aws.json import parse_document
from lexport.extract.decode import (
    decode_listed,
    decode_object,
    decode_typed_function,
    decode_typed_page,
    join_listed,
    split_listed,
)
from lexport.extract.flatten import Rules, flatten_carried, flatten_function
from lexport.extract.hash_key import HashKey
from lexport.extract.listing import _entries
from lexport.extract.match_response import next_marker_of
from lexport.extract.rows import Rows, ValueHasher
from lexport.model import FunctionRef, Reply, Scope

SCOPE = Scope(account_id="123456789012", region="us-west-2")
AT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
LEAKS = re.compile("c0ffee|X-Amz-(?:Signature|Security-Token|Credential)(?:=|%3D)", re.IGNORECASE)


def flatten_reply(reply, env):
    rows = Rows(None if env == "none" else ValueHasher(HashKey(KEY)))
    version, notices = flatten_function(
        reply,
        FunctionRef(function_name="asked-for"),
        scope=SCOPE,
        rules=Rules(env=env, fetched_at=AT),
        answer="0",
        rows=rows,
    )
    return rows.take(), version, notices


BODY = json.dumps(FULL | {"Tags": {"ключ": "\U0001f40d"}}, separators=(",", ":"), ensure_ascii=False).encode()
NEW_VALUES = ["0", "-0", "7", "1.0", "1e2", "01", "1e999", "2147483648", "-9223372036854775809", "NaN", "true", "false"]
NEW_VALUES += ["null", "null", '""', '"x"', '"x"', "[]", "{}", '["x"]', "[null]", '{"a":"b"}', '{"ErrorCode":""}']
PIECES = [
    *(
        r"\u0041",
        r"\u0000",
        r"\ud800",
        r"\/",
        r"\n",
        r"\"",
        "\n",
        "\x00",
        "\x7f",
        "\ufeff",
        "\u017f",
        "\u212a",
        "%",
        "=",
        "/",
    ),
    *("X-Amz-Signature=c0ffee", "x-amz-\u017fignature=c0ffee", "?Signature%253Dc0ffee", r"AWSAccessKeyId\u003d", " "),
]


@st.composite
def bodies(draw, body=BODY):
    """The bytes of a full response with other values, repeated keys, special characters and broken punctuation."""
    for _ in range(draw(st.sampled_from([1, 1, 2]))):
        key = draw(st.sampled_from(list(re.finditer(rb'("[A-Za-z0-9]+":)("[^"]*"|[0-9.]+|true)?', body))))
        value = draw(st.sampled_from(NEW_VALUES)).encode()
        piece = draw(st.sampled_from(PIECES)).encode()
        start, end, new = draw(
            st.sampled_from(
                [
                    (*key.span(2), value) if key[2] else (key.start(), key.start(), key[1] + value + b","),
                    (key.start(), key.start(), key[1] + value + b","),
                    (key.end(1) + 1, key.end(1) + 1, piece),
                    (key.start() + 1, key.start() + 1, piece),
                    (key.start(), key.start(), draw(st.sampled_from([b" ", b"\t", b",", b"}", b"{", b"1", b'"']))),
                ]
            )
        )
        body = body[:start] + new + body[end:]
    return body


@settings(max_examples=examples(1500), deadline=None)
@given(bodies())
def test_a_typed_response_has_the_rows_of_lossless_reading(body):
    """Typed decoding of any bytes results in the rows, document and URL of lossless reading, or refuses them."""
    decoded = decode_typed_function(body)
    if decoded is not None:
        lossless = decode_object(body)

        assert flatten_reply(decoded, "values") == flatten_reply(lossless, "values")
        assert (decoded.document, decoded.location) == (lossless.document, lossless.location)
        assert lossless.cleaned == 0
        assert not LEAKS.search(decoded.body.decode())


@settings(max_examples=examples(500), deadline=None)
@given(bodies(json.dumps(FULL["Configuration"], separators=(",", ":")).encode()), st.sampled_from(["keys", "values"]))
def test_a_listed_version_has_the_rows_of_lossless_reading(item, env):
    """A carried version has the same row however its listing was decoded, or is fetched."""
    listed = decode_listed(item)
    if listed is not None:
        body = b'{"Configuration":%b}' % item
        document, cleaned = parse_document(body)

        assert cleaned == 0
        assert carry(listed, env) == carry(Reply(body=body, parsed=document), env)
        assert carry(join_listed(*split_listed(item)), env) == carry(listed, env)


@settings(max_examples=examples(200), deadline=None)
@given(responses())
def test_the_file_of_pending_listings_has_no_value_of_a_variable(document):
    """The values of variables of any listing are split from what goes into a file."""
    plain, _ = split_listed(json.dumps(document.get("Configuration")).encode())

    assert SECRET.encode() not in plain


PAGE = json.dumps(
    {
        "Functions": [
            {"FunctionName": "f", "Version": "7", "FunctionArn": FULL["Configuration"]["FunctionArn"], "Timeout": 3},
            {
                "FunctionName": "g",
                "Version": "$LATEST",
                "FunctionArn": "arn:g",
                "Layers": [{"Arn": "a"}],
                "Environment": {"Variables": {"A": "1"}},
            },
        ],
        "NextMarker": "m",
    },
    separators=(",", ":"),
).encode()


@settings(max_examples=examples(500), deadline=None)
@given(bodies(PAGE), st.booleans())
def test_a_typed_page_has_the_versions_of_lossless_reading(body, keeps_items):
    """Typed decoding of any page results in the same versions, listings and marker, or refuses it."""
    decoded = decode_typed_page(body, "Functions")
    if decoded is not None:
        lossless, lost = decode_object(body), []
        entries, listings = _entries(decoded, "Functions", "ListFunctions", None, keeps_items=keeps_items)
        expected = _entries(lossless, "Functions", "ListFunctions", lost.append, keeps_items=keeps_items)

        assert (entries, lost, next_marker_of(decoded)) == (expected[0], [], next_marker_of(lossless))
        assert decoded.document == lossless.document
        if not lossless.cleaned:
            assert [item and parse_document(item) for item in listings] == [
                item and parse_document(item) for item in expected[1]
            ]


def carry(listed, env):
    rows = Rows(ValueHasher(HashKey(KEY)))
    older = {"state": "Active", "fetched_at": AT, "extra_json": None}
    ref, rules = FunctionRef(function_name="f", qualifier="7"), Rules(env=env, fetched_at=AT)
    notices = flatten_carried(ref, listed, older, scope=SCOPE, rules=rules, answer="0", rows=rows)
    return rows.take(), notices


def test_the_full_response_is_decoded_typed():
    """Typed decoding accepts the response that the tests above start from."""
    assert decode_typed_function(BODY) is not None
    assert decode_typed_page(PAGE, "Functions") is not None
