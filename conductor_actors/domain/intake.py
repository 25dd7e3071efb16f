"""From entries in the order of their ids to batches of events by session, cut at ticks.

With the schedule in `ticks` this decides that the same entries give the same rows: a tick `t`
comes after every event before `t` and before every event at or after it, however fast they are
read.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

import msgspec

from conductor_actors.domain.events import DECODERS, Decoder, Event, decode
from conductor_actors.domain.gaps import Gap, Gaps
from conductor_actors.domain.identity import split
from conductor_actors.domain.quotas import NO_LIMITS, Bucket, Limits, Quotas, QuotasState
from conductor_actors.domain.ticks import TickPosition, Watermark, tick_from
from conductor_actors.errors import InvalidEvent

# One event as read: (milliseconds, sequence) of its entry id, event name, body. A plain tuple
# for speed; in this order because that is the order in which events are applied.
Entry: TypeAlias = tuple[int, int, str, bytes]

# What waits for the tick is handed out before it when there is so much of it: enough for each
# session that telling it costs little an event, and never more than fits into 100 MB.
LEAST_EVENTS: Final = 4_096
EVENTS_PER_SESSION: Final = 16
MOST_EVENTS: Final = 200_000


class IntakeRules(msgspec.Struct, frozen=True):
    """How events become batches and ticks."""

    tick_s: int = 5
    timeout_s: int = 1800
    max_event_bytes: int = 65536
    window_s: int = 60
    limits: Limits = NO_LIMITS


class IntakeState(msgspec.Struct, frozen=True, array_like=True):
    """What an intake goes on from: all that later batches and ticks depend on."""

    next_tick_ms: int | None = None
    passed_ms: int = 0
    last_event_ms: int | None = None
    gaps: tuple[Gap, ...] = ()
    quotas: QuotasState | None = None

    @property
    def position(self) -> TickPosition:
        """Return how far the schedule of ticks was."""
        return TickPosition(self.passed_ms, self.next_tick_ms)


class EventsBySession(dict[tuple[str, str], list[Event]]):
    """Events to apply, in order within each session, by (tenant, session).

    Plain tuples, for speed: a `SessionKey` equals them and takes five times as long to make.
    """


class Rejected(NamedTuple):
    """An entry that is no event, and why."""

    entry: Entry
    reason: str


class Intake:
    """Decode, gather by session and cut: nobody needs events sooner than their tick.

    Keeps count: `counted`, `skipped`, and the `rejected` entries. `gaps` are told of what was
    never read. `quotas` keep count of what is over: most of it is not even decoded.
    """

    def __init__(self, rules: IntakeRules, state: IntakeState | None = None) -> None:
        """Begin anew, or where another intake was, which may have had another tick."""
        self._tick_ms = rules.tick_s * 1000
        self._timeout_ms = rules.timeout_s * 1000
        self._max_bytes = rules.max_event_bytes
        self._sources: dict[str, tuple[str, Decoder, Bucket | None]] = {}
        state = state or IntakeState()
        self._next_tick_ms: int | None = None
        if state.next_tick_ms is not None:
            self.no_tick_before(state.next_tick_ms)
        self._passed_ms = state.passed_ms
        self._last_event_ms = state.last_event_ms
        self.window_s = rules.window_s
        self.gaps = Gaps(rules.window_s, state.gaps)
        self.quotas = Quotas(rules.limits, self._tick_ms, self._timeout_ms, state.quotas)
        # A dict of dicts, because looking up a tuple costs twice as much as looking up a string.
        self._gathered: defaultdict[str, dict[str, list[Event]]] = defaultdict(dict)
        self._events = 0
        self._most_events = LEAST_EVENTS
        self.rejected: list[Rejected] = []
        self.counted = 0
        self.skipped = 0

    @property
    def holds_events(self) -> bool:
        """Whether events are gathered for the next tick."""
        return self._events > 0

    def state(self) -> IntakeState:
        """Return the state after all steps of a `take` and the `rest`."""
        return IntakeState(
            self._next_tick_ms,
            self._passed_ms,
            self._last_event_ms,
            self.gaps.open(),
            self.quotas.state(self._passed_ms),
        )

    def no_tick_before(self, at_ms: int) -> None:
        """Cut at the first tick from `at_ms` on: what comes before only fills the windows."""
        self._next_tick_ms = tick_from(at_ms, self._tick_ms)

    def take(
        self, entries: Sequence[Entry], watermark_ms: int | None = None
    ) -> Iterator[EventsBySession | Watermark]:
        """Return the entries' events by session, cut wherever the data reaches the next tick.

        There it returns a `Watermark`, up to `watermark_ms`; call `pass_ticks` before going on.
        Events after the last tick stay gathered. An entry that comes too late for its tick
        counts in the next one.
        """
        while entries and self._next_tick_ms is None:
            yield self._watermark(max(entries[0][0], self._passed_ms))
        taken = 0
        while taken < len(entries):
            taken = self._gather(entries, taken)
            if self._events >= self._most_events:
                yield self.rest()
            elif taken < len(entries):
                yield from self._cut_at(entries[taken][0])
        if watermark_ms is not None:
            yield from self._cut_at(watermark_ms)

    def pass_ticks(self, position: TickPosition) -> None:
        """Record that the ticks up to this position were broadcast."""
        self._next_tick_ms = position.next_ms
        if position.passed_ms > self._passed_ms:
            self._passed_ms = position.passed_ms
            self.quotas.pass_to(self._passed_ms)
            self.gaps.expire(self._passed_ms)

    def rest(self) -> EventsBySession:
        """Hand out what is gathered, be it nothing, before its tick."""
        events = self._hand_out()
        self.quotas.hand_out(events, self._last_event_ms or 0)
        return events

    def _hand_out(self) -> EventsBySession:
        gathered, self._gathered = self._gathered, defaultdict(dict)
        self._events, self._most_events = 0, LEAST_EVENTS
        return EventsBySession(
            ((tenant, session_id), events)
            for tenant, sessions in gathered.items()
            for session_id, events in sessions.items()
        )

    def _gather(self, entries: Sequence[Entry], begin: int) -> int:
        """Gather entries from `begin` on; return the index of the first that has to wait.

        A tick is due before that one, or there is enough to hand out.
        """
        passed_ms = self._passed_ms
        until_ms, end = self._next_tick_ms or 0, begin
        for entry in islice(entries, begin, begin + self._most_events - self._events):
            if entry[0] >= until_ms:
                break
            end += 1
            try:
                self._put(entry, passed_ms)
            except InvalidEvent as invalid:
                self.rejected.append(Rejected(entry, invalid.reason))
        enough = max(LEAST_EVENTS, EVENTS_PER_SESSION * sum(map(len, self._gathered.values())))
        self._most_events = min(MOST_EVENTS, enough)
        return end

    def _put(self, entry: Entry, passed_ms: int) -> None:
        ms, _, name, body = entry
        at_ms = ms if ms > passed_ms else passed_ms  # noqa: FURB136 - a call costs too much here
        tenant, decoder, bucket = self._sources.get(name) or self._source(name)
        if bucket is not None and not bucket.takes(at_ms, len(body)):
            return
        decoded = decode(decoder, body, at_ms, self._max_bytes)
        if decoded is None:
            self.skipped += 1
            return
        session_id, event = decoded
        sessions, quotas = self._gathered[tenant], self.quotas
        events = sessions.get(session_id)
        if events is not None:
            if len(events) >= quotas.unasked and quotas.is_spent(
                (tenant, session_id), events, at_ms
            ):
                return
            events.append(event)
        elif quotas.admits((tenant, session_id), at_ms):
            sessions[session_id] = [event]
        else:
            return
        self._last_event_ms = at_ms
        self.counted += 1
        self._events += 1

    def _source(self, name: str) -> tuple[str, Decoder, Bucket | None]:
        parts = split(name)
        if parts is None or parts[1] not in DECODERS:
            raise InvalidEvent("unknown_name")
        tenant, decoder = parts[0], DECODERS[parts[1]]
        source = self._sources[name] = (tenant, decoder, self.quotas.bucket(tenant))
        return source

    def _cut_at(self, until_ms: int) -> Iterator[EventsBySession | Watermark]:
        while self._next_tick_ms is not None and self._next_tick_ms <= until_ms:
            if self.holds_events:
                yield self._hand_out()
            yield self._watermark(until_ms)

    def _watermark(self, at_ms: int) -> Watermark:
        return Watermark(at_ms, self._last_event_ms, self.gaps.open())
