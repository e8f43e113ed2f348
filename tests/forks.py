"""A process that has imported lexport, and forks a child for each command line it reads: 50 ms each instead of 600.

Standard input: one JSON object a line. ``streams`` are three paths, or null where the number is closed; ``leftovers``
is a path, or null, for a JSON object of what the command has left open in its process. With the argument
``fixed-clock``, the wall clock of a child stands at ``at`` and ids have no random part, so that two runs can be
compared byte by byte. ``script`` is Python to run in place of the command, or null.
Standard output: one line a child that started, with its process id, and one when it ended, with that and how. Children
run at the same time.
"""

import asyncio
import contextlib
import gc
import importlib
import json
import os
import resource
import selectors
import signal
import sys
import sysconfig
import threading
import traceback
import types
from pathlib import Path

HAS_FIXED_CLOCK = "fixed-clock" in sys.argv[1:]
if HAS_FIXED_CLOCK:  # before anything takes the real one
    import secrets

    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    import fixed_clock

    del sys.path[0]
    real_random = os.urandom
    fixed_clock.replace_clock_and_random()
    os.urandom = real_random
    secrets.randbits = lambda _: 0  # the random part of ids

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


def sockets():
    """The descriptors of sockets."""
    links = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing
            links[entry.name] = str(entry.readlink())
    return [f"{number} -> {link}" for number, link in links.items() if link.startswith("socket:")]


def write_leftovers_at_end(path):
    """Write what is open when the command ends: sockets, threads, child processes, and tasks of its event loop."""
    before, end, tasks = sockets(), os._exit, []
    cancel_all = asyncio.runners._cancel_all_tasks

    def cancel_noted(loop):
        tasks.extend(map(repr, asyncio.all_tasks(loop)))
        cancel_all(loop)

    def end_noted(code):
        own = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
        for thread in own:
            thread.join(1.0)  # workers are told to end, and not waited for
        found = {
            "sockets": [each for each in sockets() if each not in before],
            "threads": [thread.name for thread in own if thread.is_alive()],
            "tasks": tasks,
            "children": Path(f"/proc/self/task/{os.getpid()}/children").read_text().split(),
        }
        Path(path).write_text(json.dumps(found))
        end(code)

    asyncio.runners._cancel_all_tasks = cancel_noted
    os._exit = end_noted


def become(request):
    """Be what a shell would have started."""
    from lexport.cli.main import main

    if HAS_FIXED_CLOCK:
        fixed_clock.set_clock(request["at"])
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
    if request["leftovers"] is not None:
        write_leftovers_at_end(request["leftovers"])
    if request["files"] is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (request["files"], request["files"]))
    sys.argv = ["lexport", *request["arguments"]]
    sys.modules["__main__"] = types.ModuleType("__main__")  # what a process imports that multiprocessing spawns
    sys.modules["__main__"].__file__ = str(Path(sysconfig.get_path("scripts")) / "lexport")
    if request["script"] is not None:
        exec(request["script"], {"__name__": "__main__"})  # a test wrote it
        os._exit(0)
    main()


def start(request, selector):
    """Fork one child and return its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        selector.close()
        become(json.loads(request))
    except BaseException:  # noqa: BLE001 - it must not go on as a second parent
        traceback.print_exc()
    finally:
        os._exit(99)


def read_files():
    """Read the files of botocore and of the system that every run reads, whatever its configuration."""
    from lexport.aws.http.tls import open_trust_store
    from lexport.aws.service_models import service_models

    open_trust_store(None)
    models = service_models(None)
    for name in ("sts", "lambda"):
        models.load_service_model(name, "service-2")
        models.load_service_model(name, "endpoint-rule-set-1")
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        models.load_data(name)


def serve():
    """Fork until standard input ends."""
    for name in HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for name in [*(f"lexport.cli.{name}" for name in OURS), *(f"lexport.{name}" for name in PUBLIC)]:
        importlib.import_module(name)
    read_files()
    requests, replies, selector, unread = os.dup(0), os.dup(1), selectors.DefaultSelector(), b""
    selector.register(requests, selectors.EVENT_READ)
    gc.freeze()
    while True:
        for key, _ in selector.select():
            if (pid := key.data) is not None:
                selector.unregister(key.fd)
                os.close(key.fd)
                _, status = os.waitpid(pid, 0)
                os.write(replies, f"{pid} {os.waitstatus_to_exitcode(status)}\n".encode())
                continue
            if not (block := os.read(requests, 1 << 16)):
                return
            *lines, unread = (unread + block).split(b"\n")
            for line in lines:
                pid = start(line, selector)
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                os.write(replies, f"{pid}\n".encode())


serve()
os._exit(0)  # duckdb prints notices as the interpreter is torn down
