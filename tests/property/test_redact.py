"""No presigned URL passes, however it is written into text or JSON."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from lexport.aws.redact import cut_location, has_presigned_url, may_have_presigned_url, remove_presigned_urls

URL = "https://b.s3.amazonaws.com/k?versionId=v&X-Amz-Signature=c0ffee"
PIECES = st.sampled_from(
    [
        *(URL, "X-Amz-Signature", "x-amz-credential", "X-Amz-\u017fecurity-Token", "AWSAccess\u212aeyId", "?Signature"),
        *("=", "%3D", "%253d", "\\u003d", "&", " ", '"', "\\", "\u0131", "\x00", "ü", "a"),
    ]
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)


def escaped(text: str) -> str:
    """Write a text as JSON with an escape for each character."""
    return '"' + "".join(f"\\u{ord(char):04x}" for char in text) + '"'


def texts_of(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *texts_of(item))]
    return [text for item in value for text in texts_of(item)] if isinstance(value, list) else [str(value)]


@given(TEXTS)
def test_a_text_has_no_presigned_url_afterwards(text):
    """Removing presigned URLs leaves none, and leaves a text without any as it was."""
    rest = remove_presigned_urls(text)

    assert not has_presigned_url(rest)
    assert remove_presigned_urls(rest) == rest
    assert has_presigned_url(text) or rest == text


@given(
    st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=2), max_size=3),
    st.sampled_from(["plain", "ascii", "escaped"]),
)
def test_raw_json_that_is_cleared_has_no_presigned_url(document, way):
    """Where raw JSON is said to have no presigned URL, no key and no value has one, nor NUL."""
    if way == "escaped":
        body = "{" + ",".join(f"{escaped(key)}:{json.dumps(value)}" for key, value in document.items()) + "}"
    else:
        body = json.dumps(document, ensure_ascii=way == "ascii", separators=(",", ":"))

    if not may_have_presigned_url(body.encode()):
        assert not any(has_presigned_url(text) or "\x00" in text for text in texts_of(document))


VALUES = st.sampled_from([json.dumps(URL), json.dumps(URL).replace("/", "\\/"), escaped(URL), "null", '""', "1", "[]"])
KEYS = st.sampled_from(['"Location"', escaped("Location"), '"Other"', '"Code"'])
SPACES = st.sampled_from(["", " ", "\n\t"])


@given(st.lists(st.tuples(KEYS, SPACES, SPACES, VALUES), max_size=4))
@example([('"Location"', "", "", json.dumps(URL)), ('"Other"', "", "", json.dumps(URL))])
@example([('"Location"', "", "", escaped(URL)), ('"Other"', "", "", json.dumps(URL))])
def test_location_is_cut_alone_or_not_at_all(pairs):
    """A body without its URL differs from the one with it in the value of ``Location`` alone."""
    body = "{" + ",".join(f"{key}{before}:{after}{value}" for key, before, after, value in pairs) + "}"
    rest = cut_location(body.encode(), URL)

    plain = [number for number, pair in enumerate(pairs) if pair[0] == '"Location"']
    if rest is None:
        assert len(plain) != 1 or pairs[plain[0]][3] != json.dumps(URL)
    else:
        left = [(key, '""' if number == plain[0] else value) for number, (key, _, _, value) in enumerate(pairs)]
        assert json.loads(rest, object_pairs_hook=list) == [(json.loads(key), json.loads(value)) for key, value in left]
