"""Lambda's URL in each Region is the one that botocore would call."""

from __future__ import annotations

import pytest
from botocore.session import Session as BotocoreSession

from lexport.aws.endpoints import Endpoints
from lexport.aws.regions import lambda_regions
from lexport.aws.session import open_session
from lexport.errors import SettingsError

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("keys")]

AWS_URL = "https://lambda.eu-west-1.amazonaws.com"
LOCAL_SERVICES = "[default]\nservices = local\n[services local]\nlambda =\n  endpoint_url = http://file:3\n"


@pytest.mark.parametrize(
    ("environment", "config", "url"),
    [
        ({}, "", AWS_URL),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "", "https://lambda-fips.eu-west-1.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "", "https://lambda.eu-west-1.api.aws"),
        ({"AWS_ENDPOINT_URL": "http://all:1"}, "", "http://all:1"),
        ({"AWS_ENDPOINT_URL": "http://all:1", "AWS_ENDPOINT_URL_LAMBDA": "http://one:2/x"}, "", "http://one:2/x"),
        ({"AWS_ENDPOINT_URL": "http://all:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "", AWS_URL),
        ({}, LOCAL_SERVICES, "http://file:3"),
        ({}, "[default]\nendpoint_url = http://file:4\n", "http://file:4"),
    ],
)
async def test_endpoints(home, monkeypatch, environment, config, url):
    """Every way to configure an endpoint is respected."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    home.write_config(config)
    async with open_session(profile=None, endpoint_url=None) as session:
        assert await Endpoints(session).url("eu-west-1") == url


async def test_the_flag_wins(monkeypatch):
    """--endpoint-url wins over the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://one:2")
    async with open_session(profile=None, endpoint_url="http://flag:5/base") as session:
        assert await Endpoints(session).url("eu-west-1") == "http://flag:5/base"


@pytest.mark.parametrize(
    ("region", "variables", "cloudwatch", "cloudtrail"),
    [
        ("eu-west-1", (), "monitoring.eu-west-1.amazonaws.com", "cloudtrail.eu-west-1.amazonaws.com"),
        ("cn-north-1", (), "monitoring.cn-north-1.amazonaws.com.cn", "cloudtrail.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", (), "monitoring.us-gov-west-1.amazonaws.com", "cloudtrail.us-gov-west-1.amazonaws.com"),
        (
            "us-east-1",
            ("AWS_USE_FIPS_ENDPOINT",),
            "monitoring-fips.us-east-1.amazonaws.com",
            "cloudtrail-fips.us-east-1.amazonaws.com",
        ),
    ],
)
async def test_other_services(monkeypatch, region, variables, cloudwatch, cloudtrail):
    """CloudWatch and CloudTrail are found in each partition as Lambda is, and the flag wins for them too."""
    for name in variables:
        monkeypatch.setenv(name, "true")
    async with open_session(profile=None, endpoint_url=None) as session:
        urls = [await Endpoints(session).url(region, service) for service in ("monitoring", "cloudtrail")]
    async with open_session(profile=None, endpoint_url="http://flag:5/base/") as session:
        flagged = await Endpoints(session).url(region, "monitoring")

    assert urls == [f"https://{cloudwatch}", f"https://{cloudtrail}"]
    assert flagged.rstrip("/") == "http://flag:5/base"


@pytest.mark.slow
@pytest.mark.parametrize("variables", [(), ("AWS_USE_FIPS_ENDPOINT",), ("AWS_USE_DUALSTACK_ENDPOINT",)])
async def test_every_region_has_the_url_of_botocores_rules(monkeypatch, variables):
    """In each Region the URL is the one that botocore's rules give for a call, not that of an older table."""
    for name in variables:
        monkeypatch.setenv(name, "true")
    boto = BotocoreSession()
    async with open_session(profile=None, endpoint_url=None) as session:
        endpoints = Endpoints(session)
        for names in lambda_regions(session).values():
            for region in names:
                client = boto.create_client("lambda", region_name=region)
                expected = client._ruleset_resolver.construct_endpoint(
                    client.meta.service_model.operation_model("ListFunctions"), {}, {}
                )

                assert await endpoints.url(region) == expected.url


@pytest.mark.parametrize("url", ["localhost:4566", "ftp://h", "http://", "http://u:p@h", "http://h?x", "http://h:port"])
async def test_an_invalid_flag(url):
    """A URL that cannot be signed and sent as it is is wrong use."""
    with pytest.raises(SettingsError) as caught:
        async with open_session(profile=None, endpoint_url=url):
            pass

    assert caught.value.option == "--endpoint-url"


@pytest.mark.parametrize("url", ["localhost:4566", "http://u:canary@h"])
async def test_an_invalid_variable(monkeypatch, url):
    """The same holds for AWS_ENDPOINT_URL, and the error does not repeat its password."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    async with open_session(profile=None, endpoint_url=None) as session:
        with pytest.raises(SettingsError) as caught:
            await Endpoints(session).url("eu-west-1")

    assert caught.value.option == "--endpoint-url"
    assert "canary" not in str(caught.value)
