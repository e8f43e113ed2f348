"""The URLs of services in each Region, as botocore resolves them from flags, environment and profile."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import anyio
from botocore import xform_name
from botocore.awsrequest import AWSResponse

from lexport.aws.botocore_errors import translate_errors
from lexport.aws.session import Session, check_endpoint_url
from lexport.aws.signing import Credentials

LAMBDA = "lambda"
_CLIENTS = {
    LAMBDA: ("lambda", "GetAccountSettings"),
    "monitoring": ("cloudwatch", "ListMetrics"),
    "cloudtrail": ("cloudtrail", "LookupEvents"),
}
"""Service, as requests are signed for it -> botocore's client, and an operation of it that needs no parameters."""
_UNUSED = Credentials("unused", "unused")  # the call is stopped before it is signed


class Endpoints:
    """Resolves the URL of each service in each Region once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._urls: dict[tuple[str, str], str] = {}
        self._locks: defaultdict[tuple[str, str], anyio.Lock] = defaultdict(anyio.Lock)

    async def url(self, region: str, service: str = LAMBDA) -> str:
        """Return a service's URL in a Region; raises SettingsError for a URL that cannot be signed and sent."""
        key = region, service
        if key not in self._urls:
            async with self._locks[key]:
                if key not in self._urls:
                    self._urls[key] = await self._resolve(region, service)
        return self._urls[key]

    async def _resolve(self, region: str, service: str) -> str:
        """Begin a call and stop it before it is sent.

        A client's ``meta.endpoint_url`` comes from an older table, which is wrong for dual-stack endpoints in some
        partitions. The URL of a call comes from the rules that AWS maintains.
        """
        session = self._session
        name, operation = _CLIENTS[service]
        urls: list[str] = []

        def stop(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
            urls.append(params["url"].removesuffix(params["url_path"]))
            return AWSResponse(params["url"], 200, {}, None), {}

        async def begin_call() -> None:
            async with session.client(name, region, _UNUSED) as client:
                client.meta.events.register(f"before-call.{name}.{operation}", stop)
                await getattr(client, xform_name(operation))()

        doing = f"cannot find the endpoint of {name} in {region}"
        await translate_errors(begin_call, doing=doing, profile=session.profile)
        check_endpoint_url(urls[0])
        return urls[0]
