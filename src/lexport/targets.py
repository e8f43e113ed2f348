"""settings + session -> the account-regions to read, with a Lambda client for each Region."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lexport.aws.api import LambdaApi
from lexport.aws.client import LambdaClient
from lexport.aws.session import Session
from lexport.aws.transport import Send
from lexport.errors import CredentialsError, ItemError, SettingsError
from lexport.flow.choose import NamedFunction, choose_targets
from lexport.model import Scope, Target
from lexport.settings import ALL_REGIONS, SnapshotSettings

Selection = tuple[NamedFunction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """``to_read`` in order; ``switched_off`` are Regions of the account that are not enabled; ``apis`` by Region."""

    to_read: tuple[Target, ...]
    switched_off: tuple[Target, ...]
    apis: Mapping[str, LambdaApi]


async def enter_targets(
    session: Session,
    send: Send,
    settings: SnapshotSettings,
    selection: Selection | None,
    note: Callable[[str], None],
) -> Targets:
    """Find out who we are and where to read. Raises SettingsError for Regions, CredentialsError for who we are."""
    named = [function.region for function in selection or () if function.region]
    asked = settings.regions or ((session.default_region,) if session.default_region else ())
    if not asked and not (selection and all(function.region for function in selection)):
        raise SettingsError(
            "no Region: give --region, set AWS_REGION, or choose a profile that has one", option="--region"
        )
    for region in (*asked, *named):
        if region != ALL_REGIONS:
            session.check_region(region)

    is_all = asked == (ALL_REGIONS,)
    home = session.home_region if is_all else (*asked, *named)[0]
    identity = await session.identity(home)
    if identity.note:
        note(identity.note)
    regions = tuple(dict.fromkeys(asked))
    off: tuple[str, ...] = ()
    if is_all:
        found = await session.enabled_regions(identity.partition, home)
        if found.note:
            note(found.note)
        regions = tuple(name for name, is_on in found.regions if is_on)
        off = tuple(name for name, is_on in found.regions if not is_on)

    apis = {
        region: LambdaClient(
            region=region,
            endpoint=await session.endpoint(region),
            credentials=session.credentials,
            renew=session.renew,
            send=send,
            clock=lambda: datetime.now(UTC),
        )
        for region in dict.fromkeys((*regions, *named))
    }
    account_id = identity.account_id
    if account_id is None:
        account_id = await _account_of_first_arn(apis, selection)
        note(f"the account is {account_id} by the first function's ARN")
    return Targets(
        to_read=tuple(choose_targets(selection, account_id=account_id, regions=regions, may_be_off=is_all)),
        switched_off=tuple(Target(scope=Scope(account_id=account_id, region=region)) for region in off),
        apis=apis,
    )


async def _account_of_first_arn(apis: Mapping[str, LambdaApi], selection: Selection | None) -> str:
    """Tell the account from the first ARN to be had: the user's, else one call in each Region until one answers."""
    for function in selection or ():
        if function.account_id:
            return function.account_id
    reasons: list[str] = []
    for region, api in apis.items():
        arns: Sequence[str]
        try:
            if selection is None:
                arns = _arns((await api.list_functions(None, all_versions=False)).document.get("Functions"))
            else:
                reply = await api.get_function(selection[0].text, selection[0].qualifier)
                arns = _arns([reply.document.get("Configuration")])
        except ItemError as error:
            reasons.append(f"{region}: {error}")
            continue
        for arn in arns:
            parts = arn.split(":")
            if len(parts) > 6 and parts[4].isdecimal():  # noqa: PLR2004 - arn:partition:lambda:region:account:function:…
                return parts[4]
        reasons.append(f"{region}: no function")
    raise CredentialsError(
        "STS does not say which account this is and no function's ARN does"
        f" ({'; '.join(reasons[:3])}); allow sts:GetCallerIdentity or set AWS_ACCOUNT_ID"
    )


def _arns(items: Any) -> Sequence[str]:
    if not isinstance(items, list):
        return ()
    found = (item.get("FunctionArn") for item in items if isinstance(item, dict))
    return [arn for arn in found if isinstance(arn, str)]
