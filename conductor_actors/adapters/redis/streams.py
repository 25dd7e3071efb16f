"""Read many streams in the order of their entries' ids."""

from collections.abc import Sequence
from itertools import repeat
from typing import Any, Final, Literal, NamedTuple

import msgspec
import redis
from redis.exceptions import ResponseError

from conductor_actors.adapters.redis.client import Command, mapped_errors, pipeline
from conductor_actors.adapters.redis.trim_detector import Extent, Portion, TrimDetector, parsed
from conductor_actors.adapters.redis.wrong_type_keys import WrongTypeKeys
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.intake import Entry
from conductor_actors.domain.merging import Frontier, Merge
from conductor_actors.errors import Unavailable

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


class StreamPositions(msgspec.Struct, array_like=True):
    """Where reading goes on: behind which entry of each stream, the how manyth that ever was."""

    frontier: Frontier
    start: bytes | None
    streams: dict[str, tuple[bytes, int | None]]


class _Answer(NamedTuple):
    """What Redis said at one moment."""

    now_ms: int
    streams: dict[str, Sequence[Any]]
    extents: dict[str, Extent]


class _WrongType(Unavailable):
    """A name is taken by another kind of key, whichever it is."""


class StreamReader:
    """Reads from positions it keeps. A read is atomic in Redis: clock and entries together.

    Every stream is read from one moment on, the start; one that turns up later is so from a
    window before the frontier at most, and brings entries that are older than what was given out;
    so does a Redis whose clock went back. `gaps` are those that the last read has found. Names
    of the wrong type are `wrong_type_keys`: the other streams are read without them.
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
        self._trim_detector = TrimDetector()
        self.wrong_type_keys = WrongTypeKeys(client)
        self.gaps: list[Gap] = []
        self.is_behind = False
        self.until_ms: int | None = None

    def resume(self, positions: StreamPositions) -> None:
        """Go on where another was."""
        self._frontier = positions.frontier
        self._start_position = positions.start
        self._positions = {name: at for name, (at, _) in positions.streams.items()}
        counts = {name: count for name, (_, count) in positions.streams.items()}
        self._trim_detector.resume(counts, positions.frontier)

    def positions(self) -> StreamPositions:
        """Return how far entries were returned. What is held is read again."""
        oldest = self._merge.oldest()
        streams = {}
        being_read = [*self._frontiers, *self.wrong_type_keys]
        for name in being_read or self._positions:  # nothing is, before the first read
            count = self._trim_detector.count(name)
            streams[name] = (
                _before(oldest[name]) if name in oldest else self._positions[name],
                None if count is None else count - self._merge.held(name),
            )
        return StreamPositions(self._frontier, self._start_position, streams)

    def read(self, names: Sequence[str]) -> Ordered:
        """Read on in all streams."""
        try:
            return self._read(self.wrong_type_keys.without(names))
        except _WrongType:
            self.wrong_type_keys.find(names)
            for name in self.wrong_type_keys:
                self._frontiers.pop(name, None)
                self._trim_detector.doubt(name)
        return self._read(self.wrong_type_keys.without(names))

    def _read(self, names: Sequence[str]) -> Ordered:
        for name in names:
            if name not in self._positions:
                self._positions[name] = self._started()
                self._trim_detector.doubt(name)
        count = max(LEAST_PER_STREAM, min(MOST_PER_STREAM, ENTRIES_PER_READ // max(1, len(names))))
        wanted = [name for name in names if self._merge.held(name) < count]
        answer = self._ask(wanted, self._trim_detector.to_ask(wanted), count)
        self._trim_detector.worked()
        self._count(answer, count)
        now = (answer.now_ms, 0)
        self._frontiers.update(dict.fromkeys(wanted, now))
        self.is_behind = False
        for name, raw_entries in answer.streams.items():
            is_cut = len(raw_entries) >= count
            self.is_behind |= is_cut
            self._take(name, raw_entries, (0, 0) if is_cut else now)
        # What was given out stays so, although a clock may go back or a stream turn up late.
        until = now if self.until_ms is None else (self.until_ms, 0)
        self._frontier = max(self._frontier, min((now, until, *self._frontiers.values())))
        return Ordered(self._merge.release(self._frontier), self._frontier, answer.now_ms)

    def _started(self) -> bytes:
        """Return the position after which reading starts: chosen once, at the first read.

        A stream that turns up later is not read from before its first window.
        """
        if self._start_position is None:
            position = b"0-0"
            if self._start != "earliest":
                now_ms = self._ask([], [], 0).now_ms
                start_ms = now_ms - (self._window_ms if self._start == "window" else 0)
                position = _before((start_ms, 0))
            self._start_position = position
        in_sight = _before((max(0, self._frontier[0] - self._window_ms), 0))
        return max(self._start_position, in_sight, key=parsed)

    def _count(self, answer: _Answer, limit: int) -> None:
        """Find out what was trimmed away: the positions are those from before this read."""
        self.gaps = []
        for name, raw_entries in answer.streams.items():
            if name not in answer.extents:
                self._trim_detector.took(name, len(raw_entries))
        for name, extent in answer.extents.items():
            raw_entries = answer.streams.get(name, ())
            is_cut = len(raw_entries) >= limit
            until_ms = parsed(raw_entries[-1][0])[0] if is_cut else answer.now_ms
            behind = parsed(self._positions[name])
            portion = Portion(name, behind, len(raw_entries), is_cut, until_ms)
            gap = self._trim_detector.check(portion, extent, answer.now_ms)
            if gap is not None:
                self.gaps.append(gap)

    def _ask(self, names: Sequence[str], doubtful: Sequence[str], count: int) -> _Answer:
        commands: list[Command] = [("MULTI",), ("TIME",)]
        commands += [("XINFO", "STREAM", name) for name in doubtful]
        if names:
            positions = [self._positions[name] for name in names]
            commands.append(("XREAD", "COUNT", count, "STREAMS", *names, *positions))
        commands.append(("EXEC",))
        with mapped_errors():
            (seconds, micros), *replies = pipeline(self._client, commands)[-1]
            streams = (replies.pop() or ()) if names else ()
            if isinstance(streams, ResponseError):
                is_wrong_type = str(streams).startswith("WRONGTYPE")
                raise _WrongType(f"redis: {streams}") if is_wrong_type else streams
        return _Answer(
            int(seconds) * 1000 + int(micros) // 1000,
            {key.decode(): raw_entries for key, raw_entries in streams},
            {name: Extent.of(said) for name, said in zip(doubtful, replies, strict=True)},
        )

    def _take(self, name: str, raw_entries: Sequence[Any], at_least: Frontier) -> None:
        entries = entries_of(name, raw_entries)
        self._positions[name] = raw_entries[-1][0]
        self._frontiers[name] = max(at_least, _behind(entries[-1][:2]))
        self._merge.add(name, entries)


def joined(positions: Sequence[StreamPositions]) -> StreamPositions:
    """Make one of several that have the same frontier: nothing lies between where they are."""
    streams: dict[str, tuple[bytes, int | None]] = {}
    for name, at in (item for each in positions for item in each.streams.items()):
        streams[name] = min(at, streams.get(name, at), key=_position)
    start = min((each.start for each in positions if each.start), key=parsed, default=None)
    return StreamPositions(positions[0].frontier, start, streams)


def _position(at: tuple[bytes, int | None]) -> Frontier:
    return parsed(at[0])


def entries_of(name: str, raw_entries: Sequence[Any]) -> list[Entry]:
    """Make entries of what hiredis parsed of a stream."""
    ids = b" ".join([entry_id for entry_id, _ in raw_entries]).replace(b"-", b" ").split()
    numbers = [*map(int, ids)]
    bodies = [fields[1] if fields[0] == BODY_FIELD else _body(fields) for _, fields in raw_entries]
    return [*zip(numbers[::2], numbers[1::2], repeat(name), bodies, strict=False)]


def _before(first: Frontier) -> bytes:
    """Return the position right before an entry."""
    ms, sequence = first
    if first == (0, 0):
        return b"0-0"
    return b"%d-%d" % ((ms, sequence - 1) if sequence else (ms - 1, LAST_SEQUENCE))


def _behind(last: Frontier) -> Frontier:
    """Return the smallest id that is greater."""
    ms, sequence = last
    return (ms + 1, 0) if sequence == LAST_SEQUENCE else (ms, sequence + 1)


def _body(fields: Sequence[bytes]) -> bytes:
    """Find the field called data; an entry without one has an empty body, which is no event."""
    named = zip(fields[::2], fields[1::2], strict=True)
    return next((value for name, value in named if name == BODY_FIELD), b"")
