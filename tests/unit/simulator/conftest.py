"""A fleet, and ways to talk to the simulator: a plain aiobotocore client and raw aiohttp."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from lexport.model import Scope
from lexport.simulator import Fleet, FleetSpec

ACCOUNTS = ("111122223333", "111122223334")
SCOPE = Scope(account_id=ACCOUNTS[0], region="us-east-1")
AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=testing/20261122/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, "
    "Signature=" + "0" * 64
)
"""Good enough for a server that does not verify."""


@pytest.fixture
def fleet() -> Fleet:
    return Fleet(FleetSpec(functions=60, versions=3, accounts=ACCOUNTS))


SESSION = get_session()  # keeps the service models: reading them takes longer than most tests


@asynccontextmanager
async def client(url: str, service: str = "lambda", **options: Any) -> AsyncIterator[Any]:
    """A plain aiobotocore client that never retries."""
    settings: dict[str, Any] = {
        "region_name": "us-east-1",
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
        "config": AioConfig(retries={"total_max_attempts": 1}),
    } | options
    async with SESSION.create_client(service, endpoint_url=url, **settings) as made:
        yield made


@pytest.fixture
def connect() -> Callable[..., AbstractAsyncContextManager[Any]]:
    return client


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Authorization": AUTHORIZATION}) as session:
        yield session


@pytest_asyncio.fixture
async def anonymous() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
