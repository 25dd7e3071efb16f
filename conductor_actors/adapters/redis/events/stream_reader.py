"""Read many streams as one, in the order of their entries' ids."""

from collections.abc import Mapping, Sequence
from sys import intern
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

import msgspec
import redis
from redis.exceptions import ResponseError

from conductor_actors.adapters.redis.connections.namespaces import prefix_of
from conductor_actors.adapters.redis.connections.pipelines import (
    Command,
    connection_of,
    server_time_ms,
)
from conductor_actors.adapters.redis.connections.primary import ROLE_COMMAND
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.events.ahead_entries import MAX_AHEAD_MS, AheadEntries
from conductor_actors.adapters.redis.events.entry_ids import (
    format_id,
    next_id,
    parse_id,
    previous_id,
)
from conductor_actors.adapters.redis.events.raw_entries import entries_of
from conductor_actors.adapters.redis.events.server_clock import ServerClock, elapsed_s
from conductor_actors.adapters.redis.events.trim_detector import (
    StreamInfo,
    StreamRead,
    TrimDetector,
)
from conductor_actors.adapters.redis.events.wrong_type_keys import WrongTypeKeys
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.events import UNSCORED_NAMES
from conductor_actors.domain.gaps import CLOCK, Gap
from conductor_actors.domain.identity import EVERY_TENANT
from conductor_actors.domain.merging import Frontier, Merge
from conductor_actors.errors import Unavailable

ENTRIES_PER_READ: Final = 16_000  # shared by the streams, so that many tenants cost no more
MAX_ENTRIES_PER_STREAM: Final = 2_000
MIN_ENTRIES_PER_STREAM: Final = 50

Start = Literal["window", "earliest", "latest"]


class OrderedEntries(NamedTuple):
    """Entries in order, all before the frontier; later reads return entries after it only."""

    entries: list[Entry]
    frontier: Frontier
    now_ms: int  # by Redis' clock, without its steps


class StreamPositions(msgspec.Struct, array_like=True):
    """Where to read on.

    `streams` has for each stream the id to read after, and how many entries were added up to it,
    or None if that is unknown. `start` is the id to read streams after that have no position.
    """

    frontier: Frontier
    start: bytes | None
    streams: dict[str, tuple[bytes, int | None]]


class _Fetched(NamedTuple):
    """The streams, their infos and Redis' clock, all of one moment."""

    now_ms: int
    streams: dict[str, Sequence[Any]]
    infos: dict[str, StreamInfo]
    replaced: set[str]  # the last entry that was read is not there


class _WrongType(Unavailable):
    """The key of a stream is of another type; which one is not known."""


