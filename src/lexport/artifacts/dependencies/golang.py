"""An executable's bytes -> the Go modules that were linked into it.

Source: Go's ``debug/buildinfo``: a header of 32 bytes at a multiple of 16, then, since Go 1.18, two texts with their
lengths before them: the version of Go, and the modules a line each. Older executables point to them, and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lexport.artifacts.dependencies.purl import dependency
from lexport.model import Dependency

ELF = b"\x7fELF"
_MAGIC = b"\xff Go buildinf:"
_ALIGNED, _HEADER_BYTES, _FLAGS, _IS_INLINE = 16, 32, 15, 2
_MOST_BYTES = 2**20  # of both texts; Kubernetes, with 250 modules, takes 30 KB
_MOST_TRIES = 8  # the same bytes stand in programs that look for them; a file full of them is made to harm
_FRAME = 16  # bytes that Go puts before and after the list of modules


def read_executable(path: str, chunks: Iterable[bytes]) -> Iterator[Dependency]:
    """Find the build information in a stream of bytes and read it; nothing where there is none, or no executable.

    Reads no further than needed; holds little more than ``_MOST_BYTES``.
    """
    found = _find(chunks)
    if found is not None:
        yield from _dependencies(path, *found)


def _find(chunks: Iterable[bytes]) -> tuple[str, str] | None:
    held, held_at, place, tried = b"", 0, 0, 0  # the bytes at hand, where in the file they begin, how far we are
    stream = iter(chunks)
    is_more = True
    while is_more:
        chunk = next(stream, None)
        is_more = chunk is not None
        held += chunk or b""
        if not held_at and not held.startswith(ELF[: len(held)]):
            return None
        while (place := held.find(_MAGIC, place)) >= 0:
            if is_more and len(held) - place < _HEADER_BYTES + _MOST_BYTES:
                break  # not yet all that the texts can take
            if (held_at + place) % _ALIGNED == 0:
                found = _texts(held[place : place + _HEADER_BYTES + _MOST_BYTES])
                tried += 1
                if found is not None or tried == _MOST_TRIES:
                    return found
            place += 1
        keep = place if place >= 0 else max(0, len(held) - len(_MAGIC) + 1)
        held, held_at, place = held[keep:], held_at + keep, 0
    return None


def _texts(data: bytes) -> tuple[str, str] | None:
    """Read the two texts behind a header; None where it is none, or of an older kind."""
    if len(data) < _HEADER_BYTES or not data[_FLAGS] & _IS_INLINE:
        return None
    version, end = _text(data, _HEADER_BYTES)
    modules, _ = _text(data, end)
    if not version.startswith((b"go", b"devel")):
        return None
    if modules[-_FRAME - 1 : -_FRAME] == b"\n":
        modules = modules[_FRAME:-_FRAME]
    return version.decode("utf-8", "replace"), modules.decode("utf-8", "replace")


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    """Read a length of seven bits a byte, least first, and so many bytes; cut where the data ends."""
    length = shift = 0
    while at < len(data) and shift < 63:  # noqa: PLR2004 - bits of the greatest length
        byte = data[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that the length goes on
            break
    return data[at : at + length], at + length


def _dependencies(path: str, version: str, modules: str) -> Iterator[Dependency]:
    """Read the lines ``dep path version sum``; a line ``=> path version sum`` replaces the one before it.

    A module that a folder replaces keeps its name and has no version; ``(devel)`` is none either.
    """
    standard = dependency("golang", "stdlib", version.split(" ", maxsplit=1)[0].removeprefix("go"), path)
    if standard:
        yield standard
    waiting: Dependency | None = None
    for line in modules.splitlines():
        kind, _, rest = line.partition("\t")
        name, module_version, *_ = [*rest.split("\t"), "", ""]
        if kind == "=>" and waiting:
            is_folder = name.startswith((".", "/", "\\")) or name[1:2] == ":"
            waiting = dependency("golang", waiting.name if is_folder else name, module_version, path) or waiting
            continue
        if waiting:
            yield waiting
        waiting = dependency("golang", name, module_version, path) if kind == "dep" else None
    if waiting:
        yield waiting
