"""What one tenant may take, so that the others keep theirs: decided by entry ids alone.

Nothing here looks at a clock, at load, or at how reads were cut, so the same entries under the
same limits are refused again by a replay, and by whoever goes on from a checkpoint.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

import msgspec

from conductor_actors.domain.events import Event
from conductor_actors.domain.windows import PresenceWindow

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
UNLIMITED: Final = 1 << 60
UNIT_BYTES: Final = 1024

# Why an event is refused: a key of the log stream.
TENANT_EVENTS: Final = "tenant_events"
TENANT_SESSIONS: Final = "tenant_sessions"
SESSION_EVENTS: Final = "session_events"
SESSION_USERS: Final = "session_users"  # decided by the session, which knows who is connected


class Limits(msgspec.Struct, frozen=True):
    """How much is too much; 0: nothing is."""

    tenant_events_per_s: float = 0.0
    tenant_burst_s: float = 10.0
    tenant_sessions: int = 0
    session_events_per_s: float = 0.0


NO_LIMITS: Final = Limits()
# For 50 tenants on two cores, which read 150,000 events a second in all. Tenants are protected from
# each other: where there is but one, nothing is limited unless it is asked for.
AMONG_TENANTS: Final = Limits(3000.0, 10.0, 1000, 1000.0)
MOST_USERS_AMONG_TENANTS: Final = 20_000  # connected to one session


class SessionsHeard(msgspec.Struct, frozen=True, array_like=True):
    """Sessions last heard of before one tick and, before the next one, how often."""

    tick_ms: int
    sessions: list[str]
    events: list[int]


class QuotasState(msgspec.Struct, frozen=True, array_like=True):
    """What quotas go on from: buckets that are not empty, and each tenant's sessions."""

    buckets: dict[str, int]
    sessions: dict[str, list[SessionsHeard]]


def units(size_bytes: int) -> int:
    """Return how many units an event counts as: one, and one more for each kilobyte."""
    return 1 + size_bytes // UNIT_BYTES


class Bucket:
    """A token bucket as one number: the moment until which a tenant has used up its rate."""

    __slots__ = ("_burst_ns", "_cost_ns", "refused", "until_ns")

    def __init__(self, limits: Limits, until_ns: int = 0) -> None:
        self._cost_ns = round(NS_PER_S / limits.tenant_events_per_s)
        self._burst_ns = max(self._cost_ns, round(NS_PER_S * limits.tenant_burst_s))
        self.until_ns = until_ns
        self.refused = 0

    def takes(self, at_ms: int, size_bytes: int) -> bool:
        """Accept one event, which costs by its size, or count it as refused."""
        at_ns = at_ms * NS_PER_MS
        cost_ns = self._cost_ns * units(size_bytes)
        until_ns = self.until_ns
        if until_ns <= at_ns:
            self.until_ns = at_ns + cost_ns
            return True
        until_ns += cost_ns
        if until_ns - at_ns > self._burst_ns:
            self.refused += 1
            return False
        self.until_ns = until_ns
        return True


