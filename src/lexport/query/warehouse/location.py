"""The URL of a folder as statements name it."""

from __future__ import annotations

import re

from lexport.errors import SettingsError
from lexport.query.passwords import refuse_password
from lexport.query.warehouse.dialects import Dialect

PLACEHOLDER = "BUCKET/PREFIX"
OPTION = "--location"


def check_location(location: str | None, dialect: Dialect) -> str:
    """Return a location without a slash at its end, or a placeholder. Raises SettingsError if it cannot be one."""
    if location is None:
        return f"{'gs' if dialect.name == 'bigquery' else 's3'}://{PLACEHOLDER}"
    refuse_password_in(location)
    if re.fullmatch(r"([a-z][a-z0-9]*:/)?/[^\s'\"\\]+", location) is None:
        raise SettingsError(
            f"--location {location}: expected the location of DEST as the warehouse names it, such as s3://bucket/prefix",
            option=OPTION,
        )
    return location.rstrip("/")


def refuse_password_in(location: str) -> None:
    """Raise SettingsError for a location that may have a password, which statements would show to their readers."""
    refuse_password(location, option=OPTION, instead="the warehouse has its own credentials for the location")
