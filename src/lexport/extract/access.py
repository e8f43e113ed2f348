"""settings + session -> the accounts to read; account -> its Regions, each a door that opens onto a Lambda client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from anyio import current_time

from lexport.aws.client import LambdaClient
from lexport.aws.endpoints import LambdaEndpoints
from lexport.aws.errors import ends_run, is_account
from lexport.aws.http.transport import Send
from lexport.aws.identity import Identity, find_identity
from lexport.aws.organizations import Member, list_members
from lexport.aws.policy import session_policy
from lexport.aws.quota.retry import retry
from lexport.aws.regions import ALWAYS_ENABLED, Regions, check_region, find_regions, partition_of
from lexport.aws.roles import AssumedRole, Role
from lexport.aws.session import Session
from lexport.aws.signing import Credentials
from lexport.errors import (
    CredentialsError,
    ExpiredCredentialsError,
    ItemError,
    NetworkError,
    RunError,
    SettingsError,
    TokenRefusedError,
)
from lexport.extract.decode import decode_object
from lexport.extract.selection import NamedFunction, choose_shards
from lexport.model import GLOBAL_REGION, Scope, Shard
from lexport.settings import ALL_REGIONS, SnapshotSettings, role_arn, role_partition
from lexport.tables.functions import GET_FUNCTION, LIST_FUNCTIONS
from lexport.tables.registry import resources_read

Selection = tuple[NamedFunction, ...]

REGION_OFF = {"UnrecognizedClientException", "InvalidClientTokenId", "OptInRequired", "AuthFailure"}
"""Error codes of a Region that is not enabled. An enabled one sends the same codes where it does not know the token."""
ACCOUNTS_NAMED = 10  # in a note
LONGEST_S = 30.0
"""First calls that find out the account are not retried for longer than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account to enter; with the caller's own credentials where ``role`` is None.

    ``account_id`` is None where STS does not say who the caller is.
    """

    account_id: str | None
    role: AssumedRole | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One account-region that can be read: ``open`` makes the client, given what sends.

    ``credentials`` are those to sign with now.
    """

    shard: Shard
    open: Callable[[Send], LambdaClient] = field(repr=False)
    credentials: Callable[[], Awaitable[Credentials]] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """What was found in an account; ``switched_off`` are Regions that are not enabled."""

    doors: tuple[Door, ...]
    switched_off: tuple[Shard, ...]


