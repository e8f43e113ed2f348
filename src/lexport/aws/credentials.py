"""The caller's own credentials: loaded from botocore's credential chain and renewed before they expire.

botocore's own renewal is not used: in the last 15 minutes before the expiration it runs the credential helper again for
every single call.
"""

from __future__ import annotations

import getpass
import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import exceptions as boto

from lexport.aws.botocore_errors import translate_errors
from lexport.aws.errors import ends_run
from lexport.aws.logs import is_redacted
from lexport.aws.quota.retry import retry
from lexport.aws.service_models import service_models
from lexport.aws.signing import Credentials
from lexport.aws.waits import scaled
from lexport.errors import CredentialsError, ItemError, RunError

RENEW_EARLY_S = 600.0
"""Renew this long before the expiration, to leave time for retries while the source of credentials is down."""
RENEW_AGAIN_S = 60.0
"""Credentials that are about to expire are renewed no more often than this: a helper may be slow, or ask a person."""
LONGEST_START_S = scaled(30.0)
"""Loading the credentials at the start of a run is not retried for longer than this."""

logger = logging.getLogger(__name__)

_CHAIN = AioConfig(
    connect_timeout=scaled(5), read_timeout=scaled(10), retries={"mode": "standard", "total_max_attempts": 1}
)
"""For the calls that the chain makes to STS or SSO. Loading the chain is retried as a whole, so these calls are not."""

