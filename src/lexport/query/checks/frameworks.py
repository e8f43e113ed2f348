"""The catalogues of controls whose ids checks name as references: their names, and where each control is described."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lexport.errors import SettingsError

if TYPE_CHECKING:
    from lexport.query.checks.definition import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """A catalogue. References to it begin with ``title``; ``url`` describes a control where ``{id}`` is in it."""

    name: str
    title: str
    url: str


_DOCS = "https://docs.aws.amazon.com"
FRAMEWORKS = {
    framework.name: framework
    for framework in (
        Framework(name="prowler", title="Prowler", url="https://hub.prowler.com/check/{id}"),
        Framework(
            name="security-hub",
            title="Security Hub",
            url=f"{_DOCS}/securityhub/latest/userguide/lambda-controls.html#{{id}}",
        ),
        Framework(name="aws-config", title="AWS Config", url=f"{_DOCS}/config/latest/developerguide/{{id}}.html"),
        Framework(
            name="steampipe",
            title="Steampipe",
            url="https://hub.powerpipe.io/mods/turbot/steampipe-mod-aws-compliance/controls/control.{id}",
        ),
    )
}


def split_reference(reference: str) -> tuple[Framework, str] | None:
    """Return the framework and the id of a control; None for a reference to anything else."""
    for framework in FRAMEWORKS.values():
        if reference.startswith(f"{framework.title} "):
            return framework, reference.removeprefix(f"{framework.title} ")
    return None


def help_urls(references: Iterable[str]) -> Iterator[str]:
    """Yield the pages that describe the controls."""
    for framework, control in filter(None, map(split_reference, references)):
        is_section = framework.url.endswith("#{id}")
        yield framework.url.format(id=control.lower().replace(".", "-") if is_section else control)


def frameworks_of(check: Check) -> set[str]:
    """Return the names of the frameworks that have a control like this check."""
    return {found[0].name for found in map(split_reference, check.references) if found is not None}


def check_frameworks(names: Iterable[str]) -> None:
    """Raise SettingsError for a name that is no framework."""
    for name in names:
        if name not in FRAMEWORKS:
            raise SettingsError(
                f"--framework {name}: no framework has that name; there are: {', '.join(FRAMEWORKS)}",
                option="--framework",
            )
