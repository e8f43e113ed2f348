"""What the flow may ask of AWS, and which quota each operation spends. One instance answers for one region.

Every method makes exactly one signed request, never retries, and raises an ``ItemError``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from lexport.model import Priority, QuotaClass, Reply, Source

QUOTA_CLASSES = {
    "GetFunction": QuotaClass.GET_FUNCTION,
    "ListFunctions": QuotaClass.LIST,
    "ListVersionsByFunction": QuotaClass.LIST,
    "ListAliases": QuotaClass.LIST,
    "GetAccountSettings": QuotaClass.LIST,
    "GetLayerVersionByArn": QuotaClass.LIST,
}
"""Operation -> quota class. "Remainder of the control plane" is one bucket. Source: Lambda quotas page, 2026."""


class RawResponse(Protocol):
    """A response with status 200, not decoded yet. ``source`` is the connection that brought it."""

    @property
    def body(self) -> bytes:
        """The bytes of the body, which may hold secrets."""

    @property
    def source(self) -> Source | None:
        """The connection, where the transport knows it."""


class LambdaApi(Protocol):
    """The Lambda operations of a snapshot and its packages, in one region.

    ``has_met_wrong_answers``: fresh connections were asked for.
    """

    has_met_wrong_answers: bool

    def on_fresh_connections(self) -> LambdaApi:
        """Return the same API, each call of which opens a connection of its own."""

    async def get_function(self, function_name: str, qualifier: str | None) -> RawResponse:
        """Ask ``GET /2015-03-31/functions/{FunctionName}``; a name, a partial or a full ARN."""

    async def list_functions(self, marker: str | None, *, all_versions: bool) -> RawResponse:
        """Ask ``GET /2015-03-31/functions``, one page of at most 50."""

    async def list_versions_by_function(self, function_name: str, marker: str | None) -> RawResponse:
        """Ask ``GET /2015-03-31/functions/{FunctionName}/versions``, one page of at most 50."""

    async def list_aliases(self, function_name: str, marker: str | None) -> RawResponse:
        """Ask ``GET /2015-03-31/functions/{FunctionName}/aliases``, one page."""

    async def get_account_settings(self) -> RawResponse:
        """Ask ``GET /2016-08-19/account-settings``."""

    async def get_layer_version_by_arn(self, layer_arn: str) -> RawResponse:
        """Ask ``GET /2018-10-31/layers?find=LayerVersion&Arn={Arn}``; of another account too, where it shares it."""


class Ask(Protocol):
    """Paces, retries and makes one call of an operation, within one account-region."""

    async def __call__(self, operation: str, attempt: Callable[[], Awaitable[Reply]], priority: Priority) -> Reply:
        """Return the reply; raises ItemError when the attempts are spent."""


class Transfer(Protocol):
    """One package on its way: the server has answered, the bytes come as they are asked for."""

    @property
    def starts_at(self) -> int:
        """The position of the first byte to come: what was asked for, or 0 where the server sends the whole."""

    @property
    def total_bytes(self) -> int | None:
        """The size of the whole package, where the server says it."""

    async def receive(self, most_bytes: int) -> list[bytes]:
        """Wait for the next batch, full or the last; empty at the end. Raises TransferError."""


class OpenLink(Protocol):
    """Opens a presigned link, from a byte on. Raises PackageError and its heirs, which never hold the link."""

    def __call__(self, url: str, *, start: int = 0) -> AbstractAsyncContextManager[Transfer]:
        """Return the transfer as a context, which closes what is not read to its end."""
