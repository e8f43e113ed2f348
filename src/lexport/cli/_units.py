"""Types of options: durations such as ``26h``, and sizes such as ``50MB``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lexport.tables.units import parse_duration, parse_size

if TYPE_CHECKING:
    from datetime import timedelta


def duration(text: str) -> timedelta:
    """Parse a duration. Raises BadParameter."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def size(text: str) -> int:
    """Parse a size in bytes. Raises BadParameter."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
