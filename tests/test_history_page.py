"""The guides to history and feeds are true: their commands work as pasted, and print what the pages show.

``python tests/test_history_page.py FOLDER`` writes that output into the pages.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import sysconfig
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

GUIDES = Path(__file__).parent.parent / "docs" / "guides"
PAGES = (GUIDES / "history.md", GUIDES / "feed.md")
PORTS = ("8600", "8601", "8602")
_COMMANDS = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
_SIMULATORS = re.compile(r"^ {4}(for night in .*)$", re.MULTILINE)
_MARK = "--- next ---"
_CHANGING = (
    (re.compile(r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b"), "ULID"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z"), "INSTANT"),
    (re.compile(r"\d+\.\d s$", re.MULTILINE), "SECONDS"),
    (re.compile(r"-{20,}| {2,}"), " "),  # the width of a column
)


def steady(text):
    """Return a page without what differs between two runs."""
    for pattern, name in _CHANGING:
        text = pattern.sub(name, text)
    return text


@contextmanager
def serving(command, ports, environment):
    """Run what the page starts in the first terminal, until the ports are served."""
    with subprocess.Popen(
        ["bash", "-c", f"trap 'kill $(jobs -p)' TERM; {command}\nwait; wait"],
        env=environment,
        stdout=subprocess.DEVNULL,
    ) as shell:
        try:
            for port in ports:
                until = time.monotonic() + 60
                while not is_served(port):
                    assert time.monotonic() < until
                    assert shell.poll() is None
                    time.sleep(0.05)
            yield
        finally:
            shell.terminate()


def is_served(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(port))) == 0


def free_ports():
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        return [str(each.getsockname()[1]) for each in sockets]


def answered(pages, folder):
    """Return the pages with the output of their commands, run by one shell in the order of the pages."""
    ports = free_ports()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LEXPORT_"))} | {
        "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}",
        "XDG_STATE_HOME": str(folder / "state"),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
    blocks = [block for page in pages for block in _COMMANDS.findall(page)]
    commands = [[line for line in block.splitlines() if line.startswith("$ ")] for block in blocks]
    script = f"\necho '{_MARK}'\n".join(line[2:] for lines in commands for line in lines)
    for port, free in zip(PORTS, ports, strict=True):
        script = script.replace(f":{port}", f":{free}")
    loop = _SIMULATORS.search(pages[0])[1].replace("860$night", "${ports[night]}")
    with serving(f"ports=({' '.join(ports)}); {loop}", ports, environment):
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            check=False,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
    text = done.stdout.decode()
    assert done.returncode == 0, text
    answers = iter(text.split(f"{_MARK}\n"))
    shown = iter("".join(f"{line}\n{next(answers)}" for line in lines) for lines in commands)
    return [_COMMANDS.sub(lambda _: next(shown), page) for page in pages]


@pytest.mark.slow
def test_commands_print_what_the_pages_show(tmp_path):
    """Every command of the pages works as pasted and prints the output below it."""
    pages = [path.read_text(encoding="utf-8") for path in PAGES]

    assert [steady(page) for page in answered(pages, tmp_path)] == [steady(page) for page in pages]


if __name__ == "__main__":
    shown_pages = answered([path.read_text(encoding="utf-8") for path in PAGES], Path(sys.argv[1]))
    for path, page in zip(PAGES, shown_pages, strict=True):
        path.write_text(page, encoding="utf-8")
