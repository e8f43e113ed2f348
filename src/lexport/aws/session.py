"""One profile: its credentials, kept valid, and clients, Regions and endpoints by aiobotocore's own resolution.

In: a profile and perhaps one endpoint for everything. Out: a ``Session`` that hands out what the others need.
It keeps no aiobotocore client: one is made per question and closed.
"""

from __future__ import annotations

import difflib
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import anyio
from aiobotocore.config import AioConfig
from botocore import exceptions as boto
from botocore.awsrequest import AWSResponse

from lexport.aws.botocore_errors import (
    BOTOCORE_RAISES,
    error_from_answer,
    error_from_botocore,
    translated,
)
from lexport.aws.credentials import CodePrompt, Loaded, load_credentials, quiet_libraries
from lexport.aws.errors import ends_run, is_account, one_line
from lexport.aws.quota.retry import retry
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, ExpiredCredentialsError, ItemError, RunError, SettingsError

_ONCE = AioConfig(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1})
"""For a few small questions, to be answered soon or not at all; who asks tries again."""

_SIGNED_LINKS = AioConfig(signature_version="s3v4")  # some Regions still take the old one by default, others never did

EARLY_S = 600.0
"""Renew so long before the end: time to try again when whoever hands out credentials is in trouble."""
AGAIN_S = 60.0
"""What is valid, but not for long, is asked for again no sooner: a helper may take a second, or ask a person."""
LONGEST_START_S = 30.0


@asynccontextmanager
async def open_session(
    *, profile: str | None, endpoint_url: str | None, clock: Callable[[], float] = time.time
) -> AsyncIterator[Session]:
    """Open the credential chain; raises CredentialsError where it ends with nothing, RunError where it is out of reach.

    Side effect: the loggers of botocore, aiobotocore and HTTP libraries are held at INFO or above for the process,
    because at DEBUG they print credentials, signed headers and answers.
    """
    quiet_libraries()
    session = Session(profile=profile, endpoint_url=endpoint_url, clock=clock)
    await session.open()
    yield session


