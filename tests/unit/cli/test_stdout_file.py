"""``-o`` with another name of stdout writes to stdout."""

from __future__ import annotations

import os
import subprocess

import pytest

from lexport.dataset.local import local_folder
from lexport.errors import SettingsError


@pytest.mark.parametrize("name", ["/dev/stdout", "log"])
def test_another_name_of_stdout(lexport_path, environment, tmp_path, name):
    """Earlier output in the file behind stdout is kept, and later output follows."""
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("a") as stream:
        done = subprocess.run(
            [lexport_path, "sql", "--print", "runtimes", "-o", name],
            env=environment,
            cwd=tmp_path,
            stdout=stream,
            check=False,
        )
        os.write(stream.fileno(), b"after\n")
    lines = log.read_text().splitlines()

    assert done.returncode == 0
    assert (lines[0], lines[-1], len(lines) > 3) == ("before", "after", True)


def test_an_empty_destination():
    """An empty DEST, as of a variable that is not set, is no other name of the working folder."""
    with pytest.raises(SettingsError, match="DEST is empty"):
        local_folder("")
