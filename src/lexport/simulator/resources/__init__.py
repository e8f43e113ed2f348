"""The resources around functions: one module for each, with what the simulated fleet has of it.

A module has ``NAME``, which ``--with`` takes, ``ANSWERS``, a function for each of its operations, and ``rows``, the
expected rows of its tables, which share no code with the answers. ``IS_DEFAULT`` says that every run reads it. A module
whose rows have HMACs has ``rows_with_hmacs`` instead.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lexport.model import Scope

if TYPE_CHECKING:
    from lexport.simulator.answers import Answer
    from lexport.simulator.fleet import Fleet

_MODULES = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]

ANSWERS: dict[str, Answer] = {operation: answer for module in _MODULES for operation, answer in module.ANSWERS.items()}
"""Operation -> what answers it."""


def expected_rows(
    fleet: Fleet, scope: Scope, names: Collection[str], value_hmac: Callable[[str], str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (table, row) for every row of the resources that every run reads, and of those with these names."""
    for module in _MODULES:
        if module.IS_DEFAULT or module.NAME in names:
            if hasattr(module, "rows_with_hmacs"):
                yield from module.rows_with_hmacs(fleet, scope, value_hmac)
            else:
                yield from module.rows(fleet, scope)
