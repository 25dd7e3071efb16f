"""Events that were never read, and the rows that miss them."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from conductor_actors.domain.identity import EVERY_TENANT

CLOCK: Final = "clock"
MAX_CLOCK_GAPS: Final = 8  # of a tenant; to make room, the nearest become one


class Gap(NamedTuple):
    """Events of a tenant that were never read: why, how many if known, and from which time.

    Reasons: `flooded` (messages came faster than they were handled), `reconnected` (the connection
    was lost, and what was published meanwhile), `restarted` (this process was not running),
    `trimmed` (entries left their stream before they were read). They were published from `from_ms`
    to `to_ms`. The reason `clock` is none of these: events had ids in the future, or the
    clock stepped back, so that they count at other times than a replay counts them.
    """

    tenant: str
    reason: str
    lost: int | None
    from_ms: int = 0
    to_ms: int = 0


class GapMark(msgspec.Struct, frozen=True, gc=False):
    """What a row misses: the reasons, separated by commas, and how many events if known."""

    reason: str
    lost_events: int | None


GapMarks = Mapping[str, GapMark]  # by tenant

NO_MARKS: Final[GapMarks] = MappingProxyType({})


class Gaps:
    """The gaps that later windows can touch.

    Gaps of one tenant and reason that begin in the same second and end in the same second are
    merged. No mark differs for it, because ticks are on whole seconds.
    """

    def __init__(self, window_s: int, gaps: Iterable[Gap] = ()) -> None:
        self._window_ms = window_s * 1000
        self._gaps: dict[tuple[str, str, int, int], Gap] = {}
        for gap in gaps:
            self.add(gap)

    def active(self) -> tuple[Gap, ...]:
        """Return the gaps that later rows can miss."""
        return tuple(self._gaps.values())

    def add(self, gap: Gap) -> bool:
        """Add a gap; return False if it is one with an earlier gap of the clock."""
        if gap.reason == CLOCK:
            return self._add_of_clock(gap)
        key = _key(gap)
        known = self._gaps.get(key)
        self._gaps[key] = gap if known is None else _merged(known, gap)
        return True

    def expire(self, passed_ms: int) -> None:
        """Drop the gaps that no row after a tick can miss."""
        if self._gaps:
            begin_ms = passed_ms - self._window_ms
            self._gaps = {key: gap for key, gap in self._gaps.items() if gap.to_ms >= begin_ms}

    def _add_of_clock(self, gap: Gap) -> bool:
        """Add a gap that each read can extend: it is merged with those less than a window away."""
        known = [each for each in self._gaps.values() if each[:2] == gap[:2]]
        near = [each for each in known if _distance_ms(each, gap) <= self._window_ms]
        is_new = not near
        if is_new and len(known) >= MAX_CLOCK_GAPS:
            near = [min(known, key=lambda each: _distance_ms(each, gap))]
        for each in near:
            del self._gaps[_key(each)]
            gap = _merged(each, gap)
        self._gaps[_key(gap)] = gap
        return is_new


def marks_at(at_ms: int, gaps: Sequence[Gap], window_ms: int) -> GapMarks:
    """Return the marks of the rows at a tick, by tenant."""
    if not gaps:
        return NO_MARKS
    begin_ms = at_ms - window_ms
    touching = [gap for gap in gaps if gap.from_ms < at_ms and gap.to_ms >= begin_ms]
    return {
        tenant: _mark_of([gap for gap in touching if gap.tenant in (tenant, EVERY_TENANT)])
        for tenant in {gap.tenant for gap in touching}
    }


def mark_for(tenant: str, marks: GapMarks) -> GapMark | None:
    """Return a tenant's mark, or else the one of all tenants."""
    return marks.get(tenant) or marks.get(EVERY_TENANT) if marks else None


def _key(gap: Gap) -> tuple[str, str, int, int]:
    return gap.tenant, gap.reason, gap.from_ms // 1000, gap.to_ms // 1000


def _distance_ms(one: Gap, other: Gap) -> int:
    return max(0, one.from_ms - other.to_ms, other.from_ms - one.to_ms)


def _merged(one: Gap, other: Gap) -> Gap:
    lost = _lost_events([one, other])
    begin_ms, end_ms = min(one.from_ms, other.from_ms), max(one.to_ms, other.to_ms)
    return Gap(one.tenant, one.reason, lost, begin_ms, end_ms)


def _mark_of(gaps: list[Gap]) -> GapMark:
    return GapMark(",".join(sorted({gap.reason for gap in gaps})), _lost_events(gaps))


def _lost_events(gaps: list[Gap]) -> int | None:
    """Return the sum of the lost events; None if one is not known."""
    known = [gap.lost for gap in gaps if gap.lost is not None]
    return sum(known) if len(known) == len(gaps) else None
