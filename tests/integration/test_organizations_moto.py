"""An organization in moto, whose STS, Organizations and Lambda are written by others, is read like any other."""

import io
import zipfile
from contextlib import asynccontextmanager

import pytest
from aiobotocore.session import get_session

import lexport

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

ROLE = "lexport-reader"


def package():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", "")
    return packed.getvalue()


@asynccontextmanager
async def client(url, service, keys=None, region="eu-west-1"):
    given = keys or {"AccessKeyId": "testing", "SecretAccessKey": "testing", "SessionToken": None}
    async with get_session().create_client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    ) as made:
        yield made


async def fill(url):
    """Make an organization: an OU within an OU, an account in each and in the root, a function in each account."""
    accounts = {}
    async with client(url, "organizations") as organizations:
        await organizations.create_organization(FeatureSet="ALL")
        root = (await organizations.list_roots())["Roots"][0]["Id"]
        outer = (await organizations.create_organizational_unit(ParentId=root, Name="outer"))["OrganizationalUnit"][
            "Id"
        ]
        inner = (await organizations.create_organizational_unit(ParentId=outer, Name="inner"))["OrganizationalUnit"][
            "Id"
        ]
        for name, unit in (("root", root), ("outer", outer), ("inner", inner)):
            made = await organizations.create_account(Email=f"{name}@example.com", AccountName=name)
            account = made["CreateAccountStatus"]["AccountId"]
            if unit != root:
                await organizations.move_account(AccountId=account, SourceParentId=root, DestinationParentId=unit)
            accounts[name] = account
    for name, account in accounts.items():
        async with client(url, "sts") as sts:
            keys = (await sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/x", RoleSessionName="fill"))[
                "Credentials"
            ]
        async with client(url, "iam", keys) as iam:
            role = (await iam.create_role(RoleName="runner", AssumeRolePolicyDocument="{}"))["Role"]["Arn"]
        async with client(url, "lambda", keys) as functions:
            await functions.create_function(
                FunctionName=f"f-{name}",
                Runtime="python3.13",
                Handler="app.handler",
                Role=role,
                Code={"ZipFile": package()},
                Publish=True,
            )
    return accounts, outer


async def test_moto(moto, aws, settings, look, tmp_path):
    """An organization is listed, OUs at any depth are found, and each account has its own functions."""
    accounts, outer = await fill(moto)
    more = {"account_role": ROLE, "regions": ("eu-west-1",)}
    await lexport.snapshot(tmp_path / "all", settings(moto, organization=True, **more))
    await lexport.snapshot(tmp_path / "below", settings(moto, organization=True, organizational_units=(outer,), **more))
    await lexport.snapshot(tmp_path / "listed", settings(moto, accounts=(accounts["root"],), **more))

    def owners(dest):
        rows = look.read_rows(tmp_path / dest)
        assert {"complete"} == {row["status"] for row in rows["scopes"]}
        return {(row["account_id"], row["function_name"]) for row in rows["functions"]}

    expected = {(account, f"f-{name}") for name, account in accounts.items()}
    assert expected == owners("all")
    assert {pair for pair in expected if pair[1] != "f-root"} == owners("below")
    assert {(accounts["root"], "f-root")} == owners("listed")
