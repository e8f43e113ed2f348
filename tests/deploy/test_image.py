"""The Dockerfile: without findings of hadolint, hashes compared, not root. `make image-steps` runs its commands."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

from dockerfile import DOCKERFILE, ROOT, instructions, last_stage


def pins(name):
    """Return the packages with their versions in a file of requirements."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return set(re.findall(r"^[\w.-]+==[\w.]+", text, re.MULTILINE))


def test_hadolint_finds_nothing():
    """hadolint has no finding, of any severity, and none is switched off."""
    command = Path(sysconfig.get_path("scripts")) / "hadolint"
    done = subprocess.run([command, "--no-color", DOCKERFILE], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "")
    assert "hadolint ignore" not in DOCKERFILE.read_text(encoding="utf-8")


def test_every_package_is_compared_with_its_hash():
    """Each pip command compares hashes, or takes what was built here and nothing else."""
    commands = [
        each.strip() for word, rest in instructions() if word == "RUN" for each in rest.split("&&") if "pip " in each
    ]

    assert len(commands) == 4
    for command in commands:
        assert "--no-cache-dir" in command
        assert "--require-hashes" in command or "--no-deps" in command, command


def test_the_image_is_not_root():
    """The image runs lexport as a user with a fixed number."""
    found = dict(last_stage())

    assert found["USER"] == "10001:10001"
    assert found["ENTRYPOINT"] == '["lexport"]'
    assert "--uid 10001" in found["RUN"]


def test_what_is_copied_enters_the_build():
    """.dockerignore lets in what the Dockerfile copies, and nothing else."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        name
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    }

    assert "*" in lines
    assert all((ROOT / name).exists() for name in copied)
    assert {name if name in let_in else name.split("/")[0] for name in copied} == let_in


def test_the_image_has_what_was_tested():
    """The packages of the image are those that the tests run with, in the same versions."""
    assert pins("runtime.txt") < pins("nightly.txt") < pins("dev.txt")
