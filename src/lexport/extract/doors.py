"""account-region -> one call in it: each account is entered when it is first asked for, as a snapshot enters it.

For work that is known by its account-region beforehand. An account-region that fails again and again is given up, so
that what waits for it learns so at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import methodcaller
from typing import Any

from anyio import CapacityLimiter, Lock

from lexport.aws.client import LambdaClient
from lexport.aws.http.transport import Send
from lexport.aws.presign_s3 import presign_object
from lexport.aws.quota.pacer import Pacer
from lexport.aws.quota.retry import call_with_retries
from lexport.aws.session import Session
from lexport.errors import (
    AccessDeniedError,
    CredentialsError,
    FetchError,
    ItemError,
    NetworkError,
    ServiceError,
    SettingsError,
    ShardError,
)
from lexport.extract.access import Account, Door, Entrance
from lexport.extract.match_response import checked
from lexport.model import Priority, Reply, Scope
from lexport.settings import SnapshotSettings
from lexport.tables.call import Call

MOST_ENTERING = 64  # accounts entered at once
TROUBLES = 3  # calls in a row, each tried six times: the Region is out of reach


class Doors:
    """The account-regions ``scopes``. Made once; ``find_accounts`` comes first."""

    def __init__(
        self,
        session: Session,
        send: Send,
        options: SnapshotSettings,
        pacer: Pacer,
        *,
        scopes: Sequence[Scope],
        session_name: str,
        note: Callable[[str], None],
    ) -> None:
        accounts = tuple(sorted({scope.account_id for scope in scopes}))
        self._session, self._send, self._pacer = session, send, pacer
        self._scopes = tuple(scopes)
        self._entrance = Entrance(
            session,
            send,
            replace(
                options,
                regions=tuple(sorted({scope.region for scope in scopes})),
                accounts=accounts if options.account_role else (),
                accounts_from=None,
                organization=False,
                organizational_units=(),
                exclude_accounts=(),
                functions=(),
                functions_from=None,
            ),
            selection=None,
            accounts=accounts,
            session_name=session_name,
            note=note,
        )
        self._accounts: dict[str, Account] = {}
        self._doors: dict[Scope, Door] = {}
        self._apis: dict[Scope, LambdaClient] = {}
        self._shut: dict[str, ItemError] = {}
        self._troubles: Counter[Scope] = Counter()
        self._given_up: dict[Scope, ItemError] = {}
        self._entering = CapacityLimiter(MOST_ENTERING)
        self._locks: dict[str, Lock] = {}

    @property
    def are_all_shut(self) -> bool:
        """Whether credentials or permissions are why no account-region can be entered any more."""
        reasons = (self._given_up.get(scope) or self._shut.get(scope.account_id) for scope in self._scopes)
        return all(isinstance(reason, AccessDeniedError) for reason in reasons)

    async def find_accounts(self) -> None:
        """Find out who we are; raises SettingsError and CredentialsError as a snapshot does."""
        for account in await self._entrance.find_accounts():
            if account.account_id is None:  # STS does not say; entering finds out
                await self._enter(account)
            else:
                self._accounts[account.account_id] = account

    async def call(
        self,
        scope: Scope,
        call: Call,
        decode: Callable[[bytes], Reply],
        check: Callable[..., bool],
        *expected: Any,
        priority: Priority | None = None,
        **parameters: str | None,
    ) -> Reply:
        """Make one call, paced, checked and retried; raises ItemError, and never one that ends more than one item."""
        if (known := self._given_up.get(scope)) is not None:
            raise type(known)(str(known), code=known.code, http_status=known.http_status)
        try:
            api = await self._api(scope)
            attempt = checked(api, methodcaller("call", call, **parameters), decode, check, *expected)
            reply = await call_with_retries(self._pacer, scope, call, attempt, priority=priority)
        except ShardError as error:
            self._given_up[scope] = AccessDeniedError(str(error), code=error.code, http_status=error.http_status)
            raise self._given_up[scope] from error
        except (NetworkError, ServiceError) as error:
            self._troubles[scope] += 1
            if self._troubles[scope] >= TROUBLES:
                self._given_up[scope] = error
            raise
        self._troubles.pop(scope, None)
        return reply

    async def presign(self, scope: Scope, bucket: str, key: str, version: str | None) -> str:
        """Make a link to an object of S3 with the credentials that read the account; raises ItemError."""
        await self._api(scope)
        try:
            credentials = await self._doors[scope].credentials()
            return await presign_object(
                self._session, credentials, region=scope.region, bucket=bucket, key=key, version=version
            )
        except (CredentialsError, SettingsError) as error:
            raise FetchError(f"no link to s3://{bucket}/{key} can be made: {error}", code="no_link") from error

    async def _api(self, scope: Scope) -> LambdaClient:
        if scope not in self._apis:
            await self._enter_account(scope.account_id)
            if (error := self._shut.get(scope.account_id)) is not None:
                raise type(error)(str(error), code=error.code, http_status=error.http_status)
            self._apis[scope] = self._doors[scope].open(self._send)
        return self._apis[scope]

    async def _enter_account(self, account_id: str) -> None:
        """Enter an account once; whoever else needs it waits for that."""
        async with self._locks.setdefault(account_id, Lock()):
            if account_id in self._shut or any(scope.account_id == account_id for scope in self._doors):
                return
            account = self._accounts.get(account_id)
            if account is None:
                self._shut[account_id] = AccessDeniedError(
                    f"there is no way into account {account_id}: the credentials belong to {', '.join(self._accounts)};"
                    " give --account-role, or run with credentials of its own",
                    code="no_way_in",
                )
                return
            try:
                await self._enter(account)
            except ItemError as error:
                self._shut[account_id] = error
            except CredentialsError as error:
                self._shut[account_id] = AccessDeniedError(str(error), code="credentials_lost")

    async def _enter(self, account: Account) -> None:
        async with self._entering:
            entered = await self._entrance.enter(account)
        for door in entered.doors:
            self._doors[door.shard.scope] = door
            self._accounts.setdefault(door.shard.scope.account_id, account)
