"""Python processes in which some modules are not installed, or in which lexport is of another release."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import lexport

HIDE = """
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {names!r} else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Hiding, sys.meta_path)
"""


def without(folder: Path, *names: str) -> dict[str, str]:
    """Return the variables of a Python that finds no module of these names; ``folder`` is made for it."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HIDE.format(names=names))
    return {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def of_release(folder: Path, version: str) -> dict[str, str]:
    """Return the variables of a Python whose lexport says that it is of another release."""
    source, copied = Path(lexport.__file__).parent, folder / "lexport"
    shutil.copytree(source, copied, copy_function=os.symlink, ignore=shutil.ignore_patterns("__pycache__"))
    model = copied / "model.py"
    text = model.read_text()
    model.unlink()
    model.write_text(text.replace(f'__version__ = "{lexport.__version__}"', f'__version__ = "{version}"'))
    return {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
