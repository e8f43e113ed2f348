"""What a probe found, and what follows from all findings: the exit code and the policy that is missing. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lexport.errors import (
    AccessDeniedError,
    ClockError,
    CredentialsError,
    ExpiredCredentialsError,
    NetworkError,
    SettingsError,
    ThrottledError,
    WriteDeniedError,
)

Level = Literal["ok", "warning", "error"]
Outcome = Literal[
    "ok", "empty", "absent", "denied", "refused", "unreachable", "throttled", "clock", "wrong", "failed", "not_tried"
]
"""What came of a probe. ``denied`` is a missing permission, ``refused`` are credentials that are not accepted.

``empty`` was allowed, and there was nothing; ``absent`` is not there yet, or not offered in this Region; ``wrong`` is a
setting or a file.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line. ``actions`` are the IAM actions that are missing; ``code`` is that of an error of AWS or of ours."""

    level: Level
    subject: str
    outcome: Outcome
    message: str
    code: str | None = None
    actions: tuple[str, ...] = ()


Add = Callable[[Finding], None]

NAMES = ("level", "subject", "outcome", "message", "code", "actions")


def row(finding: Finding) -> tuple[Any, ...]:
    """Return the cells of a finding, in the order of ``NAMES``."""
    return (*(getattr(finding, name) for name in NAMES[:-1]), list(finding.actions))


def of_error(
    error: Exception,
    subject: str,
    *,
    level: Level = "error",
    actions: Sequence[str] = (),
    outcome: Outcome | None = None,
) -> Finding:
    """Make the finding of an error; ``actions`` are missing only where access was denied."""
    found = outcome or outcome_of(error)
    return Finding(
        level=level,
        subject=subject,
        outcome=found,
        message=_text(error),
        code=getattr(error, "code", None),
        actions=tuple(actions) if found == "denied" else (),
    )


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def outcome_of(error: Exception) -> Outcome:
    """Return what an error means."""
    kinds: tuple[tuple[type[Exception], Outcome], ...] = (
        (AccessDeniedError, "denied"),
        (WriteDeniedError, "denied"),
        (PermissionError, "denied"),
        (ExpiredCredentialsError, "refused"),
        (CredentialsError, "refused"),
        (ClockError, "clock"),
        (NetworkError, "unreachable"),
        (TimeoutError, "unreachable"),
        (ThrottledError, "throttled"),
        (SettingsError, "wrong"),
    )
    return next((outcome for kind, outcome in kinds if isinstance(error, kind)), "failed")


def not_tried(subject: str, why: str) -> Finding:
    """Make the finding of a probe that depends on one that failed."""
    return Finding(level="warning", subject=subject, outcome="not_tried", message=f"not tried: {why}")


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 5 where credentials or permissions are wrong, 1 where anything else is, and 0 otherwise."""
    wrong = [finding.outcome for finding in findings if finding.level == "error"]
    if not wrong:
        return 0
    return CredentialsError.exit_code if {"denied", "refused"}.intersection(wrong) else 1


def missing_statements(findings: Iterable[Finding], policy: dict[str, Any]) -> dict[str, Any] | None:
    """Return the part of a policy that allows what was denied; None where nothing of it was."""
    denied = {action for finding in findings for action in finding.actions}
    statements = []
    for statement in policy["Statement"]:
        listed = statement["Action"]
        if actions := [action for action in ([listed] if isinstance(listed, str) else listed) if action in denied]:
            statements.append({**statement, "Action": actions})
    return {**policy, "Statement": statements} if statements else None
