"""Sizes as people write them."""

import pytest

from lexport.cli._sizes import parse_size
from lexport.extract.progress import format_bytes


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
    """A number with a unit, as the AWS CLI counts them, or of bytes."""
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MB", "-1", "1e9", "50 apples", "1,5MB", "٣MB", "5MB5"])
def test_no_size(text):
    """Anything else is refused, with an example."""
    with pytest.raises(ValueError, match='write it like "500KB", "50MB" or "2GB"'):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KB"), (50 * 2**20, "50.0 MB"), (6 * 2**40, "6,144.0 GB")],
)
def test_format(count, text):
    """Bytes are written in the same units."""
    assert format_bytes(count) == text
