"""One question to STS, Account, EC2 or Organizations, asked again while its trouble may pass.

In: a service, an operation, its arguments. Out: botocore's answer, or one of our errors with the number of attempts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from lexport.aws.quota.retry import retry
from lexport.aws.session import Session
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, ExpiredCredentialsError

LONGEST_S = 30.0
"""No attempt begins later than this after the first failure: a service that cannot be had must not hold up the run."""


async def ask_patiently(
    session: Session,
    service: str,
    region: str,
    operation: str,
    *,
    credentials: Credentials | None = None,
    **arguments: Any,
) -> Any:
    """Ask with ``credentials``, or with the caller's own; raises ItemError, or SettingsError.

    Throttles, failures of AWS's side and an unreachable network are tried again, and so are keys that AWS does not
    know yet. The caller's own credentials that ran out are renewed.
    """
    ask = partial(session.ask, service, region, operation, **arguments)
    return await retry(partial(_ask, session, service, ask, credentials), most_s=LONGEST_S)


async def _ask(
    session: Session, service: str, ask: Callable[..., Awaitable[Any]], credentials: Credentials | None
) -> Any:
    try:
        used = credentials or await session.credentials()
        try:
            return await ask(credentials=used)
        except ExpiredCredentialsError as error:
            if credentials is not None or not error.code.startswith("ExpiredToken"):
                raise
            newer = await session.renew(used)
            if newer == used:
                raise
        return await ask(credentials=newer)
    except CredentialsError as error:
        raise ExpiredCredentialsError(f"{service}: {error}", code="credentials_lost") from error
