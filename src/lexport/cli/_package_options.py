"""The options of the commands that download packages, and the lines that summarize what was downloaded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import click

from lexport.cli._options import declare_options, option, print_redirection, size
from lexport.errors import SettingsError
from lexport.settings import PackageSettings, Qualifiers
from lexport.tables.text import agree, plural

if TYPE_CHECKING:
    from lexport.dataset.manifest import Manifest
    from lexport.extract.progress import PackageProgress

_DEFAULTS = PackageSettings()

_option = partial(option, "Packages")

package_options = declare_options(
    (
        _option(
            "--packages-for",
            "Download the packages of these versions: $LATEST, the published ones, or all.",
            type=click.Choice(get_args(Qualifiers)),
            default=_DEFAULTS.packages_for,
        ),
        _option("--package-runtime RUNTIME", "Download only packages of functions with this runtime.", multiple=True),
        _option(
            "--package-name PATTERN",
            "Download only packages of functions matching this pattern, e.g. billing-*.",
            multiple=True,
        ),
        _option("--max-package-size SIZE", "Skip packages larger than this, e.g. 100MB.", type=size),
        _option("--package-concurrency", "Run this many downloads at once.", type=int, default=_DEFAULTS.concurrency),
        _option(
            "--package-rate SIZE", "Limit all downloads together to this many bytes per second, e.g. 50MB.", type=size
        ),
        _option(
            "--package-host HOST",
            "Allow downloads from this host besides S3.",
            multiple=True,
            callback=print_redirection,
        ),
        _option("--reference-packages", "Download packages in your own buckets too; needs s3:GetObjectVersion."),
        _option("--layers", "Download the layer versions in use too; needs lambda:GetLayerVersion."),
    )
)
"""Declare these options on a command."""

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


def package_settings(
    options: dict[str, Any], *, is_downloading: bool, inspect: bool = False, secrets: bool = False
) -> PackageSettings | None:
    """Take these options out of ``options``; return None if no packages are downloaded.

    Raises SettingsError for wrong values, and for options of packages without ``--packages``.
    """
    chosen = {target: options.pop(name) for name, target in _NAMES.items()}
    settings = PackageSettings(**chosen, inspect=inspect, secrets=secrets)
    if is_downloading:
        return settings
    if settings != _DEFAULTS:
        raise SettingsError("options of packages go with --packages", option="--packages")
    return None


def package_lines(packages: PackageProgress, manifest: Manifest, *, is_gap: bool) -> list[str]:
    """Return one line for each outcome of packages and layers, with one example, and a warning of what is missing.

    ``is_gap`` says that a missing package counts as a gap, which the error of the run is about.
    """
    lines = []
    for kind, count in sorted(packages.kinds.items(), key=lambda item: (item[0].what, item[0].status, item[0].why)):
        why = f" ({kind.why})" if kind.why else ""
        example = packages.examples[kind]
        lines.append(f"{kind.what}s: {count:,} {kind.status}{why}{example and f', e.g. {example}'}")
    lines.append(f"packages: {packages.stored_bytes:,} bytes stored, {packages.moved_bytes():,} moved")
    total, stored = manifest.packages or 0, manifest.packages_stored or 0
    if stored < total:
        advice = "; the table packages says why the others are not; --require packages makes this an error"
        lines.append(
            f"warning: {stored:,} of {plural(total, 'package')} {agree(stored, 'is', 'are')} stored"
            f"{'' if is_gap else advice}"
        )
    return lines
