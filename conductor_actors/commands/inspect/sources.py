"""Where lines come from: a pipe, a file that grows, or a service's stream in Redis.

All give at once what is there: whoever reads has a screen to draw and keys to listen to.
"""

import os
import select
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from conductor_actors.adapters.redis.log_stream import LINES_PER_READ, RedisLogReader
from conductor_actors.commands.inspect.lines import MAX_LINE_BYTES
from conductor_actors.errors import ConfigError, Unavailable

READ_BYTES: Final = 1 << 16
MOST_BYTES: Final = 1 << 20  # a read: a long history must not hold up the screen
TAIL_BYTES: Final = 1 << 23  # of a file: some 20,000 lines


class Source(Protocol):
    """Where lines come from. `trouble` says why there are none, `has_all` that no more is there.

    `is_over`: nothing will ever come again.
    """

    name: str
    trouble: str
    has_all: bool
    is_over: bool

    def read(self) -> Sequence[bytes]:
        """Give the lines that are there, at once."""

    def close(self) -> None:
        """Let go of it."""


class Cutter:
    """Cut bytes into lines, however they come; of a line that is too long keep the beginning."""

    def __init__(self, longest: int = MAX_LINE_BYTES) -> None:
        self._longest = longest
        self._rest = b""

    def cut(self, data: bytes) -> list[bytes]:
        """Give the lines that are whole now."""
        first, *others = data.split(b"\n")
        self._grow(first)
        lines = []
        for other in others:
            lines.append(self.rest())
            self._grow(other)
        return [line for line in lines if line.strip()]

    def rest(self) -> bytes:
        """Give and forget the line that is not whole."""
        rest, self._rest = self._rest, b""
        return rest

    def _grow(self, data: bytes) -> None:
        self._rest = (self._rest + data)[: self._longest + 1]


class PipeSource:
    """The lines that somebody writes into a pipe, to its end."""

    trouble = ""

    def __init__(self, descriptor: int, name: str = "pipe") -> None:
        self.name = name
        self._descriptor = descriptor
        self._cutter = Cutter()
        self.has_all = self.is_over = False

    def read(self) -> Sequence[bytes]:
        """Give the lines that are there, at once."""
        lines: list[bytes] = []
        for _ in range(MOST_BYTES // READ_BYTES):
            if self.is_over or not select.select([self._descriptor], [], [], 0)[0]:
                break
            data = os.read(self._descriptor, READ_BYTES)
            lines += self._cutter.cut(data) if data else self._end()
        return lines

    def close(self) -> None:
        """Leave it to whoever opened it."""

    def _end(self) -> list[bytes]:
        self.has_all = self.is_over = True
        self.trouble = "the pipe has ended"
        return [rest] if (rest := self._cutter.rest()) else []


class FileSource:
    """The end of a file, and what is written to it; after a rotation the file of that name."""

    is_over = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._cutter = Cutter()
        self.trouble = ""
        self.has_all = False
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        begin = self._size() - TAIL_BYTES
        if begin > 0:
            self._file.seek(begin)
            self._cutter.cut(self._file.read(READ_BYTES))  # the first is but a part of a line

    def read(self) -> Sequence[bytes]:
        """Give the lines that are there, at once."""
        lines: list[bytes] = []
        self.has_all = False
        for _ in range(MOST_BYTES // READ_BYTES):
            data = self._file.read(READ_BYTES)
            if not data:
                self.has_all = not self._has_rotated()
                break
            lines += self._cutter.cut(data)
        return lines

    def close(self) -> None:
        """Close it."""
        self._file.close()

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _has_rotated(self) -> bool:
        """Go on with what has the name now, or from the beginning if it was cut off."""
        if self._size() < self._file.tell():
            self._file.seek(0)
            return True
        try:
            if os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
                return False
            successor = self._path.open("rb", buffering=0)
        except OSError:  # between two files of that name
            return False
        self._file.close()
        self._file = successor
        return True


class LogStreamSource:
    """The stream of a running service, from some minutes ago."""

    is_over = False

    def __init__(self, url: str, minutes: float) -> None:
        self.name = "redis"
        self._reader = RedisLogReader(url, minutes)
        self.trouble = ""
        self.has_all = False

    def read(self) -> Sequence[bytes]:
        """Give the lines that are there, at once; while Redis is away none."""
        try:
            lines = self._reader.read()
        except Unavailable as error:
            self.trouble = str(error)
            return ()
        self.trouble = ""
        self.has_all = len(lines) < LINES_PER_READ
        return lines

    def close(self) -> None:
        """Let go of every connection."""
        self._reader.close()
