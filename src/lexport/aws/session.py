"""Credentials, identity, Regions and endpoints, all by aiobotocore's own resolution.

In: a profile and perhaps one endpoint for everything. Out: a ``Session`` that hands out what the others need.
It keeps no aiobotocore client: one is made per question and closed.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import exceptions as boto
from botocore.awsrequest import AWSResponse
from botocore.parsers import ResponseParserError

from lexport.aws.faults import BOTOCORE_RAISES, botocore_faults, class_of, error_from_botocore, one_line
from lexport.aws.signing import Credentials
from lexport.errors import CredentialsError, ExpiredCredentialsError, LexportError, NetworkError, SettingsError

logger = logging.getLogger(__name__)

_QUESTION = AioConfig(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
"""For STS, Account and EC2: a few small questions at the start, to be answered soon or not at all."""

_ONCE = AioConfig(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1})
"""For questions that the caller repeats itself."""

_SIGNED_LINKS = AioConfig(signature_version="s3v4")  # some Regions still take the old one by default, others never did

_TALKATIVE = ("botocore", "aiobotocore", "aiohttp", "urllib3", "boto3", "httpx", "httpcore")
_ENABLED = ("ENABLED", "ENABLED_BY_DEFAULT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the credentials belong to. ``note`` says why the account is not known, or known from the profile only."""

    account_id: str | None
    partition: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """The Regions of the account's partition, each with whether it is switched on.

    ``note`` says where the list comes from when AWS's own could not be had.
    """

    regions: tuple[tuple[str, bool], ...]
    note: str | None = None


@asynccontextmanager
async def open_session(*, profile: str | None, endpoint_url: str | None) -> AsyncIterator[Session]:
    """Open the credential chain; raises CredentialsError where it ends with nothing.

    Side effect: the loggers of botocore, aiobotocore and HTTP libraries are held at INFO or above for the process,
    because at DEBUG they print credentials, signed headers and answers.
    """
    silence_debug_logs()
    session = Session(profile=profile, endpoint_url=endpoint_url)
    try:
        await session.open()
    except NetworkError as error:
        raise CredentialsError(str(error)) from error  # nothing can be entered; later on, it would be tried again
    yield session


def silence_debug_logs() -> None:
    """Hold the loggers that would print secrets at INFO, children with a level of their own too."""
    children = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _TALKATIVE]
    for name in {*_TALKATIVE, *children}:
        loud = logging.getLogger(name)
        if loud.level < logging.INFO and (loud.level != logging.NOTSET or "." not in name):
            loud.setLevel(logging.INFO)


