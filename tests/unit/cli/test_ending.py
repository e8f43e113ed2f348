"""Every exception becomes one line and an exit code."""

import errno
import os
import signal
import subprocess

import click
import pytest

from lexport.cli._ending import ending
from lexport.cli._signals import Interrupted
from lexport.errors import CredentialsError, LexportError


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (KeyboardInterrupt(), "lexport: sql was interrupted by SIGINT", 130),
        (Interrupted(signal.SIGHUP, "nothing was published"), "interrupted by SIGHUP; nothing was published", 129),
        (click.UsageError("no"), "lexport: no (see lexport --help)", 2),
        (click.UsageError("'1.5' is not a valid integer range."), "lexport: '1.5' is not a whole number. (see", 2),
        (CredentialsError("denied"), "lexport: denied", 5),
        (LexportError("odd"), "lexport: odd", 1),
        (OSError(errno.EIO, os.strerror(errno.EIO), "x/y"), "lexport: x/y: Input/output error", 1),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "ulimit -n", 1),
        (MemoryError(), "not enough memory", 1),
        (ImportError("libarrow.so: failed to map segment from shared object"), "not enough memory", 1),
        (RecursionError(), "nested too deeply", 1),
        (RuntimeError("can't start new thread"), "no more threads", 1),
        (TypeError("odd"), "lexport: internal error: TypeError: odd", 1),
        (KeyError("https://x/?X-Amz-Signature=abc"), "[signed link removed]", 1),
        (BaseExceptionGroup("", [KeyError("k"), ExceptionGroup("", [CredentialsError("denied")])]), "denied", 5),
    ],
    ids=repr,
)
def test_ending(error, line, code):
    """Each exception leads to its message and exit code; a group to those of the error that ended the run."""
    lines, found = ending(error, "sql")

    assert found == code
    assert len(lines) == 1
    assert line in lines[0]


def test_an_error_in_the_wake_of_another():
    """Errors that follow from too many open files do not hide that cause."""
    later = RuntimeError("cannot close a running event loop")
    later.__context__ = TypeError("odd")
    later.__context__.__context__ = OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    assert ending(later, "check") == (
        ["lexport: too many files are open at once; allow more of them with `ulimit -n`"],
        1,
    )


@pytest.mark.slow
@pytest.mark.parametrize("files", [10, 12])
def test_too_few_files(dest, lexport_path, files):
    """If no event loop can be opened, one line names the cause."""
    line = f"ulimit -n {files}; exec {lexport_path} check {dest}"
    done = subprocess.run(["/bin/sh", "-c", line], env={"LC_ALL": "C.UTF-8"}, check=False, capture_output=True)

    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1), done.stderr
    assert b"ulimit -n" in done.stderr


def test_a_huge_value():
    """A message of megabytes is shortened, and keeps its beginning and its end."""
    (line,), _ = ending(LexportError(f"list.txt:1: {'a' * 40_000_000} is no name"), "snapshot")

    assert len(line) < 10_000
    assert line.startswith("lexport: list.txt:1: aaa")
    assert line.endswith("aaa is no name")


def test_no_words():
    """A reader that has gone is no failure."""
    assert ending(BrokenPipeError(), "sql") == ([], 0)


@pytest.mark.slow
def test_too_little_memory(dest, lexport_path):
    """A query that needs more memory than `ulimit -v` leaves is refused in one line."""
    query = "SELECT length(list(range)) FROM range(50000000)"
    line = f'ulimit -v 1500000; exec {lexport_path} sql {dest} "{query}"'
    done = subprocess.run(["/bin/sh", "-c", line], env={"LC_ALL": "C.UTF-8"}, check=False, capture_output=True)

    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1), done.stderr
    assert b"a query needs" in done.stderr or b"the query needs more memory" in done.stderr
