"""The page about a night in ten minutes is true: its blocks, pasted one after the other, print what stands below them.

Run this file in the root of the project to paste them as they are, installation included, and to write the output.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from object_servers import free_ports

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "start" / "nightly-in-ten-minutes.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$(?:\n\nprints:\n\n^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
_MARK = "---- a block ends here ----"
CHANGING = (
    (re.compile(r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b"), "ULID"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z"), "INSTANT"),
    (re.compile(r"\b\d+\.\d s\b"), "SECONDS"),
    (re.compile(r"\b[\d,]+ (bytes|moved)\b"), "BYTES"),
    (re.compile(r"e\.g\. .*"), "EXAMPLE"),
    (re.compile(r"\(\d+ KB\)"), "SIZE"),
    (re.compile(r" +\d+  (?=daily|oldest|reason)"), " SIZE "),
    (re.compile(r"[ -]{2,}"), " "),
)


def steady(text):
    """Return a text without what differs from run to run."""
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    return text


def paste(blocks, home, folder):
    """Run the blocks in one shell that knows nothing but its home, and return what each printed."""
    script = "".join(f"{block}echo '{_MARK}'\n" for block in blocks)
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "NO_PROXY": "127.0.0.1"}
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    done = subprocess.run(
        ["/bin/bash", "-c", f"trap 'kill $(jobs -p) 2> /dev/null' EXIT\n{script}"],
        check=False,
        cwd=folder,
        env=environment | kept,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.split(f"{_MARK}\n")[:-1]


@pytest.fixture
def acme_inventory(seaweed, bucket):
    """The bucket that the page names, at the server of the tests."""
    bucket.client.create_bucket(Bucket="acme-inventory")
    return seaweed


@pytest.mark.slow
def test_blocks_print_what_the_page_shows(acme_inventory, tmp_path):
    """Pasted in an empty home, every block of the page prints what stands below it."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "lexport-venv").symlink_to(sys.prefix)  # instead of the installation; `make image-steps` installs
    here = {
        r"^python3 -m venv .*\n": "",
        r"^\S*/pip install .*\n": "",
        r"^weed mini .*$": "(echo ready to use > bucket.log; exec sleep 300) &",
        r"127\.0\.0\.1:8333": acme_inventory.removeprefix("http://"),
        r"(?<=[ :])5000\b": str(free_ports(1)),
    }
    page = PAGE.read_text(encoding="utf-8")
    text = page
    for line, instead in here.items():
        text, count = re.subn(line, instead, text, flags=re.MULTILINE)
        assert count, line
    printed = paste([block for block, _ in _BLOCK.findall(text)], home, ROOT)

    printed[-1] = ""  # what the shell says of the servers that were stopped
    for shown, each in zip([shown for _, shown in _BLOCK.findall(page)], printed, strict=True):
        assert steady(shown).splitlines() == steady(each).splitlines()


def _write() -> None:
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as home:
        printed = iter(paste([block for block, _ in _BLOCK.findall(page)], home, ROOT))

    def with_output(found: re.Match[str]) -> str:
        text = next(printed)
        if found[2] is None:
            return found[0]
        return f"```sh\n{found[1]}```\n\nprints:\n\n```text\n{text}```"

    PAGE.write_text(_BLOCK.sub(with_output, page), encoding="utf-8")


if __name__ == "__main__":
    _write()
