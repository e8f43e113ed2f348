"""Regions: those that Lambda has, and those that an account has enabled.

An account's Regions come from AWS's own list, or, where that is denied, from botocore's table of endpoints.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from botocore import exceptions as boto

from lexport.aws.session import Session
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, ExpiredCredentialsError, ItemError, SettingsError, TokenRefusedError

logger = logging.getLogger(__name__)

ALWAYS_ENABLED = frozenset(
    (
        *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
        *("eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1"),
        *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    )
)
"""Regions of the partition aws that no account can disable; every later one must be opted in to.

Source: Account Management Reference, "Enable or disable AWS Regions in your account", 2026.
"""

_ENABLED = {"ENABLED", "ENABLED_BY_DEFAULT", "opt-in-not-required", "opted-in"}
_DISABLED = {"DISABLED", "not-opted-in"}
_NAME = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]{1,16}){1,4}-\d{1,2}")
_MAX_PAGES = 20  # of 50 Regions; AWS has some 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """The Regions of the account's partition, each tuple sorted.

    ``enabled`` Regions are enabled according to a list. ``uncertain`` ones may be disabled and are tried: AWS is just
    enabling or disabling them, or there is no list. ``note`` names the source of a list that is not AWS's own.
    ``failed`` has the errors of the calls that returned no list, by permission.
    """

    enabled: tuple[str, ...]
    uncertain: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    note: str | None = None
    failed: Mapping[str, Exception] = field(default_factory=dict, compare=False, repr=False)


def lambda_regions(session: Session) -> dict[str, tuple[str, ...]]:
    """Return the Regions of Lambda by partition, from botocore's table of endpoints."""
    # Not get_available_regions(): it reads Lambda's whole service model, which takes a tenth of a second.
    table = session.botocore.get_data("endpoints")
    return {
        entry["partition"]: tuple(
            sorted(entry["services"].get("lambda", {}).get("endpoints", {}).keys() & entry["regions"].keys())
        )
        for entry in table["partitions"]
    }


def check_region(session: Session, name: str) -> None:
    """Raise SettingsError for a Region that Lambda does not have in any partition."""
    names = [region for regions in lambda_regions(session).values() for region in regions]
    if name in names:
        return
    near = difflib.get_close_matches(name.strip().lower(), names, n=2, cutoff=0.8)
    hint = f"did you mean {' or '.join(near)}?" if near else "for example us-east-1; `all` stands for every enabled one"
    raise SettingsError(f"{name!r} is not a Region of AWS Lambda that this botocore knows; {hint}", option="--region")


def partition_of(session: Session, region: str) -> str:
    """Return the partition that a Region belongs to: aws, aws-cn, aws-us-gov, ..."""
    for partition, names in lambda_regions(session).items():
        if region in names:
            return partition
    try:
        return str(session.botocore.get_partition_for_region(region))
    except boto.BotoCoreError:
        return "aws"


async def find_regions(
    session: Session, partition: str, region: str, *, credentials: Credentials | None = None
) -> Regions:
    """Return every Region of a partition and whether it is enabled; the calls are made in ``region``.

    Calls account:ListRegions, else ec2:DescribeRegions; if neither returns a list, botocore's list is used.
    ``credentials`` are those of another account. Raises CredentialsError if the caller's own have expired.
    """
    failed: dict[str, Exception] = {}
    for permission, list_statuses in _LISTS.items():
        try:
            statuses = await list_statuses(session, region, credentials)
            statuses = {name: statuses[name] for name in sorted(statuses) if _NAME.fullmatch(name)}
        except (ItemError, KeyError, TypeError, AttributeError) as error:  # also a response that is not the service's
            has_expired = isinstance(error, ExpiredCredentialsError) and not isinstance(error, TokenRefusedError)
            if has_expired and credentials is None:
                raise CredentialsError(str(error)) from error
            failed[permission] = error
            logger.info("%s: %s", permission, getattr(error, "code", type(error).__name__))
        else:
            if any(status in _ENABLED for status in statuses.values()):
                by_status = _by_status(statuses, lambda_regions(session).get(partition, ()))
                return replace(by_status, failed=failed)
    names = lambda_regions(session).get(partition, ())
    return Regions(
        enabled=tuple(name for name in names if partition != "aws" or name in ALWAYS_ENABLED),
        uncertain=tuple(name for name in names if partition == "aws" and name not in ALWAYS_ENABLED),
        note="neither account:ListRegions nor ec2:DescribeRegions is allowed or reachable: every Region that"
        " botocore knows is tried, and one that must be opted in to and refuses the credentials counts as switched off",
        failed=failed,
    )


def _by_status(statuses: dict[str, str], lambda_has: Iterable[str]) -> Regions:
    """Sort the Regions of AWS's list by status. A Region that botocore does not know for Lambda must be enabled."""
    usable = set(lambda_has)
    return Regions(
        enabled=tuple(name for name, status in statuses.items() if status in _ENABLED),
        uncertain=tuple(
            name for name, status in statuses.items() if status not in _ENABLED | _DISABLED and name in usable
        ),
        disabled=tuple(name for name, status in statuses.items() if status in _DISABLED and name in usable),
    )


async def _list_by_account(session: Session, region: str, credentials: Credentials | None) -> dict[str, str]:
    statuses: dict[str, str] = {}
    token: dict[str, Any] = {}
    for _ in range(_MAX_PAGES):
        page = await session.call("account", region, "list_regions", credentials=credentials, MaxResults=50, **token)
        statuses |= {str(entry["RegionName"]): str(entry["RegionOptStatus"]) for entry in page["Regions"]}
        if not page.get("NextToken"):
            return statuses
        token = {"NextToken": page["NextToken"]}
    raise ItemError("account:ListRegions does not end", code="endless_listing")


async def _list_by_ec2(session: Session, region: str, credentials: Credentials | None) -> dict[str, str]:
    page = await session.call("ec2", region, "describe_regions", credentials=credentials, AllRegions=True)
    return {str(entry["RegionName"]): str(entry["OptInStatus"]) for entry in page["Regions"]}


_LISTS = {"account:ListRegions": _list_by_account, "ec2:DescribeRegions": _list_by_ec2}
"""Permission -> what lists Regions with it, in the order in which they are tried."""
