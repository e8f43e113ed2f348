"""The bytes of an executable -> the Go modules that are linked into it.

Source: Go's ``debug/buildinfo``. A header of 32 bytes stands at a multiple of 16. Since Go 1.18 two texts follow it,
each after its length: the version of Go, and one line for each module. Older executables only hold pointers to these
texts; they are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lexport.artifacts.dependencies.purl import dependency, named
from lexport.model import Dependency

ELF = b"\x7fELF"
_MAGIC = b"\xff Go buildinf:"
_ALIGNED, _HEADER_BYTES, _FLAGS, _IS_INLINE = 16, 32, 15, 2
_MAX_TEXT_BYTES = 2**20  # of both texts; Kubernetes, with 250 modules, takes 30 KB
_MAX_TRIES = 8  # programs that read build information contain the magic bytes too; more of them are an attack
_FRAME_BYTES = 16  # Go puts as many bytes before and after the list of modules


def read_executable(path: str, chunks: Iterable[bytes]) -> Iterator[Dependency]:
    """Yield the modules of an executable; none where the bytes are no executable or have no build information.

    Reads no further than needed; buffers little more than ``_MAX_TEXT_BYTES``.
    """
    texts = _find(chunks)
    if texts is not None:
        yield from _dependencies(path, *texts)


def _find(chunks: Iterable[bytes]) -> tuple[str, str] | None:
    buffer, start, at, tries = b"", 0, 0, 0  # start: position of the buffer in the file; at: position in the buffer
    stream = iter(chunks)
    has_more = True
    while has_more:
        chunk = next(stream, None)
        has_more = chunk is not None
        buffer += chunk or b""
        if not start and not buffer.startswith(ELF[: len(buffer)]):
            return None
        while (at := buffer.find(_MAGIC, at)) >= 0:
            if has_more and len(buffer) - at < _HEADER_BYTES + _MAX_TEXT_BYTES:
                break  # the texts may go on in the next chunk
            if (start + at) % _ALIGNED == 0:
                texts = _texts(buffer[at : at + _HEADER_BYTES + _MAX_TEXT_BYTES])
                tries += 1
                if texts is not None or tries == _MAX_TRIES:
                    return texts
            at += 1
        keep_from = at if at >= 0 else max(0, len(buffer) - len(_MAGIC) + 1)
        buffer, start, at = buffer[keep_from:], start + keep_from, 0
    return None


def _texts(data: bytes) -> tuple[str, str] | None:
    """Return the two texts after a header; None where there is no header, or one of an older format."""
    if len(data) < _HEADER_BYTES or not data[_FLAGS] & _IS_INLINE:
        return None
    version, end = _text(data, _HEADER_BYTES)
    modules, _ = _text(data, end)
    if not version.startswith((b"go", b"devel")):
        return None
    if modules[-_FRAME_BYTES - 1 : -_FRAME_BYTES] == b"\n":
        modules = modules[_FRAME_BYTES:-_FRAME_BYTES]
    return version.decode("utf-8", "replace"), modules.decode("utf-8", "replace")


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    """Return a text, cut at the end of the data, and its end. Its length comes first: 7 bits a byte, lowest first."""
    length = shift = 0
    while at < len(data) and shift < 63:  # noqa: PLR2004 - bits of the longest length
        byte = data[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004 - the highest bit means that another byte follows
            break
    return data[at : at + length], at + length


def _dependencies(path: str, version: str, modules: str) -> Iterator[Dependency]:
    """Yield the modules of lines ``dep path version sum``; a line ``=> path version sum`` replaces the one before.

    A module replaced by a folder keeps its name and has no version. ``(devel)`` is no version either.
    """
    yield from named("golang", "stdlib", version.split(" ", maxsplit=1)[0].removeprefix("go"), path)
    module: Dependency | None = None
    for line in modules.splitlines():
        kind, _, rest = line.partition("\t")
        name, module_version, *_ = [*rest.split("\t"), "", ""]
        if kind == "=>" and module:
            is_folder = name.startswith((".", "/", "\\")) or name[1:2] == ":"
            module = dependency("golang", module.name if is_folder else name, module_version, path) or module
            continue
        if module:
            yield module
        module = dependency("golang", name, module_version, path) if kind == "dep" else None
    if module:
        yield module
