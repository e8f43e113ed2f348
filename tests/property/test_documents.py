"""Any JSON is read as it was sent, but for what no table can hold; any bytes at all are read or refused."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lexport.aws.json import parse_document

TEXTS = st.text(st.characters(), max_size=6) | st.sampled_from(["\x00", "\ud800", "\udc0d\ud83d", "\ufffd", "\\u0000"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def as_sent(value):
    """A JSON value by the standard library alone, and what of it had to be replaced."""
    replaced = 0

    def text(raw):
        nonlocal replaced
        replaced += len(UNSTORABLE.findall(raw))
        return UNSTORABLE.sub("\ufffd", raw)

    def clean(item):
        if isinstance(item, str):
            return text(item)
        if isinstance(item, list):
            return [clean(part) for part in item]
        if isinstance(item, dict):
            done = {}
            for key, part in item.items():
                name = text(key)
                while name in done:
                    name += "\ufffd"
                done[name] = clean(part)
            return done
        return item

    return clean(json.loads(json.dumps(value))), replaced


def same(one, other):
    """Equal, types included, and floats to the bit."""
    return json.dumps(one) == json.dumps(other)


@pytest.mark.slow
@given(VALUES)
def test_exactly_what_was_sent(value):
    """Read exactly, a document is what was sent, every replaced character counted."""
    expected, replaced = as_sent(value)
    found, cleaned = parse_document(json.dumps(value).encode(), is_exact=True)

    assert same(found, expected)
    assert cleaned == replaced


@pytest.mark.slow
@given(VALUES, st.booleans())
def test_fast_differs_only_beyond_64_bits(value, ascii_only):
    """Read fast, it is the same but for integers beyond 64 bits, which may be floats."""
    expected, replaced = as_sent(value)
    text = json.dumps(value, ensure_ascii=ascii_only)
    found, cleaned = parse_document(
        text.encode(errors="surrogatepass") if not UNSTORABLE.search(text) else json.dumps(value).encode()
    )

    def fold(item):
        if isinstance(item, list):
            return [fold(part) for part in item]
        if isinstance(item, dict):
            return {key: fold(part) for key, part in item.items()}
        is_great = type(item) in (int, float) and abs(item) >= 2**63
        return float(item) if is_great else item

    assert same(fold(found), fold(expected))
    assert cleaned == replaced


@given(
    st.binary(max_size=60)
    | st.text('{}[]",:0123456789.eE+-\\undtrfal \x00\ud800', max_size=40).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    ),
    st.booleans(),
)
@example(b"[" * 2000, False)
@example(b"-", True)
def test_any_bytes(body, is_exact):
    """Whatever the bytes are, they are read or refused with ValueError; what is read can be stored."""
    try:
        value, cleaned = parse_document(body, is_exact=is_exact)
    except ValueError:
        return

    assert cleaned >= 0
    assert json.dumps(value, allow_nan=False, ensure_ascii=False).encode()  # no NaN, no lone surrogate
    assert "\\u0000" not in json.dumps(value).replace("\\\\", "")


@given(
    st.lists(
        st.sampled_from([b'"', b"\\u0000", b"\\ud800", b"\\udc00", b"\xff", b"a", b"\\\\", b"\xef\xbf\xbd"]),
        max_size=12,
    )
)
def test_every_replaced_character_is_counted(parts):
    """The count is that of the U+FFFD that were not sent."""
    body = b'"' + b"".join(part for part in parts if part != b'"') + b'"'
    value, cleaned = parse_document(body)

    assert cleaned == value.count("\ufffd") - body.count(b"\xef\xbf\xbd")
