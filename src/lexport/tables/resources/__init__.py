"""The resources around functions: each module here declares some as ``RESOURCES``, and is found by being here."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from lexport.tables.resource import Resource

_MODULES = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]

RESOURCES: tuple[Resource, ...] = tuple(resource for module in _MODULES for resource in module.RESOURCES)
"""All of them, by the names of the modules."""
