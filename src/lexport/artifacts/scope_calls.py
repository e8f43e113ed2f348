"""Single calls in the account-regions of packages, in which each role is assumed when it is first needed.

An account-region whose calls fail repeatedly is given up, so that later calls in it fail at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from operator import methodcaller
from typing import Any

from lexport.aws.client import LambdaClient
from lexport.aws.presign_s3 import presign_object
from lexport.aws.quota.pacer import Pacer
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
from lexport.extract.access import Access, open_access
from lexport.extract.accounts import find_own_account
from lexport.extract.match_response import checked
from lexport.model import Priority, Reply, Scope
from lexport.settings import PackageSettings, SnapshotSettings
from lexport.tables.call import Call

MOST_FAILURES = 3  # calls in a row, each tried six times: the Region is out of reach


class ScopeCalls:
    """Makes calls in account-regions; ``identify`` comes first."""

    def __init__(self, access: Access, pacer: Pacer, *, note: Callable[[str], None]) -> None:
        self._access, self._pacer, self._note = access, pacer, note
        self._own_account: str | None = None
        self._apis: dict[Scope, LambdaClient] = {}
        self._closed: dict[str, ItemError] = {}  # accounts whose role cannot be assumed
        self._given_up: dict[Scope, ItemError] = {}
        self._failures: Counter[Scope] = Counter()

    def are_refused(self, scopes: Collection[Scope]) -> bool:
        """Return whether the credentials were refused in all of these account-regions.

        An account whose role cannot be assumed is not among them: other credentials may not open it either.
        """
        return all(isinstance(self._given_up.get(scope), AccessDeniedError) for scope in scopes)

    async def identify(self) -> None:
        """Find the account of the credentials; raises SettingsError and CredentialsError as a snapshot does."""
        await self._access.identify()
        if not self._access.uses_roles:
            self._own_account = await find_own_account(self._access, self._access.regions, note=self._note)

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
        if (error := self._given_up.get(scope)) is not None:
            raise error.copy()
        try:
            api = await self._api(scope)
            attempt = checked(api, methodcaller("call", call, **parameters), decode, check, *expected)
            reply = await self._pacer.call(scope, call, attempt, priority=priority)
        except ShardError as failure:
            denied = AccessDeniedError(str(failure), code=failure.code, http_status=failure.http_status)
            self._given_up[scope] = denied
            raise denied from failure
        except (NetworkError, ServiceError) as failure:
            self._failures[scope] += 1
            if self._failures[scope] >= MOST_FAILURES:
                self._given_up[scope] = failure
            raise
        self._failures.pop(scope, None)
        return reply

    async def presign(self, scope: Scope, bucket: str, key: str, version: str | None) -> str:
        """Make a presigned URL of an object in S3 with the credentials that read the account; raises ItemError."""
        await self._api(scope)
        try:
            credentials = await self._access.credentials(scope.account_id)
            return await presign_object(
                self._access.session, credentials, region=scope.region, bucket=bucket, key=key, version=version
            )
        except (CredentialsError, SettingsError) as error:
            raise FetchError(f"no link to s3://{bucket}/{key} can be made: {error}", code="no_link") from error

    async def _api(self, scope: Scope) -> LambdaClient:
        """Return the client of an account-region, with the role of its account; raises ItemError."""
        if scope not in self._apis:
            await self._open_account(scope.account_id)
            if (error := self._closed.get(scope.account_id)) is not None:
                raise error.copy()
            self._apis[scope] = await self._access.client(scope)
        return self._apis[scope]

    async def _open_account(self, account_id: str) -> None:
        if account_id in self._closed:
            return
        if not self._access.uses_roles and account_id != self._own_account:
            self._closed[account_id] = AccessDeniedError(
                f"there is no way into account {account_id}: the credentials belong to {self._own_account};"
                " give --account-role, or run with credentials of its own",
                code="no_way_in",
            )
            return
        try:
            async with self._access.account_slots:
                await self._access.assume_role(account_id)
        except ItemError as error:
            self._closed[account_id] = error
        except CredentialsError as error:
            self._closed[account_id] = AccessDeniedError(str(error), code="credentials_lost")


@asynccontextmanager
async def open_scope_calls(
    session: Session,
    settings: SnapshotSettings,
    pacer: Pacer,
    *,
    run: str,
    regions: Sequence[str],
    note: Callable[[str], None],
) -> AsyncIterator[ScopeCalls]:
    """Open the connections for the calls that packages need, and find whose the credentials are."""
    chosen = settings.packages or PackageSettings()
    connections = 2 * chosen.concurrency  # an account-region that hangs may hold half of them
    async with open_access(session, settings, regions=regions, connections=connections, note=note) as access:
        access.name_session(run)
        calls = ScopeCalls(access, pacer, note=note)
        await calls.identify()
        yield calls
