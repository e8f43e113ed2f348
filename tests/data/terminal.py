"""The installed command on a terminal of its own, with what a person would see on its screen."""

import os
import sysconfig
import termios
import time
from pathlib import Path

import pexpect
import pyte

LEXPORT = Path(sysconfig.get_path("scripts")) / "lexport"
PATIENCE_S = 20.0


class Terminal:
    """One command on a terminal: what is typed, the screen, the settings of the terminal, and the exit code."""

    def __init__(self, *arguments, cwd, program=LEXPORT, rows=24, columns=80, **variables):
        environment = {
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
            "HOME": str(cwd),
            "XDG_STATE_HOME": str(Path(cwd) / "state"),
            **variables,
        }
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.process = pexpect.spawn(
            str(program),
            [*map(str, arguments)],
            env={name: value for name, value in environment.items() if value is not None},
            cwd=str(cwd),
            dimensions=(rows, columns),
        )
        self.raw = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.close(force=True)

    def lines(self):
        """Return the lines of the screen that are not empty."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def until(self, text, times=1):
        """Read until the screen shows a text so often; return its lines."""
        end_s = time.monotonic() + PATIENCE_S
        while "\n".join(self.lines()).count(text) < times:
            assert time.monotonic() < end_s, (text, self.lines())
            assert self._read(), (text, self.lines(), "the command has ended")
        return self.lines()

    def until_last(self, text):
        """Read until a text is the last line of the screen; return the lines."""
        end_s = time.monotonic() + PATIENCE_S
        while self.lines()[-1:] != [text]:
            assert time.monotonic() < end_s, (text, self.lines())
            assert self._read(), (text, self.lines(), "the command has ended")
        return self.lines()

    def type(self, text):
        """Press keys."""
        self.process.send(text)

    def wait_for_query(self):
        """Wait until the command computes: it has used a tenth of a second of CPU time more than now."""
        start = self._cpu_s()
        end_s = time.monotonic() + PATIENCE_S
        while self._cpu_s() < start + 0.1:
            assert time.monotonic() < end_s
            self._read()

    def _cpu_s(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        """Read until the command has ended; return its exit code."""
        end_s = time.monotonic() + PATIENCE_S
        while self._read():
            assert time.monotonic() < end_s, self.lines()
        self.process.wait()
        return self.process.exitstatus

    def _read(self):
        try:
            data = self.process.read_nonblocking(65536, 0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        if b"\x1b[6n" in data:  # where is the cursor?
            self.type(f"\x1b[{self._screen.cursor.y + 1};{self._screen.cursor.x + 1}R")
        return True


def is_canonical(number):
    """Return whether the terminal of a descriptor reads lines and shows what is typed, as shells leave it."""
    flags = termios.tcgetattr(number)[3]
    return bool(flags & termios.ICANON and flags & termios.ECHO and flags & termios.ISIG)


def children_of(pid):
    """Return the commands of the children of a process."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child): Path(f"/proc/{child}/comm").read_text().strip() for child in found}
