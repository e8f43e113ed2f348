"""The settings in the plan of a run: all that another process needs to read a shard of it, or to commit it.

Credentials and the key of the HMACs are not among them, nor paths of the machine that planned the run.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec

from lexport.dataset.staging import StagingError
from lexport.errors import SettingsError
from lexport.model import RunSpec
from lexport.settings import SnapshotSettings
from lexport.tables.choice import choose_resources

_OF_THE_PLANNER = frozenset({
    "profile", "accounts", "accounts_from", "functions", "functions_from", "hash_key_file", "group_readable",
    "allow_partial", "resume", "resume_max_age", "deadline", "snapshot_id", "snapshot_at", "dask", "processes",
    "shard_retries", "retire_after",
})  # fmt: skip
"""Settings that are of the planning process alone, or that each process has of its own."""
_LISTED = ("(listed in the plan)",)


def settings_for_plan(settings: SnapshotSettings) -> dict[str, Any]:
    """Return the settings that the plan of a run records."""
    travelling = [field.name for field in fields(settings) if field.name not in _OF_THE_PLANNER]
    values: dict[str, Any] = msgspec.to_builtins({name: getattr(settings, name) for name in travelling})
    return {**values, "is_selection": settings.is_selection}


def settings_from_values(values: dict[str, Any]) -> SnapshotSettings:
    """Return the settings that ``settings_for_plan`` returned. Raises SettingsError and msgspec.ValidationError."""
    return msgspec.convert(
        {name: value for name, value in values.items() if name not in _OF_THE_PLANNER}, SnapshotSettings
    )


def settings_from_plan(
    spec: RunSpec,
    *,
    profile: str | None = None,
    hash_key_file: Path | None = None,
    allow_partial: bool = False,
    group_readable: bool = False,
) -> SnapshotSettings:
    """Return the settings of a planned run, with those that each process has of its own. Raises StagingError."""
    try:
        planned = choose_resources(settings_from_values(spec.settings))
        return replace(
            planned,
            profile=profile,
            hash_key_file=hash_key_file,
            allow_partial=allow_partial,
            group_readable=group_readable,
            functions=_LISTED if spec.settings["is_selection"] else (),
            snapshot_id=spec.snapshot_id,
            snapshot_at=spec.snapshot_at,
        )
    except (msgspec.ValidationError, SettingsError, KeyError) as error:
        raise StagingError(f"the plan of the run {spec.snapshot_id} has wrong settings: {error}") from error
