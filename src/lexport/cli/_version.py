"""The text of ``lexport --version``: what a report of an error has to name."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from lexport.model import __version__

_NAME = re.compile(r"[\w.-]+")  # of a library, at the beginning of a requirement


def version_text() -> str:
    """Return the versions of lexport, of Python and of every library that lexport requires or can use."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    lines = [f"lexport, version {__version__}", f"{python} on {platform.system()} {platform.machine()}"]
    return "\n".join([*lines, *(f"{name} {release}" for name, release in _libraries())])


def _libraries() -> Iterator[tuple[str, str]]:
    """Yield the names of the required libraries, in order, and their releases."""
    declared = ("botocore", *(requires("lexport") or ()))
    names = {found[0] for text in declared if (found := _NAME.match(text))}
    for name in sorted(names):
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "is not installed"
