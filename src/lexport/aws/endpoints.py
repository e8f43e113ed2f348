"""The URL of Lambda in each Region, as botocore resolves it from flags, environment and profile."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import anyio
from botocore.awsrequest import AWSResponse

from lexport.aws.botocore_errors import translate_errors
from lexport.aws.session import Session, check_endpoint_url
from lexport.aws.signing import Credentials

_PATH = "/2016-08-19/account-settings"
_UNUSED = Credentials("unused", "unused")  # the call is stopped before it is signed


class LambdaEndpoints:
    """Resolves the URL of each Region once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._urls: dict[str, str] = {}
        self._locks: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)

    async def url(self, region: str) -> str:
        """Return Lambda's URL in a Region; raises SettingsError for a URL that cannot be signed and sent."""
        if region not in self._urls:
            async with self._locks[region]:
                if region not in self._urls:
                    self._urls[region] = await self._resolve(region)
        return self._urls[region]

    async def _resolve(self, region: str) -> str:
        """Begin a call and stop it before it is sent.

        A client's ``meta.endpoint_url`` comes from an older table, which is wrong for dual-stack endpoints in some
        partitions. The URL of a call comes from the rules that AWS maintains.
        """
        session = self._session
        urls: list[str] = []

        def stop(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
            urls.append(params["url"])
            return AWSResponse(params["url"], 200, {}, None), {}

        async def begin_call() -> None:
            async with session.client("lambda", region, _UNUSED) as client:
                client.meta.events.register("before-call.lambda.GetAccountSettings", stop)
                await client.get_account_settings()

        doing = f"cannot find Lambda's endpoint in {region}"
        await translate_errors(begin_call, doing=doing, profile=session.profile)
        url = urls[0].removesuffix(_PATH)
        check_endpoint_url(url)
        return url
