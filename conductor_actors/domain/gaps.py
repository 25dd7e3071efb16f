"""What was never read, and the rows that miss it."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from conductor_actors.domain.identity import EVERY_TENANT


class Gap(NamedTuple):
    """Events that were never read: of whom, why, how many where that is known, and from when.

    Reasons: `flooded` (messages came faster than they were handled), `reconnected` (the connection
    was lost, and what was published meanwhile), `restarted` (this process was not running),
    `trimmed` (entries left their stream before they were read). They were published from `from_ms`
    to `to_ms`.
    """

    tenant: str
    reason: str
    lost: int | None
    from_ms: int = 0
    to_ms: int = 0


class Mark(msgspec.Struct, frozen=True, gc=False):
    """What a row misses: why (several reasons have commas between), and how many events."""

    reason: str
    lost_events: int | None


Marks = Mapping[str, Mark]  # by tenant

NO_MARKS: Final[Marks] = MappingProxyType({})


class Gaps:
    """The gaps that a window can still touch.

    Gaps of one tenant and reason that begin in one second and end in one second are merged, which
    no mark shows: ticks are on whole seconds.
    """

    def __init__(self, window_s: int, gaps: Iterable[Gap] = ()) -> None:
        self._window_ms = window_s * 1000
        self._gaps: dict[tuple[str, str, int, int], Gap] = {}
        for gap in gaps:
            self.add(gap)

    def open(self) -> tuple[Gap, ...]:
        """Return the gaps that a later row can miss."""
        return tuple(self._gaps.values())

    def add(self, gap: Gap) -> None:
        """Add a gap."""
        key = (gap.tenant, gap.reason, gap.from_ms // 1000, gap.to_ms // 1000)
        known = self._gaps.get(key)
        self._gaps[key] = gap if known is None else _joined(known, gap)

    def expire(self, passed_ms: int) -> None:
        """Drop what no row after a tick can miss."""
        if self._gaps:
            begin_ms = passed_ms - self._window_ms
            self._gaps = {key: gap for key, gap in self._gaps.items() if gap.to_ms >= begin_ms}


def marks_at(at_ms: int, gaps: Sequence[Gap], window_ms: int) -> Marks:
    """Return the marks of the rows at a tick, by tenant."""
    if not gaps:
        return NO_MARKS
    begin_ms = at_ms - window_ms
    touching = [gap for gap in gaps if gap.from_ms < at_ms and gap.to_ms >= begin_ms]
    return {
        tenant: _mark([gap for gap in touching if gap.tenant in (tenant, EVERY_TENANT)])
        for tenant in {gap.tenant for gap in touching}
    }


def mark_of(tenant: str, marks: Marks) -> Mark | None:
    """Find a tenant's mark, or the one of all tenants."""
    return marks.get(tenant) or marks.get(EVERY_TENANT) if marks else None


def _joined(one: Gap, other: Gap) -> Gap:
    lost = _sum([one, other])
    begin_ms, end_ms = min(one.from_ms, other.from_ms), max(one.to_ms, other.to_ms)
    return Gap(one.tenant, one.reason, lost, begin_ms, end_ms)


def _mark(gaps: list[Gap]) -> Mark:
    return Mark(",".join(sorted({gap.reason for gap in gaps})), _sum(gaps))


def _sum(gaps: list[Gap]) -> int | None:
    """Add up; what is not known of one is not known of all."""
    known = [gap.lost for gap in gaps if gap.lost is not None]
    return sum(known) if len(known) == len(gaps) else None
