"""Text -> bytes: ``500KB``, ``50MB``, ``2GB``, ``50MB/s``. As in the AWS CLI, 1 KB is 1,024 bytes."""

from __future__ import annotations

import re

import click

MOST_BYTES = 2**60
_UNITS = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


def parse_size(text: str) -> int:
    """Read a number with its unit, or of bytes; raises ValueError for anything else."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(?:i?(B))?(?:/s)?", text.strip(), re.ASCII | re.IGNORECASE)
    if found is None:
        raise ValueError(f'{text or "nothing"} is not a size; write it like "500KB", "50MB" or "2GB"')
    unit = found[2].upper()
    size_bytes = float(found[1]) * _UNITS[f"{unit}B" if unit else ""]
    if size_bytes > MOST_BYTES:
        raise ValueError(f"{text} is too large a size")
    return int(size_bytes)


def size(text: str) -> int:
    """Read a size for click, as the type of an option."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
