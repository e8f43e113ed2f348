"""Probes of this machine: versions, extras and the configuration file."""

from __future__ import annotations

import platform
from pathlib import Path

from lexport.cli._config import CONFIG_FILE
from lexport.cli._probes.findings import Add, Finding, of_error
from lexport.cli._version import extras, libraries
from lexport.errors import SettingsError
from lexport.model import __version__


def probe_versions(add: Add) -> None:
    """Name the versions, and the extras whose libraries are all there; a required library must not be missing."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    found = libraries()
    installed, absent = list[str](), list[str]()
    for extra, names in extras().items():
        (installed if all(found[name] is not None for name in names) else absent).append(extra)
    of_extras = {name for names in extras().values() for name in names}
    required = {name: release for name, release in found.items() if name not in of_extras}
    shown = ", ".join(f"{name} {release}" for name, release in required.items() if release is not None)
    add(Finding(level="ok", subject="versions", outcome="ok", message=f"lexport {__version__}, {python}; {shown}"))
    for name in (name for name, release in required.items() if release is None):
        message = f"the library {name} is not installed; install lexport again"
        add(Finding(level="error", subject="versions", outcome="absent", message=message))
    more = f"; not installed: {', '.join(absent)}" if absent else ""
    add(Finding(level="ok", subject="extras", outcome="ok", message=f"{', '.join(installed) or 'none'}{more}"))


def probe_settings(config_error: SettingsError | None, option_error: SettingsError | None, add: Add) -> None:
    """Say whether ``lexport.toml`` and the options of the run are accepted."""
    for error in (config_error, option_error):
        if error is not None:
            add(of_error(error, "settings"))
    if config_error is None and option_error is None:
        is_there = Path(CONFIG_FILE).exists()
        read = f"{Path(CONFIG_FILE).absolute()} is accepted" if is_there else f"there is no {CONFIG_FILE} here"
        add(Finding(level="ok", subject="settings", outcome="ok", message=read))
