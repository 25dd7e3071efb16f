"""Read many streams in the order of their entries' ids."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

import redis

from conductor_actors.adapters.redis_client import Command, exchange, translated
from conductor_actors.domain.intake import Entry
from conductor_actors.domain.merging import Frontier, Merge

ENTRIES_PER_READ: Final = 12_000  # shared by the streams, so that many tenants cost no more
MOST_PER_STREAM: Final = 2_000
LEAST_PER_STREAM: Final = 50
BODY_FIELD: Final = b"data"
BEFORE_EVERY_ID: Final = (0, 0)

Start = Literal["window", "earliest", "latest"]


class Ordered(NamedTuple):
    """Entries that nothing can come before any more, Redis' clock, and how far reading is."""

    entries: list[Entry]
    watermark_ms: int
    now_ms: int


class StreamReader:
    """Reads from positions it keeps. A read is atomic in Redis: clock and entries together."""

    def __init__(self, client: redis.Redis, start: Start, window_s: int) -> None:
        self._client = client
        self._start = start
        self._window_ms = window_s * 1000
        self._positions: dict[str, bytes] = {}
        self._frontiers: dict[str, Frontier] = {}
        self._merge = Merge()
        self.is_behind = False

    def read(self, names: Sequence[str], also: Iterable[Entry] = ()) -> Ordered:
        """Read on in all streams; `also` are entries of another transport to merge in."""
        for name in names:
            if name not in self._positions:
                self._begin(name)
        count = max(LEAST_PER_STREAM, min(MOST_PER_STREAM, ENTRIES_PER_READ // max(1, len(names))))
        wanted = [name for name in names if self._merge.held(name) < count]
        now_ms, streams = self._ask(wanted, count)
        for name in wanted:
            self._frontiers[name] = (now_ms, 0)
        self.is_behind = False
        for key, raw_entries in streams:
            self._take(key.decode(), raw_entries, is_cut=len(raw_entries) >= count)
        self._merge.add(also)
        frontier = min(self._frontiers.values(), default=(now_ms, 0))
        return Ordered(self._merge.release(frontier), frontier[0], now_ms)

    def clock_ms(self) -> int:
        """Ask Redis for its time."""
        return self._ask([], 0)[0]

    def _begin(self, name: str) -> None:
        start_ms = 0
        if self._start != "earliest":
            start_ms = self.clock_ms() - (self._window_ms if self._start == "window" else 0)
        self._positions[name] = b"%d-0" % start_ms
        self._frontiers[name] = BEFORE_EVERY_ID

    def _ask(self, names: Sequence[str], count: int) -> tuple[int, Sequence[Any]]:
        commands: list[Command] = [("MULTI",), ("TIME",)]
        if names:
            positions = [self._positions[name] for name in names]
            commands.append(("XREAD", "COUNT", count, "STREAMS", *names, *positions))
        commands.append(("EXEC",))
        with translated():
            (seconds, micros), *streams = exchange(self._client, commands)[-1]
            if streams and isinstance(streams[0], Exception):
                raise streams[0]
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return now_ms, (streams[0] or ()) if streams else ()

    def _take(self, name: str, raw_entries: Sequence[Any], *, is_cut: bool) -> None:
        entries = [entry_of(name, raw) for raw in raw_entries]
        self._positions[name] = raw_entries[-1][0]
        if is_cut:
            self.is_behind = True
            last_ms, last_sequence = entries[-1][:2]
            self._frontiers[name] = (last_ms, last_sequence + 1)
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
