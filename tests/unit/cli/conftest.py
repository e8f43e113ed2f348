"""The command line in this process, over a tiny dataset."""

import csv
import io
import os
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from lexport.cli.main import run


@dataclass(frozen=True)
class Ended:
    """One run of the command."""

    code: int
    out: bytes
    err: str

    @property
    def cells(self):
        """Standard output as CSV, the header first."""
        return list(csv.reader(io.StringIO(self.out.decode(), newline="")))


@pytest.fixture(scope="session")
def dest(tmp_path_factory, write_dataset):
    """A dataset of one function, whose description is a formula."""
    folder = tmp_path_factory.mktemp("cli") / "fleet"
    function = {"function_name": "f", "version": "$LATEST", "description": "=1+1", "runtime": "python2.7"}
    write_dataset(folder, [{"at": datetime.now(UTC), "functions": [function]}])
    return folder


@pytest.fixture
def lexport(capsysbinary, monkeypatch, tmp_path):
    """Return a function: arguments -> how the command ended. Its working folder is ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LEXPORT_")]:
        monkeypatch.delenv(name)

    def ask(*arguments):
        code = run([str(argument) for argument in arguments])
        captured = capsysbinary.readouterr()
        return Ended(code, captured.out, captured.err.decode())

    return ask
