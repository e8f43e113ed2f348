"""A process that has imported lexport, and forks a child for each command line it reads: 50 ms each instead of 600.

Standard input: one JSON object a line. ``streams`` are three paths, or null where the number is closed.
Standard output: the child's process id, then how it ended.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import sys

HEAVY = (
    "anyio.to_thread",
    "duckdb",
    "pyarrow.parquet",
    "uvloop",
    "aiobotocore.session",
    "aiohttp",
    "msgspec",
    "orjson",
)
OURS = ("_commands", "_ending", "_async", "_output", "_config")
PUBLIC = ("query.sql", "query.checks.run", "query.views", "query.report", "query.feed", "query.diff", "pipeline")


def become(request):
    """Be what a shell would have started."""
    from lexport.cli.main import main

    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    for number, path in enumerate(request["streams"]):
        if path is not None:
            opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(opened, number)
            os.close(opened)
    for number, path in enumerate(request["streams"]):
        if path is None:
            os.close(number)
    sys.stdin, sys.stdout, sys.stderr = (
        None if path is None else os.fdopen(number, "w" if number else "r", closefd=False)
        for number, path in enumerate(request["streams"])
    )
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    sys.argv = ["lexport", *request["arguments"]]
    main()


def serve():
    """Fork until standard input ends."""
    for name in HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for name in [*(f"lexport.cli.{name}" for name in OURS), *(f"lexport.{name}" for name in PUBLIC)]:
        importlib.import_module(name)
    requests, replies = os.dup(0), os.dup(1)
    gc.freeze()
    for line in os.fdopen(requests, encoding="utf-8"):
        pid = os.fork()
        if pid == 0:
            try:
                become(json.loads(line))
            finally:
                os._exit(99)
        os.write(replies, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(replies, f"{os.waitstatus_to_exitcode(status)}\n".encode())


serve()
os._exit(0)  # duckdb prints notices as the interpreter is torn down
