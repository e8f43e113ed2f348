"""Which Regions an account can be read in: AWS's own list, or botocore's with what is known of every account."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lexport.aws.question import ask_patiently
from lexport.aws.session import Session
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, ExpiredCredentialsError, ItemError, TokenRefusedError

logger = logging.getLogger(__name__)

ALWAYS_ENABLED = frozenset(
    (
        *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
        *("eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1"),
        *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    )
)
"""Regions of the partition aws that no account can switch off; every later one must be opted in to.

Source: Account Management Reference, "Enable or disable AWS Regions in your account", 2026.
"""

_ENABLED = {"ENABLED", "ENABLED_BY_DEFAULT", "opt-in-not-required", "opted-in"}
_DISABLED = {"DISABLED", "not-opted-in"}
_NAME = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]{1,16}){1,4}-\d{1,2}")
_MOST_PAGES = 20  # of 50; AWS has some 40 Regions


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """The Regions of the account's partition, each tuple in order.

    ``enabled`` are those that a list calls enabled. ``uncertain`` ones are tried, and may turn out to be off: AWS calls
    them neither enabled nor disabled (they are being switched on or off), or nobody says. ``note`` says where the list
    comes from when AWS's own could not be had.
    """

    enabled: tuple[str, ...]
    uncertain: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    note: str | None = None


async def find_regions(
    session: Session, partition: str, region: str, *, credentials: Credentials | None = None
) -> Regions:
    """Return every Region of a partition with what is known of it; ask in ``region``.

    Asks account:ListRegions, else ec2:DescribeRegions; where neither can be had, botocore's list stands in.
    ``credentials`` are those of another account. Raises CredentialsError where our own have ended.
    """
    for ask in (_by_account, _by_ec2):
        try:
            statuses = await ask(session, region, credentials)
            names = {name: statuses[name] for name in sorted(statuses) if _NAME.fullmatch(name)}
        except ExpiredCredentialsError as error:
            if credentials is None and not isinstance(error, TokenRefusedError):
                raise CredentialsError(str(error)) from error
            logger.info("%s: %s", ask.__name__, error.code)
        except ItemError as error:
            logger.info("%s: %s", ask.__name__, error.code)
        except (KeyError, TypeError, AttributeError) as error:  # the answer is not the service's
            logger.info("%s: %s", ask.__name__, type(error).__name__)
        else:
            if any(status in _ENABLED for status in names.values()):
                return _sorted_out(names, session.partitions().get(partition, ()))
    known = session.partitions().get(partition, ())
    is_uncertain = [partition == "aws" and name not in ALWAYS_ENABLED for name in known]
    return Regions(
        enabled=tuple(name for name, may_be_off in zip(known, is_uncertain, strict=True) if not may_be_off),
        uncertain=tuple(name for name, may_be_off in zip(known, is_uncertain, strict=True) if may_be_off),
        note="neither account:ListRegions nor ec2:DescribeRegions is allowed or reachable: every Region that"
        " botocore knows is tried, and one that must be opted in to and refuses the credentials counts as switched off",
    )


def _sorted_out(statuses: dict[str, str], lambda_has: Iterable[str]) -> Regions:
    """Part the Regions of AWS's list. One that Lambda is not known in matters only where it is enabled."""
    known = set(lambda_has)
    return Regions(
        enabled=tuple(name for name, status in statuses.items() if status in _ENABLED),
        uncertain=tuple(
            name for name, status in statuses.items() if status not in _ENABLED | _DISABLED and name in known
        ),
        disabled=tuple(name for name, status in statuses.items() if status in _DISABLED and name in known),
    )


async def _by_account(session: Session, region: str, credentials: Credentials | None) -> dict[str, str]:
    found: dict[str, str] = {}
    token: dict[str, Any] = {}
    for _ in range(_MOST_PAGES):
        answer = await ask_patiently(
            session, "account", region, "list_regions", credentials=credentials, MaxResults=50, **token
        )
        found |= {str(entry["RegionName"]): str(entry["RegionOptStatus"]) for entry in answer["Regions"]}
        if not answer.get("NextToken"):
            return found
        token = {"NextToken": answer["NextToken"]}
    raise ItemError("account:ListRegions does not end", code="endless_listing")


async def _by_ec2(session: Session, region: str, credentials: Credentials | None) -> dict[str, str]:
    answer = await ask_patiently(session, "ec2", region, "describe_regions", credentials=credentials, AllRegions=True)
    return {str(entry["RegionName"]): str(entry["OptInStatus"]) for entry in answer["Regions"]}