class StreamReader:
    """Read streams from positions that it keeps.

    Entries are released in the order of their ids, once no entry before them can still be read: a
    read is atomic, so it has every entry before Redis' time. Older entries than those already
    released come only from a stream that turns up later, which is read from at most a window before
    the frontier, and from a Redis whose clock went back.

    Entries whose ids are more than 10 s ahead of Redis' clock get the time of their reading.

    After each read, `gaps` has the losses that it found, `clock_gaps` the times whose rows depend
    on when it was made, and `is_behind` tells whether more is there. Names in `wrong_type_keys` are
    not read.
    """

    def __init__(self, client: redis.Redis, start: Start, window_s: int) -> None:
        self._client = client
        self._prefix = prefix_of(client)
        self._start = start
        self._window_ms = window_s * 1000
        self._start_position: bytes | None = None
        self._positions: dict[str, bytes] = {}
        self._last_read: dict[str, bytes] = {}
        self._frontiers: dict[str, Frontier] = {}
        self._frontier: Frontier = (0, 0)
        self._merge = Merge()
        self._trim_detector = TrimDetector()
        self._clock = ServerClock()
        self._ahead = AheadEntries()
        self.wrong_type_keys = WrongTypeKeys(client)
        self.gaps: list[Gap] = []
        self.clock_gaps: list[Gap] = []
        self.is_behind = False
        self._confirmed_second = 0
        self._opened = 0

    def resume(self, positions: StreamPositions) -> None:
        """Read on from the positions of another reader."""
        self._frontier = positions.frontier
        self._clock.resume(positions.frontier[0])
        self._start_position = positions.start
        self._positions = {name: position for name, (position, _) in positions.streams.items()}
        counts = {name: count for name, (_, count) in positions.streams.items()}
        self._trim_detector.resume(counts, positions.frontier)

    def positions(self) -> StreamPositions:
        """Return the positions after the released entries; held entries will be read again."""
        oldest = self._merge.first_ids()
        streams = {}
        being_read = [*self._frontiers, *self.wrong_type_keys]
        for name in being_read or self._positions:  # before the first read: those resumed from
            count = self._trim_detector.count(name)
            streams[name] = (
                format_id(previous_id(oldest[name])) if name in oldest else self._positions[name],
                None if count is None else count - self._merge.size(name),
            )
        return StreamPositions(self._frontier, self._start_position, streams)

    def read(self, names: Sequence[str]) -> OrderedEntries:
        """Return the next entries of these streams."""
        try:
            return self._read(self.wrong_type_keys.exclude_from(names))
        except _WrongType:
            self.wrong_type_keys.check(names)
            for name in self.wrong_type_keys:
                self._frontiers.pop(name, None)
                self._trim_detector.require_check(name)
        return self._read(self.wrong_type_keys.exclude_from(names))

    def _read(self, names: Sequence[str]) -> OrderedEntries:
        for name in names:
            if name not in self._positions:
                self._positions[name] = self._first_position()
                self._trim_detector.require_check(name)
        if has_reconnected := self._has_reconnected():  # perhaps to a server with other entries
            for name in names:
                self._trim_detector.require_check(name)
        share = ENTRIES_PER_READ // max(1, len(names))
        limit = max(MIN_ENTRIES_PER_STREAM, min(MAX_ENTRIES_PER_STREAM, share))
        wanted = [name for name in names if self._merge.size(name) < limit]
        to_check = self._trim_detector.names_to_check(wanted)
        to_find = self._last_read if has_reconnected else {}
        fetched = self._fetch(wanted, to_check, limit, to_find)
        self._trim_detector.record_read()
        self._find_gaps(fetched, limit)
        now = (fetched.now_ms, 0)
        self._frontiers.update(dict.fromkeys(wanted, now))
        self.is_behind = False
        for name, raw_entries in fetched.streams.items():
            is_partial = len(raw_entries) >= limit
            self.is_behind |= is_partial
            self._add(name, raw_entries, (0, 0) if is_partial else now, fetched.now_ms)
        self._find_clock_gaps(fetched.now_ms)
        # Never before what was released, although a clock may go back or a stream turn up late.
        self._frontier = max(self._frontier, min((now, *self._frontiers.values())))
        return OrderedEntries(self._merge.release(self._frontier), self._frontier, fetched.now_ms)

    def _has_reconnected(self) -> bool:
        with mapped_errors(), connection_of(self._client) as connection:
            before, self._opened = self._opened, connection.opened
        return before not in (0, self._opened)

    def _first_position(self) -> bytes:
        """Return the position to begin a stream at: the start, which the first read sets.

        A stream that turns up later begins at most a window before the frontier.
        """
        if self._start_position is None:
            position: Frontier = (0, 0)
            if self._start != "earliest":
                now_ms = self._fetch([], [], 0).now_ms
                start_ms = now_ms - (self._window_ms if self._start == "window" else 0)
                position = previous_id((start_ms, 0))
            self._start_position = format_id(position)
        return max(self._start_position, self._window_start(), key=parse_id)

    def _window_start(self) -> bytes:
        """Return the position a window before the frontier."""
        return format_id(previous_id((max(0, self._frontier[0] - self._window_ms), 0)))

    def _find_gaps(self, fetched: _Fetched, limit: int) -> None:
        """Find out what was trimmed; call it while the positions are those before the read."""
        self.gaps = []
        for name, raw_entries in fetched.streams.items():
            if name not in fetched.infos:
                self._trim_detector.add(name, len(raw_entries))
        for name, info in fetched.infos.items():
            raw_entries = fetched.streams.get(name, ())
            is_partial = len(raw_entries) >= limit
            until_ms = fetched.now_ms
            if is_partial:
                until_ms = min(until_ms, parse_id(raw_entries[-1][0])[0])
            after = parse_id(self._positions[name])
            is_replaced = name in fetched.replaced
            read = StreamRead(name, after, len(raw_entries), is_partial, until_ms, is_replaced)
            gap = self._trim_detector.check(read, info, fetched.now_ms)
            if gap is None:
                continue
            if not name.endswith(UNSCORED_NAMES):
                to_ms = min(gap.to_ms, fetched.now_ms)
                self.gaps.append(gap._replace(from_ms=min(gap.from_ms, to_ms), to_ms=to_ms))
            if info.last < after and not raw_entries:  # the next entries may come before, too
                self._positions[name] = max(
                    format_id(info.last), self._window_start(), key=parse_id
                )
                self._last_read.pop(name, None)

    def _find_clock_gaps(self, now_ms: int) -> None:
        self.clock_gaps, self._ahead.gaps = self._ahead.gaps, []
        if self._clock.is_ahead:  # entries that are added now come too late for their ticks
            self.clock_gaps.append(Gap(EVERY_TENANT, CLOCK, 0, now_ms, now_ms))

    def _fetch(
        self,
        names: Sequence[str],
        to_check: Sequence[str],
        limit: int,
        to_find: Mapping[str, bytes] = MappingProxyType({}),
    ) -> _Fetched:
        commands: list[Command] = [("TIME",), ROLE_COMMAND]
        commands += [("XRANGE", name, entry_id, entry_id) for name, entry_id in to_find.items()]
        commands += [("XINFO", "STREAM", name) for name in to_check]
        if names:
            positions = [self._positions[name] for name in names]
            commands.append(("XREAD", "COUNT", limit, "STREAMS", *names, *positions))
        with mapped_errors():
            began_s = elapsed_s()
            time, *replies = self._run(commands)
            ended_s = elapsed_s()
            streams = (replies.pop() or ()) if names else ()
            if isinstance(streams, ResponseError):
                is_wrong_type = str(streams).startswith("WRONGTYPE")
                raise _WrongType(f"redis: {streams}") if is_wrong_type else streams
        found, infos = replies[: len(to_find)], replies[len(to_find) :]
        return _Fetched(
            self._clock.correct(server_time_ms(time), began_s, ended_s),
            {intern(key.decode().removeprefix(self._prefix)): entries for key, entries in streams},
            {name: StreamInfo.parse(reply) for name, reply in zip(to_check, infos, strict=True)},
            {name for name, entries in zip(to_find, found, strict=True) if not entries},
        )

    def _run(self, commands: Sequence[Command]) -> Sequence[Any]:
        """Return the replies but that with the role, all of one moment of the primary.

        A former primary is at its end: what it has not read is no reason for a tick.
        """
        with connection_of(self._client) as connection:
            time, role, *replies = connection.transaction(commands, raise_on_error=False)
            connection.record_role(role)
            second = server_time_ms(time) // 1000
            if second != self._confirmed_second:  # so before every tick
                connection.require_current()
                self._confirmed_second = second
        return [time, *replies]

    def _add(self, name: str, raw_entries: Sequence[Any], least: Frontier, now_ms: int) -> None:
        entries = entries_of(name, raw_entries)
        if entries[-1][0] > now_ms + MAX_AHEAD_MS:
            entries = self._ahead.restamp(entries, now_ms, self._merge.last_time(name))
        self._positions[name] = self._last_read[name] = raw_entries[-1][0]
        self._frontiers[name] = max(least, next_id(entries[-1][:2]))
        self._merge.add(name, entries)
