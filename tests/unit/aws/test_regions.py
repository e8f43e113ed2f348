"""Regions: the default one, those that Lambda has, and those that an account has enabled."""

from __future__ import annotations

import json

import pytest

from lexport.aws.policy import PARTITIONS
from lexport.aws.regions import Regions, check_region, find_regions, lambda_regions
from lexport.aws.session import open_session
from lexport.errors import CredentialsError, SettingsError

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_PROFILE": "work"}, "eu-north-1"),
        ({}, None),
    ],
)
async def test_the_default_region(keys, home, monkeypatch, environment, region):
    """AWS_REGION wins over AWS_DEFAULT_REGION, which wins over the profile."""
    home.write_config("[profile work]\nregion = eu-north-1\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with open_session(profile=None, endpoint_url=None) as session:
        assert session.default_region == region
        assert session.home_region == (region or "us-east-1")


async def test_every_partition_has_its_policy(session):
    """The partitions that a policy can be printed for are those that botocore knows."""
    assert set(lambda_regions(session)) == set(PARTITIONS)


async def test_regions_are_checked(session):
    """Regions of every partition pass; a misspelt one is answered with the likely one."""
    for name in ("us-east-1", "cn-northwest-1", "us-gov-west-1", "eusc-de-east-1"):
        check_region(session, name)
    for wrong, hint in (("us-esat-1", "us-east-1"), ("EU-WEST-1", "eu-west-1"), ("", "us-east-1")):
        with pytest.raises(SettingsError, match=hint) as caught:
            check_region(session, wrong)

        assert caught.value.option == "--region"


def list_regions_page(*names, status="ENABLED", **more):
    """A response of account:ListRegions."""
    return 200, json.dumps({"Regions": [{"RegionName": name, "RegionOptStatus": status} for name in names]} | more)


async def test_the_list_of_account(session, service):
    """All pages of account:ListRegions count; a Region that is being enabled or disabled is tried."""
    last = [("af-south-1", "ENABLED"), ("me-south-1", "DISABLED"), ("ap-east-1", "ENABLING")]
    service.respond(
        list_regions_page("us-east-1", status="ENABLED_BY_DEFAULT", NextToken="more"),
        list_regions_page(NextToken="still more"),
        (200, json.dumps({"Regions": [{"RegionName": name, "RegionOptStatus": status} for name, status in last]})),
    )
    regions = await find_regions(session, "aws", "us-east-1")

    assert regions == Regions(enabled=("af-south-1", "us-east-1"), uncertain=("ap-east-1",), disabled=("me-south-1",))


async def test_the_list_of_ec2(session, service):
    """If account:ListRegions is denied, ec2:DescribeRegions is called."""
    items = "".join(
        f"<item><regionName>{name}</regionName><optInStatus>{status}</optInStatus></item>"
        for name, status in (("us-east-1", "opt-in-not-required"), ("af-south-1", "not-opted-in"))
    )
    service.respond(
        (403, json.dumps({"__type": "AccessDeniedException", "message": "no"})),
        (200, f"<DescribeRegionsResponse><regionInfo>{items}</regionInfo></DescribeRegionsResponse>"),
    )
    regions = await find_regions(session, "aws", "us-east-1")

    assert regions == Regions(enabled=("us-east-1",), disabled=("af-south-1",))


async def test_no_list(session, service):
    """Without a list, Regions that no account can disable are enabled, and those to opt in to are uncertain."""
    service.respond((403, "{}"))
    regions = await find_regions(session, "aws", "us-east-1")

    assert (len(regions.enabled), regions.disabled) == (17, ())
    assert {"us-east-1", "eu-north-1", "ap-northeast-3"} <= set(regions.enabled)
    assert {"ap-east-1", "me-south-1", "eu-south-1", "il-central-1"} <= set(regions.uncertain)


async def test_a_list_without_an_end(session, service):
    """A part of a list is never taken for the whole list."""
    service.respond(list_regions_page("us-east-1", NextToken="more"))
    regions = await find_regions(session, "aws", "us-east-1")

    assert regions.note is not None


async def test_a_name_that_is_no_region(session, service):
    """A name that cannot be one of a Region is left out."""
    service.respond(list_regions_page("us-east-1", "evil.example/#"))

    assert await find_regions(session, "aws", "us-east-1") == Regions(enabled=("us-east-1",))


@pytest.mark.parametrize("response", [(403, "{}"), (404, "<html>"), (200, "{}")])
async def test_the_list_of_botocore(session, service, response):
    """If neither list can be read, every Region of the partition counts as enabled, and a note reports it."""
    service.respond(response)
    regions = await find_regions(session, "aws-cn", "cn-north-1")

    assert (regions.enabled, regions.uncertain) == (("cn-north-1", "cn-northwest-1"), ())
    assert "account:ListRegions" in regions.note


async def test_expired_credentials_are_no_missing_permission(session, service):
    """Expired credentials are an error, not a reason to use botocore's list."""
    service.respond((403, json.dumps({"__type": "ExpiredTokenException", "message": "no"})))
    with pytest.raises(CredentialsError, match="ExpiredToken"):
        await find_regions(session, "aws", "us-east-1")
