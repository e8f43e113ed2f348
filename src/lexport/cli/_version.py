"""The text of ``lexport --version``: what a report of an error has to name."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

from lexport.model import __version__

_NAME = re.compile(r"[\w.-]+")  # of a library, at the beginning of a requirement
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w-]+)["']""")


def version_text() -> str:
    """Return the versions of lexport, of Python and of every library that lexport requires or can use."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    lines = [f"lexport, version {__version__}", f"{python} on {platform.system()} {platform.machine()}"]
    return "\n".join([*lines, *(f"{name} {release or 'is not installed'}" for name, release in libraries().items())])


def libraries() -> dict[str, str | None]:
    """Return the libraries that lexport requires or can use, in order, with their releases; None is not installed."""
    return {name: _release(name) for name in sorted({"botocore", *map(_name, requires("lexport") or ())})}


def extras() -> dict[str, list[str]]:
    """Return the extras, in order, with the libraries that each adds."""
    found: dict[str, list[str]] = {}
    for text in requires("lexport") or ():
        if (matched := _EXTRA.search(text)) is not None:
            found.setdefault(matched[1], []).append(_name(text))
    return dict(sorted(found.items()))


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    return found[0] if found else requirement


def _release(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
