"""Access to the account-regions of a run: the caller's identity, the role of each account, its Regions, its clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from anyio import CapacityLimiter, Lock

from lexport.aws.client import LambdaClient
from lexport.aws.endpoints import Endpoints
from lexport.aws.http.message import Send
from lexport.aws.http.pool import open_pool
from lexport.aws.identity import Identity, find_identity
from lexport.aws.policy import session_policy
from lexport.aws.regions import ALWAYS_ENABLED, Regions, check_region, find_regions, partition_of
from lexport.aws.roles import AssumedRole, Role
from lexport.aws.session import Session
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, ExpiredCredentialsError, ItemError, SettingsError, TokenRefusedError
from lexport.model import Scope
from lexport.settings import ALL_REGIONS, SnapshotSettings, role_arn, role_partition
from lexport.tables.registry import resources_read

REGION_OFF = {"UnrecognizedClientException", "InvalidClientTokenId", "OptInRequired", "AuthFailure"}
"""Error codes of a Region that is not enabled. An enabled one sends the same codes where it does not know the token."""
MOST_ACCOUNTS_AT_ONCE = 64  # accounts whose role is assumed and whose Regions are listed at the same time


@asynccontextmanager
async def open_access(
    session: Session,
    settings: SnapshotSettings,
    *,
    regions: Sequence[str],
    more_regions: Sequence[str] = (),
    connections: int,
    note: Callable[[str], None],
) -> AsyncIterator[Access]:
    """Open at most ``connections`` connections to Lambda for a run, and the access that uses them."""
    async with open_pool(ca_bundle=session.ca_bundle, connections=connections) as send:
        yield Access(session, send, settings, regions=regions, more_regions=more_regions, note=note)


class Access:
    """Assumes roles, finds Regions and makes clients; ``identify`` comes first.

    ``regions`` are those to read, or ``all``; ``more_regions`` are of single functions that the user named. The role of
    an account is assumed once; the caller's own account needs none. ``account_slots`` bounds how many accounts are
    worked on before their shards begin. ``session_name`` is that of the assumed roles, as CloudTrail shows it.
    """

    def __init__(
        self,
        session: Session,
        send: Send,
        settings: SnapshotSettings,
        *,
        regions: Sequence[str],
        more_regions: Sequence[str],
        note: Callable[[str], None],
    ) -> None:
        self.session = session
        self.regions = tuple(dict.fromkeys(regions or filter(None, (session.default_region,))))
        self.more_regions = tuple(dict.fromkeys(more_regions))
        self.own_account: str | None = None
        self.identity: str | None = None
        self.session_name = "lexport"
        self.send, self._settings, self._note = send, settings, note
        self._endpoints = Endpoints(session)
        self._home = session.home_region
        self._partition = "aws"
        self._roles: dict[str, AssumedRole] = {}
        self._errors: dict[str, ItemError] = {}
        self._locks: dict[str, Lock] = {}
        self.account_slots = CapacityLimiter(MOST_ACCOUNTS_AT_ONCE)

    @property
    def is_all(self) -> bool:
        """Whether every enabled Region of an account is read."""
        return self.regions == (ALL_REGIONS,)

    @property
    def uses_roles(self) -> bool:
        """Whether other accounts than the caller's own are read, with a role in each."""
        return self._settings.account_role is not None

    @property
    def home_region(self) -> str:
        """The Region in which STS, Organizations and the account API are called."""
        return self._home

    def name_session(self, run: str, command: str = "lexport") -> None:
        """Name the sessions of roles that are assumed from now on after a run."""
        self.session_name = f"{command}-{run}"

    async def identify(self) -> None:
        """Find out whose the credentials are.

        ``own_account`` stays None where STS does not say. Raises SettingsError for Regions and roles that do not fit,
        CredentialsError for credentials that are not good.
        """
        named = [region for region in (*self.regions, *self.more_regions) if region != ALL_REGIONS]
        for region in named:
            check_region(self.session, region)
        if not self.is_all:
            self._home = named[0]
        identity = await self._find_identity(named)
        self.own_account, self.identity, self._partition = identity.account_id, identity.arn, identity.partition
        for text in identity.notes:
            self._note(text)
        if self._settings.account_role is not None:
            self._check_partition(self._settings.account_role)

    async def _find_identity(self, named: Sequence[str]) -> Identity:
        """Ask STS; where a Region that was opted in to refuses the token, ask in one that is always enabled."""
        try:
            return await find_identity(self.session, self._home)
        except CredentialsError as error:
            is_refused = isinstance(error.__cause__, TokenRefusedError)
            if not is_refused or self._home in ALWAYS_ENABLED or partition_of(self.session, self._home) != "aws":
                raise
        self._home = next(region for region in (*named, "us-east-1") if region in ALWAYS_ENABLED)
        return await find_identity(self.session, self._home)

    def _check_partition(self, role: str) -> None:
        """Refuse another partition than that of the credentials, which are not valid there."""
        named = role_partition(role)
        if named not in (None, self._partition):
            raise SettingsError(
                f"--account-role names the partition {named}, but the credentials belong to {self._partition};"
                " one run has one root identity: run once for each partition, into the same DEST",
                option="--account-role",
            )
        for region in self.regions:
            if region != ALL_REGIONS and (other := partition_of(self.session, region)) != self._partition:
                raise SettingsError(
                    f"--region {region} is in the partition {other}, but the credentials belong to {self._partition};"
                    " run once for each partition, into the same DEST",
                    option="--region",
                )

    async def assume_role(self, account_id: str) -> None:
        """Assume the role of an account, where that is not done yet.

        Raises ItemError where the role cannot be assumed; after the first failure without another call.
        """
        if not self._needs_role(account_id):
            return
        async with self._locks.setdefault(account_id, Lock()):
            if (error := self._errors.get(account_id)) is not None:
                raise error.copy()
            if account_id not in self._roles:
                role = AssumedRole(self.session, self._role(account_id), region=self._home)
                try:
                    await role.assume()
                except ItemError as failure:
                    self._errors[account_id] = failure
                    raise
                self._roles[account_id] = role

    async def find_regions(self, account_id: str | None) -> Regions:
        """Return the Regions of an account to read; where all are read, from AWS's list."""
        if not self.is_all:
            return Regions(enabled=self.regions)
        role = self._roles.get(account_id or "")
        own = None if role is None else await _credentials_of(role)
        regions = await find_regions(self.session, self._partition, self._home, credentials=own)
        if regions.note:
            self._note(regions.note)
        return regions

    async def client(self, scope: Scope, send: Send | None = None) -> LambdaClient:
        """Make a client for one account-region, whose role is assumed; ``send`` sends its requests."""
        credentials = self._credentials(scope.account_id)
        return LambdaClient(
            region=scope.region,
            endpoint=await self._endpoints.url(scope.region),
            find_endpoint=partial(self._endpoints.url, scope.region),
            credentials=credentials.credentials,
            renew=credentials.renew,
            send=send or self.send,
            clock=lambda: datetime.now(UTC),
        )

    async def credentials(self, account_id: str) -> Credentials:
        """Return the credentials to sign with in an account whose role is assumed."""
        return await self._credentials(account_id).credentials()

    def _credentials(self, account_id: str) -> Session | AssumedRole:
        return self._roles[account_id] if self._needs_role(account_id) else self.session

    def _needs_role(self, account_id: str) -> bool:
        return self.uses_roles and account_id != self.own_account

    def _role(self, account_id: str) -> Role:
        settings, packages = self._settings, self._settings.packages
        return Role(
            account_id=account_id,
            arn=role_arn(settings.account_role or "", account_id, self._partition),
            session_name=self.session_name,
            policy=session_policy(
                self._partition,
                account_id,
                resources=resources_read(settings.for_manifest()),
                all_regions=self.is_all,
                history=settings.changes_from is not None,
                layers=packages is not None and packages.layers,
                references=packages is not None and packages.reference_packages,
            ),
            external_id=settings.external_id,
        )


async def _credentials_of(role: AssumedRole) -> Credentials:
    try:
        return await role.credentials()
    except CredentialsError as error:  # one account is lost, and the run goes on
        raise ExpiredCredentialsError(str(error), code="credentials_lost") from error
