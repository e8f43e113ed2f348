"""How many files of the project one response of GetFunction passes between the socket and Parquet."""

import re
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest

import lexport
from lexport.model import Scope

MOST_FILES = 12
SOURCE = Path(lexport.__file__).parent
SIMULATOR = SOURCE / "simulator"
MOST_DEPTH = 6
"""Of containers within containers that are searched for the response."""


class ResponsePath:
    """Profiles a snapshot and collects the files whose functions are handed a response, or what was made of it.

    A function is handed the response when one of its arguments, or the value that it returns, holds one of ``texts``:
    in bytes, in a string, in a row, in an Arrow batch, or in a field of an object. ``self`` does not count as an
    argument: the object of a method keeps what earlier calls handed to it.
    """

    def __init__(self, texts: list[str]) -> None:
        self.files: dict[str, str] = {}  # with the function in which the response came to it first
        self._is_in = re.compile("|".join(map(re.escape, texts))).search

    def __call__(self, frame, event, value) -> None:
        if event not in {"call", "return"}:
            return
        code = frame.f_code
        path = Path(code.co_filename)
        if not path.is_relative_to(SOURCE) or path.is_relative_to(SIMULATOR):
            return
        name = path.relative_to(SOURCE).as_posix()
        if name in self.files:
            return
        if event == "call":
            count = code.co_argcount + code.co_kwonlyargcount
            values = [frame.f_locals.get(local) for local in code.co_varnames[:count] if local not in {"self", "cls"}]
        else:
            values = [value]
        if any(self._holds(value, MOST_DEPTH) for value in values):
            self.files[name] = code.co_qualname if hasattr(code, "co_qualname") else code.co_name

    def _holds(self, value, depth: int) -> bool:
        if isinstance(value, bytes | bytearray | memoryview):
            value = bytes(value).decode("utf-8", "replace")
        elif isinstance(value, pa.RecordBatch | pa.Table | pa.Array | pa.ChunkedArray):
            value = str(value.to_pylist())
        if isinstance(value, str):
            return self._is_in(value) is not None
        return depth > 0 and any(self._holds(item, depth - 1) for item in _items_of(value))


def _items_of(value) -> Iterable[object]:
    """Return what a container or a plain object of the project or of msgspec carries; other objects carry nothing."""
    if isinstance(value, dict):
        return (*value, *value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return value
    names = getattr(type(value), "__struct_fields__", None) or getattr(type(value), "__dataclass_fields__", None)
    return [getattr(value, name, None) for name in names or ()]


def _function_with_everything(fleet) -> tuple[str, list[str]]:
    """Return the name of a function with variables and tags, and texts that nothing but its response has."""
    scope = Scope(account_id="111122223333", region="us-east-1")
    for index in fleet.indexes(scope):
        version = fleet.version(scope, index, "$LATEST")
        function = version.function
        if version.environment and function.tags and function.image is None and function.layers:
            texts = [version.revision_id, *version.environment.values(), *function.tags.values()]
            return function.name, [text for text in texts if len(text) > 7]
    raise LookupError("no function of the fleet has all that the test looks at")


@pytest.mark.asyncio
@pytest.mark.slow
async def test_a_response_passes_few_files(tmp_path, environment, monkeypatch, settings, simulator):
    """A response of GetFunction passes no more files than MOST_FILES on its way from the socket into Parquet."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with simulator(functions=60, versions=0) as server:
        name, texts = _function_with_everything(server.fleet)
        path = ResponsePath(texts)
        reading = lexport.snapshot(tmp_path / "fleet", settings(server.url, functions=(name,)))
        threading.setprofile(path)
        sys.setprofile(path)
        try:
            await reading
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    shown = ", ".join(f"{name} ({function})" for name, function in path.files.items())
    assert len(path.files) <= MOST_FILES, f"{len(path.files)} files, with the function that comes first: {shown}"
    assert {"dataset/parquet.py"} <= set(path.files), "the response was followed into Parquet"
