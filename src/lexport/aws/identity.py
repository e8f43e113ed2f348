"""The account and partition that the caller's credentials belong to, as STS returns them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from lexport.aws.errors import describe_skew, ends_run, is_account
from lexport.aws.regions import partition_of
from lexport.aws.session import FEW_ATTEMPTS, Session
from lexport.aws.signing import Credentials
from lexport.errors import ClockError, CredentialsError, ExpiredCredentialsError, ItemError

SKEW_S = 60.0
"""A clock that is wrong by more is reported in a note. AWS itself refuses signatures from 15 minutes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The owner of the credentials. ``account_id`` is None if it is unknown; ``notes`` are for the user.

    ``arn`` is that of the user or the assumed role, without the session name; None if it is unknown.
    """

    account_id: str | None
    partition: str
    arn: str | None = None
    notes: tuple[str, ...] = ()


async def find_identity(session: Session, region: str) -> Identity:
    """Call sts:GetCallerIdentity in ``region``; raises CredentialsError if AWS refuses the credentials.

    If STS cannot be reached, or something else answers in its place, the account that the credentials themselves name
    is used, and a note reports it. Raises RunError if this machine's clock is too wrong for AWS.
    """
    partition = partition_of(session, region)
    try:
        response = await session.call("sts", region, "get_caller_identity", config=FEW_ATTEMPTS)
        account_id, arn = str(response["Account"]), str(response["Arn"])
    except (ExpiredCredentialsError, ClockError) as error:
        if "scoped to correct service" not in str(error):  # the reply of a Lambda endpoint that stands in for STS
            raise ends_run(error) from error
        return _without_sts(session, partition, str(error))
    except ItemError as error:
        return _without_sts(session, partition, str(error))
    except (KeyError, TypeError) as error:
        return _without_sts(session, partition, f"the response is not STS's ({type(error).__name__})")
    if not is_account(account_id):
        return _without_sts(session, partition, "the response names no account")
    if session.check is None:
        session.check = partial(_check_same_account, session, account_id, region)
    arn_partition = "".join(arn.split(":")[1:2])
    return Identity(
        account_id=account_id,
        partition=arn_partition or partition,
        arn=_without_session(arn),
        notes=_clock_notes(response, datetime.now(UTC)),
    )


def _without_session(arn: str) -> str:
    """Return ``arn:aws:sts::111122223333:assumed-role/NAME`` of the ARN of any session of that role."""
    owner, _, rest = arn.partition(":assumed-role/")
    return f"{owner}:assumed-role/{rest.partition('/')[0]}" if rest else arn


async def _check_same_account(session: Session, account_id: str, region: str, renewed: Credentials) -> None:
    """Refuse renewed credentials of another account: its functions would be stored under the first account.

    If STS cannot tell the account of the renewed credentials, they are accepted.
    """
    try:
        response = await session.call("sts", region, "get_caller_identity", credentials=renewed)
        new_account_id = str(response["Account"])
    except ExpiredCredentialsError as error:
        if error.retryable:  # the keys are too new for STS to know them
            return
        raise CredentialsError(f"the renewed credentials are refused: {error}") from error
    except (ItemError, KeyError, TypeError):
        return
    if is_account(new_account_id) and new_account_id != account_id:
        raise CredentialsError(
            f"the renewed credentials belong to account {new_account_id}, the run began in {account_id}"
        )


def _without_sts(session: Session, partition: str, why: str) -> Identity:
    account_id = session.named_account or ""
    is_named = is_account(account_id)
    source = f"the credentials themselves name account {account_id}" if is_named else "the account is not known"
    return Identity(
        account_id=account_id if is_named else None,
        partition=partition,
        notes=(f"STS did not return the caller's account: {why}; {source}",),
    )


def _clock_notes(response: Any, now: datetime) -> tuple[str, ...]:
    try:
        aws_now = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        ahead_s = (now - aws_now).total_seconds()
    except (KeyError, TypeError, ValueError):  # no date, or one without a zone
        return ()
    if abs(ahead_s) <= SKEW_S:
        return ()
    skew = describe_skew(ahead_s)
    return (f"this machine's clock is {skew} AWS's; correct it: the clock decides which snapshot is the newest",)