class Entrance:
    """Finds the accounts of a run and enters them, each on its own. Made once; ``find_accounts`` comes first."""

    def __init__(
        self,
        session: Session,
        send: Send,
        settings: SnapshotSettings,
        *,
        selection: Selection | None,
        accounts: Sequence[str],
        session_name: str,
        note: Callable[[str], None],
    ) -> None:
        self._session, self._send, self._settings, self._note = session, send, settings, note
        self._selection, self._listed, self._session_name = selection, accounts, session_name
        self._named = tuple(function.region for function in selection or () if function.region)
        self._asked = settings.regions or ((session.default_region,) if session.default_region else ())
        self._home = session.home_region
        self._endpoints = LambdaEndpoints(session)
        self._partition = "aws"

    @property
    def is_all(self) -> bool:
        """Whether every enabled Region is wanted."""
        return self._asked == (ALL_REGIONS,)

    def expected(self, account: Account) -> list[Shard]:
        """Return the shards of an account that cannot be entered."""
        regions = (GLOBAL_REGION,) if self.is_all else tuple(dict.fromkeys(self._asked))
        return choose_shards(None, account_id=account.account_id or "", regions=regions)

    async def find_accounts(self) -> tuple[Account, ...]:
        """Find out who we are and which accounts to read.

        Raises SettingsError for Regions, roles and units, CredentialsError for who we are.
        """
        session, settings = self._session, self._settings
        if not self._asked and not (self._selection and all(function.region for function in self._selection)):
            raise SettingsError(
                "no Region: give --region, set AWS_REGION, or choose a profile that has one", option="--region"
            )
        for region in (*self._asked, *self._named):
            if region != ALL_REGIONS:
                check_region(session, region)
        if not self.is_all:
            self._home = (*self._asked, *self._named)[0]
        identity = await self._identify()
        self._partition = identity.partition
        for note in identity.notes:
            self._note(note)
        if settings.account_role is None:
            return (Account(account_id=identity.account_id),)
        self._check_partition()
        ids: Sequence[str] = self._listed
        if settings.organization:
            members = await list_members(session, self._home, settings.organizational_units)
            ids = self._readable(members)
        return tuple(self._account(account_id, identity.account_id) for account_id in ids)

    async def _identify(self) -> Identity:
        """Ask who we are; a Region that was opted in to may refuse a token that others take, so it is not the judge."""
        elsewhere = next((name for name in (*self._asked, *self._named, "us-east-1") if name in ALWAYS_ENABLED), "")
        try:
            return await find_identity(self._session, self._home)
        except CredentialsError as error:
            is_refused = isinstance(error.__cause__, TokenRefusedError)
            if not is_refused or self._home in ALWAYS_ENABLED or partition_of(self._session, self._home) != "aws":
                raise
        self._home = elsewhere
        return await find_identity(self._session, self._home)

    async def enter(self, account: Account) -> Entered:
        """Assume the account's role, find its Regions and where Lambda is in each.

        Raises ItemError where a role cannot be assumed; for the caller's own account CredentialsError.
        """
        role, access = account.role, account.role or self._session
        found = Regions(enabled=tuple(dict.fromkeys(self._asked)))
        if role is not None:
            await role.assume()
        if self.is_all:
            own = None if role is None else await _credentials_of(role)
            found = await find_regions(self._session, self._partition, self._home, credentials=own)
            if found.note:
                self._note(found.note)
        regions = tuple(sorted((*found.enabled, *found.uncertain))) if found.uncertain else found.enabled
        opens = {
            region: partial(_client, region, await self._endpoints.url(region), access)
            for region in dict.fromkeys((*regions, *self._named))
        }
        account_id = account.account_id
        if account_id is None:
            apis = {region: open_(self._send) for region, open_ in opens.items()}
            account_id = await _account_of_first_arn(apis, self._selection)
            self._note(f"the account is {account_id} by the first function's ARN")
        shards = choose_shards(self._selection, account_id=account_id, regions=regions, uncertain=found.uncertain)
        return Entered(
            doors=tuple(
                Door(shard=shard, open=opens[shard.scope.region], credentials=access.credentials) for shard in shards
            ),
            switched_off=tuple(
                Shard(scope=Scope(account_id=account_id, region=region), region_status="disabled")
                for region in found.disabled
            ),
        )

    def _account(self, account_id: str, own: str | None) -> Account:
        if account_id == own:  # a role that trusts its own account is rare, and nobody needs it
            return Account(account_id=account_id)
        settings = self._settings
        role = Role(
            account_id=account_id,
            arn=role_arn(settings.account_role or "", account_id, self._partition),
            session_name=self._session_name,
            policy=session_policy(
                self._partition,
                account_id,
                resources=resources_read(settings.for_manifest()),
                all_regions=self.is_all,
                layers=settings.packages is not None and settings.packages.layers,
                references=settings.packages is not None and settings.packages.reference_packages,
            ),
            external_id=settings.external_id,
        )
        return Account(account_id=account_id, role=AssumedRole(self._session, role, region=self._home))

    def _check_partition(self) -> None:
        """Refuse what lies in another partition: credentials never cross their borders."""
        named = role_partition(self._settings.account_role or "")
        if named not in (None, self._partition):
            raise SettingsError(
                f"--account-role names the partition {named}, but the credentials belong to {self._partition};"
                " one run has one root identity: run once for each partition, into the same DEST",
                option="--account-role",
            )
        for region in self._asked:
            if region != ALL_REGIONS and (other := partition_of(self._session, region)) != self._partition:
                raise SettingsError(
                    f"--region {region} is in the partition {other}, but the credentials belong to {self._partition};"
                    " run once for each partition, into the same DEST",
                    option="--region",
                )

    def _readable(self, members: Sequence[Member]) -> Sequence[str]:
        """Choose from an organization's accounts, and say which ones are left out and why."""
        excluded = set(self._settings.exclude_accounts)
        wanted = [member for member in members if member.account_id not in excluded]
        closed = [f"{member.account_id} ({member.state})" for member in wanted if member.state != "ACTIVE"]
        if closed:
            self._note(f"accounts that are not active are not read: {_some(closed)}")
        if unknown := sorted(excluded - {member.account_id for member in members}):
            self._note(f"--exclude-account names accounts that were not listed: {_some(unknown)}")
        active = [member.account_id for member in wanted if member.state == "ACTIVE"]
        if not active:
            raise SettingsError(
                f"no account is left to read: {len(members)} listed, {len(closed)} of them not active,"
                f" {len(members) - len(wanted)} excluded",
                option="--organization",
            )
        return active


