"""The log stream in Redis: `conductor:log`, capped, one field `line` with the JSON of a line."""

from collections.abc import Sequence
from typing import Any, Final

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline, server_time_ms
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.key_names import LOG_KEY

MAX_LOG_LINES: Final = 10_000  # some 40 minutes of a service whose sessions come and go
LOG_LINE_FIELD: Final = b"line"
LOG_TIMEOUT_S: Final = 2.0
LOG_LINES_PER_READ: Final = 1000


class RedisLog:
    """Append lines to the stream; Redis drops the oldest."""

    def __init__(self, url: str) -> None:
        self._client = open_client(url, LOG_TIMEOUT_S)

    def append(self, lines: Sequence[str]) -> None:
        """Append the lines in one round trip. After an error, some may be in the stream."""
        with mapped_errors():
            pipeline(self._client, [_xadd(line) for line in lines])

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


class RedisLogReader:
    """Read the lines of the last minutes, then new ones."""

    def __init__(self, url: str, minutes: float) -> None:
        self._client = open_client(url, LOG_TIMEOUT_S)
        self._history_ms = round(minutes * 60_000)
        self._position: bytes | None = None

    def read(self) -> list[bytes]:
        """Return the next lines without waiting, at most a thousand."""
        with mapped_errors():
            position = self._position or self._start()
            command = ("XREAD", "COUNT", LOG_LINES_PER_READ, "STREAMS", LOG_KEY, position)
            [streams] = pipeline(self._client, [command])
        entries = streams[0][1] if streams else []
        self._position = entries[-1][0] if entries else position
        return [_line(fields) for _, fields in entries]

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _start(self) -> bytes:
        [time] = pipeline(self._client, [("TIME",)])
        return b"%d" % max(0, server_time_ms(time) - self._history_ms)


def _xadd(line: str) -> Command:
    return ("XADD", LOG_KEY, "MAXLEN", "~", MAX_LOG_LINES, "*", LOG_LINE_FIELD, line)


def _line(fields: Sequence[Any]) -> bytes:
    """Return the line in an entry, empty if another program wrote the entry."""
    return bytes(fields[1]) if fields[0] == LOG_LINE_FIELD else b""
