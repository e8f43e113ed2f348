"""Text -> time span: ``90s``, ``30m``, ``26h``, ``7d``."""

from __future__ import annotations

import re
from datetime import timedelta

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """Read a number with its unit; raises ValueError for anything else."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd])", text.strip(), flags=re.ASCII)
    if found is None:
        raise ValueError(f'{text or "nothing"} is not a duration; write it like "26h": a number and s, m, h or d')
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError as error:
        raise ValueError(f"{text} is too long a duration") from error


def duration(text: str) -> timedelta:
    """Read a duration for click, as the type of an option."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
