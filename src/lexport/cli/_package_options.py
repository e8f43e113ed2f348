"""The options of the commands that download packages, and the lines that summarize what was downloaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from lexport.cli._options import Decorator, declare, option, print_redirection
from lexport.cli._units import size
from lexport.errors import SettingsError
from lexport.model import Qualifiers
from lexport.settings import PackageSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from lexport.extract.progress import PackageProgress

_DEFAULTS = PackageSettings()

_OPTIONS: tuple[Decorator, ...] = (
    option(
        "--packages-for",
        group="Packages",
        type=click.Choice(get_args(Qualifiers)),
        default=_DEFAULTS.packages_for,
        show_default=True,
        help="Download the packages of these versions: $LATEST, the published ones, or all.",
    ),
    option(
        "--package-runtime",
        group="Packages",
        multiple=True,
        metavar="RUNTIME",
        help="Download only packages of functions with this runtime (repeatable).",
    ),
    option(
        "--package-name",
        group="Packages",
        multiple=True,
        metavar="PATTERN",
        help="Download only packages of functions matching this pattern, e.g. billing-* (repeatable).",
    ),
    option(
        "--max-package-size",
        group="Packages",
        type=size,
        metavar="SIZE",
        help="Skip packages larger than this, e.g. 100MB.",
    ),
    option(
        "--package-concurrency",
        group="Packages",
        type=int,
        default=_DEFAULTS.concurrency,
        show_default=True,
        help="Run this many downloads at once.",
    ),
    option(
        "--package-rate",
        group="Packages",
        type=size,
        metavar="SIZE",
        help="Limit all downloads together to this many bytes per second, e.g. 50MB.",
    ),
    option(
        "--package-host",
        group="Packages",
        multiple=True,
        metavar="HOST",
        callback=print_redirection,
        help="Allow downloads from this host besides S3 (repeatable).",
    ),
    option(
        "--reference-packages",
        group="Packages",
        is_flag=True,
        help="Download packages in your own buckets too; needs s3:GetObjectVersion.",
    ),
    option(
        "--layers",
        group="Packages",
        is_flag=True,
        help="Download the layer versions in use too; needs lambda:GetLayerVersion.",
    ),
)
_NAMES = {
    "packages_for": "packages_for",
    "package_runtime": "runtimes",
    "package_name": "names",
    "max_package_size": "max_size_bytes",
    "package_concurrency": "concurrency",
    "package_rate": "rate_bytes_per_s",
    "package_host": "hosts",
    "reference_packages": "reference_packages",
    "layers": "layers",
}


def package_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare the options of this module on a command."""
    return declare(command, _OPTIONS)


def package_settings(
    options: dict[str, Any], *, is_downloading: bool, is_inspected: bool = False
) -> PackageSettings | None:
    """Take these options out of ``options``; return None if no packages are downloaded.

    Raises SettingsError for wrong values, and for options of packages without ``--packages``.
    """
    chosen = {target: options.pop(name) for name, target in _NAMES.items()}
    settings = PackageSettings(**chosen, inspect=is_inspected)
    if is_downloading:
        return settings
    if settings != _DEFAULTS:
        raise SettingsError("options of packages go with --packages", option="--packages")
    return None


def package_lines(packages: PackageProgress) -> list[str]:
    """Return one line for each outcome of packages and layers, with one example."""
    lines = []
    for kind, count in sorted(packages.kinds.items(), key=lambda item: (item[0].what, item[0].status, item[0].why)):
        why = f" ({kind.why})" if kind.why else ""
        example = packages.examples[kind]
        lines.append(f"{kind.what}s: {count:,} {kind.status}{why}{example and f', e.g. {example}'}")
    lines.append(f"packages: {packages.stored_bytes:,} bytes stored, {packages.moved_bytes():,} moved")
    return lines
