"""A terminal for a program: what the program draws, and keys for it."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.support.processes import PYTHON, ROOT, Process, environment, start

Start: TypeAlias = Callable[[Sequence[int]], Process]

DEADLINE_S: Final = 15.0
_VARIABLES: Final = {"TERM": "xterm", "LANG": "C.UTF-8", "COLUMNS": ""}
_TAKE_TERMINAL: Final = (
    "import fcntl, os, sys, termios\n"
    "os.setsid()\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
)


class Terminal:
    """A terminal with a program in it."""

    def __init__(self, start: Start, columns: int, lines: int) -> None:
        self._open: tuple[int, ...] = pty.openpty()
        self._ours, self._theirs = self._open
        self.resize(columns, lines)
        self.modes = termios.tcgetattr(self._theirs)
        self._drawn = b""
        self.process = start([self._theirs] * 3)

    def resize(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, size)

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str) -> str:
        """Wait until the program draws this text; return all it drew since the last wait."""
        until_s = time.monotonic() + DEADLINE_S
        while text.encode() not in self._drawn:
            left_s = until_s - time.monotonic()
            assert left_s > 0, f"not drawn: {text}: {self._drawn.decode(errors='replace')}"
            if select.select([self._ours], [], [], left_s)[0]:
                self._drawn += os.read(self._ours, 1 << 16)
        drawn, self._drawn = self._drawn.decode(errors="replace"), b""
        return drawn

    def wait(self) -> int:
        return self.process.wait(DEADLINE_S)

    def current_modes(self) -> list[Any]:
        return termios.tcgetattr(self._theirs)

    def hang_up(self) -> None:
        """Close the terminal, as closing its window does."""
        for descriptor in self._open:
            os.close(descriptor)
        self._open = ()

    def close(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(DEADLINE_S)
        self.hang_up()


@contextmanager
def terminal(
    *arguments: str,
    cwd: Path,
    columns: int = 80,
    lines: int = 24,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Terminal]:
    """Run the program in a terminal, until the block ends."""
    with _running_in_terminal(
        partial(start, arguments, cwd, {**_VARIABLES, **(variables or {})}), columns, lines
    ) as opened:
        yield opened


@contextmanager
def python_terminal(code: str) -> Iterator[Terminal]:
    """Run Python code in a terminal, until the block ends."""

    def run(streams: Sequence[int]) -> Process:
        stdin, stdout, stderr = streams
        return subprocess.Popen(
            [*PYTHON, "-c", _TAKE_TERMINAL, "-uc", code],
            cwd=ROOT,
            env=environment(_VARIABLES),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )

    with _running_in_terminal(run, columns=80, lines=24) as opened:
        yield opened


@contextmanager
def _running_in_terminal(start: Start, columns: int, lines: int) -> Iterator[Terminal]:
    opened = Terminal(start, columns, lines)
    try:
        yield opened
    finally:
        opened.close()
