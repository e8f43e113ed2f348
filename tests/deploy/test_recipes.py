"""The recipes for a nightly job are true: their commands, variables, limits, secrets and metrics."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
import yaml
from cloudformation import ECS, Stack
from dockerfile import ROOT, last_stage

from lexport.cli._commands import cli
from lexport.cli._options import known_variables
from lexport.cli._outputs.prometheus import LastRuns, to_prometheus
from lexport.cli._outputs.summary import RunSummary
from lexport.tables.units import parse_duration

DEPLOY = ROOT / "deploy"
GUIDES = ("docs/guides/every-night.md", "docs/start/nightly-in-ten-minutes.md")
_CONTEXT = click.Context(cli)
COMMANDS = {name: cli.get_command(_CONTEXT, name) for name in cli.list_commands(_CONTEXT)}
_LINE = re.compile(r"(?<![\w/.\[-])lexport (?=[a-z])([^`#|&>;)\n]*)")
_IN_SCRIPT = re.compile(r"^ *run ([a-z]+ .*)$", re.MULTILINE)
_VARIABLE = re.compile(r"\bLEXPORT_[A-Z_]+\b")
_METRIC = re.compile(r"\blexport_\w+")


def files() -> list[Path]:
    """Every text of the recipes for one machine and their guides."""
    recipes = (path for path in sorted(DEPLOY.rglob("*")) if "aws-step-functions" not in path.parts)
    return [path for path in (*recipes, *(ROOT / name for name in GUIDES)) if path.is_file()]


def joined(path: Path) -> str:
    return re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))


def command_lines() -> Iterator[tuple[str, str]]:
    """Yield each command line that a recipe, a script or a guide has, and where it is."""
    for path in files():
        text = joined(path)
        lines = _IN_SCRIPT.findall(text) if path.suffix == ".sh" else _LINE.findall(text)
        for line in lines:
            if line.split()[0] in COMMANDS:
                yield line, str(path.relative_to(ROOT))


def parse(command: click.Command, words: list[str]) -> None:
    """Parse words as the command line does, and their choices; no callback runs."""
    if isinstance(command, click.Group) and words:
        inner = command.get_command(_CONTEXT, words[0])
        assert inner is not None, words
        return parse(inner, words[1:])
    context = click.Context(command, info_name=command.name)
    values, rest, _ = command.make_parser(context).parse_args(args=words)
    assert rest == []
    for parameter in command.params:
        given = values.get(parameter.name)
        if isinstance(parameter.type, click.Choice) and isinstance(given, str):
            parameter.type.convert(given, parameter, context)
    return None


@pytest.mark.parametrize(("line", "where"), sorted(set(command_lines())))
def test_each_command_line_is_one(line, where):
    """Each command line of lexport in the recipes and guides has a command, options and arguments that exist."""
    words = shlex.split(line, comments=True)
    parse(COMMANDS[words[0]], words[1:])


def test_the_command_lines_are_found():
    """The steps of the script are among them, and what the guide tells people to run."""
    found = [line for line, where in command_lines() if where == "deploy/nightly.sh"]
    guide = [line.split()[0] for line, where in command_lines() if where == GUIDES[0]]

    assert [line.split()[0] for line in found] == ["snapshot", "packages", "check", "report", "prune"]
    assert {"iam-policy", "errors", "status", "snapshot"} <= set(guide)


def test_each_variable_is_read():
    """Each variable LEXPORT_ in the recipes and guides is one that lexport reads."""
    known = known_variables(COMMANDS)
    named = {(name, str(path.relative_to(ROOT))) for path in files() for name in _VARIABLE.findall(joined(path))}

    assert len({name for name, _ in named}) > 10
    assert sorted((name, where) for name, where in named if name not in known and name != "LEXPORT_") == []


def settings_of(name: str) -> dict[str, str]:
    """Return the variables that a recipe sets."""
    if name == "systemd":
        lines = (DEPLOY / "systemd" / "nightly.env").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    if name == "kubernetes":
        return next(each["data"] for each in kubernetes() if each["kind"] == "ConfigMap")
    if name == "github-actions":
        return workflow()["jobs"]["nightly"]["env"]
    task = Stack(ECS).resources["Task"]["Properties"]["ContainerDefinitions"][0]
    return {each["Name"]: each["Value"] for each in task["Environment"]}


def kubernetes():
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / "cronjob.yaml").read_text(encoding="utf-8")))


def workflow():
    return yaml.safe_load((DEPLOY / "github-actions" / "nightly.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["systemd", "kubernetes", "github-actions", "aws-ecs"])
def test_each_recipe_sets_the_same(name):
    """Each recipe says what is read, how old a row may be, when to end, what is published and what is kept."""
    settings = settings_of(name)

    assert {
        key: settings[key]
        for key in ("LEXPORT_REGION", "LEXPORT_REFRESH_AFTER", "LEXPORT_ALLOW_PARTIAL", "LEXPORT_FAIL_ON")
    } == {
        "LEXPORT_REGION": "all",
        "LEXPORT_REFRESH_AFTER": "7d",
        "LEXPORT_ALLOW_PARTIAL": "true",
        "LEXPORT_FAIL_ON": "none",
    }
    assert (int(settings["LEXPORT_KEEP_DAILY"]), int(settings["LEXPORT_KEEP_MONTHLY"])) == (30, 12)
    assert "LEXPORT_HASH_KEY" not in settings
    assert "LEXPORT_PACKAGES" not in settings  # snapshot reads it too
    assert parse_duration(settings["LEXPORT_DEADLINE"]) < timedelta(hours=20)


def test_no_recipe_has_a_key():
    """No file of the recipes has anything that is a hash key."""
    for path in files():
        assert re.findall(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=", path.read_text(encoding="utf-8")) == [], path


def test_the_unit_is_valid(tmp_path):
    """systemd accepts the units as they are, apart from the paths that an installation makes."""
    service = (DEPLOY / "systemd" / "lexport-nightly.service").read_text(encoding="utf-8")
    timer = (DEPLOY / "systemd" / "lexport-nightly.timer").read_text(encoding="utf-8")
    units = ConfigParser(strict=False, interpolation=None)
    units.optionxform = str
    units.read_string(service)

    assert units["Service"]["ExecStart"].startswith("/opt/lexport/nightly.sh ${NIGHTLY_DEST} ")
    assert "SuccessExitStatus" not in units["Service"]
    assert units["Service"]["RestartPreventExitStatus"] == "2 3 4 5 6"
    assert parse_duration(settings_of("systemd")["LEXPORT_DEADLINE"]) < timedelta(hours=6)
    assert units["Service"]["TimeoutStartSec"] == "6h"
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    here = re.sub(r"^ExecStart=.*", "ExecStart=/bin/true", service, flags=re.MULTILINE)
    here = re.sub(r"^(User|Group)=lexport", r"\1=root", here, flags=re.MULTILINE)
    (tmp_path / "lexport-nightly.service").write_text(here)
    (tmp_path / "lexport-nightly.timer").write_text(timer)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_cron_job_is_bounded_and_not_root():
    """The job runs alone, ends in time, has the key from a Secret, a read-only root and the user of the image."""
    parts = {each["kind"]: each for each in kubernetes()}
    spec = parts["CronJob"]["spec"]
    job = spec["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    deadline = parse_duration(parts["ConfigMap"]["data"]["LEXPORT_DEADLINE"])
    user, group = map(int, dict(last_stage())["USER"].split(":"))
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    key = container["env"][0]

    assert set(parts) == {"ServiceAccount", "ConfigMap", "PersistentVolumeClaim", "CronJob"}
    assert spec["concurrencyPolicy"] == "Forbid"
    assert deadline + timedelta(hours=1) < timedelta(seconds=job["activeDeadlineSeconds"])
    assert pod["terminationGracePeriodSeconds"] >= 30
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == (user, group)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["command"][0] == "lexport-nightly"
    assert container["resources"]["limits"]["memory"]
    assert key["name"] == "LEXPORT_HASH_KEY_FILE"
    assert "secret" in volumes[mounts[str(Path(key["value"]).parent)]]
    assert set(json.loads(dict(last_stage())["VOLUME"])) < set(mounts)
    assert all(isinstance(value, str) for value in parts["ConfigMap"]["data"].values())
    assert pod["serviceAccountName"] == parts["ServiceAccount"]["metadata"]["name"]


def test_the_workflow_has_a_role_and_a_secret():
    """The workflow has a role by OIDC and the key from the secrets, and keeps the report after failures too."""
    found = workflow()
    steps = found["jobs"]["nightly"]["steps"]
    (night,) = [step for step in steps if "nightly.sh" in step.get("run", "")]
    (report,) = [step for step in steps if "upload-artifact" in step.get("uses", "")]

    assert found["permissions"]["id-token"] == "write"
    assert night["env"]["LEXPORT_HASH_KEY"] == "${{ secrets.LEXPORT_HASH_KEY }}"
    assert "${{" not in night["run"]
    assert report["if"] == "always()"
    limit = timedelta(minutes=found["jobs"]["nightly"]["timeout-minutes"])
    assert parse_duration(settings_of("github-actions")["LEXPORT_DEADLINE"]) < limit
    for step in steps:
        for name in re.findall(r"requirements/\S+\.txt", step.get("run", "")):
            assert (ROOT / name).exists()


def test_alerts_use_metrics_that_are_written():
    """Each metric and label of the alerts is one that a run writes."""
    rules = yaml.safe_load((DEPLOY / "prometheus" / "lexport.rules.yml").read_text(encoding="utf-8"))
    at = datetime(2026, 11, 30, tzinfo=UTC)
    done = RunSummary(
        command="snapshot", dest="fleet", status="complete", exit_code=0, started_at=at, ended_at=at, published=True,
        gaps=1, calls_by_operation={"GetFunction": 1}, packages_by_status={"denied": 1},
    )  # fmt: skip
    written = to_prometheus(done, LastRuns()).decode()
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]

    assert len(alerts) >= 6
    for rule in alerts:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        names = _METRIC.findall(rule["expr"])
        assert names
        for name in names:
            assert f"\n{name}{{" in written, name
        for label, value in re.findall(r'(\w+)="(\w+)"', rule["expr"]):
            assert f'{label}="{value}"' in written, (rule["alert"], label, value)
