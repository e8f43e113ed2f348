"""Who the credentials belong to: STS's word, else what the credentials themselves name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from lexport.aws.errors import describe_skew, ends_run, is_account
from lexport.aws.question import ask_patiently
from lexport.aws.session import Session
from lexport.errors import ClockError, ExpiredCredentialsError, ItemError

SKEW_S = 60.0
"""A clock that is off by more is worth a note: AWS itself refuses signatures from 15 minutes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose credentials these are. ``account_id`` is None where nobody says it; ``notes`` are things to know."""

    account_id: str | None
    partition: str
    notes: tuple[str, ...] = ()


async def find_identity(session: Session, region: str) -> Identity:
    """Ask STS who we are; raises CredentialsError where AWS says that the credentials are not good.

    Where STS cannot be had or something else answers in its place, the account that the credentials themselves name is
    taken, and a note says so. Raises RunError where this machine's clock is too wrong for AWS.
    """
    partition = session.partition_of(region)
    try:
        answer = await ask_patiently(session, "sts", region, "get_caller_identity")
        account_id, arn = str(answer["Account"]), str(answer["Arn"])
    except (ExpiredCredentialsError, ClockError) as error:
        if "scoped to correct service" not in str(error):  # or else a Lambda endpoint answers in STS's place
            raise ends_run(error) from error
        return _without_sts(session, partition, str(error))
    except ItemError as error:
        return _without_sts(session, partition, str(error))
    except (KeyError, TypeError) as error:
        return _without_sts(session, partition, f"its answer is not STS's ({type(error).__name__})")
    if not is_account(account_id):
        return _without_sts(session, partition, "it names no account")
    session.remember_account(account_id, region)
    named = arn.split(":")[1:2]
    return Identity(
        account_id=account_id,
        partition=named[0] if named and named[0] else partition,
        notes=_clock_notes(answer, datetime.now(UTC)),
    )


def _without_sts(session: Session, partition: str, why: str) -> Identity:
    account_id = session.named_account or ""
    is_named = is_account(account_id)
    told = f"the credentials themselves name account {account_id}" if is_named else "the account is not known"
    return Identity(
        account_id=account_id if is_named else None,
        partition=partition,
        notes=(f"STS did not say who we are: {why}; {told}",),
    )


def _clock_notes(answer: Any, now: datetime) -> tuple[str, ...]:
    """Compare this machine's clock with the time at which AWS answered."""
    try:
        theirs = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        ahead_s = (now - theirs).total_seconds()
    except (KeyError, TypeError, ValueError):  # no date, or one without a zone
        return ()
    if abs(ahead_s) <= SKEW_S:
        return ()
    skew = describe_skew(ahead_s)
    return (f"this machine's clock is {skew} AWS's; correct it: which snapshot is the newest is told by the clock",)
