"""The state machine takes a snapshot with the real commands: its tasks are processes, its bucket is a tiny S3."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import defaultdict

import pytest
from anyio import to_thread
from bucket_policies import allows, asked
from cloudformation import EXAMPLE, Stack
from state_machine import Machine, StateError
from tiny_s3 import open_tiny_s3

from lexport.simulator import Fault, Fleet, FleetSpec

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

REGIONS = ("eu-west-1", "us-east-1")


class Tasks:
    """Runs the commands of tasks, and keeps what each asked of the bucket.

    The first try at the Region ``interrupted`` gets SIGTERM as soon as ``is_waiting`` is true.
    """

    def __init__(self, lexport_path, environment, bucket, *, interrupted, is_waiting):
        self._lexport, self._bucket = lexport_path, bucket
        self._environment = environment | {"AWS_ENDPOINT_URL_S3": bucket.url, "AWS_REGION": "eu-west-1"}
        self._interrupted, self._is_waiting = interrupted, is_waiting
        self.endings = []
        self.requests = defaultdict(list)

    def __call__(self, arguments):
        (override,) = arguments["Overrides"]["ContainerOverrides"]
        command = override["Command"]
        self._bucket.requests.clear()
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
        self.requests[command[1]] += asked(self._bucket.requests, EXAMPLE["Bucket"])
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        self.endings.append((command[1], command[-1] if command[1] == "read" else "", code))
        if code:
            raise StateError("States.TaskFailed", json.dumps({"Containers": [{"Name": "lexport", "ExitCode": code}]}))
        assert json.loads(out), err
        return {}


async def test_the_state_machine_takes_a_snapshot(simulator, environment, lexport_path, flags, run_lexport):
    """A run in which Spot interrupts one task and one function is denied is published with its gap and loses no row.

    Each request to the bucket is allowed to the role of its task, and the state machine may read the plan.
    """
    fleet = Fleet(FleetSpec(functions=4, versions=2, regions=REGIONS))
    denied = Fault(operation="GetFunction", region="us-east-1", function_name=None, kind="denied", after=3)
    hanging = Fault(operation="ListFunctions", region="eu-west-1", kind="slow", delay_s=60)
    read_keys = []

    with open_tiny_s3() as bucket:

        def read_items(name, key):
            read_keys.append(("s3:GetObject", f"arn:aws:s3:::{name}/{key}"))
            return [json.loads(line) for line in bucket.objects[key].splitlines()]

        async with simulator(denied, hanging, fleet=fleet) as server:
            tasks = Tasks(
                lexport_path,
                environment,
                bucket,
                interrupted="eu-west-1",
                is_waiting=lambda: server.calls["111122223333", "eu-west-1", "ListFunctions"],
            )
            options = " ".join(flags(server.url, "--region", ",".join(REGIONS)))
            stack = Stack(PlanOptions=options, AllowPartial="true")
            machine = Machine(stack.definition(), tasks, read_items)
            output = await to_thread.run_sync(machine.run, {})
        query = "SELECT region, count(*) FROM snapshot.functions GROUP BY 1 ORDER BY 1"
        dest = f"s3://{EXAMPLE['Bucket']}/fleet"
        rows = await run_lexport("sql", dest, query, "--output", "csv", AWS_ENDPOINT_URL_S3=bucket.url)

    assert output["status"] == "partial"
    assert tasks.endings == [
        ("plan", "", 0),
        ("read", "eu-west-1", 143),
        ("read", "eu-west-1", 0),
        ("read", "us-east-1", 3),
        ("commit", "", 3),
    ]
    assert len(machine.waited) == 1
    assert rows.out.splitlines()[1:] == ["eu-west-1,12", "us-east-1,11"]
    for step, role in (("plan", "PlanRole"), ("read", "ReadRole"), ("commit", "CommitRole")):
        assert {action for action, _, _ in tasks.requests[step]} >= {"s3:GetObject", "s3:PutObject"}
        assert [each for each in tasks.requests[step] if not allows(stack.statements(role), *each)] == []
    assert [each for each in read_keys if not allows(stack.statements("StateMachineRole"), *each)] == []
