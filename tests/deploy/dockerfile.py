"""Reads deploy/docker/Dockerfile: its instructions, stage by stage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"


class Instruction(NamedTuple):
    """One instruction: its word and the rest, lines joined."""

    word: str
    rest: str


def instructions() -> list[Instruction]:
    """Return the instructions of the Dockerfile in order."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    joined = re.sub(r"\\\n\s*", "", text)
    return [Instruction(*line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def last_stage() -> list[Instruction]:
    """Return the instructions of the image itself."""
    found = instructions()
    begin = max(number for number, each in enumerate(found) if each.word == "FROM")
    return found[begin:]
