"""Traces of single sessions: every message that a session handles is logged, for a while."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from conductor_actors.actors.introspection import mailbox_figures
from conductor_actors.actors.messages import EventBatch, SessionMessage, Tick
from conductor_actors.actors.runtime.base import PooledActor
from conductor_actors.actors.runtime.mailbox import PooledMailbox
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session_state import SessionState, row_at
from conductor_actors.log_events import MessageTraced, TraceBegan, TraceEnded, emit
from conductor_actors.ports import Clock

TRACE_LINES_PER_S: Final = 20.0
TRACE_BURST_LINES: Final = 20.0


class SessionTrace:
    """The trace of one session: it observes the mailboxes of the session's actors.

    It continues across restarts, a quarantine and a passivation. The dispatcher's threads report
    messages; only the Supervisor's thread extends and ends the trace.
    """

    def __init__(self, key: SessionKey, scoring: Scoring, clock: Clock) -> None:
        self._key = key
        self._scoring = scoring
        self._clock = clock
        self._mailboxes: list[PooledMailbox] = []
        self._tokens = TRACE_BURST_LINES
        self._refilled_s = clock()
        self._messages = self._suppressed = self._unreported = 0
        self.until_s = float("-inf")

    def attach(self, mailbox: PooledMailbox) -> None:
        """Observe the messages that the actor of this mailbox handles."""
        if mailbox.observer is None:
            self._mailboxes.append(mailbox)
            mailbox.observer = self._observe

    def extend(self, for_s: float) -> float:
        """Extend the trace to at least `for_s` from now; return how many seconds are left."""
        now_s = self._clock()
        self.until_s = max(self.until_s, now_s + for_s)
        left_s = self.until_s - now_s
        emit(TraceBegan(for_s=left_s).of_session(*self._key))
        return left_s

    def end(self) -> None:
        """Stop observing, and report how many messages there were."""
        for mailbox in self._mailboxes:
            mailbox.observer = None
        messages, suppressed = self._messages, self._suppressed
        emit(TraceEnded(messages=messages, suppressed=suppressed).of_session(*self._key))

    @contextmanager
    def _observe(self, actor: PooledActor, message: object) -> Iterator[None]:
        """Report the message that is handled within this block, if the rate limit allows it."""
        if not isinstance(message, SessionMessage):  # Pykka's own, which stops the actor
            yield
            return
        began_s, has_failed = self._clock(), True
        try:
            yield
            has_failed = False
        finally:
            self._messages += 1
            if self._allow():
                self._report(actor, message, began_s, has_failed=has_failed)
            else:
                self._unreported += 1
                self._suppressed += 1

    def _allow(self) -> bool:
        """Return whether the rate limit allows one more line; if so, count it."""
        now_s = self._clock()
        refill = (now_s - self._refilled_s) * TRACE_LINES_PER_S
        self._tokens = min(TRACE_BURST_LINES, self._tokens + refill)
        self._refilled_s = now_s
        is_allowed = self._tokens >= 1
        self._tokens -= is_allowed
        return is_allowed

    def _report(
        self, actor: PooledActor, message: SessionMessage, began_s: float, *, has_failed: bool
    ) -> None:
        events = message.events if isinstance(message, EventBatch) else ()
        tick = message.tick if isinstance(message, EventBatch) else message
        suppressed, self._unreported = self._unreported, 0
        emit(
            MessageTraced(
                kind=type(message).__name__,
                events=len(events),
                kinds=Counter(type(event).__name__ for event in events),
                tick_at_ms=tick.at_ms if isinstance(tick, Tick) else None,
                score=None if has_failed else self._score(actor.handover(), tick),
                duration_s=round(self._clock() - began_s, 6),
                mailbox_depth=mailbox_figures(actor.mailbox, began_s).depth,
                has_failed=has_failed,
                suppressed=suppressed,
            ).of_session(*self._key)
        )

    def _score(self, state: object, tick: SessionMessage | None) -> float | None:
        """Return the score at a tick that was just handled; it is computed again."""
        if not isinstance(tick, Tick) or not isinstance(state, SessionState):
            return None
        if not state.has_row_at(tick.at_ms):
            return None
        return row_at(tick.at_ms, self._key.tenant_id, state, self._scoring).score


class SessionTraces:
    """The traces in progress. Only the Supervisor's thread uses them."""

    def __init__(self, scoring: Scoring, clock: Clock) -> None:
        self._scoring = scoring
        self._clock = clock
        self._traces: dict[SessionKey, SessionTrace] = {}

    def begin(self, key: SessionKey, mailbox: PooledMailbox, for_s: float) -> float:
        """Trace a session for at least `for_s` seconds; return how many are left."""
        if key not in self._traces:
            self._traces[key] = SessionTrace(key, self._scoring, self._clock)
        self._traces[key].attach(mailbox)
        return self._traces[key].extend(for_s)

    def attach(self, key: SessionKey, mailbox: PooledMailbox) -> None:
        """Observe a new mailbox of a session, if the session is traced."""
        if key in self._traces:
            self._traces[key].attach(mailbox)

    def end_due(self) -> None:
        """End the traces whose time is over."""
        if not self._traces:
            return
        now_s = self._clock()
        for key in [key for key, trace in self._traces.items() if trace.until_s <= now_s]:
            self._traces.pop(key).end()
