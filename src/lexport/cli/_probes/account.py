"""Probes of AWS: network, clock, credentials, identity, Regions, roles, and each call that a snapshot makes.

They run one after the other, and those that depend on a failed one are not tried. Each call is made once.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from anyio import current_time, move_on_after

from lexport.aws.botocore_errors import translate_errors
from lexport.aws.credentials import RENEW_EARLY_S, Loaded, configured_session
from lexport.aws.endpoints import Endpoints
from lexport.aws.errors import describe_skew, error_from_response, is_account
from lexport.aws.http.message import Request, Response
from lexport.aws.http.pool import open_pool
from lexport.aws.http.proxies import Proxies
from lexport.aws.identity import SKEW_S
from lexport.aws.organizations import list_members
from lexport.aws.regions import ALWAYS_ENABLED, Regions, check_region
from lexport.aws.session import ONE_ATTEMPT, Session, open_session
from lexport.aws.signing import Credentials
from lexport.aws.waits import scaled
from lexport.cli._probes.calls import CallProbes
from lexport.cli._probes.findings import Add, Finding, Level, Outcome, not_tried, of_error
from lexport.errors import (
    AccessDeniedError,
    ClockError,
    ExpiredCredentialsError,
    ItemError,
    LexportError,
    NetworkError,
    RunError,
    SettingsError,
    TokenRefusedError,
)
from lexport.extract.access import Access, open_access
from lexport.extract.accounts import active_accounts, find_own_account
from lexport.settings import ALL_REGIONS, SnapshotSettings
from lexport.tables.text import agree, first_of, plural
from lexport.tables.units import format_seconds

NETWORK_S = scaled(6.0)
CREDENTIALS_S = scaled(10.0)
TYPING_S = 120.0
STEP_S = scaled(8.0)
ROLES_TRIED = 3
SOON_S = 900.0

_ORGANIZATION = tuple(
    f"organizations:{name}" for name in ("ListAccounts", "ListAccountsForParent", "ListOrganizationalUnitsForParent")
)
_OF_PROFILE = ("--profile", "AWS_CONFIG_FILE")
_SOURCES = {
    "env": "the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "shared-credentials-file": "the file of credentials (~/.aws/credentials)",
    "config-file": "the configuration file (~/.aws/config)",
    "assume-role": "a role of the profile",
    "assume-role-with-web-identity": "a web identity token",
    "sso": "SSO (`aws sso login`)",
    "login": "`aws login`",
    "custom-process": "the credential_process of the profile",
    "container-role": "the role of the container",
    "iam-role": "the role of the instance",
}


@dataclass(slots=True, kw_only=True)
class Facts:
    """What the probes found out. ``functions_in`` says of each Region that may be listed whether it has functions."""

    account_id: str | None = None
    identity: str | None = None
    partition: str = "aws"
    default_region: str | None = None
    functions_in: dict[str, bool] = field(default_factory=dict)


async def probe_account(settings: SnapshotSettings, accounts: Sequence[str], facts: Facts, add: Add) -> None:
    """Try what a snapshot with these settings would do; ``facts`` gets what was found, ``add`` each finding."""
    probes = AccountProbes(settings, accounts, facts, add)
    async with AsyncExitStack() as opened:
        await probes.network()
        session = await probes.credentials(opened)
        if session is None:
            for subject in ("identity", "Regions", "calls"):
                add(not_tried(subject, "there are no credentials"))
            return
        try:
            await probes.use(session)
        except LexportError as error:
            add(of_error(error, "calls"))


def typing_s() -> float:
    """Return how long a person may take to type the code of an MFA device; 0 without a terminal."""
    return TYPING_S if sys.stdin is not None and sys.stdin.isatty() else 0.0


class AccountProbes:
    """The probes, in the order in which they depend on each other."""

    def __init__(self, settings: SnapshotSettings, accounts: Sequence[str], facts: Facts, add: Add) -> None:
        self.facts = facts
        self._settings, self._accounts, self._add = settings, accounts, add
        self._is_cut_off = False

    def _ok(self, subject: str, message: str) -> None:
        self._add(Finding(level="ok", subject=subject, outcome="ok", message=message))

    async def _within(self, limit_s: float, subject: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Return what ``work`` returns, or None after a finding about why it could not."""
        started_s = current_time()
        try:
            with move_on_after(limit_s):
                return await work()
        except LexportError as error:
            if isinstance(error, SettingsError) and error.option in _OF_PROFILE:
                self._add(not_tried(subject, "the profile is not good"))  # the credentials say it
            else:
                self._add(of_error(error, subject))
            return None
        waited = format_seconds(current_time() - started_s)
        self._add(Finding(level="error", subject=subject, outcome="unreachable", message=f"no answer within {waited}"))
        return None

    # --- before credentials -------------------------------------------------------------------------------------------

    async def network(self) -> None:
        """Send a request without a signature to Lambda: any answer of AWS shows the way there, and AWS's time."""
        profile = self._settings.profile
        asking = partial(translate_errors, self._ask, doing="cannot set up the call to Lambda", profile=profile)
        answer: tuple[str, Response, float] | None = await self._within(NETWORK_S, "network", asking)
        if answer is None:
            self._add(not_tried("clock", "Lambda did not answer"))
            self._is_cut_off = True
            return
        url, response, took_s = answer
        parts = urlsplit(url)
        proxy = Proxies().find(parts.scheme, parts.netloc)
        through = f" through the proxy {proxy.name}" if proxy else ""
        error = None if response.status == 200 else error_from_response(response, operation="Lambda", item=None)  # noqa: PLR2004
        if error is not None and error.code.startswith("http_"):  # no code of AWS: somebody else answered
            self._add(of_error(error, "network", outcome="failed"))
        else:
            self._ok("network", f"{parts.scheme}://{parts.netloc} answers{through} in {took_s * 1000:,.0f} ms")
        self._clock(response.headers.get("date"))

    async def _ask(self) -> tuple[str, Response, float]:
        settings = self._settings
        unsigned = partial(_unsigned, settings.profile)
        async with AsyncExitStack() as opened:
            session = await opened.enter_async_context(
                open_session(profile=settings.profile, endpoint_url=settings.endpoint_url, source=unsigned)
            )
            named = [region for region in settings.regions if region != ALL_REGIONS]
            url = await Endpoints(session).url(named[0] if named else session.home_region)
            send = await opened.enter_async_context(open_pool(ca_bundle=session.ca_bundle, connections=2))
            started_s = current_time()
            response = await send(Request(f"{url}/2016-08-19/account-settings", {}))
            return url, response, current_time() - started_s

    def _clock(self, date: str | None) -> None:
        try:
            aws_now = parsedate_to_datetime(date or "")
            ahead_s = (datetime.now(UTC) - aws_now).total_seconds()
        except (TypeError, ValueError):  # no date, or one without a zone
            self._add(not_tried("clock", "the answer has no time"))
            return
        if abs(ahead_s) <= SKEW_S:
            self._ok("clock", f"within {SKEW_S:.0f} s of AWS's")
            return
        skew = f"this machine's clock is {describe_skew(ahead_s)} AWS's; correct it"
        is_refused = abs(ahead_s) > SOON_S
        why = "AWS refuses signatures that are more than 15 minutes off" if is_refused else "it dates the snapshots"
        level: Level = "error" if is_refused else "warning"
        self._add(Finding(level=level, subject="clock", outcome="clock", message=f"{skew}: {why}"))

    async def credentials(self, opened: AsyncExitStack) -> Session | None:
        """Load the credentials and say where they come from. Nothing is shown of the keys themselves."""
        settings, subject = self._settings, "credentials"
        opening = open_session(profile=settings.profile, endpoint_url=settings.endpoint_url)
        session: Session | None = None
        try:
            with move_on_after(CREDENTIALS_S + typing_s()):
                session = await opened.enter_async_context(opening)
        except LexportError as error:
            is_refusal = not isinstance(error, NetworkError) and (
                not isinstance(error, RunError) or error.exit_code != 1
            )
            self._add(of_error(error, subject, outcome="refused" if is_refusal else None))
            return None
        if session is None:
            message = f"their source did not answer within {format_seconds(CREDENTIALS_S)}"
            self._add(Finding(level="error", subject=subject, outcome="unreachable", message=message))
            return None
        self.facts.default_region = session.default_region
        profile = settings.profile or os.environ.get("AWS_PROFILE")
        source = _SOURCES.get(session.method or "", session.method or "an unknown source")
        text = f"from {source}" + (f", profile {profile}" if profile else "")
        left_s = math.inf if session.expires_at_s is None else session.expires_at_s - time.time()
        if left_s <= 0 or (left_s < RENEW_EARLY_S and session.method == "env"):  # nothing renews these
            text += "; they have expired" if left_s <= 0 else f"; they expire in {format_seconds(left_s)}"
            self._add(Finding(level="warning", subject=subject, outcome="refused", message=text))
        else:
            ends = "" if left_s == math.inf else f", expire in {format_seconds(left_s)}"
            self._ok(subject, f"{text}{ends}")
        return session

    # --- with credentials ---------------------------------------------------------------------------------------------

    async def use(self, session: Session) -> None:
        """Find the identity, the Regions and the accounts, and try the calls in one of the accounts."""
        settings = self._settings
        async with open_access(session, settings, regions=settings.regions, connections=4, note=_ignore) as access:
            if not self._check_regions(access):
                self._add(not_tried("calls", "a Region that is named is unknown"))
                return
            if not await self._identify(access):
                self._add(not_tried("calls", "the identity is not good"))
                return
            if not access.regions:
                self._add(_no_region())
                self._add(not_tried("calls", "no Region is named"))
                return
            if self._is_cut_off:
                self._add(not_tried("calls", "Lambda did not answer"))
                return
            account_id = await self._enter(access)
            if account_id is None:
                self._add(not_tried("calls", "no account could be entered"))
                return
            regions = await self._regions(access, account_id)
            if regions is not None:
                self.facts.functions_in = await CallProbes(access, settings, account_id, self._add).probe(regions)

    def _check_regions(self, access: Access) -> bool:
        """Return whether each Region that is named is one of AWS Lambda."""
        try:
            for region in _named(access):
                check_region(access.session, region)
        except SettingsError as error:
            self._add(of_error(error, "Regions"))
            return False
        return True

    async def _identify(self, access: Access) -> bool:
        """Ask STS, and say whose the credentials are; return whether the other calls are worth trying."""
        session, subject = access.session, "identity"
        named = _named(access)
        home = named[0] if named else access.home_region
        try:
            with move_on_after(STEP_S) as limit:
                answer = await session.call("sts", home, "get_caller_identity", config=ONE_ATTEMPT, is_patient=False)
                arn, account_id = str(answer["Arn"]), str(answer["Account"])
            if limit.cancelled_caught:
                raise NetworkError("sts: no answer in time", code="timeout")
        except TokenRefusedError as error:
            if home in ALWAYS_ENABLED:
                self._add(of_error(error, subject))
                return False
            arn, account_id = "", ""  # a Region that was opted in to may refuse what others accept
        except ItemError as error:
            is_refusal = isinstance(error, ExpiredCredentialsError | ClockError)
            is_decisive = is_refusal and "scoped to correct service" not in str(error)  # as extract/access.py judges
            level: Level = "error" if is_decisive else "warning"
            self._add(of_error(error, subject, level=level))
            return not is_decisive
        except (KeyError, TypeError):
            self._add(Finding(level="warning", subject=subject, outcome="failed", message="the answer is not STS's"))
            return True
        if access.regions and not await self._within(STEP_S, subject, partial(_true_after, access.identify)):
            return False
        shown = arn or access.identity or "unknown"
        known = account_id if is_account(account_id) else access.own_account
        self.facts.account_id, self.facts.identity = known, shown
        self.facts.partition = shown.split(":")[1] if shown.startswith("arn:") else "aws"
        self._ok(subject, f"{shown} in account {known}")
        return True

    async def _enter(self, access: Access) -> str | None:
        """Assume the role of some accounts; return the account in which calls are tried, None where there is none."""
        settings = self._settings
        if not access.uses_roles:
            if access.own_account is not None:
                return access.own_account
            home = [access.home_region] if access.is_all else access.regions
            finding = partial(find_own_account, access, home, note=_ignore)
            account_id: str | None = await self._within(STEP_S, "account", finding)
            self.facts.account_id = account_id
            return account_id
        accounts: Sequence[str] = self._accounts
        if settings.organization:
            accounts = await self._within(STEP_S, "organization", partial(self._list_members, access)) or ()
        others = [account for account in accounts if account != access.own_account]
        entered = []
        for account_id in others[:ROLES_TRIED]:
            subject = f"role in {account_id}"
            try:
                with move_on_after(STEP_S) as limit:
                    await access.assume_role(account_id)
                if limit.cancelled_caught:
                    raise NetworkError("sts: no answer in time", code="timeout")
            except ItemError as error:
                self._add(of_error(error, subject, actions=("sts:AssumeRole",)))
                if isinstance(error, NetworkError):
                    break
            else:
                self._ok(subject, f"{settings.account_role} can be assumed")
                entered.append(account_id)
        if len(others) > ROLES_TRIED:
            more = len(others) - ROLES_TRIED
            self._ok("roles", f"{more:,} more {agree(more, 'account')} of {len(accounts):,} not tried")
        own = [access.own_account] if access.own_account in accounts else []
        return next(iter((*entered, *own)), None)

    async def _list_members(self, access: Access) -> tuple[str, ...]:
        settings = self._settings
        try:
            members = await list_members(access.session, access.home_region, settings.organizational_units)
        except RunError as error:
            outcome: Outcome | None = "denied" if isinstance(error.__cause__, AccessDeniedError) else None
            self._add(of_error(error, "organization", actions=_ORGANIZATION, outcome=outcome))
            return ()
        active = active_accounts(members, excluded=settings.exclude_accounts, note=_ignore)
        self._ok("organization", f"{plural(len(members), 'account')} listed, {len(active):,} of them to be read")
        return active

    async def _regions(self, access: Access, account_id: str) -> Regions | None:
        """Find the Regions of the account; where they are not named, AWS lists them."""
        found: Regions | None = await self._within(STEP_S, "Regions", partial(access.find_regions, account_id))
        if found is None or not access.is_all:
            if found is not None:
                self._ok("Regions", ", ".join(found.enabled))
            return found
        for permission, error in found.failed.items():
            self._add(of_error(error, permission, level="warning", actions=(permission,)))
        count = len(found.enabled) + len(found.uncertain)
        off = f"; {len(found.disabled)} are switched off" if found.disabled else ""
        if found.note:
            message = f"AWS's list cannot be had, so the {count} that lexport knows are tried"
            self._add(Finding(level="warning", subject="Regions", outcome="failed", message=message))
        else:
            self._ok("Regions", f"{count} are enabled{off}: {first_of(found.enabled, 40)}")
        return found


def _named(access: Access) -> list[str]:
    return [region for region in access.regions if region != ALL_REGIONS]


def _no_region() -> Finding:
    message = "no Region: give --region, set AWS_REGION, or choose a profile that has one"
    return Finding(level="error", subject="Regions", outcome="wrong", message=message)


def _ignore(_note: str) -> None:
    """Ignore a notice: the findings say it."""


async def _true_after(work: Callable[[], Awaitable[object]]) -> bool:
    await work()
    return True


async def _unsigned(profile: str | None) -> Loaded:
    """Stand in for the credentials of a session that signs nothing."""
    return Loaded(
        session=configured_session(profile),
        credentials=Credentials("unused", "unused"),
        account_id=None,
        expires_at_s=None,
    )