class Quotas:
    """Every tenant's bucket, its sessions, and how many events each has had between two ticks.

    A session counts from its first event until its timeout has passed without one, by ticks. Its
    events are counted where they are gathered; only what was handed out before the tick is here.
    """

    def __init__(
        self, limits: Limits, tick_ms: int, timeout_ms: int, state: QuotasState | None = None
    ) -> None:
        self._limits = limits
        self._tick_ms = tick_ms
        self._timeout_ms = timeout_ms
        self._buckets: dict[str, Bucket] = {}
        self._sessions: dict[str, PresenceWindow] = {}
        self._handed_out: dict[tuple[str, str], int] = {}
        self._handed_out_ms = 0  # since which tick
        self._refused: Counter[tuple[str, str]] = Counter()
        a_tick = round(limits.session_events_per_s * tick_ms / 1000)
        self._most = max(1, a_tick) if limits.session_events_per_s else 0
        self._counts_sessions = bool(limits.tenant_sessions or self._most)
        # So many events of a session may be gathered without a question; then ask `is_spent`.
        self.unasked = self._most or UNLIMITED
        if state is not None:
            self._resume(state)

    def bucket(self, tenant: str) -> Bucket | None:
        """Return the tenant's bucket; None if there is no limit."""
        if not self._limits.tenant_events_per_s:
            return None
        return self._buckets.setdefault(tenant, Bucket(self._limits))

    def admits(self, key: tuple[str, str], at_ms: int) -> bool:
        """Admit the first gathered event of a session, unless the tenant has too many sessions."""
        if not self._counts_sessions:
            return True
        tenant, session_id = key
        heard = self._sessions.get(tenant)
        if heard is None:
            heard = self._sessions[tenant] = PresenceWindow(self._timeout_ms)
        limit = self._limits.tenant_sessions
        if limit and len(heard.moments) >= limit and session_id not in heard.moments:
            self._refused[tenant, TENANT_SESSIONS] += 1
            return False
        if not self.unasked and self.is_spent(key, (), at_ms):
            return False
        heard.moments[session_id] = self._tick_before(at_ms) + self._tick_ms
        return True

    def is_spent(self, key: tuple[str, str], gathered: Sequence[Event], at_ms: int) -> bool:
        """Check whether a session has used up its events of this tick; count one refused if so."""
        begin_ms = self._tick_before(at_ms)
        left = self._most
        if self._handed_out_ms == begin_ms:
            left -= self._handed_out.get(key, 0)
        if left > len(gathered) or (left > 0 and gathered[-left].at_ms < begin_ms):
            return False
        self._refused[key[0], SESSION_EVENTS] += 1
        return True

    def hand_out(self, gathered: Mapping[tuple[str, str], Sequence[Event]], last_ms: int) -> None:
        """Count what is handed out before its tick; the last of it is from `last_ms`."""
        if not self._most:
            return
        begin_ms = self._tick_before(last_ms)
        if begin_ms != self._handed_out_ms:
            self._handed_out, self._handed_out_ms = {}, begin_ms
        for key, events in gathered.items():
            since = len(events)
            if events[0].at_ms < begin_ms:  # before the first tick of all, which cuts nothing
                since = sum(event.at_ms >= begin_ms for event in events)
            self._handed_out[key] = self._handed_out.get(key, 0) + since
        self._ask_sooner()

    def pass_to(self, tick_ms: int) -> None:
        """Begin anew behind a tick, and part with the sessions that are over."""
        if self._handed_out:
            self._handed_out = {}
            self.unasked = self._most or UNLIMITED
        for heard in self._sessions.values():
            heard.expire(tick_ms)

    def take_refused(self) -> Counter[tuple[str, str]]:
        """Return how many events were refused, by tenant and reason, and reset the counts."""
        refused, self._refused = self._refused, Counter()
        for tenant, bucket in self._buckets.items():
            if bucket.refused:
                refused[tenant, TENANT_EVENTS] = bucket.refused
                bucket.refused = 0
        return refused

    def state(self, passed_ms: int) -> QuotasState | None:
        """Return the state once everything gathered is handed out; None if there is none."""
        if not (self._buckets or self._sessions):
            return None
        passed_ns = passed_ms * NS_PER_MS
        buckets = {
            tenant: bucket.until_ns
            for tenant, bucket in self._buckets.items()
            if bucket.until_ns > passed_ns
        }
        return QuotasState(buckets, {tenant: self._heard(tenant) for tenant in self._sessions})

    def remember(self, sessions: Iterable[tuple[tuple[str, str], int]]) -> None:
        """Know when sessions were last heard of, unless it does: from before there was a limit."""
        if not self._counts_sessions or self._sessions:
            return
        for (tenant, session_id), last_ms in sorted(sessions, key=lambda heard: heard[1]):
            heard = self._sessions.setdefault(tenant, PresenceWindow(self._timeout_ms))
            heard.moments[session_id] = self._tick_before(last_ms) + self._tick_ms

    def _heard(self, tenant: str) -> list[SessionsHeard]:
        """Name each session once: those heard of since the last tick come last."""
        moments, counts = self._sessions[tenant].moments, self._handed_out
        groups = []
        for tick_ms, group in groupby(
            sorted(moments.items(), key=itemgetter(1)), key=itemgetter(1)
        ):
            sessions = [session_id for session_id, _ in group]
            events = [counts.get((tenant, session_id), 0) for session_id in sessions]
            groups.append(SessionsHeard(tick_ms, sessions, events if any(events) else []))
        return groups

    def _resume(self, state: QuotasState) -> None:
        if self._limits.tenant_events_per_s:
            for tenant, until_ns in state.buckets.items():
                self._buckets[tenant] = Bucket(self._limits, until_ns)
        for tenant, groups in state.sessions.items():
            heard = self._sessions[tenant] = PresenceWindow(self._timeout_ms)
            for group in groups:
                heard.moments |= dict.fromkeys(group.sessions, group.tick_ms)
                if group.events:
                    named = ((tenant, session_id) for session_id in group.sessions)
                    self._handed_out |= zip(named, group.events, strict=True)
                    self._handed_out_ms = group.tick_ms - self._tick_ms
        self._ask_sooner()

    def _ask_sooner(self) -> None:
        if self._most:
            self.unasked = max(0, self._most - max(self._handed_out.values(), default=0))

    def _tick_before(self, at_ms: int) -> int:
        return at_ms - at_ms % self._tick_ms
