"""botocore's descriptions of the services: found without a search, and read once by all sessions of this process."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from botocore.loaders import Loader


class _Models(Loader):  # type: ignore[misc] # botocore has no types
    """The files of botocore and of the user's AWS_DATA_PATH."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore names it
        """Return the names of all folders: botocore looks into each of some 400, before it loads one service.

        A service without the file that is wanted is found out when its newest version is.
        """
        names = {entry.name for path in self._potential_locations() for entry in os.scandir(path) if entry.is_dir()}
        return sorted(names)


@cache
def service_models(data_path: str | None) -> Any:
    """Return the loader for a value of AWS_DATA_PATH."""
    folders = data_path.split(os.pathsep) if data_path is not None else []
    return _Models(extra_search_paths=[os.path.expanduser(os.path.expandvars(folder)) for folder in folders])  # noqa: PTH111
