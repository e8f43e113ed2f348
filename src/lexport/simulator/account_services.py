"""STS, Organizations, Account and EC2: the operations that lead to accounts and Regions."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import orjson

from lexport.simulator import known_regions
from lexport.simulator.fleet import FleetSpec
from lexport.simulator.responses import JSON_1_1_HEADERS, JSON_HEADERS, XML_HEADERS, ApiCall, AwsError, HttpResponse
from lexport.simulator.seeded_choices import digest_hex
from lexport.simulator.signatures import Caller, KeyRing

ACCOUNTS_PAGE = 20
LONGEST_POLICY = 2048
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):role/(?:[^:]*/)?(?P<role>[\w+=,.@-]{1,64})")


class AccountServices:
    """The operations of the services other than Lambda."""

    def __init__(self, spec: FleetSpec, keys: KeyRing, credentials_ttl_s: float | None) -> None:
        self._spec = spec
        self._keys = keys
        self._credentials_ttl_s = credentials_ttl_s
        organization = digest_hex("organization", spec.seed, size=5)
        self._organization_id = f"o-{organization}"
        self._root_id = f"r-{organization[:4]}"
        self._units = {f"ou-{organization[:4]}-{name:0<8}": name for name in ("prod", "dev")}

    def respond(self, call: ApiCall, caller: Caller, request_id: str) -> HttpResponse:
        """Respond to one call; raises AwsError if AWS would refuse it."""
        match call.service:
            case "sts":
                return self._sts(call, caller, request_id)
            case "ec2":
                return self._describe_regions(call, request_id)
            case "account":
                return HttpResponse(body=orjson.dumps(self._list_regions(call)), headers=JSON_HEADERS)
            case _:
                return HttpResponse(body=orjson.dumps(self._organizations(call)), headers=JSON_1_1_HEADERS)

    # --- STS ----------------------------------------------------------------------------------------------------

    def _sts(self, call: ApiCall, caller: Caller, request_id: str) -> HttpResponse:
        if call.operation == "GetCallerIdentity":
            result = (
                f"<Arn>{escape(caller.arn)}</Arn><UserId>{caller.key_id}</UserId><Account>{caller.account_id}</Account>"
            )
        elif call.operation == "AssumeRole":
            result = self._assume_role(call, caller)
        else:
            raise AwsError(400, "InvalidAction", f"Could not find operation {call.operation} for version 2011-06-15")
        text = (
            f'<{call.operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{call.operation}Result>{result}'
            f"</{call.operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
            f"</{call.operation}Response>"
        )
        return HttpResponse(body=text.encode(), headers=XML_HEADERS)

    def _assume_role(self, call: ApiCall, caller: Caller) -> str:
        arn, session = call.parameters.get("RoleArn", ""), call.parameters.get("RoleSessionName", "")
        matched = _ROLE_ARN.fullmatch(arn)
        if matched is None or not re.fullmatch(r"[\w+=,.@-]{2,64}", session):
            raise AwsError(400, "ValidationError", f"{arn} or the session name {session!r} is invalid")
        duration = call.parameters.get("DurationSeconds", "3600")
        if not duration.isdecimal() or not 900 <= int(duration) <= 43_200:
            raise AwsError(400, "ValidationError", "DurationSeconds must have value between 900 and 43200")
        if caller.token is not None and int(duration) > 3_600:
            message = (
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            )
            raise AwsError(400, "ValidationError", message)
        account = matched["account"]
        is_trusted = call.parameters.get("ExternalId") == self._spec.external_id
        if account not in self._spec.accounts or account in self._spec.closed_accounts or not is_trusted:
            message = f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            raise AwsError(403, "AccessDenied", message)
        assumed = f"{arn.partition(':iam')[0]}:sts::{account}:assumed-role/{matched['role']}/{session}"
        ttl_s = int(duration) if self._credentials_ttl_s is None else self._credentials_ttl_s
        identity = self._keys.issue(account, assumed, ttl_s, allowed=_allowed(call.parameters.get("Policy"), account))
        assert identity.expires_at_s is not None
        return (
            f"<Credentials><AccessKeyId>{identity.key_id}</AccessKeyId><SecretAccessKey>{identity.secret}"
            f"</SecretAccessKey><SessionToken>{identity.token}</SessionToken><Expiration>"
            f"{datetime.fromtimestamp(identity.expires_at_s, UTC):%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>"
            f"<AssumedRoleUser><Arn>{assumed}</Arn><AssumedRoleId>AROASIMULATOR:{session}</AssumedRoleId></AssumedRoleUser>"
        )

    # --- Organizations ------------------------------------------------------------------------------------------

    def _organizations(self, call: ApiCall) -> dict[str, Any]:
        management = self._spec.accounts[0]
        if call.account_id != management:
            message = "You don't have permissions to access this resource."
            raise AwsError(400, "AccessDeniedException", message)
        prefix = f"arn:aws:organizations::{management}"
        if call.operation == "DescribeOrganization":
            return {
                "Organization": {
                    "Id": self._organization_id,
                    "Arn": f"{prefix}:organization/{self._organization_id}",
                    "FeatureSet": "ALL",
                    "MasterAccountId": management,
                    "MasterAccountArn": f"{prefix}:account/{self._organization_id}/{management}",
                    "MasterAccountEmail": "root@example.com",
                }
            }
        parent = call.parameters.get("ParentId")
        if call.operation == "ListRoots":
            arn = f"{prefix}:root/{self._organization_id}/{self._root_id}"
            return {"Roots": [{"Id": self._root_id, "Arn": arn, "Name": "Root", "PolicyTypes": []}]}
        if call.operation == "ListAccounts":
            return self._page(call, "Accounts", [self._account(prefix, account) for account in self._all_accounts()])
        if parent not in (self._root_id, *self._units):
            raise AwsError(400, "ParentNotFoundException", "You specified parent that doesn't exist.")
        if call.operation == "ListOrganizationalUnitsForParent":
            units = self._units if parent == self._root_id else {}
            units_page = [
                {"Id": unit, "Arn": f"{prefix}:ou/{self._organization_id}/{unit}", "Name": name}
                for unit, name in units.items()
            ]
            return self._page(call, "OrganizationalUnits", units_page)
        if call.operation == "ListAccountsForParent":
            members = [account for account in self._all_accounts() if self._parent(account) == parent]
            return self._page(call, "Accounts", [self._account(prefix, account) for account in members])
        raise AwsError(400, "UnknownOperationException", "")

    def _all_accounts(self) -> tuple[str, ...]:
        return (*self._spec.accounts, *self._spec.suspended_accounts)

    def _parent(self, account: str) -> str:
        """Return the parent of an account: the root for the management account, the units in turn for the others."""
        position = self._all_accounts().index(account)
        return (self._root_id, *self._units)[0 if position == 0 else 1 + position % 2]

    def _account(self, prefix: str, account: str) -> dict[str, Any]:
        state = "SUSPENDED" if account in self._spec.suspended_accounts else "ACTIVE"
        return {
            "Id": account,
            "Arn": f"{prefix}:account/{self._organization_id}/{account}",
            "Email": f"aws+{account}@example.com",
            "Name": f"account-{account[-4:]}",
            "Status": state,
            "State": state,
            "JoinedMethod": "CREATED",
            "JoinedTimestamp": 1_600_000_000.5,
        }

    def _page(self, call: ApiCall, name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        size = call.parameters.get("MaxResults", ACCOUNTS_PAGE)
        token = call.parameters.get("NextToken", "0")
        if not isinstance(size, int) or not 1 <= size <= ACCOUNTS_PAGE or not str(token).isdecimal():
            raise AwsError(400, "InvalidInputException", "You provided invalid values for one or more parameters.")
        return _page_of(name, items, int(token), size)

    # --- Regions ------------------------------------------------------------------------------------------------

    def _region_status(self, region: str) -> str:
        if region in self._spec.disabled_regions:
            return "DISABLED"
        return "ENABLED_BY_DEFAULT" if region in known_regions.BY_DEFAULT else "ENABLED"

    def _list_regions(self, call: ApiCall) -> dict[str, Any]:
        account = call.parameters.get("AccountId", call.account_id)
        if account != call.account_id and call.account_id != self._spec.accounts[0]:
            raise AwsError(403, "AccessDeniedException", "User is not authorized to perform: account:ListRegions")
        statuses = call.parameters.get("RegionOptStatusContains")
        entries = [
            {"RegionName": region, "RegionOptStatus": self._region_status(region)}
            for region in sorted((*known_regions.BY_DEFAULT, *known_regions.OPT_IN))
            if statuses is None or self._region_status(region) in statuses
        ]
        size = min(50, int(call.parameters.get("MaxResults", 20)))
        return _page_of("Regions", entries, int(call.parameters.get("NextToken", "0")), size)

    def _describe_regions(self, call: ApiCall, request_id: str) -> HttpResponse:
        if call.operation != "DescribeRegions":
            raise AwsError(400, "InvalidAction", f"The action {call.operation} is not valid for this web service.")
        status = {"ENABLED_BY_DEFAULT": "opt-in-not-required", "ENABLED": "opted-in", "DISABLED": "not-opted-in"}
        names = sorted((*known_regions.BY_DEFAULT, *known_regions.OPT_IN))
        is_all = call.parameters.get("AllRegions", "false") == "true"
        items = "".join(
            f"<item><regionName>{name}</regionName><regionEndpoint>ec2.{name}.amazonaws.com</regionEndpoint>"
            f"<optInStatus>{status[self._region_status(name)]}</optInStatus></item>"
            for name in names
            if is_all or self._region_status(name) != "DISABLED"
        )
        text = (
            '<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
            f"<requestId>{request_id}</requestId><regionInfo>{items}</regionInfo></DescribeRegionsResponse>"
        )
        return HttpResponse(body=text.encode(), headers=XML_HEADERS)


def _page_of(name: str, items: list[dict[str, Any]], start: int, size: int) -> dict[str, Any]:
    page: dict[str, Any] = {name: items[start : start + size]}
    return page | {"NextToken": str(start + size)} if start + size < len(items) else page


def _allowed(policy: str | None, account_id: str) -> frozenset[str] | None:
    """Return the actions that a session policy allows, or None without a policy. Knows Allow, but no wildcards."""
    if policy is None:
        return None
    if len(policy) > LONGEST_POLICY:
        raise AwsError(400, "ValidationError", f"'policy' must have length less than or equal to {LONGEST_POLICY}")
    try:
        statements = orjson.loads(policy)["Statement"]
        allowed: set[str] = set()
        for statement in statements:
            resource = statement["Resource"]
            if statement["Effect"] == "Allow" and (
                resource == "*" or f":{account_id}:" in resource or resource.endswith(":s3:::*")
            ):
                actions = statement["Action"]
                allowed.update([actions] if isinstance(actions, str) else actions)
    except (ValueError, KeyError, TypeError):
        raise AwsError(400, "MalformedPolicyDocument", "The policy is not in the valid JSON format.") from None
    return frozenset(allowed)
