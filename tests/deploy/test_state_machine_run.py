"""The state machine takes a snapshot with the real commands: its tasks are processes, its bucket is a folder."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest
from anyio import to_thread
from cloudformation import EXAMPLE, Stack
from state_machine import Machine, StateError

from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

BUCKET = f"s3://{EXAMPLE['Bucket']}"
REGIONS = ("ap-south-1", "eu-west-1", "us-east-1")


class Tasks:
    """Runs the commands of tasks, in a folder instead of a bucket.

    The first try at the Region ``interrupted`` gets SIGTERM as soon as ``is_waiting`` is true.
    """

    def __init__(self, lexport_path, environment, root, *, interrupted, is_waiting):
        self._lexport, self._environment, self._root = lexport_path, environment, root
        self._interrupted, self._is_waiting = interrupted, is_waiting
        self.endings = []

    def __call__(self, arguments):
        (override,) = arguments["Overrides"]["ContainerOverrides"]
        command = [word.replace(BUCKET, str(self._root)) for word in override["Command"]]
        process = subprocess.Popen(
            [self._lexport, *command],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if command[-1] == self._interrupted:
            self._interrupted = None
            while not self._is_waiting() and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate()
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        self.endings.append((command[1], command[-1] if command[1] == "read" else "", code))
        if code:
            raise StateError("States.TaskFailed", json.dumps({"Containers": [{"Name": "lexport", "ExitCode": code}]}))
        assert json.loads(out), err
        return {}


async def test_the_state_machine_takes_a_snapshot(simulator, environment, lexport_path, flags, run_lexport, tmp_path):
    """A run in which Spot interrupts one task and one function is denied is published with its gap and loses no row."""
    fleet = Fleet(FleetSpec(functions=4, versions=2, regions=REGIONS))
    denied = Fault(operation="GetFunction", region="us-east-1", function_name=None, kind="denied", after=3)
    hanging = Fault(operation="ListFunctions", region="eu-west-1", kind="slow", delay_s=60)

    def read_items(bucket, key):
        assert bucket == EXAMPLE["Bucket"]
        return [json.loads(line) for line in (tmp_path / key).read_text(encoding="utf-8").splitlines()]

    async with simulator(denied, hanging, fleet=fleet) as server:
        tasks = Tasks(
            lexport_path,
            environment,
            tmp_path,
            interrupted="eu-west-1",
            is_waiting=lambda: server.calls["111122223333", "eu-west-1", "ListFunctions"],
        )
        options = " ".join(flags(server.url, "--region", ",".join(REGIONS)))
        stack = Stack(PlanOptions=options, AllowPartial="true")
        machine = Machine(stack.definition(), tasks, read_items)
        output = await to_thread.run_sync(machine.run, {})

    assert output["status"] == "partial"
    assert tasks.endings == [
        ("plan", "", 0),
        ("read", "ap-south-1", 0),
        ("read", "eu-west-1", 143),
        ("read", "eu-west-1", 0),
        ("read", "us-east-1", 3),
        ("commit", "", 3),
    ]
    assert len(machine.waited) == 1
    rows = await run_lexport(
        "sql", "fleet", "SELECT region, count(*) FROM snapshot.functions GROUP BY 1 ORDER BY 1", "--output", "csv"
    )
    assert rows.out.splitlines()[1:] == ["ap-south-1,12", "eu-west-1,12", "us-east-1,11"]