_LOGGERS = ("botocore", "aiobotocore", "aiohttp", "urllib3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What the credential chain returned. ``account_id`` is the account that the credentials themselves name.

    ``expires_at_s`` is in seconds since 1970, or None for credentials that do not expire. ``method`` is botocore's name
    of the source, such as ``env`` or ``sso``.
    """

    session: AioSession
    credentials: Credentials
    account_id: str | None
    expires_at_s: float | None
    method: str | None = None


Source = Callable[[], Awaitable[Loaded]]


class OwnCredentials:
    """The credentials of one profile. ``clock`` returns seconds since 1970.

    ``botocore`` is the session that loaded them, ``named_account`` the account ID that they themselves name, ``method``
    botocore's name of where they came from. ``check`` is called with renewed credentials before they are used, and
    raises CredentialsError to refuse them. ``source`` loads them where the credential chain of this process does not.
    """

    def __init__(self, profile: str | None, *, clock: Callable[[], float], source: Source | None = None) -> None:
        self.check: Callable[[Credentials], Awaitable[None]] | None = None
        self.botocore: AioSession
        self.named_account: str | None = None
        self.method: str | None = None
        self.profile = profile
        self._clock = clock
        self._prompt = CodePrompt(profile)
        self._source = source
        self._current = Credentials("", "")
        self._renew_at_s = self._expires_at_s = -math.inf
        self._renewals = 0  # of credentials that had expired
        self._renewed_at_s = -math.inf
        self._failure: CredentialsError | ItemError | None = None
        self._useless: Credentials | None = None  # AWS calls them expired, and the chain has no others
        self._lock = anyio.Lock()

    async def open(self) -> None:
        """Load the credentials for the first time, so that missing ones are found before any call."""
        try:
            self._use(await retry(partial(self._load, self._prompt), longest_s=LONGEST_START_S))
        except ItemError as error:
            raise ends_run(error) from None

    async def credentials(self) -> Credentials:
        """Return credentials to sign with now. Credentials that expire soon are renewed, and used until they expire."""
        if self._clock() < self._renew_at_s:  # the usual case: this is called before every request
            return self._current
        return await self.renew(None)

    async def renew(self, stale: Credentials | None) -> Credentials:
        """Return newer credentials than ``stale``, which AWS called expired, or the same if the chain has no others.

        Callers that arrive together share one load of the chain and its result. The chain is loaded once a minute at
        most, but at once when the current credentials have expired.
        """
        renewals = self._renewals
        if stale is None and self._clock() < self._expires_at_s and self._lock.statistics().locked:
            return self._current
        async with self._lock:
            now_s = self._clock()
            if self._current != stale and now_s < (self._renew_at_s if stale is None else self._expires_at_s):
                return self._current  # another caller renewed them while this one waited for the lock
            has_expired = stale is not None or now_s >= self._expires_at_s
            if has_expired:
                is_recent = abs(now_s - self._renewed_at_s) < RENEW_AGAIN_S
                if self._failure is not None and (
                    renewals != self._renewals or (is_recent and isinstance(self._failure, CredentialsError))
                ):
                    failure = self._failure  # each caller counts its own attempts
                    raise failure.copy() if isinstance(failure, ItemError) else CredentialsError(str(failure))
                if stale is not None and stale == self._useless and is_recent:
                    return stale
                self._renewals, self._renewed_at_s = self._renewals + 1, now_s
            try:
                loaded = await self._load(self._prompt.refuse)
                if self.check is not None and loaded.credentials != self._current:
                    await self.check(loaded.credentials)
            except (RunError, ItemError) as error:
                if not has_expired:  # valid credentials are used until they expire, and renewed at once after that
                    self._renew_at_s = min(now_s + RENEW_AGAIN_S, self._expires_at_s)
                    return self._current
                self._failure = error if isinstance(error, ItemError) else CredentialsError(str(error))
                raise self._failure from None
            self._failure = None
            self._use(loaded)
            self._useless = stale if stale == self._current else None
            return self._current

    async def _load(self, prompt: Callable[[str], str]) -> Loaded:
        if self._source is not None:
            return await self._source()
        return await load_credentials(self.profile, prompt)

    @property
    def expires_at_s(self) -> float | None:
        """When the current credentials expire, in seconds since 1970; None for never."""
        return None if math.isinf(self._expires_at_s) else self._expires_at_s

    def _use(self, loaded: Loaded) -> None:
        now_s = self._clock()
        expires_at_s = math.inf if loaded.expires_at_s is None else loaded.expires_at_s
        early_s = expires_at_s - RENEW_EARLY_S
        self._renew_at_s = early_s if early_s > now_s else min(now_s + RENEW_AGAIN_S, expires_at_s)
        self._expires_at_s = expires_at_s
        if loaded.credentials != self._current:  # equal ones stay the same object: the signer is kept per object
            self._current = loaded.credentials
            logger.info("loaded credentials%s", f" of the profile {self.profile}" if self.profile else "")
        self.botocore, self.named_account, self.method = loaded.session, loaded.account_id, loaded.method


async def load_credentials(profile: str | None, prompt: Callable[[str], str]) -> Loaded:
    """Read the configuration and run the credential chain from its start, past every cache in memory.

    ``prompt`` returns the code of an MFA device. Raises SettingsError, CredentialsError, or a retryable ItemError.
    """

    async def load() -> tuple[AioSession, Any, Any, Any]:
        session = configured_session(profile)
        session.set_default_client_config(_CHAIN)
        # botocore takes a prompter only in the constructor of a provider that botocore itself makes.
        session.get_component("credential_provider").get_provider("assume-role")._prompter = prompt  # noqa: SLF001
        source: Any = await session.get_credentials()
        if source is None:
            raise boto.NoCredentialsError
        # Valid credentials are taken as they are: ``OwnCredentials`` decides when to renew them.
        source._advisory_refresh_timeout = source._mandatory_refresh_timeout = 0  # noqa: SLF001
        frozen = await source.get_frozen_credentials()
        return session, frozen, getattr(source, "_expiry_time", None), getattr(source, "method", None)

    session, frozen, expires_at, method = await translate_errors(
        load, doing="cannot load AWS credentials", profile=profile
    )
    return Loaded(
        session=session,
        credentials=_checked(frozen),
        account_id=str(getattr(frozen, "account_id", None) or "") or None,
        expires_at_s=None if expires_at is None else expires_at.timestamp(),
        method=method,
    )


def configured_session(profile: str | None) -> AioSession:
    """Return a session of botocore with the configuration of a profile; no credentials are loaded."""
    session = AioSession(profile=profile)
    # botocore itself reads AWS_DEFAULT_REGION only; in the AWS CLI and the other SDKs AWS_REGION wins.
    if region := os.environ.get("AWS_REGION"):
        session.set_config_variable("region", region)
    # Tokens of the old global endpoint are not valid in Regions that must be opted in to.
    session.set_config_variable("sts_regional_endpoints", "regional")
    session.register_component("data_loader", service_models(session.get_config_variable("data_path")))
    return session


class CodePrompt:
    """Reads the code of an MFA device once, and keeps it for retries."""

    def __init__(self, profile: str | None) -> None:
        self._profile = profile
        self._code: str | None = None

    def __call__(self, prompt: str) -> str:
        """Read the code from the terminal; raises CredentialsError if there is no terminal or no input."""
        if self._code is None:
            if sys.stdin is None or not sys.stdin.isatty():
                raise CredentialsError(self._text("there is no terminal to type it in"))
            try:
                self._code = _read_hidden(prompt)
            except (EOFError, KeyboardInterrupt, OSError):
                raise CredentialsError(self._text("none was typed")) from None
        return self._code

    def refuse(self, _prompt: str) -> str:
        """Raise CredentialsError: lexport does not prompt in the middle of a run."""
        raise CredentialsError(self._text("lexport does not prompt in the middle of a run"))

    def _text(self, why: str) -> str:
        profile = self._profile or os.environ.get("AWS_PROFILE") or "default"
        return (
            f"the profile {profile} wants an MFA code, and {why}; start a session first and use its credentials"
            " (`aws sts get-session-token`, or `aws configure export-credentials`), one that outlasts the run"
        )


def _read_hidden(prompt: str) -> str:
    """Read a line without echo. ^C ends the input alone: the event loop's own handler would wait for the input."""
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
    """Set the loggers that print secrets at DEBUG to INFO or above, including children with a level of their own.

    If logging is not set up, these loggers print nothing: lexport's own errors hold what they would print.
    Where the process redacts every line, as the command does, they stay as they are.
    """
    if is_redacted():
        return
    children = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _LOGGERS]
    for name in {*_LOGGERS, *children}:
        logger = logging.getLogger(name)
        if logger.level < logging.INFO and (logger.level != logging.NOTSET or "." not in name):
            logger.setLevel(logging.INFO)
    for name in _LOGGERS:
        if not logging.getLogger(name).handlers:
            logging.getLogger(name).addHandler(logging.NullHandler())


def _checked(frozen: Any) -> Credentials:
    """Return credentials that HTTP can carry; a line break that was copied from a file is a common accident."""
    for name, value in (("access key id", frozen.access_key), ("session token", frozen.token)):
        if value is not None and not (isinstance(value, str) and value.isascii() and value.isprintable()):
            raise CredentialsError(f"the {name} holds a line break or another character that cannot be in it")
    if not frozen.access_key or not frozen.secret_key:
        raise CredentialsError("the access key id or the secret access key is empty")
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token or None)
