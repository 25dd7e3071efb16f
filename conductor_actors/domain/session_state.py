"""The state of a session as a value: the sum of its events, and its signals at a tick.

`state = state.after(events)` leaves the old value unchanged, so an event that raises costs nothing
but itself. Source of every rule: the contract, section 2.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

import msgspec

from conductor_actors.domain.events import (
    ChatMessage,
    Event,
    PollClosed,
    PollVote,
    Reaction,
    UserJoined,
    UserLeft,
)
from conductor_actors.domain.gaps import NO_MARKS, GapMarks, mark_for
from conductor_actors.domain.polls import MAX_OPEN_POLLS, Poll
from conductor_actors.domain.scoring import ScoreRow, Scoring, Signals, category, clamped
from conductor_actors.domain.windows import CountWindow, PresenceWindow, RepeatWindow

_PLACEHOLDER_EVENT_ID = "unknown"
_NON_STARTING = (PollClosed, UserLeft)  # events with which no session begins


class SessionRules(msgspec.Struct, frozen=True):
    """The length of a window, the timeouts of a session without events, the limit of its users."""

    window_s: int = 60
    timeout_s: int = 1800
    presence_timeout_s: int = 21_600  # of a session with connected users
    max_users: int = 0  # connected at once; 0: no limit


@dataclass(slots=True)
class SessionState:
    """The state of one session. Events are applied in the order of their times.

    A session begins with its first chat message, vote, reaction or join. After `timeout_s` without
    an event it is forgotten, or asleep while users are connected: it has no rows, and the next such
    event wakes it. It is forgotten when the last user leaves, or after `presence_timeout_s`.
    """

    session_id: str
    rules: SessionRules
    chats: CountWindow
    reactions: CountWindow
    messages: RepeatWindow  # when each message id was first counted
    active: PresenceWindow  # when each user last chatted, voted, reacted or arrived
    leavers: PresenceWindow  # when each user's last connection ended
    connections: dict[str, int] = field(default_factory=dict)
    polls: dict[str, Poll] = field(default_factory=dict)  # in the order of their last votes
    has_joins: bool = False  # else the audience is unknown
    real_event_id: str | None = None
    last_event_ms: int | None = None
    refused_users: int = 0  # joins over the limit

    @classmethod
    def new(cls, session_id: str, rules: SessionRules) -> "SessionState":
        """Return the state of a session without events."""
        window_s, window_ms = rules.window_s, rules.window_s * 1000
        counts = CountWindow(window_s), CountWindow(window_s)
        users = PresenceWindow(window_ms), PresenceWindow(window_ms)
        return cls(session_id, rules, *counts, RepeatWindow(window_ms), *users)

    def after(self, events: Iterable[Event]) -> "SessionState":
        """Return the state after these events; this one stays unchanged."""
        return self.copy().apply(events)

    def apply(self, events: Iterable[Event]) -> "SessionState":
        """Apply events in place; return the state, which is a new one if the session began anew."""
        state = self
        timeout_ms = self.rules.timeout_s * 1000
        for event in events:
            last_ms = state.last_event_ms
            if last_ms is None or event.at_ms - last_ms >= timeout_ms:
                if state.is_forgotten_at(event.at_ms):
                    state = SessionState.new(self.session_id, self.rules)
                if isinstance(event, _NON_STARTING):
                    state._apply_asleep(event)  # noqa: SLF001 - its own class
                    continue
            state._apply_one(event)  # noqa: SLF001 - its own class
        return state

    def has_row_at(self, at_ms: int) -> bool:
        """Check whether the session has begun, and had an event within its timeout."""
        last_ms = self.last_event_ms
        return last_ms is not None and at_ms - last_ms < self.rules.timeout_s * 1000

    def is_forgotten_at(self, at_ms: int) -> bool:
        """Check whether the session can have no row from `at_ms` on, unless it begins anew."""
        last_ms = self.last_event_ms
        if last_ms is None:
            return True
        timeout_s = self.rules.presence_timeout_s if self.connections else self.rules.timeout_s
        return at_ms - last_ms >= timeout_s * 1000

    def signals(self, at_ms: int) -> Signals:
        """Measure the window that ends at `at_ms`, once every event before it was applied.

        Drops what no later tick can see, which changes no result at `at_ms` or after.
        """
        for counts in (self.chats, self.reactions):
            if counts.total:
                counts.expire(at_ms)
        for recent in (self.messages, self.active, self.leavers):
            if recent.times_ms:
                recent.expire(at_ms)
        active, connected = self.active.times_ms.keys(), self.connections.keys()
        total = len(active) + len(connected) - len(active & connected)
        leavers = self.leavers.times_ms.keys()  # none of them is connected
        if leavers:
            total += len(leavers) - len(leavers & active)
        per_min = 60 / self.rules.window_s
        return Signals(
            self.chats.total * per_min,
            self._participation(at_ms) if self.polls else 0.0,
            len(active),
            total,
            self.reactions.total * per_min,
            len(leavers) / total if leavers else 0.0,
        )

    @property
    def event_id(self) -> str:
        """The first real event id seen, else the session id."""
        return self.real_event_id or self.session_id

    def copy(self) -> "SessionState":
        """Return an independent copy."""
        return SessionState(
            self.session_id,
            self.rules,
            self.chats.copy(),
            self.reactions.copy(),
            self.messages.copy(),
            self.active.copy(),
            self.leavers.copy(),
            self.connections.copy(),
            {key: poll.copy() for key, poll in self.polls.items()} if self.polls else {},
            self.has_joins,
            self.real_event_id,
            self.last_event_ms,
            self.refused_users,
        )

    def _apply_one(self, event: Event) -> None:
        at_ms = event.at_ms
        active_user: str | None = None
        match event:
            case ChatMessage():
                message_id = event.message_id
                if message_id is not None and self.messages.is_repeat(message_id, at_ms):
                    return
                self.chats.add(at_ms)
                active_user = event.user_id
            case Reaction():
                self.reactions.add(at_ms)
                active_user = event.user_id
            case PollVote():
                self._vote(event)
                active_user = event.user_id
            case UserJoined():
                active_user = self._join(event.user_id, at_ms)
            case UserLeft():
                self._leave(event.user_id, at_ms)
            case PollClosed():
                self._close(event)
            case _:
                assert_never(event)
        self.last_event_ms = at_ms
        if self.real_event_id is None:
            self._set_event_id(event.event_id)
        if active_user is not None:
            self.active.times_ms[active_user] = at_ms

    def _apply_asleep(self, event: UserLeft | PollClosed) -> None:
        """Apply an event that does not wake the session; without connected users it has none."""
        if not self.connections:
            return
        if isinstance(event, UserLeft):
            self._leave(event.user_id, event.at_ms)
        else:
            self._close(event)
        if self.real_event_id is None:
            self._set_event_id(event.event_id)

    def _set_event_id(self, event_id: str | None) -> None:
        if event_id not in (None, _PLACEHOLDER_EVENT_ID, self.session_id):
            self.real_event_id = event_id

    def _vote(self, vote: PollVote) -> None:
        poll = self.polls.pop(vote.poll_id, None)
        if poll is None or not poll.is_open_at(vote.at_ms, self.rules.window_s * 1000):
            poll = Poll(vote.poll_id, len(self.connections), vote.at_ms, {})
        poll.vote(vote.user_id, vote.at_ms)
        self.polls[vote.poll_id] = poll
        if len(self.polls) > MAX_OPEN_POLLS:
            self._drop_polls(vote.at_ms)
        if len(self.polls) > MAX_OPEN_POLLS:
            del self.polls[next(iter(self.polls))]  # voted on longest ago

    def _participation(self, at_ms: int) -> float:
        """Return the highest share of the open polls."""
        self._drop_polls(at_ms)
        return max((poll.participation() for poll in self.polls.values()), default=0.0)

    def _drop_polls(self, at_ms: int) -> None:
        """Drop the polls that are no longer open."""
        window_ms = self.rules.window_s * 1000
        over = [key for key, poll in self.polls.items() if not poll.is_open_at(at_ms, window_ms)]
        for key in over:
            del self.polls[key]

    def _join(self, user_id: str, at_ms: int) -> str | None:
        """Count a connection; return the user if it is an arrival, even one over the limit.

        A second device, a join that is delivered twice and a reconnect are no arrivals.
        """
        self.has_joins = True
        connections = self.connections.get(user_id, 0)
        left_ms = self.leavers.times_ms.get(user_id)
        is_back = left_ms is not None and at_ms - left_ms < self.leavers.length_ms
        if not connections and 0 < self.rules.max_users <= len(self.connections):
            self.refused_users += 1
            return None if is_back else user_id
        self.connections[user_id] = connections + 1
        self.leavers.forget(user_id)
        for poll in self.polls.values():
            poll.update_connected(len(self.connections))
        return None if connections or is_back else user_id

    def _leave(self, user_id: str, at_ms: int) -> None:
        connections = self.connections.get(user_id, 0)
        if connections > 1:
            self.connections[user_id] = connections - 1
        elif connections == 1:
            del self.connections[user_id]
            self.leavers.times_ms[user_id] = at_ms

    def _close(self, closed: PollClosed) -> None:
        poll = self.polls.get(closed.poll_id)
        if poll is not None:
            poll.close(closed.at_ms)


def row_at(
    at_ms: int,
    tenant_id: str,
    state: SessionState,
    scoring: Scoring,
    marks: GapMarks = NO_MARKS,
) -> ScoreRow:
    """Return the row of a session at a tick; it must have one."""
    signals = state.signals(at_ms)
    contributions = scoring.contributions(signals)
    score = clamped(contributions.total())
    return ScoreRow(
        at_ms,
        tenant_id,
        state.session_id,
        state.event_id,
        score,
        category(score),
        signals,
        contributions,
        mark_for(tenant_id, marks),
        state.has_joins,
    )
