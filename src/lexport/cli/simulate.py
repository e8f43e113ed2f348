"""``lexport simulate``: a fake AWS on this machine, to try a pipeline without an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lexport.cli._signals import on_signal

if TYPE_CHECKING:  # they would cost `--help` its speed
    import asyncio
    import signal
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from lexport.simulator import Simulator


RATE = click.FloatRange(min=0, min_open=True)


@click.command("simulate", short_help="Serve a simulated AWS on this machine.")
@click.option("--functions", type=click.IntRange(min=0), default=100, show_default=True, help="Functions per Region.")
@click.option(
    "--versions", type=click.IntRange(min=0), default=3, show_default=True, help="Published versions of each."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same fleet.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port; 0 takes a free one.")
@click.option("--accounts", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Accounts.")
@click.option("--large-packages", is_flag=True, help="Packages of 1 KB to 250 MB, instead of 1 to 4 KB.")
@click.option("--no-quotas", is_flag=True, help="Never throttle.")
@click.option("--get-function-rate", type=RATE, default=100.0, show_default=True, help="GetFunction quota, calls/s.")
@click.option("--list-rate", type=RATE, default=15.0, show_default=True, help="Quota of all other calls, calls/s.")
@click.option(
    "--neighbour",
    "neighbours",
    type=(click.FloatRange(0, 1), click.FloatRange(0), click.FloatRange(0)),
    multiple=True,
    metavar="SHARE FROM TO",
    help="Somebody else takes this share of both quotas, between two seconds after the first call; repeatable.",
)
@click.option("--no-verify", is_flag=True, help="Do not verify signatures, for benchmarks.")
def command(
    *,
    functions: int,
    versions: int,
    seed: int,
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

    Accounts are 111122223333, 111122223334, and so on; key id and secret are "testing".
    """
    import asyncio
    from functools import partial

    from lexport.model import GET_FUNCTION_QUOTA, LIST_QUOTA
    from lexport.simulator import Fleet, FleetSpec, Neighbour, open_simulator

    numbers = tuple(str(111122223333 + position) for position in range(accounts))
    spec = FleetSpec(functions=functions, versions=versions, seed=seed, accounts=numbers, large_packages=large_packages)
    fleet = Fleet(spec)
    if any(from_s > to_s for _, from_s, to_s in neighbours):
        raise click.BadParameter("TO is not before FROM", param_hint="--neighbour")
    opened = partial(
        open_simulator,
        fleet,
        port=port,
        quotas=not no_quotas,
        verify=not no_verify,
        rates={GET_FUNCTION_QUOTA: get_function_rate, LIST_QUOTA: list_rate},
        neighbours=[Neighbour(share=share, from_s=from_s, to_s=to_s) for share, from_s, to_s in neighbours],
    )
    received = asyncio.run(_serve(opened))
    click.get_current_context().exit(128 + received)


async def _serve(opened: Callable[[], AbstractAsyncContextManager[Simulator]]) -> int:
    """Serve until a signal comes; return it."""
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
