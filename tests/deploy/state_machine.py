"""Runs a definition in the Amazon States Language with JSONata, as far as ours uses it: real expressions, no waiting.

A task is a function from its arguments to a result; it raises ``StateError`` as the service would. What this does not
know it refuses, so that a state of another kind cannot pass unnoticed.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

RECURSION_LIMIT = sys.getrecursionlimit()
from jsonata import Jsonata  # noqa: E402 - it raises the limit, which other tests of the same process rely on

sys.setrecursionlimit(RECURSION_LIMIT)


_FIELDS = {
    "Choice": {"Choices", "Default"},
    "Fail": {"Error", "Cause"},
    "Map": {
        "Label", "MaxConcurrency", "ToleratedFailurePercentage", "ItemReader", "ItemSelector", "ItemProcessor",
        "Output", "Next",
    },
    "Pass": {"Output", "Next"},
    "Succeed": {"Output"},
    "Task": {"Resource", "TimeoutSeconds", "Arguments", "Retry", "Catch", "Output", "Next", "End"},
    "Wait": {"Seconds", "Next"},
}  # fmt: skip


class StateError(Exception):
    def __init__(self, error, cause=""):
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause


@dataclass
class Machine:
    """One execution; ``seen`` lists the states that were entered, ``waited`` the seconds of each wait and retry."""

    definition: dict
    task: Callable[[dict], object]
    read_items: Callable[[str, str], list]
    started_at: str = "2026-11-30T01:00:00.123Z"
    seen: list = field(default_factory=list)
    waited: list = field(default_factory=list)

    def run(self, data):
        return self._run(self.definition, data)

    def _run(self, machine, data):
        name = machine["StartAt"]
        while True:
            self.seen.append(name)
            state = machine["States"][name]
            assert set(state) - {"Type", "Comment"} <= _FIELDS[state["Type"]], name
            data, name = getattr(self, f"_{state['Type'].lower()}")(state, data)
            if name is None:
                return data

    def _evaluate(self, value, data, **more):
        if isinstance(value, dict):
            return {key: self._evaluate(each, data, **more) for key, each in value.items()}
        if isinstance(value, list):
            return [self._evaluate(each, data, **more) for each in value]
        if not (isinstance(value, str) and value.startswith("{%")):
            return value
        assert value.endswith("%}"), value
        context = {"Execution": {"StartTime": self.started_at}} | more.pop("context", {})
        expression = Jsonata(value[2:-2])
        expression.register_lambda("parse", json.loads)
        expression.register_lambda("uuid", lambda: str(uuid.uuid4()))
        expression.assign("states", {"input": data, "context": context} | more)
        result = expression.evaluate(None)
        if result is None:
            raise StateError("States.QueryEvaluationError", f"{value} has no value")
        return result

    def _choice(self, state, data):
        for rule in state["Choices"]:
            holds = self._evaluate(rule["Condition"], data)
            assert isinstance(holds, bool), rule
            if holds:
                return self._evaluate(rule.get("Output", data), data), rule["Next"]
        return data, state["Default"]

    def _pass(self, state, data):
        return self._evaluate(state["Output"], data), state["Next"]

    def _succeed(self, state, data):
        return self._evaluate(state["Output"], data), None

    def _fail(self, state, data):
        raise StateError(state["Error"], self._evaluate(state["Cause"], data))

    def _wait(self, state, data):
        self.waited.append(self._evaluate(state["Seconds"], data))
        return data, state["Next"]

    def _task(self, state, data):
        tries = 0
        while True:
            assert self._evaluate(state["TimeoutSeconds"], data) > 0
            arguments = self._evaluate(state["Arguments"], data)
            try:
                result = self.task(arguments)
            except StateError as error:
                retrier = next((each for each in state["Retry"] if error.error in each["ErrorEquals"]), None)
                if retrier is not None and tries < retrier["MaxAttempts"]:
                    longest = retrier["MaxDelaySeconds"]
                    self.waited.append(min(longest, retrier["IntervalSeconds"] * retrier["BackoffRate"] ** tries))
                    tries += 1
                    continue
                (catcher,) = state["Catch"]
                assert catcher["ErrorEquals"] == ["States.ALL"]
                output = {"Error": error.error} | ({"Cause": error.cause} if error.cause else {})
                return self._evaluate(catcher["Output"], data, errorOutput=output), catcher["Next"]
            return self._evaluate(state["Output"], data, result=result), state.get("Next")

    def _map(self, state, data):
        reader = self._evaluate(state["ItemReader"], data)
        assert reader["ReaderConfig"] == {"InputType": "JSONL"}
        assert reader["Resource"].endswith(":states:::s3:getObject")
        assert self._evaluate(state["MaxConcurrency"], data) >= 1
        results, failures = [], []
        items = self.read_items(reader["Arguments"]["Bucket"], reader["Arguments"]["Key"])
        for item in items:
            child = self._evaluate(state["ItemSelector"], data, context={"Map": {"Item": {"Value": item}}})
            try:
                results.append(self._run(state["ItemProcessor"], child))
            except StateError as error:
                failures.append(error)
        if len(failures) * 100 > self._evaluate(state["ToleratedFailurePercentage"], data) * len(items):
            raise StateError("States.ExceedToleratedFailureThreshold", str(failures[0]))
        return self._evaluate(state["Output"], data, result=results), state["Next"]
