"""``--deadline`` with workers: wherever the run is by then, it ends as any run does, and takes its workers with it."""

from __future__ import annotations

from contextlib import suppress

import anyio
import psutil
import pytest
from worker_runs import IS_WHOLE

from lexport.simulator import Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

REGIONS = ("us-east-1", "eu-west-1")
DEADLINES_S = (1, 2, 3, 4, 5, 8) if IS_WHOLE else (2,)


@pytest.mark.parametrize("deadline_s", DEADLINES_S)
async def test_the_deadline_is_over(
    simulator, environment, start_lexport, run_lexport, flags, look, tmp_path, deadline_s
):
    """Exit 1 and one line; no process and no temporary file is left, and the run can be resumed without workers.

    The shortest one is over while the workers are being started.
    """
    (tmp_path / "tmp").mkdir()
    environment |= {"LEXPORT_TEST_WAITS": "0.5", "TMPDIR": str(tmp_path / "tmp")}
    fleet, dest = Fleet(FleetSpec(functions=30, versions=2, regions=REGIONS)), tmp_path / "fleet"
    seen, said = {}, []
    async with simulator(fleet=fleet) as server:
        arguments = flags(server.url, "--region", ",".join(REGIONS))
        slow = ["--get-function-rate", "1", "--processes", "2", "--deadline", f"{deadline_s}s"]
        async with start_lexport("snapshot", dest, *arguments, *slow) as run, anyio.create_task_group() as tasks:

            async def watch() -> None:
                with suppress(psutil.NoSuchProcess):
                    while True:
                        seen.update((child.pid, child) for child in psutil.Process(run.pid).children(recursive=True))
                        await anyio.sleep(0.1)

            tasks.start_soon(watch)
            with anyio.fail_after(120):
                said = b"".join([part async for part in run.stderr]).decode().splitlines()
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    code = await run.wait()
        _, alive = await anyio.to_thread.run_sync(lambda: psutil.wait_procs(list(seen.values()), timeout=15))
        assert (code, len(said), alive) == (1, 1, []), said
        assert f"--deadline {deadline_s}s is over, so nothing was published" in said[0]
        assert not list((tmp_path / "tmp").iterdir())
        done = await run_lexport("snapshot", dest, *arguments, "--resume")
    assert done.code == 0, done.err
    assert len(look.read_rows(dest)["functions"]) == 2 * 30 * 3
