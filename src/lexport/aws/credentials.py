"""botocore's credential chain -> credentials and when they end. Asks each helper once a load, and nobody else.

Its own way of renewing is not used: within the last quarter of an hour it asks a helper again for every single call.
"""

from __future__ import annotations

import getpass
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import exceptions as boto

from lexport.aws.botocore_errors import translated
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError

_CHAIN = AioConfig(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1})
"""For what the chain itself asks of STS or SSO; who loads it tries again."""

_TALKATIVE = ("botocore", "aiobotocore", "aiohttp", "urllib3", "boto3", "httpx", "httpcore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a chain holds. ``account_id`` is the account that the credentials themselves name.

    ``ends_at_s`` is in seconds since 1970, None where nobody says that they end.
    """

    session: Any
    credentials: Credentials
    account_id: str | None
    ends_at_s: float | None


async def load_credentials(profile: str | None, prompt: Callable[[str], str]) -> Loaded:
    """Read the configuration and run the chain from its start, past every cache in memory.

    ``prompt`` gives the code of an MFA device. Raises SettingsError, CredentialsError, or an ItemError that may pass.
    """

    async def load() -> tuple[AioSession, Any, Any]:
        session = AioSession(profile=profile)
        # botocore itself reads AWS_DEFAULT_REGION only; the AWS CLI and the other SDKs let AWS_REGION win.
        if region := os.environ.get("AWS_REGION"):
            session.set_config_variable("region", region)
        # Tokens of the old global endpoint are not valid in Regions that are opted in to.
        session.set_config_variable("sts_regional_endpoints", "regional")
        session.set_default_client_config(_CHAIN)
        # botocore takes a prompter only in the constructor of a provider that it makes itself.
        session.get_component("credential_provider").get_provider("assume-role")._prompter = prompt  # noqa: SLF001
        source: Any = await session.get_credentials()
        if source is None:
            raise boto.NoCredentialsError
        # What is still valid is taken as it is: when to renew is decided by who loads.
        source._advisory_refresh_timeout = source._mandatory_refresh_timeout = 0  # noqa: SLF001
        frozen = await source.get_frozen_credentials()
        return session, frozen, getattr(source, "_expiry_time", None)

    session, frozen, ends_at = await translated(load, doing="cannot load AWS credentials", profile=profile)
    return Loaded(
        session=session,
        credentials=_checked(frozen),
        account_id=str(getattr(frozen, "account_id", None) or "") or None,
        ends_at_s=None if ends_at is None else ends_at.timestamp(),
    )


class CodePrompt:
    """Asks for the code of an MFA device, once: it is kept for what has to be tried again."""

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        self._code: str | None = None

    def __call__(self, prompt: str) -> str:
        """Read the code from the terminal; raises CredentialsError where there is none or nothing is typed."""
        if self._code is None:
            if sys.stdin is None or not sys.stdin.isatty():
                raise CredentialsError(self._text("there is no terminal to type it in"))
            try:
                self._code = _read_hidden(prompt)
            except (EOFError, KeyboardInterrupt, OSError):
                raise CredentialsError(self._text("none was typed")) from None
        return self._code

    def refuse(self, _prompt: str) -> str:
        """Say that nobody is asked in the middle of a run."""
        raise CredentialsError(self._text("nobody is asked in the middle of a run"))

    def _text(self, why: str) -> str:
        profile = self._profile or os.environ.get("AWS_PROFILE") or "default"
        return (
            f"the profile {profile} wants an MFA code, and {why}; start a session first and use its credentials"
            " (`aws sts get-session-token`, or `aws configure export-credentials`), one that outlasts the run"
        )


def _read_hidden(prompt: str) -> str:
    """Read a line without echo. ^C ends the reading alone: the event loop's own handler would wait for it."""
    if threading.current_thread() is not threading.main_thread():
        return getpass.getpass(prompt)
    wakeup = signal.set_wakeup_fd(-1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return getpass.getpass(prompt)
    finally:
        signal.signal(signal.SIGINT, before)
        signal.set_wakeup_fd(wakeup)


def quiet_libraries() -> None:
    """Hold loggers that would print secrets at INFO, children with a level of their own too.

    Where nobody has set up logging they print nothing at all: what they would say, with a traceback, is in our error.
    """
    children = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _TALKATIVE]
    for name in {*_TALKATIVE, *children}:
        loud = logging.getLogger(name)
        if loud.level < logging.INFO and (loud.level != logging.NOTSET or "." not in name):
            loud.setLevel(logging.INFO)
    for name in _TALKATIVE:
        if not logging.getLogger(name).handlers:
            logging.getLogger(name).addHandler(logging.NullHandler())


def _checked(frozen: Any) -> Credentials:
    """Take over credentials that HTTP can carry; a line break that came along from a file is a common accident."""
    for name, value in (("access key id", frozen.access_key), ("session token", frozen.token)):
        if value is not None and not (isinstance(value, str) and value.isascii() and value.isprintable()):
            raise CredentialsError(f"the {name} holds a line break or another character that cannot be in it")
    if not frozen.access_key or not frozen.secret_key:
        raise CredentialsError("the access key id or the secret access key is empty")
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token or None)
