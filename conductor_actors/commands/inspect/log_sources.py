"""Sources of log lines: a pipe, a growing file, or the log stream of a service in Redis.

A read never waits for lines, so that the screen and the keyboard respond at once.
"""

import os
import select
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from conductor_actors.adapters.embedded.state_directory import running_url
from conductor_actors.adapters.redis.connections.namespaces import with_namespace
from conductor_actors.adapters.redis.log_stream import LOG_LINES_PER_READ, RedisLogReader
from conductor_actors.adapters.server_urls import without_password
from conductor_actors.commands.inspect.service_model import MAX_LINE_BYTES
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.settings import Settings

STDIN: Final = "-"
REDIS_SCHEMES: Final = (
    "redis://",
    "rediss://",
    "unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
)
LOG_READ_BYTES: Final = 1 << 16
MAX_BYTES_PER_READ: Final = 1 << 20  # a long history must not block the screen
TAIL_BYTES: Final = 1 << 23  # the end of a file: about 20,000 lines


class LogSource(Protocol):
    """A source of lines.

    `trouble` is why none can be read, `has_all` whether every available line was read, and
    `is_over` whether the source has ended.
    """

    name: str
    trouble: str
    has_all: bool
    is_over: bool

    def read(self) -> Sequence[bytes]:
        """Return the available lines, without waiting."""

    def close(self) -> None:
        """Close the source."""


def redis_url_of(source: str | None, settings: Settings) -> str | None:
    """Return the URL of the given, configured, or embedded Redis of a running service."""
    if source is not None and source.startswith(REDIS_SCHEMES):
        url: str | None = source
    else:
        url = settings.redis_url or running_url(settings.state_dir, "valkey")
    return None if url is None else with_namespace(url, settings.namespace)


def require_redis(redis_url: str | None, settings: Settings, otherwise: str = "") -> str:
    """Return the URL; raise `ConfigError` if there is none."""
    if redis_url is None:
        raise ConfigError(
            f"REDIS_URL is not set and no service runs an embedded Valkey in {settings.state_dir}: "
            f"set REDIS_URL{otherwise}"
        )
    return redis_url


def open_source(
    source: str | None, redis_url: str | None, settings: Settings, minutes: float
) -> LogSource:
    """Return the given source; without one, standard input if it is piped, otherwise Redis."""
    if source == STDIN or (source is None and _is_piped(sys.stdin.fileno())):
        return PipeSource(sys.stdin.fileno())
    if source is not None and not source.startswith(REDIS_SCHEMES):
        return _open_file(Path(source))
    otherwise = ", or name a source, e.g. inspect service.log"
    return LogStreamSource(require_redis(redis_url, settings, otherwise), minutes)


def _is_piped(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:  # it is closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _open_file(path: Path) -> LogSource:
    if path.is_fifo():
        return PipeSource(os.open(path, os.O_RDONLY), str(path))
    return FileSource(path)


class LineSplitter:
    """Splits chunks of bytes into lines; lines that are too long are truncated."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = b""

    def split(self, data: bytes) -> list[bytes]:
        """Add bytes; return the lines that they complete."""
        first, *others = data.split(b"\n")
        self._append(first)
        lines = []
        for other in others:
            lines.append(self.pop_rest())
            self._append(other)
        return [line for line in lines if line.strip()]

    def pop_rest(self) -> bytes:
        """Remove and return the incomplete line."""
        rest, self._rest = self._rest, b""
        return rest

    def _append(self, data: bytes) -> None:
        self._rest = (self._rest + data)[: self._max_bytes + 1]


class PipeSource:
    """The lines of a pipe, to its end."""

    trouble = ""

    def __init__(self, descriptor: int, name: str = "pipe") -> None:
        self.name = name
        self._descriptor = descriptor
        self._splitter = LineSplitter()
        self.has_all = self.is_over = False

    def read(self) -> Sequence[bytes]:
        """Return the available lines, without waiting."""
        lines: list[bytes] = []
        for _ in range(MAX_BYTES_PER_READ // LOG_READ_BYTES):
            if self.is_over or not select.select([self._descriptor], [], [], 0)[0]:
                break
            data = os.read(self._descriptor, LOG_READ_BYTES)
            lines += self._splitter.split(data) if data else self._end()
        return lines

    def close(self) -> None:
        """Leave the pipe open: it belongs to the process."""

    def _end(self) -> list[bytes]:
        self.has_all = self.is_over = True
        self.trouble = "the pipe has ended"
        return [rest] if (rest := self._splitter.pop_rest()) else []


class FileSource:
    """The end of a file and what is appended; after a rotation, the new file with its name."""

    is_over = False

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._splitter = LineSplitter()
        self.trouble = ""
        self.has_all = False
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise ConfigError(f"{without_password(str(path))}: {error.strerror}") from None
        begin = self._size() - TAIL_BYTES
        if begin > 0:
            self._file.seek(begin)
            self._splitter.split(self._file.read(LOG_READ_BYTES))  # skips a partial line

    def read(self) -> Sequence[bytes]:
        """Return the available lines, without waiting."""
        lines: list[bytes] = []
        self.has_all = False
        for _ in range(MAX_BYTES_PER_READ // LOG_READ_BYTES):
            data = self._file.read(LOG_READ_BYTES)
            if not data:
                self.has_all = not self._has_rotated()
                break
            lines += self._splitter.split(data)
        return lines

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _has_rotated(self) -> bool:
        """Check for a rotation or truncation; after one, continue at the start of the file."""
        if self._size() < self._file.tell():
            self._file.seek(0)
            return True
        try:
            if os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
                return False
            successor = self._path.open("rb", buffering=0)
        except OSError:  # between two files with this name
            return False
        self._file.close()
        self._file = successor
        return True


class LogStreamSource:
    """The log stream of a running service, from `minutes` ago."""

    is_over = False

    def __init__(self, url: str, minutes: float) -> None:
        self.name = "redis"
        self._reader = RedisLogReader(url, minutes)
        self.trouble = ""
        self.has_all = False

    def read(self) -> Sequence[bytes]:
        """Return the available lines; none while Redis is away."""
        try:
            lines = self._reader.read()
        except Unavailable as error:
            self.trouble = str(error)
            return ()
        self.trouble = ""
        self.has_all = len(lines) < LOG_LINES_PER_READ
        return lines

    def close(self) -> None:
        """Close every connection."""
        self._reader.close()
