"""The options that choose which resources of a fleet are read, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import click

from lexport.cli._options import declare_options, option
from lexport.settings import ChangesFrom, PoliciesFor, SnapshotSettings

_DEFAULTS = SnapshotSettings()


def _choices() -> Sequence[str]:
    from lexport.tables.choice import choices

    return choices()


def _requirable() -> Sequence[str]:
    from lexport.tables.choice import requirable

    return requirable()


WITH = option(
    "Resources",
    "--with NAME,…",
    "Read these resources too; `all` is each that costs no money",
    "with_resources",
    multiple=True,
    names=_choices,
)
WITHOUT = option(
    "Resources",
    "--without NAME,…",
    "Do not read these resources, which are read by default or by `all`",
    "without_resources",
    multiple=True,
    names=_choices,
)
CHANGES_FROM = option(
    "Incremental snapshots",
    "--changes-from",
    "Read a resource again only where this source names a change; goes with --incremental.",
    type=click.Choice(get_args(ChangesFrom)),
)
_DETAILS = (
    option(
        "Resources",
        "--policies-for",
        "Read the policies of functions alone, of their aliases too, or of their published versions too.",
        type=click.Choice(get_args(PoliciesFor)),
        default=_DEFAULTS.policies_for,
    ),
    option("Resources", "--usage-days", "Read the metrics of so many days.", type=int, default=_DEFAULTS.usage_days),
)

which_resources = declare_options((WITH, WITHOUT))
"""Declare on a command the options that choose resources."""

resource_options = declare_options((*_DETAILS, CHANGES_FROM))
"""Declare on a command, besides those, the options that say how resources are read."""

require_option = option(
    "Publication",
    "--require NAME,…",
    "Make what cannot be read of this a gap",
    multiple=True,
    names=_requirable,
)
