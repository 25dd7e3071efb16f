"""A terminal of its own for a program: what it draws, and keys."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.running import environment

PATIENCE_S: Final = 15.0
_BECOME: Final = (
    "import fcntl, os, sys, termios\n"
    "os.setsid()\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
)


class Terminal:
    """One that a program runs in."""

    def __init__(self, arguments: Sequence[str], cwd: Path, columns: int, lines: int) -> None:
        self._ours, self._theirs = pty.openpty()
        self.resize(columns, lines)
        self.modes = termios.tcgetattr(self._theirs)
        self._drawn = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BECOME, *arguments],
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            cwd=cwd,
            env=environment({"TERM": "xterm", "LANG": "C.UTF-8"}) | {"COLUMNS": ""},
        )

    def resize(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, size)

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str) -> str:
        """Wait until something is drawn that was not there when last waited; give what was."""
        until_s = time.monotonic() + PATIENCE_S
        while text.encode() not in self._drawn:
            left_s = until_s - time.monotonic()
            assert left_s > 0, f"not drawn: {text}: {self._drawn.decode(errors='replace')}"
            if select.select([self._ours], [], [], left_s)[0]:
                self._drawn += os.read(self._ours, 1 << 16)
        drawn, self._drawn = self._drawn.decode(errors="replace"), b""
        return drawn

    def ended(self) -> int:
        return self.process.wait(PATIENCE_S)

    def modes_now(self) -> list[Any]:
        return termios.tcgetattr(self._theirs)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        os.close(self._ours)
        os.close(self._theirs)


@contextmanager
def terminal(*arguments: str, cwd: Path, columns: int = 80, lines: int = 24) -> Iterator[Terminal]:
    """Run Python in a terminal beside the test; whatever happens, it ends."""
    one = Terminal(arguments, cwd, columns, lines)
    try:
        yield one
    finally:
        one.close()
