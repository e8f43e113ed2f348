"""One AWS profile: its configuration, its credentials, and calls to AWS services other than Lambda.

The calls are made by aiobotocore, which resolves endpoints, signs and retries. Calls with the caller's own credentials
share a client, because making one takes 10 ms and a role is assumed in each of thousands of accounts. Lambda itself is
called by ``client.py``, which costs a tenth of the CPU.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from anyio import Lock
from botocore import exceptions as boto

from lexport.aws.botocore_errors import BOTOCORE_ERRORS, error_from_botocore, error_from_refusal, translate_errors
from lexport.aws.client import call_signed
from lexport.aws.credentials import OwnCredentials, Source, quiet_libraries
from lexport.aws.errors import one_line
from lexport.aws.quota.retry import retry
from lexport.aws.signing import Credentials
from lexport.aws.waits import scaled
from lexport.errors import ItemError, NetworkError, SettingsError, TokenRefusedError

ATTEMPTS = 5
"""Attempts of one call. botocore waits 0.5, 1, 2 and 4 s between them on average: 15 s at most, beside time-outs."""

MOST_CALLS = 64  # connections of one shared client: the accounts whose role is assumed at the same time

_CONFIG = AioConfig(
    connect_timeout=scaled(5),
    read_timeout=scaled(10),
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    max_pool_connections=MOST_CALLS,
)
FEW_ATTEMPTS = _CONFIG.merge(AioConfig(retries={"mode": "standard", "total_max_attempts": 3}))
"""For a call that the run can do without: it waits for 3 s at most between its attempts."""
ONE_ATTEMPT = _CONFIG.merge(AioConfig(retries={"mode": "standard", "total_max_attempts": 1}))
"""For a call whose failure is what somebody wants to know."""


@asynccontextmanager
async def open_session(
    *,
    profile: str | None,
    endpoint_url: str | None,
    clock: Callable[[], float] = time.time,
    source: Source | None = None,
) -> AsyncIterator[Session]:
    """Load the credentials of a profile; raises CredentialsError where there are none, RunError on network errors.

    ``clock`` returns seconds since 1970. ``source`` loads credentials in place of the chain of this process.
    Side effect: the loggers of botocore, aiobotocore and HTTP libraries are set to INFO or above for the process,
    because at DEBUG they print credentials, signed headers and responses.
    """
    quiet_libraries()
    if endpoint_url is not None:
        check_endpoint_url(endpoint_url)
    async with AsyncExitStack() as clients:
        session = Session(profile, endpoint_url, clock, clients, source)
        await session.open()
        yield session


class Session(OwnCredentials):
    """The credentials of one profile and calls signed with them. Made by ``open_session``."""

    def __init__(
        self,
        profile: str | None,
        endpoint_url: str | None,
        clock: Callable[[], float],
        clients: AsyncExitStack,
        source: Source | None = None,
    ) -> None:
        super().__init__(profile, clock=clock, source=source)
        self.endpoint_url = endpoint_url
        self._clients = clients
        self._shared: dict[tuple[str, str, int], tuple[Credentials, Any]] = {}
        self._sharing = Lock()

    def __repr__(self) -> str:
        return f"Session(profile={self.profile!r}, endpoint_url={self.endpoint_url!r})"

    @property
    def ca_bundle(self) -> str | None:
        """The CA file or folder of AWS_CA_BUNDLE or of the profile."""
        path = self.botocore.get_config_variable("ca_bundle")
        return str(path) if path else None

    @property
    def default_region(self) -> str | None:
        """The Region of AWS_REGION, AWS_DEFAULT_REGION or the profile."""
        region = self.botocore.get_config_variable("region")
        return str(region) if region else None

    @property
    def home_region(self) -> str:
        """The Region for calls that are made once for all Regions."""
        return self.default_region or "us-east-1"

    async def call(
        self,
        service: str,
        region: str,
        operation: str,
        *,
        credentials: Credentials | None = None,
        config: AioConfig = _CONFIG,
        is_patient: bool = True,
        **arguments: Any,
    ) -> Any:
        """Call one operation and return botocore's response; raises ItemError, or SettingsError.

        The call is signed with ``credentials``, or with the caller's own, which are renewed once if they have expired.
        botocore retries what its mode "standard" retries: throttled calls, failures of the service and of the network.
        Keys that AWS refuses because they are only seconds old are retried here, if ``is_patient``.
        """
        is_own = credentials is None
        attempt = partial(self._call, service, region, operation, config=config, is_own=is_own, **arguments)
        source = self if credentials is None else _Fixed(credentials)
        signed = partial(call_signed, attempt, source.credentials, source.renew, doing=service)
        return await (retry(signed, only=TokenRefusedError) if is_patient else signed())

    async def _call(
        self,
        service: str,
        region: str,
        operation: str,
        credentials: Credentials,
        *,
        config: AioConfig,
        is_own: bool,
        **arguments: Any,
    ) -> Any:
        failure: ItemError
        open_client = self._shared_client if is_own else self.client
        async with open_client(service, region, credentials, config) as client:
            try:
                return await getattr(client, operation)(**arguments)
            except boto.ClientError as error:
                failure = error_from_refusal(error, f"{service}:")
            except BOTOCORE_ERRORS as error:
                ours = error_from_botocore(error, doing=f"cannot call {service} in {region}", profile=self.profile)
                failure = ours if isinstance(ours, ItemError) else ItemError(str(ours), code="invalid_answer")
                failure.attempts = config.retries["total_max_attempts"] if isinstance(failure, NetworkError) else 1
        raise failure  # outside the `except`, so that botocore's error is not chained to it

    @asynccontextmanager
    async def _shared_client(
        self, service: str, region: str, credentials: Credentials, config: AioConfig
    ) -> AsyncIterator[Any]:
        """Yield a client that calls with the same credentials share; it is closed with the session."""
        key = (service, region, id(config))
        async with self._sharing:
            own, client = self._shared.get(key, (None, None))
            if own != credentials:  # the first call, or they were renewed; calls with the former ones may go on
                client = await self._clients.enter_async_context(self.client(service, region, credentials, config))
                self._shared[key] = credentials, client
        yield client

    @asynccontextmanager
    async def client(
        self, service: str, region: str, credentials: Credentials, config: AioConfig = _CONFIG
    ) -> AsyncIterator[Any]:
        """Open an aiobotocore client; errors in the configuration are raised as SettingsError or CredentialsError."""
        async with AsyncExitStack() as stack:

            async def open_client() -> Any:
                opening = self.botocore.create_client(
                    service,
                    region_name=region,
                    endpoint_url=self.endpoint_url,
                    config=config,
                    aws_access_key_id=credentials.access_key,
                    aws_secret_access_key=credentials.secret_key,
                    aws_session_token=credentials.token,
                )
                return await stack.enter_async_context(opening)

            doing = f"cannot set up {service} in {region}"
            yield await translate_errors(open_client, doing=doing, profile=self.profile)


@dataclass(frozen=True)
class _Fixed:
    """Credentials that cannot be renewed here."""

    current: Credentials

    async def credentials(self) -> Credentials:
        return self.current

    async def renew(self, stale: Credentials) -> Credentials:
        return stale


def check_endpoint_url(url: str) -> None:
    """Raise SettingsError for a URL that cannot be signed and sent as it is."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise SettingsError(f"{one_line(url)!r} is not a URL like http://localhost:4566", option="--endpoint-url")
    if parts.username is not None or parts.query or parts.fragment:
        raise SettingsError(
            "an endpoint URL has a host, perhaps a port and a path, but no user name, `?` or `#`",
            option="--endpoint-url",
        )