def _client(region: str, endpoint: str, access: Session | AssumedRole, send: Send) -> LambdaClient:
    return LambdaClient(
        region=region,
        endpoint=endpoint,
        credentials=access.credentials,
        renew=access.renew,
        send=send,
        clock=lambda: datetime.now(UTC),
    )


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - ACCOUNTS_NAMED} more" if len(texts) > ACCOUNTS_NAMED else ""
    return ", ".join(texts[:ACCOUNTS_NAMED]) + more


async def _credentials_of(role: AssumedRole) -> Credentials:
    try:
        return await role.credentials()
    except CredentialsError as error:  # one account less, and not the end of the run
        raise ExpiredCredentialsError(str(error), code="credentials_lost") from error


async def _account_of_first_arn(apis: Mapping[str, LambdaClient], selection: Selection | None) -> str:
    """Tell the account from the first ARN to be had: the user's, else one call in each Region until one answers.

    Raises CredentialsError where that is refused everywhere, RunError where something else is in the way.
    """
    for function in selection or ():
        if function.account_id:
            return function.account_id
    reasons: list[str] = []
    errors: list[ItemError] = []
    ends_at_s = current_time() + LONGEST_S
    for region, api in apis.items():
        try:
            arns = await retry(partial(_first_arns, api, selection), longest_s=max(0.0, ends_at_s - current_time()))
        except ItemError as error:
            reasons.append(f"{region}: {error}")
            errors.append(error)
            if isinstance(error, NetworkError) and current_time() > ends_at_s:
                break  # each further one might keep us waiting as long as a connection may take
            continue
        for arn in arns:
            parts = arn.split(":")
            if len(parts) > 6 and is_account(parts[4]):  # noqa: PLR2004 - arn:partition:lambda:region:account:function:…
                return parts[4]
        reasons.append(f"{region}: no function")
    for failed in errors:
        if not isinstance(ends_run(failed), CredentialsError):  # no permission is missing: AWS is out of reach
            raise RunError(f"{failed}; the account is not known, and STS did not say it either")
    raise CredentialsError(
        f"the account is not known: {'; '.join(reasons[:3])}; and STS did not say either:"
        " allow sts:GetCallerIdentity or set AWS_ACCOUNT_ID"
    )


async def _first_arns(api: LambdaClient, selection: Selection | None) -> Sequence[str]:
    if selection is None:
        page = await api.call(LIST_FUNCTIONS)
        return _arns(decode_object(page.body).document.get("Functions"))
    response = await api.call(GET_FUNCTION, function_name=selection[0].text, qualifier=selection[0].qualifier)
    return _arns([decode_object(response.body).document.get("Configuration")])


def _arns(items: Any) -> Sequence[str]:
    if not isinstance(items, list):
        return ()
    found = (item.get("FunctionArn") for item in items if isinstance(item, dict))
    return [arn for arn in found if isinstance(arn, str)]
