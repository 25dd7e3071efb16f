"""Turn entries, in the order of their ids, into batches of events by session, split at ticks.

With the schedule in `ticks` this makes rows depend on the entries alone: a tick `t` comes after
every event before `t` and before every event at or after it, however fast they are read.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat
from sys import intern
from typing import Any, Final, NamedTuple

import msgspec

from conductor_actors.domain.buckets import Bucket
from conductor_actors.domain.conductor.directives import DirectivesByTenant
from conductor_actors.domain.directive_table import DirectiveTable
from conductor_actors.domain.entries import AnyEntry, Entry
from conductor_actors.domain.events import (
    BACKSLASH,
    COMMANDED,
    DECODERS,
    MAX_PLAIN_BYTES,
    NUL,
    OWN_NAMES,
    Decoded,
    Decoder,
    Event,
    decode,
)
from conductor_actors.domain.gaps import Gaps
from conductor_actors.domain.identity import split
from conductor_actors.domain.intake_state import IntakeRules, IntakeState
from conductor_actors.domain.quotas import Quotas
from conductor_actors.domain.session_titles import SESSION_INFO
from conductor_actors.domain.ticks import TickPosition, Watermark, tick_from
from conductor_actors.domain.title_collector import TitleCollector
from conductor_actors.domain.windows import SharedMs
from conductor_actors.errors import InvalidEvent

# Events wait for their tick, unless so many are pending: enough for each session to make a message
# cheap per event, and never more than fit into 100 MB.
MIN_BATCH_EVENTS: Final = 4_096
BATCH_EVENTS_PER_SESSION: Final = 16
MAX_BATCH_EVENTS: Final = 200_000


class EventsBySession(dict[tuple[str, str], list[Event]]):
    """Events to apply, in order within each session, by (tenant, session).

    Plain tuples, for speed: a `SessionKey` equals them and takes five times as long to make.
    """


class Rejected(NamedTuple):
    """An entry that is no event, and why."""

    entry: Entry
    reason: str


class Source:
    """What events of a name need: their tenant's bucket, if it has one, and pending events."""

    __slots__ = ("bucket", "decoder", "sessions", "tenant")

    def __init__(
        self,
        tenant: str,
        decoder: Decoder,
        bucket: Bucket | None,
        sessions: dict[str, list[Event]],
    ) -> None:
        self.tenant = tenant
        self.decoder = decoder
        self.bucket = bucket
        self.sessions = sessions


class Sources:
    """The sources of events `by_name`.

    Pending events are in a dict of each tenant, because looking up a tuple costs twice as much as
    looking up a string.
    """

    def __init__(self, quotas: Quotas, directives: DirectiveTable, titles: TitleCollector) -> None:
        self.by_name: dict[str, Source] = {}
        self._quotas = quotas
        self._directives = directives
        self._titles = titles
        self._pending: dict[str, dict[str, list[Event]]] = {}

    def find(self, name: str) -> Source:
        """Return the source of a name; raise `InvalidEvent` if no events come under it."""
        source = self.by_name.get(name)
        if source is not None:
            return source
        parts = split(name)
        if parts is None or parts[1] not in DECODERS:
            raise InvalidEvent("unknown_name")
        tenant = parts[0]
        sessions = self._pending.setdefault(tenant, {})
        # People send commands, most of all in a flood, which must not keep them out.
        bucket = None if parts[1] in OWN_NAMES else self._quotas.bucket(tenant)
        if parts[1] == SESSION_INFO:
            decoder = self._titles.decoder(tenant)
        else:
            decoder = self._directives.decoder(tenant, parts[1])
        source = self.by_name[intern(name)] = Source(tenant, decoder, bucket, sessions)
        return source

    def pending_sessions(self) -> int:
        """Return how many sessions have pending events."""
        return sum(map(len, self._pending.values()))

    def pop_pending(self) -> EventsBySession:
        """Remove and return the pending events."""
        batch = EventsBySession()
        for tenant, sessions in self._pending.items():
            batch.update(zip(zip(repeat(tenant), sessions), sessions.values(), strict=True))
            sessions.clear()  # and not replaced, because sources refer to it
        return batch


