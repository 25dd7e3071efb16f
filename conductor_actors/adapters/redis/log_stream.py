"""The log stream in Redis: `conductor:log`, capped, one field `line` with the JSON of a line."""

from collections.abc import Sequence
from typing import Any, Final

from conductor_actors.adapters.redis.client import Command, mapped_errors, open_client, pipeline
from conductor_actors.adapters.redis.key_names import LOG_KEY

MOST_LINES: Final = 10_000  # some 40 minutes of a service whose sessions come and go
FIELD: Final = b"line"
DEADLINE_S: Final = 2.0
LINES_PER_READ: Final = 1000


class RedisLog:
    """Append lines, the oldest of which Redis lets go of."""

    def __init__(self, url: str) -> None:
        self._client = open_client(url, DEADLINE_S)

    def append(self, lines: Sequence[str]) -> None:
        """Append the lines in one round trip. After an error some may be there."""
        with mapped_errors():
            pipeline(self._client, [_xadd(line) for line in lines])

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


class RedisLogReader:
    """Read the lines of the last minutes, then those that come."""

    def __init__(self, url: str, minutes: float) -> None:
        self._client = open_client(url, DEADLINE_S)
        self._history_ms = round(minutes * 60_000)
        self._position: bytes | None = None

    def read(self) -> list[bytes]:
        """Return at once what is there, a thousand lines at most."""
        with mapped_errors():
            position = self._position or self._start()
            command = ("XREAD", "COUNT", LINES_PER_READ, "STREAMS", LOG_KEY, position)
            [streams] = pipeline(self._client, [command])
        entries = streams[0][1] if streams else []
        self._position = entries[-1][0] if entries else position
        return [_line(fields) for _, fields in entries]

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _start(self) -> bytes:
        [(seconds, _)] = pipeline(self._client, [("TIME",)])
        return b"%d" % max(0, int(seconds) * 1000 - self._history_ms)


def _xadd(line: str) -> Command:
    return ("XADD", LOG_KEY, "MAXLEN", "~", MOST_LINES, "*", FIELD, line)


def _line(fields: Sequence[Any]) -> bytes:
    """Return the line; empty for an entry of another format."""
    return bytes(fields[1]) if fields[0] == FIELD else b""