class Session:
    """One profile's credentials and what they can see. Made by ``open_session``."""

    def __init__(self, *, profile: str | None, endpoint_url: str | None) -> None:
        self.profile = profile
        self.endpoint_url = endpoint_url
        self._boto: Any = None
        self._source: Any = None
        self._current: Credentials | None = None
        self._renewing = anyio.Lock()
        self._endpoints: dict[str, str] = {}
        self._resolving: defaultdict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._partitions: dict[str, tuple[str, ...]] | None = None
        self._account: tuple[str, str] | None = None  # the account and the Region that said so

    def __repr__(self) -> str:
        return f"Session(profile={self.profile!r}, endpoint_url={self.endpoint_url!r})"

    async def open(self) -> None:
        """Read the configuration and load credentials, so that missing ones are found before any call."""
        if self.endpoint_url is not None:
            _check_endpoint(self.endpoint_url)
        async with botocore_faults("cannot load AWS credentials", profile=self.profile):
            self._boto = AioSession(profile=self.profile)
            # botocore itself reads AWS_DEFAULT_REGION only; the AWS CLI and the other SDKs let AWS_REGION win.
            if region := os.environ.get("AWS_REGION"):
                self._boto.set_config_variable("region", region)
            # Tokens of the old global endpoint are not valid in Regions that are opted in to.
            self._boto.set_config_variable("sts_regional_endpoints", "regional")
            self._source = await self._boto.get_credentials()
            if self._source is None:
                raise boto.NoCredentialsError
        await self.credentials()

    async def credentials(self) -> Credentials:
        """Return credentials to sign with now; those that end soon are renewed on the way."""
        try:  # and not `async with botocore_faults`: this is asked before every call
            frozen = await self._source.get_frozen_credentials()
        except BOTOCORE_RAISES as error:
            doing = "cannot renew the AWS credentials"
            raise error_from_botocore(error, doing=doing, profile=self.profile) from None
        current = self._current
        if (
            current is None
            or current.secret_key != frozen.secret_key
            or current.token != frozen.token
            or current.access_key != frozen.access_key
        ):
            current = self._current = _checked(frozen)
        return current

    async def renew(self, stale: Credentials) -> Credentials:
        """Return newer credentials than ``stale``, or the same where the chain has no others.

        Many callers find out together; the first one renews, the others take what it found. New credentials of
        another account are refused: their functions would be stored under the wrong one.
        """
        async with self._renewing:
            current = await self.credentials()
            if current != stale:
                return current
            # A new chain from its start: past every cache in memory, with the files as they are now.
            chain = Session(profile=self.profile, endpoint_url=self.endpoint_url)
            await chain.open()
            newer = await chain.credentials()
            if newer != stale and self._account is not None:
                account_id, region = self._account
                found = await chain.identity(region)
                if found.account_id not in (account_id, None):
                    raise CredentialsError(
                        f"the renewed credentials belong to account {found.account_id}, the run began in {account_id}"
                    )
            self._boto, self._source, self._current = chain._boto, chain._source, newer
            return newer

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

            async with (
                botocore_faults(f"cannot find Lambda's endpoint in {region}", profile=self.profile),
                self._client("lambda", region) as client,
            ):
                client.meta.events.register("before-call.lambda.GetAccountSettings", stop)
                await client.get_account_settings()
            url = urls[0].removesuffix(path)
            _check_endpoint(url)
            self._endpoints[region] = url
        return self._endpoints[region]

    async def identity(self, region: str) -> Identity:
        """Ask STS who we are; raises CredentialsError where AWS says that the credentials are not good.

        Where STS cannot be reached or something else answers in its place, the account that the credentials
        themselves name is taken, and a note says so.
        """
        partition = self.partition_of(region)
        try:
            answer = await self.ask("sts", region, "get_caller_identity")
            account_id, arn = str(answer["Account"]), str(answer["Arn"])
        except boto.ClientError as error:
            self._raise_if_invalid(error, region)
            return await self._identity_without_sts(partition, f"it answered {_code(error)}")
        except NetworkError as error:
            return await self._identity_without_sts(partition, str(error))
        except LexportError:  # some are ValueErrors too
            raise
        except _NOT_ITS_ANSWER as error:
            return await self._identity_without_sts(partition, f"its answer is not STS's ({type(error).__name__})")
        if not _is_account(account_id):
            return await self._identity_without_sts(partition, "it names no account")
        if self._account is None:
            self._account = account_id, region
        named = arn.split(":")[1:2]
        return Identity(account_id=account_id, partition=named[0] if named and named[0] else partition)

    async def _identity_without_sts(self, partition: str, why: str) -> Identity:
        frozen = await self._source.get_frozen_credentials()
        account_id = str(getattr(frozen, "account_id", None) or "")
        is_named = _is_account(account_id)
        told = f"the credentials themselves name account {account_id}" if is_named else "the account is not known"
        return Identity(
            account_id=account_id if is_named else None,
            partition=partition,
            note=f"STS did not say who we are: {why}; {told}",
        )

    def _raise_if_invalid(self, error: boto.ClientError, region: str) -> None:
        """Tell bad credentials from a wrong place to ask: a Lambda endpoint wants signatures for `lambda`."""
        said = one_line(str(error.response.get("Error", {}).get("Message") or ""))
        if class_of(_code(error), None) is not ExpiredCredentialsError or "scoped to correct service" in said:
            return
        named = f" --profile {self.profile}" if self.profile else ""
        clock = "check this machine's clock" if "expired:" in said.lower() or "not yet" in said.lower() else ""
        raise CredentialsError(
            f"AWS does not accept the credentials ({_code(error)}: {said});"
            f" {clock or f'renew them, for example with `aws sso login{named}`, or check that {region} is enabled'}"
        ) from error

    async def enabled_regions(self, partition: str, region: str, *, credentials: Credentials | None = None) -> Regions:
        """Return every Region of a partition and whether the account has it switched on; ask in ``region``.

        Asks account:ListRegions, else ec2:DescribeRegions; where both are denied, botocore's list stands in.
        ``credentials`` are those of another account.
        """
        for ask in (self._regions_by_account, self._regions_by_ec2):
            try:
                found = await ask(region, credentials)
            except boto.ClientError as error:
                if credentials is None:
                    self._raise_if_invalid(error, region)
                logger.info("%s: %s", ask.__name__, _code(error))
            except NetworkError as error:
                logger.info("%s: %s", ask.__name__, error.code)
            except LexportError:  # some are ValueErrors too
                raise
            except _NOT_ITS_ANSWER as error:
                logger.info("%s: %s", ask.__name__, type(error).__name__)
            else:
                lambda_has = set(self.partitions().get(partition, ()))
                kept = tuple(sorted((name, is_on) for name, is_on in found.items() if name in lambda_has or is_on))
                if kept:
                    return Regions(regions=kept)
        return Regions(
            regions=tuple((name, True) for name in self.partitions().get(partition, ())),
            note="neither account:ListRegions nor ec2:DescribeRegions is allowed or reachable: every Region that"
            " botocore knows is tried, and one that is switched off answers with an error",
        )

    async def _regions_by_account(self, region: str, credentials: Credentials | None) -> dict[str, bool]:
        found: dict[str, bool] = {}
        token: dict[str, Any] = {}
        for _ in range(20):  # pages of 50; AWS has some 40 Regions
            answer = await self.ask("account", region, "list_regions", credentials=credentials, MaxResults=50, **token)
            for entry in answer["Regions"]:
                found[str(entry["RegionName"])] = entry["RegionOptStatus"] in _ENABLED
            if not answer.get("NextToken"):
                break
            token = {"NextToken": answer["NextToken"]}
        return found

    async def _regions_by_ec2(self, region: str, credentials: Credentials | None) -> dict[str, bool]:
        answer = await self.ask("ec2", region, "describe_regions", credentials=credentials, AllRegions=True)
        return {str(entry["RegionName"]): entry["OptInStatus"] != "not-opted-in" for entry in answer["Regions"]}

    async def ask(
        self,
        service: str,
        region: str,
        operation: str,
        *,
        credentials: Credentials | None = None,
        once: bool = False,
        **arguments: Any,
    ) -> Any:
        """Ask one question, with ``credentials`` or our own; ``once`` leaves asking again to the caller.

        A refusal stays botocore's ClientError, trouble on the way becomes a NetworkError.
        """
        if credentials is None:
            await self.credentials()  # trouble with those comes as our error
        async with self._client(service, region, credentials, _ONCE if once else _QUESTION) as client:
            try:
                return await getattr(client, operation)(**arguments)
            except (boto.HTTPClientError, boto.ConnectionError) as error:
                doing = f"cannot ask {service} in {region}"
                raise error_from_botocore(error, doing=doing, profile=self.profile) from None

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
        async with (
            botocore_faults(f"cannot sign a link for {service} in {region}", profile=self.profile),
            self._client(service, region, credentials, _SIGNED_LINKS) as client,
        ):
            return str(await client.generate_presigned_url(operation, Params=parameters, ExpiresIn=life_s))

    @asynccontextmanager
    async def _client(
        self, service: str, region: str, credentials: Credentials | None = None, config: AioConfig = _QUESTION
    ) -> AsyncIterator[Any]:
        """Open one aiobotocore client; what is wrong with the configuration comes out here, as our error."""
        async with AsyncExitStack() as stack:
            async with botocore_faults(f"cannot set up {service} in {region}", profile=self.profile):
                opening = self._boto.create_client(
                    service,
                    region_name=region,
                    endpoint_url=self.endpoint_url,
                    config=config,
                    aws_access_key_id=credentials and credentials.access_key,
                    aws_secret_access_key=credentials and credentials.secret_key,
                    aws_session_token=credentials and credentials.token,
                )
                client = await stack.enter_async_context(opening)
            yield client


# Something else answered: no XML or JSON where it was due, or without what the service always says.
_NOT_ITS_ANSWER = (boto.BotoCoreError, ResponseParserError, KeyError, TypeError, ValueError)


def _is_account(text: str) -> bool:
    return len(text) == 12 and text.isascii() and text.isdigit()  # noqa: PLR2004 - digits of an AWS account


def _code(error: boto.ClientError) -> str:
    return one_line(str(error.response.get("Error", {}).get("Code") or "an error without a code"))


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


def _checked(frozen: Any) -> Credentials:
    """Take over credentials that HTTP can carry; a line break that came along from a file is a common accident."""
    for name, value in (("access key id", frozen.access_key), ("session token", frozen.token)):
        if value is not None and not (isinstance(value, str) and value.isascii() and value.isprintable()):
            raise CredentialsError(f"the {name} holds a line break or another character that cannot be in it")
    if not frozen.access_key or not frozen.secret_key:
        raise CredentialsError("the access key id or the secret access key is empty")
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token or None)
