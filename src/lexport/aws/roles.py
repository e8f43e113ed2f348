"""A role in another account -> credentials of that account, which renew themselves before they end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from anyio import Lock, current_time

from lexport.aws.question import ask_patiently
from lexport.aws.session import Session
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, ItemError

LIFE_S = 3600
"""Role chaining caps a session at one hour and every role allows as much. Source: STS AssumeRole, 2026."""
EARLY_S = 600.0
"""Renew so long before the end, or a quarter of the life if that is less: time to try again when STS is in trouble."""
AGAIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What AssumeRole is asked for. ``policy`` is a session policy: it narrows the role, it never widens it."""

    account_id: str
    arn: str
    session_name: str
    policy: str
    external_id: str | None = field(default=None, repr=False)


class AssumedRole:
    """The credentials of one role. ``region`` is where STS is asked: a regional endpoint, good for every Region.

    Many callers may ask and renew at once: one asks STS, the others take what it got, or go on with what is still good.
    """

    def __init__(self, session: Session, role: Role, *, region: str) -> None:
        self.role = role
        self._session = session
        self._region = region
        self._current: Credentials | None = None
        self._renew_at_s = self._ends_at_s = float("-inf")
        self._lost: str | None = None
        self._renewing = Lock()

    def __repr__(self) -> str:
        return f"AssumedRole({self.role.arn!r})"

    async def enter(self) -> None:
        """Assume the role for the first time; raises ItemError where that is denied or STS cannot be had."""
        async with self._renewing:
            await self._assume()

    async def credentials(self) -> Credentials:
        """Return credentials to sign with now; those that end soon are renewed on the way."""
        now_s = current_time()
        current = self._current
        if current is not None and (
            now_s < self._renew_at_s or (self._renewing.statistics().locked and now_s < self._ends_at_s)
        ):
            return current
        async with self._renewing:
            if self._current is None or current_time() >= self._renew_at_s:
                await self._renew()
            assert self._current is not None
            return self._current

    async def renew(self, stale: Credentials) -> Credentials:
        """Return newer credentials than ``stale``, which AWS called expired."""
        async with self._renewing:
            if self._current == stale:
                self._ends_at_s = float("-inf")
                await self._renew()
            assert self._current is not None
            return self._current

    async def _renew(self) -> None:
        """Assume the role again. What is still good stays in use while STS is in trouble; then the role is lost."""
        if self._lost is not None:
            raise CredentialsError(self._lost)
        try:
            await self._assume()
        except ItemError as error:
            now_s = current_time()
            if now_s < self._ends_at_s:
                self._renew_at_s = min(now_s + AGAIN_S, self._ends_at_s)
                return
            # Thousands of calls may wait for this: they need not learn it one by one.
            self._lost = f"cannot renew the credentials of {self.role.arn}: {error}"
            raise CredentialsError(self._lost) from error

    async def _assume(self) -> None:
        role = self.role
        more: dict[str, Any] = {} if role.external_id is None else {"ExternalId": role.external_id}
        answer = await ask_patiently(
            self._session,
            "sts",
            self._region,
            "assume_role",
            RoleArn=role.arn,
            RoleSessionName=role.session_name,
            DurationSeconds=LIFE_S,
            Policy=role.policy,
            **more,
        )
        try:
            got = answer["Credentials"]
            self._current = Credentials(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
            life_s = (got["Expiration"] - datetime.now(UTC)).total_seconds()
        except (KeyError, TypeError):
            raise ItemError(f"sts:AssumeRole of {role.arn} came without credentials", code="invalid_answer") from None
        # This machine's clock may be wrong: what seems to have ended is used until AWS calls it expired.
        now_s, life_s = current_time(), min(life_s, float(LIFE_S)) if life_s > 0 else AGAIN_S
        self._ends_at_s = now_s + life_s
        self._renew_at_s = self._ends_at_s - min(EARLY_S, life_s / 4)
