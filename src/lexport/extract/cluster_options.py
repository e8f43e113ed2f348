"""Check the options that name workers, before a run makes its first call: nothing of it needs dask."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from importlib.util import find_spec
from urllib.parse import urlsplit

from lexport.errors import SettingsError
from lexport.settings import SnapshotSettings


def check_cluster_options(settings: SnapshotSettings, note: Callable[[str], None]) -> None:
    """Raise SettingsError without the extra, and for what is no address of a scheduler."""
    if settings.dask is not None:
        _check_installed("--dask", "distributed")
        _check_address(settings.dask, note)
    if settings.processes is not None:
        _check_installed("--processes", "distributed", "cryptography")


def _check_installed(option: str, *modules: str) -> None:
    for module in modules:
        if find_spec(module) is None:
            raise SettingsError(
                f"{option} needs {module}, which is not installed; run: pip install 'lexport[distributed]'",
                option=option,
            )


def _check_address(address: str, note: Callable[[str], None]) -> None:
    """Check the address of a scheduler; note one that anybody in the network can use."""
    try:
        parts = urlsplit(address)
        is_good = parts.scheme in ("tcp", "tls") and bool(parts.hostname) and bool(parts.port)
    except ValueError:
        is_good = False
    if not is_good or parts.username is not None or parts.path not in ("", "/") or parts.query:
        raise SettingsError(
            "--dask takes the address of a scheduler, like tls://scheduler:8786 or tcp://127.0.0.1:8786",
            option="--dask",
        )
    if parts.scheme == "tcp" and not _is_loopback(parts.hostname or ""):
        note(
            f"warning: --dask {address} is not encrypted, and whoever reaches the scheduler can run code on its"
            " workers; use tls:// with certificates"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
