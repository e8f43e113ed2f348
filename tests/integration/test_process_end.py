"""The command to the end of its process, whether or not its standard error is read."""

from __future__ import annotations

import os

import anyio
import pytest

from lexport.simulator import Fault

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


async def test_the_process_ends_well(run_lexport, simulator, flags, tmp_path):
    """Every run ends with exit code 0 and prints nothing after the summary."""
    async with simulator(functions=8, versions=3) as server:
        ended = [await run_lexport("snapshot", tmp_path, *flags(server.url)) for _ in range(4)]

    assert [done.code for done in ended] == [0] * 4
    assert all(" published, complete: 8 functions, 32 versions" in done.last for done in ended)


@pytest.mark.parametrize(("more", "code"), [((), 1), (("--allow-partial",), 3)])
async def test_nobody_has_to_listen(environment, simulator, flags, look, lexport_path, tmp_path, more, code):
    """With standard error closed by its reader, the run goes to its end and its exit code is the right one."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        async with simulator(Fault(operation="ListAliases", kind="denied"), functions=3, versions=1) as server:
            done = await anyio.run_process(
                [lexport_path, "snapshot", str(tmp_path / "fleet"), *flags(server.url, *more)],
                env=environment,
                stderr=writer,
                check=False,
            )
    finally:
        os.close(writer)

    assert done.returncode == code
    assert (look.newest(tmp_path / "fleet") is not None) == (code == 3)
