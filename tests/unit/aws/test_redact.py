"""A signed link is a secret wherever it stands; what only looks like one is not."""

from __future__ import annotations

import pytest

from lexport.aws.redact import (
    REMOVED,
    clean_line,
    cut_urls,
    has_presigned_url,
    may_hold_password,
    remove_presigned_urls,
)

HOST = "https://awslambda-us-west-2-tasks.s3.us-west-2.amazonaws.com/snapshots/1/f"
SIGNED = [
    HOST + "?versionId=v&X-Amz-Security-Token=IQo&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0f3a",
    HOST + "?X-Amz-Credential=ASIA%2F20261122%2Fus-west-2%2Fs3%2Faws4_request",
    HOST + "?x-amz-signature=0f3a",
    "https%3A%2F%2Fs3.amazonaws.com%2Fb%3FX-Amz-Signature%3D0f3a",
    "https%253A%252F%252Fs3.amazonaws.com%252Fb%253FX-Amz-Security-Token%253D0f3a",
    "https://b.s3.amazonaws.com/k?AWSAccessKeyId=ASIA&Expires=1&Signature=abc%3D",
    "https://b.s3.amazonaws.com/k?Expires=1&Signature=abc",
    "https://b.s3.amazonaws.com/k?Expires=1&amp;Signature=abc",
    "X-Amz-Signature=0f3a",
]
PLAIN = [
    "",
    "=",
    "%",
    "a=b",
    "X-Amz-Signature",
    "the X-Amz-Signature header",
    "X-Amz-Date=20261122T000000Z",
    HOST + "?versionId=v",
    "Signature=abc",
    "100 % of Signature",
]


@pytest.mark.parametrize("link", SIGNED)
@pytest.mark.parametrize(
    "frame", ["{}", "get {} now", '{{"url":"{}"}}', "<a href='{}'>", "{}\n", "\t{}", "a {} b\r\nc"]
)
def test_a_signed_link_goes(link, frame):
    """A word that holds a signature goes as a whole; what stands around it stays, to the character."""
    text = frame.format(link)

    assert has_presigned_url(text)
    assert remove_presigned_urls(text) == frame.format(REMOVED)
    assert not has_presigned_url(remove_presigned_urls(text))


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_stays(text):
    """Text that only speaks of signatures is not touched."""
    assert not has_presigned_url(text)
    assert remove_presigned_urls(text) == text


def test_several_links():
    """Each of several links goes, the one beside them that is not signed stays."""
    text = f"{SIGNED[0]} {HOST} '{SIGNED[4]}'"

    assert remove_presigned_urls(text) == f"{REMOVED} {HOST} '{REMOVED}'"


def test_twice_is_once():
    """Removing links from what holds none any more changes nothing."""
    for link in SIGNED:
        once = remove_presigned_urls(f"see {link}")

        assert remove_presigned_urls(once) == once


CUT = "[query removed]"
USER = "[user removed]@"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://x/?sig=a&b=c", f"https://x/{CUT}"),
        ("HTTPS://x/p?a", f"HTTPS://x/p{CUT}"),
        ("https://x/p#t=a", f"https://x/p{CUT}"),
        ("https://x/p;t=a", f"https://x/p{CUT}"),
        ("https://x/p;v1/q", "https://x/p;v1/q"),
        ("https://u:p@x/p", f"https://{USER}x/p"),
        ("https://u:p@x/p?a=b", f"https://{USER}x/p{CUT}"),
        ("https://x/p@v1", "https://x/p@v1"),
        ("jdbc:postgresql://h/d?user=a&password=b", f"jdbc:postgresql://h/d{CUT}"),
        ("//x/p?a=b", f"//x/p{CUT}"),
        ("/p?a=b", f"/p?{CUT}"),
        ("p?a%5B%5D=b", f"p?{CUT}"),
        ("https%3A%2F%2Fx%2Fp%3Fsig%3Da", f"https%3A%2F%2Fx%2Fp{CUT}"),
        ("https%253A%252F%252Fx%253Fsig%253Da", f"https%253A%252F%252Fx{CUT}"),
        ("https%3A%2F%2Fu%3Ap%40x%2Fp", f"https%3A%2F%2F{USER}x%2Fp"),
        ("https:\\/\\/x\\/?sig=a", f"https:\\/\\/x\\/{CUT}"),
        ("https://x/\\u003fsig=a", f"https://x/{CUT}"),
        ('get "https://x/?a=b" now', f'get "https://x/{CUT}" now'),
        ("a=https://x/?a", f"a=https://x/{CUT}"),
        ("https://x/ and https://y/?b", f"https://x/ and https://y/{CUT}"),
        ("s3://b/k?versionId=v", f"s3://b/k{CUT}"),
        ("", ""),
        ("why? because a=b", "why? because a=b"),
        ("100%3F", "100%3F"),
        ("issue #5 // done", "issue #5 // done"),
        ("https://x/p", "https://x/p"),
        ("mailto:a@b", "mailto:a@b"),
    ],
)
def test_urls_of_unknown_fields(text, left):
    """Every URL loses its query, its fragment and its user, however it is written; other text stays. Twice is once."""
    assert cut_urls(text) == left
    assert cut_urls(left) == left


@pytest.mark.parametrize("piece", ["//", "?a", "a:", "%2F%2F", "://a@", ";a", "%"])
def test_hostile_text_takes_no_time(piece):
    """A text made to be searched for long costs no more than its length."""
    cut_urls(piece * (200_000 // len(piece)))


@pytest.mark.parametrize(
    "text",
    [
        "https://u:canary@h/x",
        "https://u:can/ary@127.0.0.1:1/db",
        "https://u:can//ary@h",
        "https://u:can@ary?b#c@h",
        "https://u%3Acanary@h",
        "https://u:can\nary@h",
        "postgres:postgresql://u:can/ary@h/x",
        "u:can=ary@h/x",
        "postgres:canary@h/x",
        "mysql:host=h pwd=canary",
        "mysql:host=h passwd = 'can ary'",
        "host=h pass=canary",
        "postgresql://h/x?pass%77ord=canary",
        "postgresql://h/x?sslpassword=canary",
        "md:x?motherduck_token=canary",
        "https://h/?client_secret=canary",
        "https://h/?sig=canary",
    ],
)
def test_a_text_that_may_hold_a_password(text):
    """A password is found wherever a library may look for one, also in a text that is no URL."""
    assert may_hold_password(text)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///catalog.db",
        "sqlite:x.db",
        "https://h:8181/x",
        "postgresql://u@h:5432/x?sslmode=require&passfile=/x",
        "postgres:postgresql://u@h:5432/x",
        "postgres:dbname=lake user=a@b host=h require_auth=password",
        "host=h:1 user=a@b",
        "service=NAME",
        "s3://bucket/prefix",
        "abfss://container@account.dfs.core.windows.net/x",
    ],
)
def test_a_text_without_a_password(text):
    """A URL with a user alone, a port, or the file of a password is none with a password."""
    assert not may_hold_password(text)


def test_a_printed_line_has_no_password_of_a_url():
    """A line that repeats what a user typed shows neither user nor password, also where a slash is in it."""
    for url in ("https://u:can/ary@h/x", "s3:https://u:canary@h/x", "/a/https:/u:can/ary@h/x"):
        assert clean_line(f"{url!r} is no URL").endswith("/[user removed]@h/x' is no URL")
    assert clean_line("https://h:80/x of a@b.example") == "https://h:80/x of a@b.example"
