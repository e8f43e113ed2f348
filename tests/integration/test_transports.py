"""The command on either transport, to the end of its process."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


@pytest.mark.parametrize("transport", ["aiohttp", "reqwest"])
async def test_the_process_ends_well(run_lexport, simulator, flags, tmp_path, transport):
    """Every run ends with exit code 0 and nothing after the summary, whatever compiled threads are still about."""
    async with simulator(functions=8, versions=3) as server:
        ended = [
            await run_lexport("snapshot", tmp_path, *flags(server.url, "--transport", transport)) for _ in range(4)
        ]

    assert [done.code for done in ended] == [0] * 4
    assert all(" published, complete: 8 functions, 32 versions" in done.last for done in ended)