class Intake:
    """Decodes entries and batches their events by session until the next tick.

    Counts the `accepted` and `skipped` events and the `ignored_keys` (optional keys that can't be
    used, by name), and collects the `rejected` entries and the changes of `titles`. `gaps` holds
    what was never read. `quotas` refuses and counts what is over a limit, mostly undecoded.
    """

    def __init__(self, rules: IntakeRules, state: IntakeState | None = None) -> None:
        """Start anew, or resume from a state, which may be of another tick interval."""
        self._tick_ms = rules.tick_s * 1000
        self._timeout_ms = rules.timeout_s * 1000
        self._max_bytes = rules.max_event_bytes
        self._plain_bytes = min(MAX_PLAIN_BYTES, rules.max_event_bytes)
        state = state or IntakeState()
        self._next_tick_ms: int | None = None
        if state.next_tick_ms is not None:
            self.start_ticks_at(state.next_tick_ms)
        self._passed_ms = state.passed_ms
        self._last_event_ms = state.last_event_ms
        self.window_s = rules.window_s
        self.gaps = Gaps(rules.window_s, state.gaps)
        self.quotas = Quotas(rules.limits, self._tick_ms, self._timeout_ms, state.quotas)
        self._directives = DirectiveTable(state.directives)
        self.titles = TitleCollector()
        self._sources = Sources(self.quotas, self._directives, self.titles)
        self._pending_events = 0
        self._batch_limit = MIN_BATCH_EVENTS
        self.rejected: list[Rejected] = []
        self.accepted = 0
        self.skipped = 0
        self.ignored_keys: Counter[str] = Counter()
        self._refused: list[AnyEntry] | None = None

    @property
    def has_pending(self) -> bool:
        """Whether events wait for the next tick."""
        return self._pending_events > 0

    @property
    def next_tick_ms(self) -> int | None:
        """The next tick that was not broadcast; None before the first is known."""
        return self._next_tick_ms

    def state(self) -> IntakeState:
        """Return the state once all of `batches` is consumed and `flush` is called."""
        return IntakeState(
            self._next_tick_ms,
            self._passed_ms,
            self._last_event_ms,
            self.gaps.active(),
            self.quotas.state(self._passed_ms),
            dict(self._directives.current),
        )

    def start_ticks_at(self, at_ms: int) -> None:
        """Start with the first tick at `at_ms` or later: earlier events only fill the windows."""
        self._next_tick_ms = tick_from(at_ms, self._tick_ms)

    def start_with_directives(self, directives: DirectivesByTenant) -> None:
        """Start with what holds already, so that it need not be set again."""
        self._directives.current = directives

    def collect_refused(self) -> None:
        """Collect the entries that exceed a limit, besides counting them."""
        self._refused = []

    def pop_refused_entries(self) -> list[AnyEntry]:
        """Remove and return the collected entries."""
        refused, self._refused = self._refused or [], []
        return refused

    def batches(
        self, entries: Sequence[Entry], watermark_ms: int | None = None
    ) -> Iterator[EventsBySession | Watermark]:
        """Return the events by session, and a `Watermark` wherever the next tick is reached.

        Call `pass_ticks` before asking for what follows a watermark. The last is `watermark_ms`.
        Events after the last tick stay pending. An entry that is too late for its tick counts in
        the next one.
        """
        while entries and self._next_tick_ms is None:
            yield self._watermark(max(entries[0][0], self._passed_ms))
        end = 0
        while end < len(entries):
            end = self._add_until_tick(entries, end)
            if self._pending_events >= self._batch_limit:
                yield self.flush()
            elif end < len(entries):
                yield from self._watermarks_until(entries[end][0])
        if watermark_ms is not None:
            yield from self._watermarks_until(watermark_ms)

    def pass_ticks(self, position: TickPosition) -> None:
        """Record that the ticks up to this position were broadcast."""
        self._next_tick_ms = position.next_ms
        if position.passed_ms > self._passed_ms:
            self._passed_ms = position.passed_ms
            self.quotas.pass_tick(self._passed_ms)
            self.gaps.expire(self._passed_ms)

    def flush(self) -> EventsBySession:
        """Return the pending events, if any, before their tick."""
        events = self._pop_batch()
        self.quotas.count_flushed(events, self._last_event_ms or 0)
        return events

    def _pop_batch(self) -> EventsBySession:
        self._pending_events, self._batch_limit = 0, MIN_BATCH_EVENTS
        return self._sources.pop_pending()

    def _add_until_tick(self, entries: Sequence[Entry], begin: int) -> int:
        """Add entries from `begin` on; return the index of the first that is not added.

        A tick is due before that one, or the batch is full.
        """
        full = min(len(entries), begin + self._batch_limit - self._pending_events)
        end = bisect_left(entries, (self._next_tick_ms or 0,), begin, full)
        pending_before = self._pending_events
        self._add(islice(entries, begin, end))
        self.accepted += self._pending_events - pending_before
        limit = max(MIN_BATCH_EVENTS, BATCH_EVENTS_PER_SESSION * self._sources.pending_sessions())
        self._batch_limit = min(MAX_BATCH_EVENTS, limit)
        return end

    def _add(self, entries: Iterable[AnyEntry]) -> None:
        """Add entries to the pending events. Only steps that few of them need are calls."""
        sources, passed_ms = self._sources.by_name, self._passed_ms
        late_ms: SharedMs = passed_ms
        plain_bytes, unchecked_events = self._plain_bytes, self.quotas.unchecked_events
        backslash, is_ascii = BACKSLASH, bytes.isascii  # compiled, globals are looked up
        for entry in entries:
            typed: tuple[SharedMs, Any, str, bytes] = entry
            at_ms, _, name, body = typed
            ms: int = at_ms
            if ms < passed_ms:
                at_ms = late_ms
            try:
                source = sources.get(name) or self._sources.find(name)
                bucket = source.bucket
                if bucket is not None and not bucket.admit(at_ms, len(body)):
                    self._collect(entry)
                    continue
                if len(body) <= plain_bytes and (backslash not in body or NUL not in body):
                    if not is_ascii(body):
                        body.decode()
                    decoded = source.decoder(body, at_ms)
                else:
                    decoded = self._decode(entry, at_ms)
            except (InvalidEvent, msgspec.DecodeError, UnicodeDecodeError):
                decoded = self._decode(entry, at_ms)
            if decoded is None:
                self.skipped += 1
                continue
            session_id, event = decoded
            events = source.sessions.get(session_id)
            if events is not None and len(events) < unchecked_events:
                events.append(event)
            elif not self._admit((source.tenant, session_id), event, source.sessions):
                self._collect(entry)
                continue
            self._last_event_ms = at_ms
            self._pending_events += 1

    def _collect(self, entry: AnyEntry) -> None:
        if self._refused is not None:
            self._refused.append(entry)

    def _decode(self, entry: AnyEntry, at_ms: int) -> Decoded:
        """Decode an entry with any body; reject it if it is no event."""
        _, _, name, body = entry
        try:
            decoder = self._sources.find(name).decoder
            return decode(decoder, body, at_ms, self._max_bytes, self.ignored_keys)
        except InvalidEvent as invalid:
            self.rejected.append(Rejected(entry, invalid.reason))
            self.skipped -= 1  # the caller counts it as skipped
            return None

    def _admit(self, key: tuple[str, str], event: Event, sessions: dict[str, list[Event]]) -> bool:
        """Add an event that the quotas have to admit; return False if they refuse it."""
        events, quotas = sessions.get(key[1]), self.quotas
        if quotas.has_session_limits:
            is_command = isinstance(event, COMMANDED)
            if events is None:
                if not quotas.admit_session(key, event.at_ms, is_command=is_command):
                    return False
            elif not is_command and quotas.refuse_event(key, events, event.at_ms):
                return False
        if events is None:
            sessions[key[1]] = [event]
        else:
            events.append(event)
        return True

    def _watermarks_until(self, until_ms: int) -> Iterator[EventsBySession | Watermark]:
        while self._next_tick_ms is not None and self._next_tick_ms <= until_ms:
            if self.has_pending:
                yield self._pop_batch()
            yield self._watermark(until_ms)

    def _watermark(self, at_ms: int) -> Watermark:
        gaps, directives = self.gaps.active(), self._directives.current
        return Watermark(at_ms, self._last_event_ms, gaps, directives)
