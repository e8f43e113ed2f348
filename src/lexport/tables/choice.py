"""Which resources a run reads: what ``--with``, ``--without`` and ``--require`` name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace

from lexport.errors import SettingsError
from lexport.settings import SnapshotSettings
from lexport.tables.registry import fleet_resources
from lexport.tables.resource import Resource
from lexport.tables.text import did_you_mean

ALL = "all"
_PACKAGES = "packages"


def choices(resources: Iterable[Resource] | None = None) -> list[str]:
    """Return the names that ``--with`` and ``--without`` take: not those of every snapshot."""
    listed = fleet_resources() if resources is None else resources
    return [*dict.fromkeys(resource.option for resource in listed if not resource.in_every_snapshot), ALL]


def requirable(resources: Iterable[Resource] | None = None) -> list[str]:
    """Return the names that ``--require`` takes."""
    listed = fleet_resources() if resources is None else resources
    return [_PACKAGES, *dict.fromkeys(resource.option for resource in listed)]


def choose_resources(settings: SnapshotSettings, resources: Sequence[Resource] | None = None) -> SnapshotSettings:
    """Return the settings with the resources that a run reads: ``all`` written out, and no name without an effect.

    A name has precedence over the ``all`` of the other option. ``resources`` are by default those of the registry.
    Raises SettingsError for unknown names, for a resource that is both read and left out, and for one that is required
    and not read.
    """
    resources = fleet_resources() if resources is None else resources
    named, left_out = settings.with_resources, settings.without_resources
    for option, names in (("--with", named), ("--without", left_out)):
        for name in names:
            _check_name(option, name, resources)
    if both := [name for name in named if name in left_out]:
        raise SettingsError(f"--with {both[0]} and --without {both[0]} exclude each other", option="--with")
    choosable = [resource for resource in resources if not resource.in_every_snapshot]
    read = [
        resource.option
        for resource in choosable
        if resource.option in named or (ALL in named and not resource.costs_money and resource.option not in left_out)
    ]
    unread = [
        resource.option
        for resource in choosable
        if resource.option in left_out or (ALL in left_out and resource.option not in named)
    ]
    defaults = {resource.option for resource in resources if resource.default}
    chosen = replace(
        settings,
        with_resources=tuple(dict.fromkeys(name for name in read if name not in defaults)),
        without_resources=tuple(dict.fromkeys(name for name in unread if name in defaults)),
    )
    for name in chosen.require:
        _check_required(name, chosen, resources)
    for resource in choosable:
        _check_settings(resource, chosen)
    return chosen


def _check_settings(resource: Resource, settings: SnapshotSettings) -> None:
    """Raise SettingsError where ``--with`` names a resource that is not read, or a setting has no effect."""
    name = resource.option
    is_named = name in settings.with_resources
    if is_named and settings.is_selection:
        raise SettingsError(f"--with {name} reads a whole fleet, not a list of functions", option="--with")
    defaults = {each.name: each.default for each in fields(SnapshotSettings)}
    for setting in resource.settings:
        if not is_named and getattr(settings, setting) != defaults[setting]:
            option = f"--{setting.replace('_', '-')}"
            raise SettingsError(f"{option} goes with --with {name}", option=option)


def _check_name(option: str, name: str, resources: Sequence[Resource]) -> None:
    known = choices(resources)
    if name in known:
        return
    resource = next((each for each in resources if each.option == name), None)
    if resource is None:
        raise SettingsError(
            f"{option}: there is no resource {name!r}{did_you_mean(name, known)}; the names are {', '.join(known)}",
            option=option,
        )
    unless = f" without {resource.left_out_by}" if resource.left_out_by else ""
    raise SettingsError(f"{option} does not take {name}, which every snapshot{unless} has", option=option)


def _check_required(name: str, settings: SnapshotSettings, resources: Sequence[Resource]) -> None:
    if name == _PACKAGES:
        return
    resource = next((each for each in resources if each.option == name), None)
    if resource is None:
        known = requirable(resources)
        raise SettingsError(
            f"--require: no part of a snapshot is {name!r}{did_you_mean(name, known)}; the names are"
            f" {', '.join(known)}",
            option="--require",
        )
    if not resource.is_read(settings.for_manifest()):
        without = resource.left_out_by or f"--without {name}"
        needed = f"does not go with {without}" if resource.default else f"goes with --with {name}"
        raise SettingsError(f"--require {name} {needed}", option="--require")
