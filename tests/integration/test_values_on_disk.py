"""No value of a variable is in any file that a run writes or holds open, while it runs and afterwards."""

import stat
from pathlib import Path

import anyio
import pytest

from lexport.simulator import Fault

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

VALUE = "canary-of-a-variable-0123456789"
NAME = "NAME_OF_A_VARIABLE"


def planted():
    """Faults that put a canary into every variable of listings and responses, and into unknown fields."""

    def configuration(document, index):
        document["Environment"] = {"Variables": {NAME: VALUE}}
        if index % 3 == 0:
            document["EnvironmentV2"] = {"Variables": {NAME: VALUE}}
        if index % 3 == 1:
            document["Environment"] = {"Variables": {NAME: VALUE, "N": [VALUE]}, "Future": VALUE}

    def functions(document):
        for index, item in enumerate(document["Functions"]):
            configuration(item, index)

    return [
        Fault(operation="ListFunctions", kind="replace_body", patch=functions, times=None),
        Fault(
            operation="GetFunction",
            kind="replace_body",
            patch=lambda document: configuration(document["Configuration"], 2),
            times=None,
        ),
    ]


def open_files(pid):
    """Return the content of the files that a process has open, including deleted ones."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if stat.S_ISREG(path.stat().st_mode):
                found[str(path.readlink())] = path.read_bytes()
        except FileNotFoundError:  # closed meanwhile
            continue
    return found


def files(folder):
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def leaks(found, text=VALUE):
    return {name for name, body in found.items() if text.encode() in body}


@pytest.mark.parametrize(("command", "env"), [("snapshot", "keys"), ("snapshot", "none"), ("plan", "values")])
async def test_a_run_in_its_midst(
    simulator, environment, run_lexport, start_lexport, flags, look, command, env, tmp_path
):
    """While listed versions wait, no open file and no file below DEST, HOME and TMPDIR holds a value."""
    (tmp_path / "tmp").mkdir()
    environment["TMPDIR"] = str(tmp_path / "tmp")
    dest, more = tmp_path / "fleet", ("--env", env)
    whole = ("snapshot", dest) if command == "snapshot" else ("plan", dest)
    async with simulator(*planted(), functions=30, versions=3) as aws:
        first = await run_lexport("snapshot", dest, *flags(aws.url, *more))
        assert first.code == 0, first.err
        before = files(tmp_path)
        aws.inject(Fault(operation="ListFunctions", kind="hang", after=1, times=None))
        incremental = ("--incremental",) if command == "snapshot" else ()
        async with start_lexport(*whole, *flags(aws.url, *more, *incremental)) as process:
            held = {}
            with anyio.fail_after(60):
                while not leaks(held, "LastModified"):  # what is held back of the first page
                    await anyio.sleep(0.01)
                    held = {name: body for name, body in open_files(process.pid).items() if "deleted" in name}
                    assert process.returncode is None
            found = open_files(process.pid) | {
                name: body for name, body in files(tmp_path).items() if name not in before
            }
            process.kill()
            await process.wait()

    assert leaks(found) == set()
    assert len(leaks(held, "LastModified")) == 1
    assert (env == "values") == bool(leaks(before))
