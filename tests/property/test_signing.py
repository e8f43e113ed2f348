"""The own signer against botocore's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from unittest.mock import patch
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import example, given
from hypothesis import strategies as st

from lexport.aws.signing import Credentials, Signer

NAMES = st.one_of(
    st.from_regex(r"[a-zA-Z0-9_.-]{1,64}", fullmatch=True),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    st.just("arn:aws:lambda:eu-west-1:111122223333:function:f:$LATEST"),
)
PAIRS = st.lists(st.tuples(st.text("abAB10-._", min_size=1, max_size=4), NAMES), max_size=4)
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
MOMENTS = st.datetimes(min_value=datetime(2015, 1, 1), max_value=datetime(2099, 1, 1))  # noqa: DTZ001 - made aware below
HOSTS = st.sampled_from(["lambda.eu-west-1.amazonaws.com", "localhost:4566", "[::1]:8080", "127.0.0.1"])


def by_botocore(host, path, query, credentials, region, service, at, body=None, headers=None):
    method = "GET" if body is None else "POST"
    url = f"https://{host}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body, headers=headers or {})
    frozen = ReadOnlyCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    with patch("botocore.auth.get_current_datetime", return_value=at.astimezone(UTC)):
        SigV4Auth(frozen, service, region).add_auth(request)
    return dict(request.headers.items())


@given(HOSTS, st.sampled_from(["", "/prefix", "//two"]), NAMES, PAIRS, KEYS, KEYS, st.none() | KEYS, MOMENTS)
@example("h.example", "", "f", [("Qualifier", "$LATEST")], "AKIA", "s", None, datetime(2026, 1, 1, 23, 59, 59))  # noqa: DTZ001
@example("h.example", "", "..", [], "AKIA", "s", "t", datetime(2026, 1, 2))  # noqa: DTZ001
@example("h.example", "", "a", [("a", "x"), ("a1", "y"), ("a", "b")], "AKIA", "s", None, datetime(2026, 1, 2))  # noqa: DTZ001
@example("h.example", "", "f", [], "AKIA", "s", "two  blanks and\ta tab", datetime(2026, 1, 2))  # noqa: DTZ001
def test_equals_botocore(host, base, name, pairs, access_key, secret_key, token, moment):
    """Every header is what botocore's signer makes, for any name, query, token and time."""
    path = f"{base}/2015-03-31/functions/{quote(name, safe='-._~')}"
    query = "&".join(f"{quote(key, safe='-._~')}={quote(value, safe='-._~')}" for key, value in pairs)
    credentials = Credentials(access_key, secret_key, token)
    at = moment.replace(tzinfo=UTC)

    ours = Signer(host, credentials=credentials, region="eu-west-1", service="lambda").sign(path, query, at)

    assert by_botocore(host, path, query, credentials, "eu-west-1", "lambda", at) == ours


@given(HOSTS, st.sampled_from(["/", "/prefix/", "//two/"]), NAMES, st.binary(), KEYS, KEYS, st.none() | KEYS, MOMENTS)
@example("h.example", "/", "a  b", b"", "AKIA", "s", "t  t", datetime(2026, 1, 1, 23, 59, 59))  # noqa: DTZ001
def test_a_post_equals_botocore(host, path, target, body, access_key, secret_key, token, moment):
    """A POST is signed with the hash of its body and with its headers, as by botocore."""
    headers = {"x-amz-target": quote(target, safe=" "), "content-type": "application/x-amz-json-1.0"}
    credentials = Credentials(access_key, secret_key, token)
    at = moment.replace(tzinfo=UTC)
    expected = by_botocore(host, path, "", credentials, "eu-west-1", "monitoring", at, body, headers)

    signer = Signer(host, credentials=credentials, region="eu-west-1", service="monitoring")

    assert {name.lower(): text for name, text in expected.items()} == signer.sign_post(path, headers, body, at)


def test_the_day_is_the_day_in_utc():
    """A clock in another zone signs with UTC's day, on both sides of midnight."""
    credentials = Credentials("AKIA", "secret")
    zone = timezone(timedelta(hours=-9))
    signer = Signer("h", credentials=credentials, region="r", service="s")
    for at in (datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC), datetime(2026, 3, 2, 0, 0, 0, tzinfo=UTC)):
        ours = signer.sign("/", "", at.astimezone(zone))

        assert by_botocore("h", "/", "", credentials, "r", "s", at) == ours


def test_a_signer_follows_the_clock():
    """One signer signs every request with its own second, whichever way the clock is set."""
    credentials = Credentials("AKIA", "secret", "token")
    signer = Signer("h", credentials=credentials, region="r", service="s")
    begin = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
    for seconds in (0, 0.999999, 1, 1.5, 60, 86_400, 0):
        at = begin + timedelta(seconds=seconds)
        for path in ("/a", "/b"):
            assert by_botocore("h", path, "", credentials, "r", "s", at) == signer.sign(path, "", at)


def test_a_query_without_a_value_is_signed_as_empty():
    """`?a` and `?a=` have one signature, as with botocore."""
    credentials = Credentials("AKIA", "secret")
    at = datetime(2026, 3, 2, tzinfo=UTC)

    ours = Signer("h", credentials=credentials, region="r", service="s").sign("/x/", "a", at)

    assert by_botocore("h", "/x/", "a", credentials, "r", "s", at) == ours


def test_repr_shows_no_secret():
    """Credentials may be logged by accident without harm."""
    credentials = Credentials("AKIAEXAMPLE", "canary-secret", "canary-token")
    shown = repr(credentials) + repr(Signer("h", credentials=credentials, region="r", service="s"))

    assert "canary" not in shown
