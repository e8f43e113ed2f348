"""Roles in other accounts: their temporary credentials, renewed before they expire."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from anyio import Lock, current_time

from lexport.aws.credentials import RENEW_AGAIN_S, RENEW_EARLY_S
from lexport.aws.session import Session
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, ItemError

logger = logging.getLogger(__name__)

LIFE_S = 3600
"""Role chaining caps a session at one hour, and every role allows an hour. Source: STS AssumeRole, 2026."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """The parameters of AssumeRole. ``policy`` is a session policy: it narrows the role and never widens it."""

    account_id: str
    arn: str
    session_name: str
    policy: str
    external_id: str | None = field(default=None, repr=False)


class AssumedRole:
    """The credentials of one role. ``region`` is the Region of the STS endpoint, whose tokens every Region accepts.

    Many callers may ask for credentials or renew them at once: one caller calls STS, the others share the result or
    go on with credentials that are still valid.
    """

    def __init__(self, session: Session, role: Role, *, region: str) -> None:
        self.role = role
        self._session = session
        self._region = region
        self._current: Credentials | None = None
        self._renew_at_s = self._expires_at_s = -math.inf
        self._lost: str | None = None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"AssumedRole({self.role.arn!r})"

    async def assume(self) -> None:
        """Assume the role for the first time; raises ItemError if that is denied or STS cannot be reached."""
        async with self._lock:
            await self._assume()

    async def credentials(self) -> Credentials:
        """Return credentials to sign with now; those that expire soon are renewed first."""
        now_s = current_time()
        current = self._current
        if current is not None and (
            now_s < self._renew_at_s or (self._lock.statistics().locked and now_s < self._expires_at_s)
        ):
            return current
        async with self._lock:
            if self._current is None or current_time() >= self._renew_at_s:
                await self._renew()
            assert self._current is not None
            return self._current

    async def renew(self, stale: Credentials) -> Credentials:
        """Return newer credentials than ``stale``, which AWS called expired."""
        async with self._lock:
            if self._current == stale:
                self._expires_at_s = -math.inf
                await self._renew()
            assert self._current is not None
            return self._current

    async def _renew(self) -> None:
        """Assume the role again. If STS fails, valid credentials stay in use; after their end the role is lost."""
        if self._lost is not None:
            raise CredentialsError(self._lost)
        try:
            await self._assume()
        except ItemError as error:
            now_s = current_time()
            if now_s < self._expires_at_s:
                self._renew_at_s = min(now_s + RENEW_AGAIN_S, self._expires_at_s)
                return
            # Thousands of calls may wait for these credentials: they fail at once instead of calling STS in turn.
            self._lost = f"cannot renew the credentials of {self.role.arn}: {error}"
            raise CredentialsError(self._lost) from error

    async def _assume(self) -> None:
        role = self.role
        external_id: dict[str, Any] = {} if role.external_id is None else {"ExternalId": role.external_id}
        response = await self._session.call(
            "sts",
            self._region,
            "assume_role",
            RoleArn=role.arn,
            RoleSessionName=role.session_name,
            DurationSeconds=LIFE_S,
            Policy=role.policy,
            **external_id,
        )
        try:
            issued = response["Credentials"]
            self._current = Credentials(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])
            life_s = (issued["Expiration"] - datetime.now(UTC)).total_seconds()
        except (KeyError, TypeError):
            raise ItemError(f"sts:AssumeRole of {role.arn} returned no credentials", code="invalid_answer") from None
        # This machine's clock may be wrong: credentials that seem to have expired are used until AWS calls them so.
        now_s, life_s = current_time(), min(life_s, float(LIFE_S)) if life_s > 0 else RENEW_AGAIN_S
        self._expires_at_s = now_s + life_s
        self._renew_at_s = self._expires_at_s - min(RENEW_EARLY_S, life_s / 4)  # a short life keeps a quarter of it
        logger.info("assumed %s for %.0f s", role.arn, life_s, extra={"account_id": role.account_id})
