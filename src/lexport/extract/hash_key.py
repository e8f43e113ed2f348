"""Load the key that hashes environment values, so that they can be compared without being stored.

It comes from a file, from an environment variable, or from the user's state folder, where it is created once.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from lexport.aws.redact import remember_secret
from lexport.dataset.local import LocalStore
from lexport.errors import PublishError, RunError, SettingsError

KEY_VARIABLE = "LEXPORT_HASH_KEY"
KEY_BYTES = 32
LEAST_KEY_BYTES = 16
_MOST_FILE_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class HashKey:
    """A secret key; ``key_id`` identifies it without revealing it."""

    secret: bytes = field(repr=False)
    made_in: Path | None = field(default=None, compare=False, repr=False)
    """The file in which this run made the key; None where the key was there before."""

    def __post_init__(self) -> None:
        remember_secret(base64.b64encode(self.secret).decode(), self.secret.hex())

    @property
    def key_id(self) -> str:
        """16 hex digits that only this key results in."""
        return hmac.digest(self.secret, b"lexport hash key id", "sha256")[:8].hex()


def load_hash_key(key_file: Path | None) -> HashKey:
    """Load the key from ``key_file``, ``LEXPORT_HASH_KEY`` (base64) or the state folder, where it is created once.

    Raises SettingsError for a key that is not base64 of 16 bytes or more, or a file that cannot be read.
    """
    key = _given_key(key_file)
    if key is not None:
        return key
    path = _state_folder() / "hash.key"
    is_new = not os.path.lexists(path)
    if is_new:
        _make(path)
    return replace(_decode(_read(path), str(path)), made_in=path if is_new else None)


def find_hash_key(key_id: str, key_file: Path | None) -> HashKey:
    """Return the key of this id, from where ``load_hash_key`` looks; none is made.

    Raises SettingsError where there is none, or another one: hashes of two keys in one snapshot cannot be compared.
    """
    key = existing_key(key_file)
    if key is not None and key.key_id == key_id:
        return key
    found = "none is here" if key is None else f"the one here is {key.key_id}"
    raise SettingsError(
        f"the run was planned with the hash key {key_id}, and {found}; set {KEY_VARIABLE} or --hash-key-file to the key"
        " of the process that planned it",
        option="--hash-key-file",
    )


def existing_key(key_file: Path | None) -> HashKey | None:
    """Return the key from where ``load_hash_key`` looks, or None; none is made."""
    key = _given_key(key_file)
    if key is None and (path := _state_folder() / "hash.key").exists():
        return _decode(_read(path), str(path))
    return key


def _given_key(key_file: Path | None) -> HashKey | None:
    if key_file is not None:
        return _decode(_read(key_file), f"--hash-key-file {key_file}")
    from_environment = os.environ.get(KEY_VARIABLE)
    return _decode(from_environment, KEY_VARIABLE) if from_environment else None


def _state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".local" / "state") / "lexport"
    except RuntimeError as error:  # a container whose user has no home
        raise SettingsError(
            f"there is no home folder to keep the hash key in; set {KEY_VARIABLE} or --hash-key-file, or --env none",
            option="--hash-key-file",
        ) from error


def _make(path: Path) -> None:
    """Create the key file, 0600; of two first runs at the same time one creates it, and both read the same key."""
    try:
        with suppress(PublishError):  # another run has created it meanwhile
            LocalStore(path.parent).create(path.name, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    except RunError as error:
        raise SettingsError(
            f"cannot keep the hash key in {path}: {error}; set {KEY_VARIABLE} or --hash-key-file, or --env none",
            option="--hash-key-file",
        ) from error


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_FILE_BYTES).decode("ascii", errors="replace")
    except OSError as error:
        raise SettingsError(f"cannot read the hash key {path}: {error.strerror}", option="--hash-key-file") from error


def _decode(text: str, where: str) -> HashKey:
    try:
        secret = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) < LEAST_KEY_BYTES:
        raise SettingsError(
            f"{where} is no hash key: wanted base64 of at least {LEAST_KEY_BYTES} bytes; "
            "make one with: openssl rand -base64 32",
            option="--hash-key-file",
        )
    return HashKey(secret)
