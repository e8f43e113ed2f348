"""Durations and sizes as text, read and written. As in the AWS CLI, 1 KB is 1,024 bytes."""

from __future__ import annotations

import re
from datetime import timedelta

_DURATIONS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SIZES = ("B", "KB", "MB", "GB", "TB", "PB")  # each is 1,024 times the one before
_STEP = 1024
_MOST_SIZE_BYTES = 2**60


def parse_duration(text: str) -> timedelta:
    """Read a number with its unit: ``90s``, ``30m``, ``26h`` or ``7d``. Raises ValueError for any other text."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd])", text.strip(), flags=re.ASCII)
    if match is None:
        raise ValueError(f'{text or "nothing"} is not a duration; write it like "26h": a number and s, m, h or d')
    try:
        return timedelta(**{_DURATIONS[match[2]]: float(match[1])})
    except OverflowError as error:
        raise ValueError(f"{text} is too long a duration") from error


def parse_size(text: str) -> int:
    """Read a number of bytes, with or without a unit: ``250000``, ``500KB``, ``50MB/s``.

    Raises ValueError for any other text.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(?:i?(B))?(?:/s)?", text.strip(), re.ASCII | re.IGNORECASE)
    if match is None:
        raise ValueError(f'{text or "nothing"} is not a size; write it like "500KB", "50MB" or "2GB"')
    size_bytes = float(match[1]) * _STEP ** _SIZES.index(f"{match[2].upper()}B")
    if size_bytes > _MOST_SIZE_BYTES:
        raise ValueError(f"{text} is too large a size")
    return int(size_bytes)


def format_seconds(seconds: float) -> str:
    """Write a time that is left to wait: ``5 s``, ``3 min 5 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


def format_age(age: timedelta) -> str:
    """Write an age in its two largest units: ``3d 4h``, ``36h``, ``12m``."""
    seconds = max(0, int(age.total_seconds()))
    days, hours, minutes = seconds // 86_400, seconds // 3_600, seconds // 60
    if days >= 2:  # noqa: PLR2004 - up to two days, hours read better
        return f"{days}d {hours % 24}h" if hours % 24 else f"{days}d"
    if hours:
        return f"{hours}h {minutes % 60}m" if minutes % 60 else f"{hours}h"
    return f"{minutes}m" if minutes else f"{seconds}s"


def format_bytes(size_bytes: float) -> str:
    """Write a size with one decimal: ``1,023 bytes``, ``1.5 KB``."""
    number, unit = _scale(size_bytes)
    return f"{number:,.0f} bytes" if unit == "B" else f"{number:,.1f} {unit}"


def short_size(size_bytes: float) -> str:
    """Write a size in as little space as three digits allow: ``1023 B``, ``1.5 KB``, ``150 KB``."""
    number, unit = _scale(size_bytes)
    return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"  # noqa: PLR2004


def _scale(size_bytes: float) -> tuple[float, str]:
    number = float(size_bytes)
    for unit in _SIZES[:-1]:
        if abs(number) < _STEP:
            return number, unit
        number /= _STEP
    return number, _SIZES[-1]
