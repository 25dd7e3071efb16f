"""Detect entries that left their stream before they were read.

A stream counts the entries that were ever added to it (Redis 7, Valkey). Of these, what was not
read and is not there any more was lost: trimmed or deleted. The count is requested together with a
read when a loss is possible: at a stream's first read, after a pause, while reading is behind, and
otherwise every ten seconds.
"""

import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from conductor_actors.adapters.redis.events.entry_ids import parse_id
from conductor_actors.adapters.redis.events.event_names import event_tenant
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import DEFAULT_TENANT
from conductor_actors.domain.merging import Frontier
from conductor_actors.ports import Clock

TRIMMED: Final = "trimmed"
MAX_READ_PAUSE_S: Final = 1.0
TRIM_CHECK_S: Final = 10.0


class StreamInfo(NamedTuple):
    """The reply to XINFO STREAM. `entries_added` is None where the server does not count."""

    entries_added: int | None
    length: int
    first: Frontier | None
    last: Frontier

    @classmethod
    def parse(cls, reply: Any) -> "StreamInfo":  # noqa: ANN401 - as parsed by hiredis, or an error
        """Return the info in a reply; a stream that does not exist is an empty one."""
        if isinstance(reply, Exception):
            return cls(0, 0, None, (0, 0))
        fields = dict(zip(reply[::2], reply[1::2], strict=True))
        first = fields[b"first-entry"]
        return cls(
            fields.get(b"entries-added"),
            fields[b"length"],
            parse_id(first[0]) if first else None,
            parse_id(fields[b"last-generated-id"]),
        )


class StreamRead(NamedTuple):
    """What one read returned of a stream: `size` entries after the id `after`.

    `is_partial`: there may be more. Every entry before `until_ms` was read. `is_replaced`: the
    entry `after` was read, and is not in the stream, as after a failover that lost it.
    """

    name: str
    after: Frontier
    size: int
    is_partial: bool
    until_ms: int
    is_replaced: bool


class TrimDetector:
    """Compare the number of entries read of each stream with the number added to it."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, int | None] = {}  # None: unknown
        self._complete_until_ms: dict[str, int] = {}
        self._unchecked: set[str] = set()
        self._read_s = self._checked_s = float("-inf")

    def resume(self, counts: dict[str, int | None], frontier: Frontier) -> None:
        """Continue with the counts of another detector, which has read up to the frontier."""
        self._counts = counts
        self._complete_until_ms = dict.fromkeys(counts, frontier[0])

    def count(self, name: str) -> int | None:
        """Return how many entries were added to a stream up to the last one read, if known."""
        return self._counts.get(name)

    def require_check(self, name: str) -> None:
        """Check a stream at its next read."""
        self._unchecked.add(name)

    def names_to_check(self, names: Sequence[str]) -> Sequence[str]:
        """Return the streams whose info must be requested together with the next read."""
        now_s = self._clock()
        if now_s - self._read_s > MAX_READ_PAUSE_S or now_s - self._checked_s >= TRIM_CHECK_S:
            self._unchecked.update(names)
            self._checked_s = now_s
        return [name for name in names if name in self._unchecked] if self._unchecked else ()

    def record_read(self) -> None:
        """Record a successful read of all streams."""
        self._read_s = self._clock()

    def add(self, name: str, count: int) -> None:
        """Count the entries read of a stream that was not checked."""
        before = self._counts.get(name)
        if before is not None:
            self._counts[name] = before + count

    def check(self, read: StreamRead, info: StreamInfo, now_ms: int) -> Gap | None:
        """Count the entries read of a stream, and return the gap in front of them, if any."""
        name = read.name
        was_read, before = name in self._counts, self._counts.get(name)
        is_at_head = info.first is None or info.first > read.after
        count = self._counts[name] = _count_after(read, info, before, is_at_head=is_at_head)
        if not read.is_partial:
            self._unchecked.discard(name)
        from_ms = self._complete_until_ms.get(name, 0)
        if is_at_head or not read.is_partial:
            self._complete_until_ms[name] = read.until_ms
        lost: int | None = None
        if read.is_replaced and not is_at_head:
            pass  # as many may have been added elsewhere as were lost
        elif before is not None and count is not None:
            lost = count - before - read.size
        elif not (was_read and is_at_head and info.last > read.after):
            lost = 0  # also at the first read: entries from before it are not missed
        if lost == 0:
            return None
        to_ms = info.first[0] if is_at_head and info.first else now_ms
        return Gap(
            event_tenant(name) or DEFAULT_TENANT,
            TRIMMED,
            lost
            if lost is None or lost > 0
            else None,  # less than 0: created again, or lost by a failover
            min(from_ms, to_ms),
            to_ms,
        )


def _count_after(
    read: StreamRead, info: StreamInfo, before: int | None, *, is_at_head: bool
) -> int | None:
    """Return how many entries were ever added, up to the last one read."""
    if info.entries_added is None:
        return None
    if not read.is_partial:
        return info.entries_added
    if is_at_head:
        return info.entries_added - info.length + read.size
    return None if before is None else before + read.size
