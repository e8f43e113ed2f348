"""``lexport simulate``: serve a simulated AWS on this machine, to try lexport without an account."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from lexport.cli._options import declare_command, option
from lexport.cli._signals import on_signal
from lexport.settings import GET_FUNCTION_RATE_PER_S, LIST_RATE_PER_S

if TYPE_CHECKING:  # these imports would make `--help` slow
    import asyncio
    import signal
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from lexport.simulator import Simulator


_RATE = click.FloatRange(min=0, min_open=True)
_COUNT = click.IntRange(min=0)
_option = partial(option, has_variable=False)  # LEXPORT_… variables configure the client, not the simulator


@declare_command(
    "simulate",
    "lexport simulate --functions 500 --port 5000",
    "lexport simulate --night 1 --drift 0.01",
    "lexport simulate --accounts 3 --neighbour 0.5 0 60",
)
@_option("Fleet", "--functions", "Make this many functions per Region.", type=_COUNT, default=100)
@_option("Fleet", "--versions", "Publish this many versions of each function.", type=_COUNT, default=3)
@_option("Fleet", "--seed", "Make the fleet of this seed; the same seed makes the same fleet.", type=int, default=1)
@_option("Fleet", "--night", "Make the fleet as it is this many nights later.", type=_COUNT, default=0)
@_option(
    "Fleet",
    "--drift",
    "Create, change or delete this share of the functions each night; at least one, if it is not 0.",
    type=click.FloatRange(0, 1),
    default=0.05,
)
@_option("Fleet", "--accounts", "Make this many accounts.", type=click.IntRange(1, 10_000), default=1)
@_option("Fleet", "--large-packages", "Make packages of 1 KB to 250 MB instead of 1 to 4 KB.")
@_option("Server", "--port", "Listen on this port; 0 takes a free one.", type=click.IntRange(0, 65535), default=0)
@_option("Server", "--no-verify", "Do not verify signatures, for benchmarks.")
@_option("Quota", "--no-quotas", "Never throttle.")
@_option(
    "Quota",
    "--get-function-rate",
    "Set the quota for GetFunction, in calls per second.",
    type=_RATE,
    default=GET_FUNCTION_RATE_PER_S,
)
@_option(
    "Quota",
    "--list-rate",
    "Set the quota for all other calls together, in calls per second; GetPolicy has as much again.",
    type=_RATE,
    default=LIST_RATE_PER_S,
)
@_option(
    "Quota",
    "--neighbour SHARE FROM TO",
    "Simulate another client that uses this share of both quotas, from FROM to TO seconds after the first call.",
    "neighbours",
    type=(click.FloatRange(0, 1), click.FloatRange(0), click.FloatRange(0)),
    multiple=True,
)
def command(
    *,
    functions: int,
    versions: int,
    seed: int,
    night: int,
    drift: float,
    port: int,
    accounts: int,
    large_packages: bool,
    no_quotas: bool,
    get_function_rate: float,
    list_rate: float,
    neighbours: tuple[tuple[float, float, float], ...],
    no_verify: bool,
) -> None:
    """Serve a simulated AWS on 127.0.0.1 until interrupted.

    The accounts are 111122223333, 111122223334, and so on. The access key id and the secret access key are "testing".
    """
    import asyncio
    import math

    from lexport.model import GET_FUNCTION_QUOTA, GET_POLICY_QUOTA, LIST_QUOTA
    from lexport.simulator import Fleet, FleetSpec, Neighbour, open_simulator

    if math.isnan(drift):
        raise click.BadParameter("it is not a number", param_hint="--drift")
    numbers = tuple(str(111122223333 + position) for position in range(accounts))
    fleet = Fleet(
        FleetSpec(
            functions=functions,
            versions=versions,
            seed=seed,
            night=night,
            drift=drift,
            accounts=numbers,
            large_packages=large_packages,
        )
    )
    if any(from_s > to_s for _, from_s, to_s in neighbours):
        raise click.BadParameter("TO is not before FROM", param_hint="--neighbour")
    opened = partial(
        open_simulator,
        fleet,
        port=port,
        quotas=not no_quotas,
        verify=not no_verify,
        rates={GET_FUNCTION_QUOTA: get_function_rate, LIST_QUOTA: list_rate, GET_POLICY_QUOTA: list_rate},
        neighbours=[Neighbour(share=share, from_s=from_s, to_s=to_s) for share, from_s, to_s in neighbours],
    )
    received = asyncio.run(_serve(opened))
    click.get_current_context().exit(128 + received)


async def _serve(opened: Callable[[], AbstractAsyncContextManager[Simulator]]) -> int:
    import asyncio

    loop = asyncio.get_running_loop()
    received: asyncio.Future[int] = loop.create_future()

    def note(number: signal.Signals) -> None:
        loop.call_soon_threadsafe(received.set_result, number)

    with on_signal(note):
        async with opened() as simulator:
            click.echo(f"URL {simulator.url}")
            click.echo("export AWS_ACCESS_KEY_ID=testing")
            click.echo("export AWS_SECRET_ACCESS_KEY=testing")
            click.echo(f"export AWS_ENDPOINT_URL={simulator.url}")
            click.echo(f"lexport snapshot DEST --endpoint-url {simulator.url} --region us-east-1")
            return await received
