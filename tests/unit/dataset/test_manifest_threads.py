"""Manifests are decoded in several threads at once, from the first one on."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
sys.setswitchinterval(1e-6)
from lexport.dataset.manifest import Manifest
body, errors = sys.stdin.buffer.read(), []
start = threading.Barrier(16)
def decode():
    start.wait()
    Manifest.from_json(body)
threads = [threading.Thread(target=decode) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@pytest.mark.slow
def test_the_first_manifests_of_a_process(commits):
    """Sixteen threads that decode the first manifests of a process at the same moment do not crash it."""
    body = commits.draft().to_json()
    ended = [subprocess.run([sys.executable, "-c", PROGRAM], input=body, check=False).returncode for _ in range(4)]

    assert ended == [0] * 4
