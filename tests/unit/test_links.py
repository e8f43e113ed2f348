"""A signed link is a secret wherever it stands; what only looks like one is not."""

from __future__ import annotations

import pytest

from lexport.links import REMOVED, has_signed_link, remove_signed_links

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

    assert has_signed_link(text)
    assert remove_signed_links(text) == frame.format(REMOVED)
    assert not has_signed_link(remove_signed_links(text))


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_stays(text):
    """Text that only speaks of signatures is not touched."""
    assert not has_signed_link(text)
    assert remove_signed_links(text) == text


def test_several_links():
    """Each of several links goes, the one beside them that is not signed stays."""
    text = f"{SIGNED[0]} {HOST} '{SIGNED[4]}'"

    assert remove_signed_links(text) == f"{REMOVED} {HOST} '{REMOVED}'"


def test_twice_is_once():
    """Removing links from what holds none any more changes nothing."""
    for link in SIGNED:
        once = remove_signed_links(f"see {link}")

        assert remove_signed_links(once) == once
