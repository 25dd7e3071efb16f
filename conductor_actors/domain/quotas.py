"""Limits that protect tenants from each other, applied by entry ids alone.

They depend on no clock, no load and no sizes of reads, so a replay of the same entries under the
same limits refuses the same events, and so does a process that resumes from a checkpoint.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec

from conductor_actors.domain.buckets import NS_PER_MS, Bucket
from conductor_actors.domain.events import Event
from conductor_actors.domain.windows import PresenceWindow

UNLIMITED: Final = 1 << 60

# Why an event is refused, as the log names it.
TENANT_EVENTS: Final = "tenant_events"
TENANT_SESSIONS: Final = "tenant_sessions"
SESSION_EVENTS: Final = "session_events"
SESSION_USERS: Final = "session_users"  # decided by the session, which knows who is connected


class Limits(msgspec.Struct, frozen=True):
    """The limits of each tenant; 0: no limit."""

    tenant_events_per_s: float = 0.0
    tenant_burst_s: float = 10.0
    tenant_sessions: int = 0
    session_events_per_s: float = 0.0


NO_LIMITS: Final = Limits()
# For 50 tenants on two cores, which read 150,000 events a second in all. A single tenant has no
# limits by default: there is nobody to protect from it.
MULTI_TENANT_LIMITS: Final = Limits(3000.0, 10.0, 1000, 1000.0)
MULTI_TENANT_MAX_USERS: Final = 20_000  # connected to one session


class SessionsSeen(msgspec.Struct, frozen=True, array_like=True):
    """Sessions last active in the interval before one tick, and how many events each had then."""

    tick_ms: int
    sessions: list[str]
    events: list[int]


class QuotasState(msgspec.Struct, frozen=True, array_like=True):
    """What quotas resume from: buckets that are not empty, and each tenant's sessions."""

    buckets: dict[str, int]
    sessions: dict[str, list[SessionsSeen]]


