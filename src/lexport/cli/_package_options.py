"""The options that say which packages are fetched and how, and what is said of them at the end."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import click

from lexport.cli._options import Decorator, option, say_redirection
from lexport.cli._units import size

if TYPE_CHECKING:
    from collections.abc import Callable

    from lexport.extract.progress import PackageProgress
    from lexport.settings import PackageSettings

_OPTIONS: tuple[Decorator, ...] = (
    option(
        "--packages-for",
        type=click.Choice(["latest", "published", "all"]),
        default="all",
        show_default=True,
        help="Packages of these versions.",
    ),
    option("--package-runtime", multiple=True, metavar="RUNTIME", help="Of functions with this runtime; repeatable."),
    option("--package-name", multiple=True, metavar="PATTERN", help="Of functions named so, as billing-*; repeatable."),
    option("--max-package-size", type=size, metavar="SIZE", help="None larger than this, as 100MB."),
    option("--package-concurrency", type=int, default=16, show_default=True, help="Downloads at once."),
    option("--package-rate", type=size, metavar="SIZE", help="Bytes a second of all downloads together, as 50MB."),
    option(
        "--package-host",
        multiple=True,
        metavar="HOST",
        callback=say_redirection,
        help="Links may lead here too, besides S3; repeatable.",
    ),
    option(
        "--reference-packages", is_flag=True, help="Fetch those in your own buckets too: needs s3:GetObjectVersion."
    ),
    option("--layers", is_flag=True, help="Fetch the layer versions in use too: needs lambda:GetLayerVersion."),
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
_FLAGS = {"packages_for": "--packages-for", "package_concurrency": "--package-concurrency"}


def package_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Declare all of them on a command."""
    return reduce(lambda declared, declare: declare(declared), reversed(_OPTIONS), command)


def package_settings(options: dict[str, Any], *, is_wanted: bool, is_inspected: bool = False) -> PackageSettings | None:
    """Take these options out of a command's; None where no packages are wanted. Raises SettingsError for wrong ones."""
    from lexport.errors import SettingsError
    from lexport.settings import PackageSettings

    chosen = {target: options.pop(name) for name, target in _NAMES.items()}
    settings = PackageSettings(**chosen, inspect=is_inspected)
    if is_wanted:
        return settings
    if settings != PackageSettings():
        raise SettingsError("options of packages go with --packages", option="--packages")
    return None


def package_lines(packages: PackageProgress) -> list[str]:
    """Say what became of packages and layers, a line for each kind with one example."""
    lines = []
    for kind, count in sorted(packages.kinds.items(), key=lambda item: (item[0].what, item[0].status, item[0].why)):
        why = f" ({kind.why})" if kind.why else ""
        example = packages.examples[kind]
        lines.append(f"{kind.what}s: {count:,} {kind.status}{why}{example and f', e.g. {example}'}")
    lines.append(f"packages: {packages.stored_bytes:,} bytes stored, {packages.moved_bytes():,} moved")
    return lines
