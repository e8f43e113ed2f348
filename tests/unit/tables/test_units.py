"""Durations and sizes are read and written as text."""

from datetime import timedelta

import pytest

from lexport.tables.units import format_age, format_bytes, format_seconds, parse_size, short_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("250000000", 250_000_000),
        ("1.5KB", 1536),
        ("50MB", 50 * 2**20),
        ("50MiB", 50 * 2**20),
        ("50mb/s", 50 * 2**20),
        ("2 GB", 2 * 2**30),
        ("1T", 2**40),
        ("7B", 7),
    ],
)
def test_sizes(text, size_bytes):
    """A size is a number of bytes, or a number with a unit that counts as in the AWS CLI."""
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MB", "-1", "1e9", "50 apples", "1,5MB", "٣MB", "5MB5"])
def test_no_size(text):
    """Any other text is refused, and the message shows examples."""
    with pytest.raises(ValueError, match='write it like "500KB", "50MB" or "2GB"'):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KB"), (50 * 2**20, "50.0 MB"), (6 * 2**40, "6.0 TB")],
)
def test_format_bytes(count, text):
    """A size is written in the units that it is read in."""
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (61, "1 min 1 s"),
        (3599.6, "1 h 0 min"),
        (3600, "1 h 0 min"),
        (90 * 3600 + 59 * 60, "90 h 59 min"),
    ],
)
def test_format_seconds(seconds, text):
    """A time to wait never has 60 seconds or 60 minutes."""
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=59), "59s"),
        (timedelta(minutes=5, seconds=9), "5m"),
        (timedelta(hours=36), "36h"),
        (timedelta(hours=3, minutes=4), "3h 4m"),
        (timedelta(days=3, hours=4), "3d 4h"),
        (timedelta(seconds=-5), "0s"),
    ],
)
def test_format_age(age, text):
    """An age is written in its two largest units."""
    assert format_age(age) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (80_530_636_800, "75.0 GB"), (322_122_547_200, "300 GB")],
)
def test_short_size(value, shown):
    """A short size has at most three digits, and the 75 GB of an AWS limit read as 75 GB."""
    assert short_size(value) == shown
