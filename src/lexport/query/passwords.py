"""Refuse passwords on the command line, which other users of the machine can read there."""

from __future__ import annotations

from lexport.aws.redact import may_hold_password
from lexport.errors import SettingsError


def refuse_password(text: str | None, *, option: str, instead: str) -> None:
    """Raise SettingsError, which never repeats the text, for a URL or connection string that may have a password."""
    if text is not None and may_hold_password(text):
        raise SettingsError(
            f"{option}: a password may be in it, which other users of this machine can read there; {instead}"
            " (write `@` as %40 and `:` as %3A where they belong to none)",
            option=option,
        )
