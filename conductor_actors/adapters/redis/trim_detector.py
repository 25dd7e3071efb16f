"""Entries that left their stream before they were read: found out by counting.

A stream counts what was ever added to it (Redis 7, Valkey): what is neither read nor there any
more was lost. That is asked together with a read, when it can matter: at a stream's first read,
after a pause, while reading is behind, and else every ten seconds.
"""

import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from conductor_actors.adapters.redis.event_names import event_tenant
from conductor_actors.domain.gaps import Gap
from conductor_actors.domain.identity import DEFAULT_TENANT
from conductor_actors.domain.merging import Frontier
from conductor_actors.ports import Clock

REASON: Final = "trimmed"
PAUSE_S: Final = 1.0
CHECK_EVERY_S: Final = 10.0


class Extent(NamedTuple):
    """What a stream says of itself; `added` is None where the server does not count."""

    added: int | None
    length: int
    first: Frontier | None
    last: Frontier

    @classmethod
    def of(cls, reply: Any) -> "Extent":  # noqa: ANN401 - as parsed by hiredis, or an error
        """Read the reply to XINFO STREAM; a stream that is not there is an empty one."""
        if isinstance(reply, Exception):
            return cls(0, 0, None, (0, 0))
        said = dict(zip(reply[::2], reply[1::2], strict=True))
        first = said[b"first-entry"]
        return cls(
            said.get(b"entries-added"),
            said[b"length"],
            parsed(first[0]) if first else None,
            parsed(said[b"last-generated-id"]),
        )


class Portion(NamedTuple):
    """What one read took of one stream: behind which id, how many, and whether there may be more.

    Every id before `until_ms` was read.
    """

    name: str
    behind: Frontier
    taken: int
    is_cut: bool
    until_ms: int


class TrimDetector:
    """Counts each stream's entries up to where it is read; knows until when none was lost."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._read: dict[str, int | None] = {}  # None: it can't be known
        self._sure_ms: dict[str, int] = {}
        self._doubtful: set[str] = set()
        self._worked_s = self._checked_s = float("-inf")

    def resume(self, read: dict[str, int | None], frontier: Frontier) -> None:
        """Go on where another was."""
        self._read = read
        self._sure_ms = dict.fromkeys(read, frontier[0])

    def count(self, name: str) -> int | None:
        """Return how many entries were ever added up to the position of a stream, if known."""
        return self._read.get(name)

    def doubt(self, name: str) -> None:
        """Ask a stream at its next read."""
        self._doubtful.add(name)

    def to_ask(self, names: Sequence[str]) -> Sequence[str]:
        """Return the streams to query together with the next read."""
        now_s = self._clock()
        if now_s - self._worked_s > PAUSE_S or now_s - self._checked_s >= CHECK_EVERY_S:
            self._doubtful.update(names)
            self._checked_s = now_s
        return [name for name in names if name in self._doubtful] if self._doubtful else ()

    def worked(self) -> None:
        """Record a successful read."""
        self._worked_s = self._clock()

    def took(self, name: str, count: int) -> None:
        """Count what was read of a stream that was not asked."""
        before = self._read.get(name)
        if before is not None:
            self._read[name] = before + count

    def check(self, portion: Portion, extent: Extent, now_ms: int) -> Gap | None:
        """Count what was read of a stream that was asked; tell what it has lost."""
        name = portion.name
        was_read, before = name in self._read, self._read.get(name)
        is_at_head = extent.first is None or extent.first > portion.behind
        after = self._read[name] = _reached(portion, extent, before, is_at_head=is_at_head)
        if not portion.is_cut:
            self._doubtful.discard(name)
        since_ms = self._sure_ms.get(name, 0)
        if is_at_head or not portion.is_cut:
            self._sure_ms[name] = portion.until_ms
        lost: int | None = None
        if before is not None and after is not None:
            lost = after - before - portion.taken
        elif not (was_read and is_at_head and extent.last > portion.behind):
            lost = 0  # or read for the first time: what was before is nobody's loss
        if lost == 0:
            return None
        until_ms = extent.first[0] if is_at_head and extent.first else now_ms
        return Gap(
            event_tenant(name) or DEFAULT_TENANT,
            REASON,
            lost if lost is None or lost > 0 else None,  # it was deleted, and made anew
            min(since_ms, until_ms),
            until_ms,
        )


def _reached(
    portion: Portion, extent: Extent, before: int | None, *, is_at_head: bool
) -> int | None:
    """Count the entries that were ever added, up to the last that was read."""
    if extent.added is None:
        return None
    if not portion.is_cut:
        return extent.added
    if is_at_head:
        return extent.added - extent.length + portion.taken
    return None if before is None else before + portion.taken


def parsed(entry_id: bytes) -> Frontier:
    """Read an entry's id."""
    ms, _, sequence = entry_id.partition(b"-")
    return int(ms), int(sequence)
