"""Run the commands of any revision, or its simulator, in a process whose clock stands still.

`compare_revisions.py` starts this file with PYTHONPATH set to the `src` of a revision. Two runs of one command differ
in what they read from the clock and from the random numbers of the operating system: snapshot ids, times in tables and
manifests, request ids. Both are fixed here, so a difference that remains comes from the code. The only modules of the
project that are named are `lexport` itself and, for the simulator, `lexport.simulator` and `lexport.model`.

    python benchmarks/fixed_clock.py commands     # run one command for each line of JSON on stdin
    python benchmarks/fixed_clock.py simulator    # serve a fleet; each line of JSON on stdin changes it
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import sys
import time
import warnings
from contextlib import AsyncExitStack
from datetime import date, datetime, tzinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexport.model import Scope
    from lexport.simulator import Fleet

HEAVY = (
    "aiobotocore.session",
    "aiohttp",
    "anyio.to_thread",
    "duckdb",
    "pyarrow.parquet",
    "rich.table",
    "sqlglot",
    "uvloop",
)
"""What takes long to import; each child process has it already."""
REGIONS = ("us-east-1", "eu-west-1")
CRASHED = 99  # the exit code of a command that did not come as far as the command line
NAMES = 5
"""How many functions the simulator names, for commands that are about some functions alone."""

_now_s = 0.0


def set_clock(at: str) -> None:
    """Set the wall clock of this process; it stands still there. Timers go on: they read the monotonic clock."""
    global _now_s  # noqa: PLW0603 - a process has one clock
    _now_s = datetime.fromisoformat(at).timestamp()


def replace_clock_and_random() -> None:
    """Make the wall clock settable and every random byte zero. Must run before anything else is imported.

    Zeros and no seeded sequence: a sequence would give other ids where only the order of the draws has changed.
    """
    os.urandom = bytes
    time.time = lambda: _now_s
    time.time_ns = lambda: int(_now_s * 1_000_000_000)

    def now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
        return cls.fromtimestamp(_now_s, tz)

    def today(cls: type[date]) -> date:
        return cls.fromtimestamp(_now_s)

    # The class itself is changed: pyarrow and msgspec would not take a class in its place for a datetime.
    for kind, methods in ((datetime, {"now": now, "today": today}), (date, {"today": today})):
        namespace = gc.get_referents(kind.__dict__)[0]
        namespace |= {name: classmethod(method) for name, method in methods.items()}
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))


def reply(document: object, stream: int) -> None:
    """Answer the parent process in one line."""
    os.write(stream, json.dumps(document).encode() + b"\n")


# --- commands -------------------------------------------------------------------------------------------------------


def serve_commands() -> None:
    """Reply with the path of the package, then run the commands one by one and reply with the exit code of each."""
    import lexport

    warnings.simplefilter("ignore")
    for name in [*HEAVY, *(module.name for module in pkgutil.walk_packages(lexport.__path__, "lexport."))]:
        with contextlib.suppress(ImportError):
            if name != "lexport.__main__":
                importlib.import_module(name)
    warnings.resetwarnings()
    replies = os.dup(1)
    reply(lexport.__file__, replies)
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                run_command(json.loads(line))
            finally:
                os._exit(CRASHED)
        _, status = os.waitpid(pid, 0)
        reply(os.waitstatus_to_exitcode(status), replies)
    os._exit(0)  # duckdb prints notices while the interpreter is torn down


def run_command(request: dict[str, Any]) -> None:
    """Be what a shell starts as `python -m lexport`; does not return."""
    set_clock(request["at"])
    os.chdir(request["folder"])
    for number, path in enumerate((os.devnull, request["stdout"], request["stderr"])):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    sys.argv = ["lexport", *request["arguments"]]
    runpy.run_module("lexport", run_name="__main__")


# --- the simulator --------------------------------------------------------------------------------------------------


async def serve_simulator() -> None:
    """Serve one fleet at one port; each request sets the clock, changes the fleet and restarts the server.

    Started anew, the server has the faults of the request and no others, whatever was left of the last ones.
    """
    from lexport.model import Scope
    from lexport.simulator import Fault, Fleet, FleetSpec, open_simulator

    fleet, scopes, night, port = None, (), 0, 0
    async with AsyncExitStack() as stack:
        while line := await asyncio.to_thread(sys.stdin.readline):
            request = json.loads(line)
            set_clock(request["at"])
            await stack.aclose()
            if fleet is None:
                spec = FleetSpec(functions=request["functions"], versions=request["versions"], regions=REGIONS)
                fleet = Fleet(spec)
                scopes = tuple(Scope(account_id=spec.accounts[0], region=region) for region in REGIONS)
            while night < request["night"]:
                night += 1
                for scope in scopes:
                    change_fleet(fleet, scope, night)
            faults = [
                Fault(function_name=fleet.name(index), region=scopes[0].region, **fault)
                for index, fault in request["faults"]
            ]
            opened = open_simulator(fleet, port=port, quotas=False, faults=faults)
            url = (await stack.enter_async_context(opened)).url
            port = int(url.rpartition(":")[2])
            names = [fleet.name(index) for index in fleet.indexes(scopes[0]) if index < NAMES]
            reply({"url": url, "functions": names}, 1)


def change_fleet(fleet: Fleet, scope: Scope, night: int) -> None:
    """Change some of the functions, others each night."""
    from lexport.simulator import Change

    def changes(kind: str, every: int, **more: Any) -> None:
        for index in list(fleet.indexes(scope)):
            if (index + night) % every == 0:
                with contextlib.suppress(
                    ValueError
                ):  # AWS would refuse it too, e.g. to move an alias that is not there
                    fleet.apply(Change(kind=kind, scope=scope, function_name=fleet.name(index), **more))

    changes("update_code", 13)
    changes("publish_version", 13)
    changes("publish_version", 19)
    changes("delete_version", 11, version="1")
    changes("set_tags", 17, tags={"team": f"night-{night}", "cost-center": "4711"})
    changes("update_config", 23, memory_mb=512 + night, description=f"changed in night {night}")
    changes("update_config", 29, environment={"STAGE": f"night-{night}", "LOG_LEVEL": "info"})
    changes("set_reserved_concurrency", 31, reserved_concurrency=night)
    for alias in sorted({alias.name for index in fleet.indexes(scope) for alias in fleet.aliases(scope, index)}):
        changes("move_alias", 7, alias=alias, version="$LATEST")
    changes("recreate_function", 37)
    changes("delete_function", 41)


if __name__ == "__main__":
    replace_clock_and_random()
    if sys.argv[1] == "simulator":
        asyncio.run(serve_simulator())
    else:
        serve_commands()
