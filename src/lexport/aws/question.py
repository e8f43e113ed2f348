"""One question to STS or Organizations, asked again while its trouble may pass.

In: a service, an operation, its arguments. Out: botocore's answer, or one of our errors with the number of attempts.
"""

from __future__ import annotations

import random
from typing import Any

import anyio
from botocore import exceptions as boto

from lexport.aws.faults import BOTOCORE_RAISES, class_of, error_from_botocore, one_line
from lexport.aws.session import Session
from lexport.errors import CredentialsError, ExpiredCredentialsError, ItemError, LexportError, SettingsError

ATTEMPTS = 5
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 8.0


async def ask_patiently(session: Session, service: str, region: str, operation: str, **arguments: Any) -> Any:
    """Ask with the caller's own credentials; raises ItemError, or SettingsError for what no second try changes.

    Throttles, failures of AWS's side and an unreachable network are tried again with full jitter. The caller's
    credentials that ran out are renewed.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await _ask_renewing(session, service, region, operation, arguments)
        except ItemError as error:
            error.attempts = attempt
            if not error.retryable or attempt == ATTEMPTS:
                raise
        await anyio.sleep(random.random() * min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** (attempt - 1)))  # noqa: S311
    raise AssertionError  # the last attempt returns or raises


async def _ask_renewing(session: Session, service: str, region: str, operation: str, arguments: dict[str, Any]) -> Any:
    try:
        used = await session.credentials()
        try:
            return await session.ask(service, region, operation, once=True, **arguments)
        except boto.ClientError as error:
            if not _code(error).startswith("ExpiredToken") or await session.renew(used) == used:
                raise
        return await session.ask(service, region, operation, once=True, **arguments)
    except boto.ClientError as error:
        raise _refusal(error, service) from error
    except CredentialsError as error:
        raise ExpiredCredentialsError(f"{service}: {error}", code="credentials_lost") from error
    except LexportError:
        raise
    except BOTOCORE_RAISES as error:  # an answer that is none of the service's
        ours = error_from_botocore(error, doing=f"cannot ask {service} in {region}", profile=session.profile)
        if isinstance(ours, ItemError | SettingsError):
            raise ours from None
        raise ItemError(str(ours), code="invalid_answer") from None


def _refusal(error: boto.ClientError, service: str) -> ItemError:
    code = _code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    said = one_line(str(error.response.get("Error", {}).get("Message") or "")) or "without a message"
    text = f"{service}:{error.operation_name} was answered with {code}: {said}"
    return class_of(code, status)(text, code=code, http_status=status)


def _code(error: boto.ClientError) -> str:
    return one_line(str(error.response.get("Error", {}).get("Code") or "")) or "unknown"