class Session:
    """One profile's credentials and what they can see. Made by ``open_session``; ``clock`` counts from 1970."""

    def __init__(
        self, *, profile: str | None, endpoint_url: str | None, clock: Callable[[], float] = time.time
    ) -> None:
        self.profile = profile
        self.endpoint_url = endpoint_url
        self.named_account: str | None = None  # by the credentials themselves
        self._clock = clock
        self._prompt = CodePrompt(profile)
        self._boto: Any = None
        self._current = Credentials("", "")
        self._look_at_s = self._ends_at_s = -math.inf
        self._asks = 0  # because the former ones had ended
        self._asked_at_s = -math.inf
        self._failure: CredentialsError | ItemError | None = None
        self._useless: Credentials | None = None  # ended by AWS's word, and the chain has no others
        self._renewing = anyio.Lock()
        self._endpoints: dict[str, str] = {}
        self._resolving: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._partitions: dict[str, tuple[str, ...]] | None = None
        self._account: tuple[str, str] | None = None  # the account and the Region that said so

    def __repr__(self) -> str:
        return f"Session(profile={self.profile!r}, endpoint_url={self.endpoint_url!r})"

    async def open(self) -> None:
        """Load credentials, so that missing ones are found before any call."""
        if self.endpoint_url is not None:
            _check_endpoint(self.endpoint_url)
        try:
            loaded = await retry(partial(load_credentials, self.profile, self._prompt), most_s=LONGEST_START_S)
        except ItemError as error:
            raise ends_run(error) from None
        self._take(loaded)

    async def credentials(self) -> Credentials:
        """Return credentials to sign with now. Those that end soon are renewed on the way, and used until they end."""
        if self._clock() < self._look_at_s:  # asked before every call
            return self._current
        return await self._renew(None)

    async def renew(self, stale: Credentials) -> Credentials:
        """Return newer credentials than ``stale``, which AWS called expired, or the same where the chain has no others.

        New credentials of another account are refused: their functions would be stored under the wrong one.
        """
        return await self._renew(stale)

    async def _renew(self, stale: Credentials | None) -> Credentials:
        """Load the chain again. Many callers find out together: the first one loads, the others take what came of it.

        Whoever hands out credentials is asked once a minute at most, but at once where the former ones have ended.
        """
        asks = self._asks
        if stale is None and self._clock() < self._ends_at_s and self._renewing.statistics().locked:
            return self._current
        async with self._renewing:
            now_s = self._clock()
            if self._current != stale and now_s < (self._look_at_s if stale is None else self._ends_at_s):
                return self._current  # somebody else renewed them meanwhile
            is_due = stale is not None or now_s >= self._ends_at_s
            if is_due:
                was_just_asked = abs(now_s - self._asked_at_s) < AGAIN_S
                if self._failure is not None and (
                    asks != self._asks or (was_just_asked and isinstance(self._failure, CredentialsError))
                ):
                    raise _again(self._failure)
                if stale is not None and stale == self._useless and was_just_asked:
                    return stale
                self._asks, self._asked_at_s = self._asks + 1, now_s
            try:
                loaded = await load_credentials(self.profile, self._prompt.refuse)
                await self._check_account(loaded)
            except (RunError, ItemError) as error:
                if not is_due:  # what is valid is used until it ends, and then renewed at once
                    self._look_at_s = min(now_s + AGAIN_S, self._ends_at_s)
                    return self._current
                self._failure = error if isinstance(error, ItemError) else CredentialsError(str(error))
                raise self._failure from None
            self._failure = None
            self._take(loaded)
            self._useless = stale if stale == self._current else None
            return self._current

    def _take(self, loaded: Loaded) -> None:
        now_s = self._clock()
        ends_at_s = math.inf if loaded.ends_at_s is None else loaded.ends_at_s
        early_s = ends_at_s - EARLY_S
        self._look_at_s = early_s if early_s > now_s else min(now_s + AGAIN_S, ends_at_s)
        self._ends_at_s = ends_at_s
        if loaded.credentials != self._current:  # or else they stay the same object
            self._current = loaded.credentials
        self._boto, self.named_account = loaded.session, loaded.account_id

    async def _check_account(self, loaded: Loaded) -> None:
        """Refuse credentials of another account, as far as STS says whose they are."""
        if self._account is None or loaded.credentials == self._current:
            return
        account_id, region = self._account
        try:
            answer = await self.ask("sts", region, "get_caller_identity", credentials=loaded.credentials)
            found = str(answer["Account"])
        except ExpiredCredentialsError as error:
            if error.retryable:  # too new
                return
            raise CredentialsError(f"the renewed credentials are refused: {error}") from error
        except (ItemError, KeyError, TypeError):
            return
        if is_account(found) and found != account_id:
            raise CredentialsError(f"the renewed credentials belong to account {found}, the run began in {account_id}")

    def remember_account(self, account_id: str, region: str) -> None:
        """Keep the account that the run began in, and where STS said so."""
        if self._account is None:
            self._account = account_id, region

    @property
    def ca_bundle(self) -> str | None:
        """The CA file or folder of AWS_CA_BUNDLE or of the profile."""
        path = self._boto.get_config_variable("ca_bundle")
        return str(path) if path else None

    @property
    def default_region(self) -> str | None:
        """The Region of AWS_REGION, AWS_DEFAULT_REGION or the profile."""
        region = self._boto.get_config_variable("region")
        return str(region) if region else None

    @property
    def home_region(self) -> str:
        """Where to ask what is asked once for all Regions."""
        return self.default_region or "us-east-1"

    def partitions(self) -> dict[str, tuple[str, ...]]:
        """Return the Regions of Lambda by partition, as botocore's table of endpoints has them."""
        if self._partitions is None:
            # Not get_available_regions(): it reads Lambda's whole service model, a tenth of a second, for one name.
            table = self._boto.get_data("endpoints")
            self._partitions = {
                entry["partition"]: tuple(
                    sorted(entry["services"].get("lambda", {}).get("endpoints", {}).keys() & entry["regions"].keys())
                )
                for entry in table["partitions"]
            }
        return self._partitions

    def check_region(self, name: str) -> None:
        """Refuse a Region that Lambda does not have in any partition."""
        known = [region for names in self.partitions().values() for region in names]
        if name in known:
            return
        near = difflib.get_close_matches(name.strip().lower(), known, n=2, cutoff=0.8)
        hint = (
            f"did you mean {' or '.join(near)}?"
            if near
            else "for example us-east-1; `all` stands for every enabled one"
        )
        raise SettingsError(f"{name!r} is no Region of AWS Lambda that this botocore knows; {hint}", option="--region")

    def partition_of(self, region: str) -> str:
        """Return the partition that a Region belongs to: aws, aws-cn, aws-us-gov, ..."""
        for partition, names in self.partitions().items():
            if region in names:
                return partition
        try:
            return str(self._boto.get_partition_for_region(region))
        except boto.BotoCoreError:
            return "aws"

    async def endpoint(self, region: str) -> str:
        """Return Lambda's URL in a Region, as botocore resolves it once from flags, environment and profile."""
        if region in self._endpoints:
            return self._endpoints[region]
        async with self._resolving[region]:
            if region in self._endpoints:
                return self._endpoints[region]
            # A client's `meta.endpoint_url` comes from an older table, which is wrong for dual-stack in some
            # partitions. What a call would use is seen by making one and stopping it before it is sent.
            path = "/2016-08-19/account-settings"
            urls: list[str] = []

            def stop(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
                urls.append(params["url"])
                return AWSResponse(params["url"], 200, {}, None), {}

            async def resolve() -> None:
                async with self._client("lambda", region, self._current) as client:
                    client.meta.events.register("before-call.lambda.GetAccountSettings", stop)
                    await client.get_account_settings()

            await translated(resolve, doing=f"cannot find Lambda's endpoint in {region}", profile=self.profile)
            url = urls[0].removesuffix(path)
            _check_endpoint(url)
            self._endpoints[region] = url
        return self._endpoints[region]

    async def ask(
        self, service: str, region: str, operation: str, *, credentials: Credentials, **arguments: Any
    ) -> Any:
        """Ask one question once; raises ItemError, or SettingsError for a configuration that does not fit."""
        try:
            return await self.ask_for_headers(service, region, operation, credentials=credentials, **arguments)
        except boto.ClientError as error:
            ours = error_from_answer(error, f"{service}:")
        raise ours

    async def ask_for_headers(
        self, service: str, region: str, operation: str, *, credentials: Credentials, **arguments: Any
    ) -> Any:
        """Ask as ``ask`` does, but leave a refusal botocore's ClientError, which has the headers of the answer."""
        doing = f"cannot ask {service} in {region}"
        async with self._client(service, region, credentials) as client:
            try:
                return await getattr(client, operation)(**arguments)
            except boto.ClientError:
                raise
            except BOTOCORE_RAISES as error:
                known = error_from_botocore(error, doing=doing, profile=self.profile)
                ours = known if isinstance(known, ItemError) else ItemError(str(known), code="invalid_answer")
        raise ours

    async def presign(
        self,
        service: str,
        region: str,
        operation: str,
        parameters: dict[str, str],
        *,
        credentials: Credentials,
        life_s: int,
    ) -> str:
        """Make a link for one call, good for ``life_s``, without asking anybody."""

        async def sign() -> str:
            async with self._client(service, region, credentials, _SIGNED_LINKS) as client:
                return str(await client.generate_presigned_url(operation, Params=parameters, ExpiresIn=life_s))

        return await translated(sign, doing=f"cannot sign a link for {service} in {region}", profile=self.profile)

    @asynccontextmanager
    async def _client(
        self, service: str, region: str, credentials: Credentials, config: AioConfig = _ONCE
    ) -> AsyncIterator[Any]:
        """Open one aiobotocore client; what is wrong with the configuration comes out here, as our error."""
        async with AsyncExitStack() as stack:

            async def make() -> Any:
                opening = self._boto.create_client(
                    service,
                    region_name=region,
                    endpoint_url=self.endpoint_url,
                    config=config,
                    aws_access_key_id=credentials.access_key,
                    aws_secret_access_key=credentials.secret_key,
                    aws_session_token=credentials.token,
                )
                return await stack.enter_async_context(opening)

            yield await translated(make, doing=f"cannot set up {service} in {region}", profile=self.profile)


def _check_endpoint(url: str) -> None:
    """Refuse what could not be signed or sent as it stands."""
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


def _again(error: CredentialsError | ItemError) -> CredentialsError | ItemError:
    """Make the error anew for another caller: each one counts attempts on its own."""
    if isinstance(error, ItemError):
        return type(error)(str(error), code=error.code, http_status=error.http_status)
    return CredentialsError(str(error))
