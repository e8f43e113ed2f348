"""How many files of the project one response of GetFunction passes between the socket and Parquet."""

import sys
import threading
from pathlib import Path

import pytest

import lexport
from lexport.simulator import Fault

MOST_FILES = 32
SOURCE = Path(lexport.__file__).parent
SIMULATOR = SOURCE / "simulator"


class ReplyPath:
    """Profiles a snapshot of two functions and collects the files that are entered on the way of a response.

    The way has three parts. What is done between them, such as the end of the account-region, is not counted.

    1. The first response becomes rows: from its bytes at the socket until the bytes of the second one.
    2. Rows become a sorted run: from the first value that is hashed until pyarrow opens the file of a run.
    3. Runs become Parquet: from the first run that pyarrow opens for reading until it is given rows to write.

    No name of the project is used, only those of asyncio (``data_received``), hashlib and pyarrow.
    """

    def __init__(self, first: bytes, second: bytes) -> None:
        self.files: dict[str, int] = {}  # with the part that came to it first
        self.part = 0
        self._begins = [
            lambda frame, _: _receives(frame, first),
            lambda frame, _: _receives(frame, second),
            lambda _, hashed: type(getattr(hashed, "__self__", None)).__name__ == "HASH",
            lambda frame, _: _is_in(frame, "/pyarrow/ipc.py"),
            lambda frame, _: _is_in(frame, "/pyarrow/ipc.py") and frame.f_code.co_name.startswith("open"),
            lambda frame, _: _is_in(frame, "/pyarrow/parquet/core.py") and frame.f_code.co_name.startswith("write"),
        ]

    @property
    def is_whole(self) -> bool:
        return not self._begins

    def __call__(self, frame, event, called) -> None:
        if event not in {"call", "c_call"}:
            return
        is_counting = len(self._begins) % 2 == 1
        if self._begins and self._begins[0](frame, called if event == "c_call" else None):
            self._begins.pop(0)
            self.part += not is_counting
            if not is_counting:
                while frame is not None:  # who came here is on the way too
                    self._note(frame)
                    frame = frame.f_back
        elif is_counting:
            self._note(frame)

    def _note(self, frame) -> None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(SOURCE) and not path.is_relative_to(SIMULATOR):
            self.files.setdefault(path.relative_to(SOURCE).as_posix(), self.part)


def _receives(frame, text: bytes) -> bool:
    """Whether asyncio hands over bytes of a response of GetFunction in which a text stands."""
    if frame.f_code.co_name != "data_received":
        return False
    received = [bytes(value) for value in frame.f_locals.values() if isinstance(value, bytes | bytearray | memoryview)]
    return any(b'"Configuration":' in value and text in value for value in received)


def _is_in(frame, file: str) -> bool:
    return frame.f_code.co_filename.endswith(file)


@pytest.mark.asyncio
@pytest.mark.slow
async def test_a_response_passes_few_files(tmp_path, environment, monkeypatch, settings, simulator):
    """A response of GetFunction passes no more files than MOST_FILES, whichever they are."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with simulator(functions=2, versions=0) as server:
        first, second = map(server.fleet.name, range(2))
        for name, delay_s in ((first, 0.5), (second, 1.0)):  # when all else has been answered, one after the other
            server.inject(Fault(operation="GetFunction", kind="slow", function_name=name, delay_s=delay_s))
        path = ReplyPath(first.encode(), second.encode())
        reading = lexport.snapshot(tmp_path / "fleet", settings(server.url))
        threading.setprofile(path)
        sys.setprofile(path)
        try:
            await reading
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    assert path.is_whole, f"part {path.part} did not end"
    shown = ", ".join(f"{name} ({part})" for name, part in path.files.items())
    print(f"{len(path.files)} files: {shown}")
    assert len(path.files) <= MOST_FILES, f"{len(path.files)} files (and the part in which each is entered): {shown}"
