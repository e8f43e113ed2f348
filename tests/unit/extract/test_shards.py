"""How many roles are assumed at once, and how often each."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from lexport.aws.session import open_session
from lexport.errors import AccessDeniedError
from lexport.extract.access import open_access
from lexport.extract.progress import Progress
from lexport.extract.shards import ShardVisits, find_shards
from lexport.settings import SnapshotSettings

HUB = "111122223333"
ACCOUNTS = tuple(f"11112222{number}" for number in range(4000, 4012))
WHO = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::{HUB}:user/u</Arn><UserId>A</UserId><Account>{HUB}</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""
NO = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"


@asynccontextmanager
async def sts(most):
    """Refuse every role, none before ``most`` ask for one; yield the URL, the most at once, and the calls."""
    at_once, peak, calls, enough = [0], [0], [], asyncio.Event()

    async def handle(request):
        if "AssumeRole" not in await request.text():
            return web.Response(body=WHO, content_type="text/xml")
        calls.append(request.path)
        at_once[0] += 1
        peak[0] = max(peak[0], at_once[0])
        if at_once[0] >= most:
            enough.set()
        await enough.wait()
        await asyncio.sleep(0.05)  # whoever would come beyond the bound comes now
        at_once[0] -= 1
        return web.Response(status=403, body=NO, content_type="text/xml")

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", peak, calls
    finally:
        await runner.cleanup()


@pytest.mark.asyncio
async def test_only_so_many_roles_are_assumed_at_once(aws, monkeypatch):
    """STS is asked for a bounded number of roles at a time, however many accounts there are, and each is asked for."""
    monkeypatch.setattr("lexport.extract.access.MOST_ACCOUNTS_AT_ONCE", 4)
    settings = SnapshotSettings(regions=("us-east-1",), account_role="r", accounts=ACCOUNTS)
    lost = []
    async with (
        sts(4) as (url, peak, _),
        open_session(profile=None, endpoint_url=url) as session,
        open_access(
            session,
            settings,
            regions=settings.regions,
            connections=4,
            note=lambda _: None,
        ) as access,
    ):
        shards = await find_shards(access, settings, accounts=ACCOUNTS, selection=None, progress=Progress())

        async def lose(shards, error):
            lost.append((shards[0].scope.account_id, error.code, len(shards)))

        await ShardVisits(access, Progress()).visit_all(shards, None, lose)

    assert peak == [4]
    assert sorted(lost) == [(account, "AccessDenied", 1) for account in ACCOUNTS]


@pytest.mark.asyncio
async def test_a_role_is_assumed_once(aws):
    """However many ask for an account whose role is denied, STS is called once, and each gets the error."""
    settings = SnapshotSettings(regions=("us-east-1",), account_role="r", accounts=ACCOUNTS)
    errors = []
    async with (
        sts(1) as (url, _, calls),
        open_session(profile=None, endpoint_url=url) as session,
        open_access(session, settings, regions=settings.regions, connections=4, note=lambda _: None) as access,
    ):
        await access.identify()

        async def ask():
            with pytest.raises(AccessDeniedError) as caught:
                await access.assume_role(ACCOUNTS[0])
            errors.append((caught.value.code, str(caught.value)))

        await asyncio.gather(*(ask() for _ in range(5)))

    assert len(calls) == 1
    assert len(errors) == 5
    assert len(set(errors)) == 1
