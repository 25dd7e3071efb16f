"""Read many streams in the order of their entries' ids."""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import redis
from redis.exceptions import ResponseError

from conductor_actors.adapters.redis_client import Command, exchange, translated
from conductor_actors.domain.intake import Entry
from conductor_actors.domain.merging import Frontier, Merge
from conductor_actors.errors import ConfigError

ENTRIES_PER_READ: Final = 12_000  # shared by the streams, so that many tenants cost no more
MOST_PER_STREAM: Final = 2_000
LEAST_PER_STREAM: Final = 50
BODY_FIELD: Final = b"data"
LAST_SEQUENCE: Final = (1 << 64) - 1

Start = Literal["window", "earliest", "latest"]


class Ordered(NamedTuple):
    """Entries that nothing can come before any more, how far reading is, and Redis' clock."""

    entries: list[Entry]
    frontier: Frontier
    now_ms: int


class StreamReader:
    """Reads from positions it keeps. A read is atomic in Redis: clock and entries together.

    Every stream is read from one moment on, the start; one that turns up later brings entries
    that are older than what was given out, and so does a Redis whose clock went back.
    """

    def __init__(self, client: redis.Redis, start: Start, window_s: int) -> None:
        self._client = client
        self._start = start
        self._window_ms = window_s * 1000
        self._start_position: bytes | None = None
        self._positions: dict[str, bytes] = {}
        self._frontiers: dict[str, Frontier] = {}
        self._frontier: Frontier = (0, 0)
        self._merge = Merge()
        self.is_behind = False

    def read(self, names: Sequence[str]) -> Ordered:
        """Read on in all streams."""
        for name in names:
            if name not in self._positions:
                self._positions[name] = self._started()
        count = max(LEAST_PER_STREAM, min(MOST_PER_STREAM, ENTRIES_PER_READ // max(1, len(names))))
        held = self._merge.held()
        wanted = [name for name in names if held[name] < count]
        now_ms, streams = self._ask(wanted, count)
        now = (now_ms, 0)
        self._frontiers.update(dict.fromkeys(wanted, now))
        self.is_behind = False
        for key, raw_entries in streams:
            is_cut = len(raw_entries) >= count
            self.is_behind |= is_cut
            self._take(key.decode(), raw_entries, (0, 0) if is_cut else now)
        # What was given out stays so, although a clock may go back or a stream turn up late.
        self._frontier = max(self._frontier, min((now, *self._frontiers.values())))
        return Ordered(self._merge.release(self._frontier), self._frontier, now_ms)

    def _started(self) -> bytes:
        """Give the position that everything is read after: chosen once, at the first read."""
        if self._start_position is None:
            position = b"0-0"
            if self._start != "earliest":
                now_ms, _ = self._ask([], 0)
                start_ms = now_ms - (self._window_ms if self._start == "window" else 0)
                position = b"%d-%d" % (start_ms - 1, LAST_SEQUENCE)
            self._start_position = position
        return self._start_position

    def _ask(self, names: Sequence[str], count: int) -> tuple[int, Sequence[Any]]:
        commands: list[Command] = [("MULTI",), ("TIME",)]
        if names:
            positions = [self._positions[name] for name in names]
            commands.append(("XREAD", "COUNT", count, "STREAMS", *names, *positions))
        commands.append(("EXEC",))
        with translated():
            (seconds, micros), *streams = exchange(self._client, commands)[-1]
            if streams and isinstance(streams[0], ResponseError):
                self._refuse_other_types(names)
                raise streams[0]
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return now_ms, (streams[0] or ()) if streams else ()

    def _refuse_other_types(self, names: Sequence[str]) -> None:
        kinds = exchange(self._client, [("TYPE", name) for name in names])
        for name, kind in zip(names, kinds, strict=True):
            if kind not in (b"stream", b"none"):
                raise ConfigError(
                    f"REDIS_URL: the key {name} is a {kind.decode()}, not a stream; "
                    "rename it, or set CONDUCTOR_TRANSPORT=pubsub"
                )

    def _take(self, name: str, raw_entries: Sequence[Any], at_least: Frontier) -> None:
        entries = [entry_of(name, raw) for raw in raw_entries]
        self._positions[name] = raw_entries[-1][0]
        last_ms, last_sequence = entries[-1][:2]
        self._frontiers[name] = max(at_least, (last_ms, last_sequence + 1))
        self._merge.add(entries)


def entry_of(name: str, raw_entry: Sequence[Any]) -> Entry:
    """Make an entry of what hiredis parsed of it."""
    entry_id, fields = raw_entry
    ms, _, sequence = entry_id.partition(b"-")
    return int(ms), int(sequence), name, _body(fields)


def _body(fields: Sequence[bytes]) -> bytes:
    """Find the field called data; an entry without one has an empty body, which is no event."""
    if fields[0] == BODY_FIELD:
        return fields[1]
    for index in range(0, len(fields), 2):
        if fields[index] == BODY_FIELD:
            return fields[index + 1]
    return b""
