"""Bodies as AWS and others send them: parsed once, exactly, or refused."""

from __future__ import annotations

import json

import pytest

from lexport.aws.json import parse_document


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": [1, 2.5, true, null, "x"]}', ({"a": [1, 2.5, True, None, "x"]}, 0)),
        (b'"\\ud83d\\udc0d"', ("\U0001f40d", 0)),
        ('{"ключ": "\U0001f40d"}'.encode(), ({"ключ": "\U0001f40d"}, 0)),
        (b'"\\u003d\\u0026"', ("=&", 0)),
        (b"[]", ([], 0)),
        (b"null", (None, 0)),
        (b' \n{"a":1}\t', ({"a": 1}, 0)),
        (b'{"a":1,"a":2}', ({"a": 2}, 0)),
        (b'"\xef\xbf\xbd"', ("\ufffd", 0)),
        (b'"\\\\u0000"', ("\\u0000", 0)),
    ],
)
def test_plain(body, expected):
    """What every parser reads is read as every parser does, and nothing is counted as replaced."""
    assert parse_document(body) == expected
    assert parse_document(body, is_exact=True) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'"a\\u0000b"', ("a\ufffdb", 1)),
        (b'"\\ud800"', ("\ufffd", 1)),
        (b'"\\udc0d\\ud83d"', ("\ufffd\ufffd", 2)),
        (b'"\xff"', ("\ufffd", 1)),
        (b'"\xed\xa0\x80"', ("\ufffd\ufffd\ufffd", 3)),
        (b'{"k\\u0000": ["\\ud800", {"x": "\\u0000\\u0000"}]}', ({"k\ufffd": ["\ufffd", {"x": "\ufffd\ufffd"}]}, 4)),
        (b'"\\u0000 \xef\xbf\xbd"', ("\ufffd \ufffd", 1)),
        (b'["\\u0000", 12345678901234567890123]', (["\ufffd", 12345678901234567890123], 1)),
    ],
)
def test_text_that_no_table_holds(body, expected):
    """NUL, lone surrogates and bytes that are no UTF-8 become U+FFFD, in keys too, and each is counted."""
    assert parse_document(body) == expected


def test_keys_stay_apart():
    """Keys that are the same once cleaned are still different keys, so none of their values is lost."""
    value, cleaned = parse_document(b'{"a\\u0000": 1, "a\\ud800": 2, "a\\udfff": 3, "a": 4}')

    assert value == {"a\ufffd": 1, "a\ufffd\ufffd": 2, "a\ufffd\ufffd\ufffd": 3, "a": 4}
    assert cleaned == 3


@pytest.mark.parametrize(
    "number", [0, -1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 2**64, -(2**63) - 1, 10**40, 9**400]
)
def test_integers(number):
    """Integers of 64 bits are exact; with ``is_exact`` those beyond are, too."""
    body = f'{{"n": {number}}}'.encode()
    value = parse_document(body)[0]["n"]

    assert parse_document(body, is_exact=True)[0]["n"] == number
    assert value == (number if -(2**63) <= number < 2**64 or abs(number) > 10**308 else float(number))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("1e999", "1e999"),
        ("-1e999", "-1e999"),
        ("1e308", 1e308),
        ("5e-324", 5e-324),
        ("1e-999", 0.0),
        ("0.1", 0.1),
    ],
)
def test_floats(text, expected):
    """Numbers that are none keep their text; all others are the nearest double."""
    for is_exact in (False, True):
        value, cleaned = parse_document(f'{{"n":{text}}}'.encode(), is_exact=is_exact)

        assert (value, cleaned) == ({"n": expected}, 0)
        assert type(value["n"]) is type(expected)


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"<html>", b"{", b'{"a":}', b"{'a':1}", b"[1,]", b"\xff", b'"a\nb"', b"{} {}", b"\xef\xbb\xbf{}"],
)
@pytest.mark.parametrize("is_exact", [False, True])
def test_no_json(body, is_exact):
    """What is no JSON raises ValueError."""
    with pytest.raises(ValueError):
        parse_document(body, is_exact=is_exact)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000]
)
@pytest.mark.parametrize("is_exact", [False, True])
def test_nested_too_deep(body, is_exact):
    """A body nested beyond reading raises ValueError; the interpreter survives."""
    with pytest.raises(ValueError):
        parse_document(body, is_exact=is_exact)


def test_a_number_of_too_many_digits():
    """A number of more digits than Python reads raises ValueError as well."""
    with pytest.raises(ValueError):
        parse_document(b"1" * 10_000)


def test_floats_beside_great_integers():
    """Exact reading changes integers only."""
    body = json.dumps({"f": [1e22, 0.1, 1.0], "i": 10**22}).encode()

    assert parse_document(body, is_exact=True) == ({"f": [1e22, 0.1, 1.0], "i": 10**22}, 0)
