"""What DEST names: a folder of this machine, or a prefix of a bucket. Pure."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal

from lexport.aws.redact import may_hold_password
from lexport.errors import SettingsError

SCHEMES = ("s3", "gs", "az")

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://|(s3a?|gs|az|abfss?|https?|file):/", re.IGNORECASE)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_EXAMPLES = "s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or a folder"


@dataclass(frozen=True, slots=True)
class Address:
    """A prefix of a bucket; ``prefix`` has no slash at either end and may be empty."""

    scheme: Literal["s3", "gs", "az"]
    bucket: str
    prefix: str

    @property
    def url(self) -> str:
        """The URL, as messages name the destination."""
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


def parse_address(dest: str | os.PathLike[str]) -> Address | None:
    """Return the address that a URL names, or None for the path of a folder.

    Raises SettingsError for an empty DEST and for any other URL. No message has a user name, a password or a query.
    """
    text = os.fspath(dest)
    if not text:
        raise SettingsError("DEST is empty; name a folder (`.` is the working folder)", option="DEST")
    match = _URL.match(text)
    if match is None:
        return None
    scheme = (match[1] or match[2]).lower()
    rest = text[match.end() :]
    authority, _, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    slashes = "//" if match[1] else "/"
    shown = f"{scheme}:{slashes}{authority.rpartition('@')[2]}" + (f"/{path}" if path else "")
    if may_hold_password(shown):  # one with a slash ends the authority too early
        shown = f"{scheme}:{slashes}…"
    shown = "".join(char if char.isprintable() else "?" for char in shown)
    if scheme not in SCHEMES or match[1] is None:
        raise SettingsError(f"DEST {shown}: only these can be read and written: {_EXAMPLES}", option="DEST")
    parts = path.removesuffix("/").split("/") if path else []
    if why := _fault(scheme, authority, parts, rest):
        raise SettingsError(f"DEST {shown}: {why}", option="DEST")
    return Address(scheme, authority, "/".join(parts))  # type: ignore[arg-type]


def _fault(scheme: str, authority: str, parts: list[str], rest: str) -> str:
    """Say what is wrong with a URL, or return an empty text."""
    faults = {
        "a user name or a password is in it; credentials come from the environment or a profile": "@" in authority,
        "it goes on with `?` or `#`; name the bucket and the prefix alone": "?" in rest or "#" in rest,
        f"it names no bucket; write it like {scheme}://bucket/prefix": not authority,
        f"what follows {scheme}:// is not the name of a bucket": not _BUCKET.fullmatch(authority),
        "two slashes follow one another in it": "" in parts,
        "`.` and `..` have no meaning in a bucket": "." in parts or ".." in parts,
        "a backslash, or a character that cannot be printed, is in it": not rest.isprintable() or "\\" in rest,
    }
    return next((why for why, is_so in faults.items() if is_so), "")