class Quotas:
    """Every tenant's bucket, its sessions, and how many events each had since the last tick.

    A session counts from its first event until the timeout has passed without one, by ticks. Its
    pending events are counted by the intake; only those flushed before their tick count here.
    """

    def __init__(
        self, limits: Limits, tick_ms: int, timeout_ms: int, state: QuotasState | None = None
    ) -> None:
        self._limits = limits
        self._tick_ms = tick_ms
        self._timeout_ms = timeout_ms
        self._buckets: dict[str, Bucket] = {}
        self._sessions: dict[str, PresenceWindow] = {}
        self._flushed: dict[tuple[str, str], int] = {}
        self._flushed_tick_ms = 0
        self._refused: Counter[tuple[str, str]] = Counter()
        per_tick = round(limits.session_events_per_s * tick_ms / 1000)
        self._max_events = max(1, per_tick) if limits.session_events_per_s else 0
        self.has_session_limits = bool(limits.tenant_sessions or self._max_events)
        # So many events of a session may be pending before each needs `refuse_event`.
        self.unchecked_events = self._max_events or UNLIMITED
        if state is not None:
            self._restore(state)

    def bucket(self, tenant: str) -> Bucket | None:
        """Return the tenant's bucket; None if there is no limit."""
        if not self._limits.tenant_events_per_s:
            return None
        return self._buckets.setdefault(tenant, self._new_bucket())

    def admit_session(self, key: tuple[str, str], at_ms: int, *, is_command: bool = False) -> bool:
        """Admit the first pending event of a session, unless the tenant has too many sessions.

        A command is admitted also where its session has had enough events.
        """
        tenant, session_id = key
        window = self._sessions.get(tenant)
        if window is None:
            window = self._sessions[tenant] = PresenceWindow(self._timeout_ms)
        limit = self._limits.tenant_sessions
        if limit and len(window.times_ms) >= limit and session_id not in window.times_ms:
            self._refused[tenant, TENANT_SESSIONS] += 1
            return False
        is_checked = not (self.unchecked_events or is_command)
        if is_checked and self.refuse_event(key, (), at_ms):
            return False
        window.add(session_id, self._tick_before(at_ms) + self._tick_ms)
        return True

    def refuse_event(self, key: tuple[str, str], pending: Sequence[Event], at_ms: int) -> bool:
        """Return True, and count an event as refused, if its session has had enough this tick."""
        tick_ms = self._tick_before(at_ms)
        left = self._max_events
        if self._flushed_tick_ms == tick_ms:
            left -= self._flushed.get(key, 0)
        if left > len(pending) or (left > 0 and pending[-left].at_ms < tick_ms):
            return False
        self._refused[key[0], SESSION_EVENTS] += 1
        return True

    def count_flushed(
        self, pending: Mapping[tuple[str, str], Sequence[Event]], last_ms: int
    ) -> None:
        """Count events that are flushed before their tick; the last of them is from `last_ms`."""
        if not self._max_events:
            return
        tick_ms = self._tick_before(last_ms)
        if tick_ms != self._flushed_tick_ms:
            self._flushed, self._flushed_tick_ms = {}, tick_ms
        for key, events in pending.items():
            since = len(events)
            if events[0].at_ms < tick_ms:  # before the first tick of all
                since = sum(event.at_ms >= tick_ms for event in events)
            self._flushed[key] = self._flushed.get(key, 0) + since
        self._update_unchecked_events()

    def pass_tick(self, tick_ms: int) -> None:
        """Start counting anew after a tick, and drop the sessions that are over."""
        if self._flushed:
            self._flushed = {}
            self.unchecked_events = self._max_events or UNLIMITED
        for window in self._sessions.values():
            window.expire(tick_ms)

    def pop_refused(self) -> Counter[tuple[str, str]]:
        """Return how many events were refused, by tenant and reason, and reset the counts."""
        refused, self._refused = self._refused, Counter()
        for tenant, bucket in self._buckets.items():
            if bucket.refused:
                refused[tenant, TENANT_EVENTS] = bucket.refused
                bucket.refused = 0
        return refused

    def state(self, passed_ms: int) -> QuotasState | None:
        """Return the state once nothing is pending; None if there is none."""
        if not (self._buckets or self._sessions):
            return None
        passed_ns = passed_ms * NS_PER_MS
        buckets = {
            tenant: bucket.until_ns
            for tenant, bucket in self._buckets.items()
            if bucket.until_ns > passed_ns
        }
        return QuotasState(
            buckets, {tenant: self._sessions_by_tick(tenant) for tenant in self._sessions}
        )

    def restore_sessions(self, sessions: Iterable[tuple[tuple[str, str], int]]) -> None:
        """Set when sessions had their last event, if that is not known: limits were set later."""
        if not self.has_session_limits or self._sessions:
            return
        for (tenant, session_id), last_ms in sorted(sessions, key=itemgetter(1)):
            window = self._sessions.setdefault(tenant, PresenceWindow(self._timeout_ms))
            window.add(session_id, self._tick_before(last_ms) + self._tick_ms)

    def _sessions_by_tick(self, tenant: str) -> list[SessionsSeen]:
        """Return each session once, those with events since the last tick last."""
        moments, counts = self._sessions[tenant].times_ms, self._flushed
        groups = []
        for tick_ms, group in groupby(
            sorted(moments.items(), key=itemgetter(1)), key=itemgetter(1)
        ):
            sessions = [session_id for session_id, _ in group]
            events = [counts.get((tenant, session_id), 0) for session_id in sessions]
            groups.append(SessionsSeen(tick_ms, sessions, events if any(events) else []))
        return groups

    def _restore(self, state: QuotasState) -> None:
        if self._limits.tenant_events_per_s:
            for tenant, until_ns in state.buckets.items():
                self._buckets[tenant] = self._new_bucket(until_ns)
        for tenant, groups in state.sessions.items():
            window = self._sessions[tenant] = PresenceWindow(self._timeout_ms)
            for group in groups:
                for session_id in group.sessions:
                    window.add(session_id, group.tick_ms)
                if group.events:
                    keys = ((tenant, session_id) for session_id in group.sessions)
                    self._flushed |= zip(keys, group.events, strict=True)
                    self._flushed_tick_ms = group.tick_ms - self._tick_ms
        self._update_unchecked_events()

    def _new_bucket(self, until_ns: int = 0) -> Bucket:
        return Bucket(self._limits.tenant_events_per_s, self._limits.tenant_burst_s, until_ns)

    def _update_unchecked_events(self) -> None:
        if self._max_events:
            self.unchecked_events = max(
                0, self._max_events - max(self._flushed.values(), default=0)
            )

    def _tick_before(self, at_ms: int) -> int:
        return at_ms - at_ms % self._tick_ms
