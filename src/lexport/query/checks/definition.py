"""Read checks from their files, choose those to run and set their thresholds. No SQL runs here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from lexport.errors import SettingsError, ViewError
from lexport.query.checks.frameworks import check_frameworks, frameworks_of
from lexport.query.sql_file import SqlFile, head_error, read_sql_file

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # in ascending order

Value = int | float | tuple[str, ...]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_THRESHOLD = re.compile(r"(?P<default>\[.*?\]|\S+) \((?P<unit>[^)]+)\): (?P<meaning>.+)")
_REQUIRED = ("title", "severity", "remediation", "grain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A number, or a list of texts, that a check compares values with."""

    name: str
    default: Value
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One SELECT whose rows are violations, and the facts in the head of its file.

    ``query`` begins at line ``query_line`` of the file. ``references`` name the same control in other catalogues.
    A check that is not ``is_default`` judges by a rule that few fleets follow: it runs where it is asked for.
    """

    name: str
    path: Path = field(repr=False)
    title: str
    severity: Severity
    remediation: str
    grain: str
    references: tuple[str, ...]
    columns: dict[str, str]
    thresholds: dict[str, Threshold]
    query: str = field(repr=False)
    query_line: int
    is_shipped: bool
    is_default: bool = True


def read_check(path: Path, *, is_shipped: bool = False) -> Check:
    """Read one check. Raises ViewError, which names file and line, if its head is wrong."""
    if _NAME.fullmatch(path.stem) is None:
        raise head_error(path, 1, "the file's name may have small letters, digits and _, and begins with a letter")
    file = read_sql_file(path, facts=(*_REQUIRED, "reference", "default"), named=("column", "threshold"))
    for word in _REQUIRED:
        if word not in file.facts:
            raise head_error(path, 1, f"the head lacks -- {word}:")
    for name in ("account_id", "region"):
        if name not in file.named["column"]:
            raise head_error(path, 1, f"the head lacks -- column {name}: each row must name its account and Region")
    severity = next((name for name in SEVERITIES if name == file.facts["severity"]), None)
    if severity is None:
        raise file.error(f"severity must be one of {', '.join(SEVERITIES)}", word="severity")
    if file.facts.get("default", "on") not in {"on", "off"}:
        raise file.error("default must be on or off", word="default")
    if not file.query.strip():
        raise head_error(path, file.query_line, "no SELECT follows the head")
    return Check(
        name=path.stem,
        path=path,
        title=file.facts["title"],
        severity=severity,
        remediation=file.facts["remediation"],
        grain=file.facts["grain"],
        references=tuple(part.strip() for part in file.facts.get("reference", "").split(",") if part.strip()),
        columns=file.named["column"],
        thresholds={name: _threshold(file, name, text) for name, text in file.named["threshold"].items()},
        query=file.query,
        query_line=file.query_line,
        is_shipped=is_shipped,
        is_default=file.facts.get("default") != "off",
    )


def _threshold(file: SqlFile, name: str, text: str) -> Threshold:
    match = _THRESHOLD.fullmatch(text)
    try:
        default = _value(json.loads(match["default"])) if match else None
    except ValueError:
        default = None
    if match is None or default is None:
        raise file.error(
            f'write it like: -- threshold {name}: 90 (days): meaning; or with ["a", "b"] for a list of texts',
            word="threshold",
            name=name,
        )
    return Threshold(name=name, default=default, unit=match["unit"], meaning=match["meaning"])


def _value(raw: Any) -> Value | None:
    """Return a number that is 0 or more, or a list of texts; None for any other value."""
    if isinstance(raw, list):
        return tuple(raw) if all(isinstance(item, str) and item for item in raw) else None
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    return raw if math.isfinite(raw) and 0 <= raw < 2**63 else None


def load_checks(shipped: Path, own: Sequence[Path] = ()) -> tuple[Check, ...]:
    """Read the shipped checks and those in the user's folders ``own``, in the order of their names.

    Raises SettingsError if a folder of the user cannot be read, or a file in it is wrong or has the name of another
    check.
    """
    checks = {path.stem: read_check(path, is_shipped=True) for path in shipped.glob("*.sql")}
    for folder in own:
        for path in _files(folder):
            try:
                check = read_check(path)
            except ViewError as error:
                raise SettingsError(f"--checks {folder}: {error}", option="--checks") from error
            if check.name in checks:
                other = checks[check.name]
                owner = "a shipped check has that name" if other.is_shipped else f"{other.path} has that name too"
                raise SettingsError(
                    f"--checks {folder}: {path.name}: {owner}; rename yours, and leave the other out with --skip",
                    option="--checks",
                )
            checks[check.name] = check
    return tuple(checks[name] for name in sorted(checks))


def _files(folder: Path) -> list[Path]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".sql" and not path.name.startswith("."))
    except OSError as error:
        raise SettingsError(f"--checks {folder}: {error.strerror}", option="--checks") from error
    if not files:
        raise SettingsError(f"--checks {folder}: the folder has no .sql file", option="--checks")
    return files


def choose(
    checks: Sequence[Check],
    *,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    min_severity: Severity = "low",
    frameworks: Iterable[str] = (),
    all_of_them: bool = False,
) -> tuple[Check, ...]:
    """Choose the checks to run: those named in ``only`` and those of the ``frameworks``; without any, the default ones.

    ``all_of_them`` takes the others too. Raises SettingsError for an unknown name, or if no check is left.
    """
    names = {check.name for check in checks}
    chosen_names, skipped_names, chosen_frameworks = set(only), set(skip), set(frameworks)
    for option, given in (("--check", chosen_names), ("--skip", skipped_names)):
        if unknown := sorted(given - names):
            raise SettingsError(
                f"{option} {unknown[0]}: no check has that name; see: lexport check --list", option=option
            )
    check_frameworks(sorted(chosen_frameworks))
    least = SEVERITIES.index(min_severity)

    def is_asked_for(check: Check) -> bool:
        if chosen_names or chosen_frameworks:
            return check.name in chosen_names or not chosen_frameworks.isdisjoint(frameworks_of(check))
        return check.is_default or all_of_them

    chosen = tuple(
        check
        for check in checks
        if is_asked_for(check) and check.name not in skipped_names and SEVERITIES.index(check.severity) >= least
    )
    if not chosen:
        raise SettingsError(
            "no check is left to run: see --check, --framework, --skip and --min-severity", option="--check"
        )
    return chosen


def fill_thresholds(checks: Sequence[Check], given: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, Value]]:
    """Return the thresholds of every check: the given values, else the defaults.

    Raises SettingsError, which names the key.
    """
    declared = {check.name: check.thresholds for check in checks}
    filled = {check.name: {item.name: item.default for item in check.thresholds.values()} for check in checks}
    if not isinstance(given, Mapping):
        raise SettingsError("check.thresholds: write it as tables: [check.thresholds.NAME]", option="check.thresholds")
    for name, values in given.items():
        key = f"check.thresholds.{name}"
        if name not in declared:
            raise SettingsError(f"{key}: no check has that name; see: lexport check --list", option=key)
        if not isinstance(values, Mapping):
            raise SettingsError(f"{key}: write it as a table: [{key}]", option=key)
        for threshold, raw in values.items():
            filled[name][threshold] = _check_value(f"{key}.{threshold}", raw, threshold, declared[name])
    return filled


def _check_value(key: str, raw: object, name: str, declared: Mapping[str, Threshold]) -> Value:
    threshold = declared.get(name)
    if threshold is None:
        raise SettingsError(
            f"{key}: the check has no such threshold; it has: {', '.join(declared) or 'none'}", option=key
        )
    value = _value(raw)
    types, expected = {
        tuple: (tuple, "a list of texts"),
        int: (int, "a whole number, 0 or more"),
        float: (int | float, "a number, 0 or more"),
    }[type(threshold.default)]
    if value is None or not isinstance(value, types):
        raise SettingsError(f"{key}: must be {expected} ({threshold.unit}), not {raw!r}", option=key)
    return value
