"""Waivers from ``[[check.waivers]]`` in ``lexport.toml``: findings that are accepted until a day. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from fnmatch import fnmatchcase
from typing import Any

from lexport.errors import SettingsError

_PATTERNS = ("account_id", "region", "function_name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Findings of one check that are accepted, to the end of the day ``expires`` in UTC.

    ``account_id``, ``region`` and ``function_name`` are patterns with ``*`` and ``?``; only ``*`` matches a finding
    that is not about a function.
    """

    check: str
    reason: str
    expires: date
    account_id: str = "*"
    region: str = "*"
    function_name: str = "*"

    def covers(self, *, check: str, account_id: str, region: str, function_name: str | None) -> bool:
        """Return whether the waiver is about a finding, expired or not."""
        pairs = (account_id, self.account_id), (region, self.region), (function_name or "", self.function_name)
        return check == self.check and all(fnmatchcase(text, pattern.replace("[", "[[]")) for text, pattern in pairs)

    def holds(self, today: date) -> bool:
        """Return whether the waiver has not expired."""
        return today <= self.expires

    def text(self) -> str:
        """Write the day until which findings are waived, and the reason."""
        return f"waived until {self.expires}: {self.reason}"

    def __str__(self) -> str:
        parts = [f"{name} {value}" for name in _PATTERNS if (value := getattr(self, name)) != "*"]
        return ", ".join([self.check, *parts])


def parse_waivers(raw: object, *, checks: Collection[str]) -> tuple[Waiver, ...]:
    """Read the waivers of ``lexport.toml``. Raises SettingsError, which names the key."""
    if not isinstance(raw, list):
        raise _wrong("check.waivers", "write each as a table of its own: [[check.waivers]]")
    return tuple(_parse(item, key=f"check.waivers[{number}]", checks=checks) for number, item in enumerate(raw, 1))


def _parse(item: Any, *, key: str, checks: Collection[str]) -> Waiver:
    if not isinstance(item, dict):
        raise _wrong(key, "write it as a table: [[check.waivers]]")
    keys = ("check", "reason", "expires", *_PATTERNS)
    for name in item:
        if name not in keys:
            raise _wrong(f"{key}.{name}", f"no such key; known: {', '.join(keys)}")
    texts = {name: _text(item[name], key=f"{key}.{name}") for name in item if name != "expires"}
    for name in ("check", "reason", "expires"):
        if name not in item:
            raise _wrong(f"{key}.{name}", "is missing")
    if texts["check"] not in checks:
        raise _wrong(f"{key}.check", f"no check is named {texts['check']!r}; see: lexport check --list")
    return Waiver(expires=_day(item["expires"], key=f"{key}.expires"), **texts)


def _text(value: Any, *, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(key, f"must be text in quotes, not {value!r}")
    return value


def _day(value: Any, *, key: str) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise _wrong(key, f"must be a day like 2027-01-31, not {value!r}") from error


def _wrong(key: str, text: str) -> SettingsError:
    return SettingsError(f"{key}: {text}", option=key)
