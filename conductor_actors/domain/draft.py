"""A draft: what a batch of events adds to the state of a session, beside the state.

Only `commit` changes the state, and cannot raise: an event that raises, or a handler that hangs,
leaves the state as it was before the batch. A draft costs what its events cost, however many users
a session has. Source of every rule: the contract, section 2.
"""

from collections.abc import Iterable, Sequence
from sys import intern
from typing import Any, Final, assert_never, get_args

from conductor_actors.domain.commands import QuietSet
from conductor_actors.domain.conductor.requests import ConductRequest
from conductor_actors.domain.conductor.session_conduct import NO_CONDUCT
from conductor_actors.domain.events import (
    Arrangement,
    ChatMessage,
    ChatSwitched,
    Event,
    PollClosed,
    PollVote,
    Reaction,
    UserJoined,
    UserLeft,
)
from conductor_actors.domain.identity import PLACEHOLDER_EVENT_ID
from conductor_actors.domain.polls import MAX_OPEN_POLLS, Poll, open_polls
from conductor_actors.domain.session_state import SessionState, is_forgotten
from conductor_actors.domain.windows import SharedMs

# From here on it is cheaper to find out who of these came more than once.
MANY_USERS: Final = 64

_NON_WAKING: Final = (PollClosed, UserLeft)
_CONDUCT: Final = get_args(ConductRequest)
_ARRANGEMENTS: Final = frozenset((ChatSwitched, QuietSet, *_CONDUCT))
_NON_STARTING: Final = (*_NON_WAKING, *_ARRANGEMENTS)  # with which no session begins


def can_begin(events: Iterable[Event]) -> bool:
    """Check whether a session that is not there begins with one of these events."""
    return not all(isinstance(event, _NON_STARTING) for event in events)


def apply_events(state: SessionState, events: Sequence[Event]) -> SessionState:
    """Apply all events in place, or none if one raises.

    Return the state, which is a new one if the session began anew.
    """
    draft, timeout_ms, last_ms = Draft(state), state.rules.timeout_s * 1000, state.last_event_ms
    if events and last_ms is not None and events[-1].at_ms - last_ms < timeout_ms:
        draft.apply(events)
        return draft.commit()
    for event in events:
        last_ms = draft.last_event_ms
        if last_ms is not None and event.at_ms - last_ms < timeout_ms:
            draft.apply((event,))
        elif not draft.is_forgotten_at(event.at_ms):
            draft.apply_asleep(event)
        else:
            if last_ms is not None:
                draft = draft.successor()
            if not isinstance(event, _NON_STARTING):
                draft.apply((event,))
    return draft.commit()


class Draft:
    """The changes to one state. What is not in them is in the state."""

    __slots__ = (
        "_arrangements",
        "_chats",
        "_connected",
        "_connections",
        "_departures",
        "_event_id",
        "_has_joins",
        "_leavers",
        "_messages",
        "_polls",
        "_reactions",
        "_refused_users",
        "_returns",
        "_state",
        "_times_ms",
        "_users",
        "_votes",
        "last_event_ms",
    )

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self._chats: list[int] = []  # their times
        self._reactions: list[int] = []
        self._messages: dict[str, SharedMs] = {}
        self._users: list[str] = []  # who was active, and when
        self._times_ms: list[SharedMs] = []
        self._connections: dict[str, int] = {}  # of these users, 0 if no longer connected
        self._connected = len(state.connections)
        self._leavers: dict[str, int | None] = {}  # None: has come back
        self._departures = self._returns = self._votes = 0
        self._polls: dict[str, Poll] | None = None  # all of them, once one changes
        self._has_joins = state.has_joins
        self._event_id = state.real_event_id
        self._arrangements: list[Arrangement] = []
        self.last_event_ms = state.last_event_ms
        self._refused_users = state.refused_users

    def is_forgotten_at(self, at_ms: int) -> bool:
        """Check whether the session has not begun, or is over."""
        return is_forgotten(self._state.rules, self.last_event_ms, self._connected, at_ms)

    def successor(self) -> "Draft":
        """Return the draft of a new session, whose counters continue."""
        draft = Draft(SessionState(self._state.session_id, self._state.rules))
        draft._refused_users = self._refused_users
        return draft

    def apply(self, events: Iterable[Event]) -> None:
        """Apply events in the order of their times, with no timeout before or between them."""
        messages, window = self._messages, self._state.messages
        users, times_ms = self._users, self._times_ms
        chat_message, reaction = ChatMessage, Reaction  # compiled, globals are looked up
        for event in events:
            untyped: Any = event
            at_ms: SharedMs = untyped.at_ms  # and not copied, as a typed one would be
            kind = type(untyped)  # `isinstance` takes a lookup in the structs' metaclass
            user_id: str | None
            if kind is chat_message:
                key: str | None = untyped.message_id
                if key is not None and window.is_repeat(key, at_ms, messages):
                    continue
                self._chats.append(at_ms)
                user_id = untyped.user_id
            elif kind is reaction:
                self._reactions.append(at_ms)
                user_id = untyped.user_id
            elif kind in _ARRANGEMENTS:
                self._arrange(untyped)
                continue  # it is no activity, and postpones no timeout
            else:
                user_id = self._apply_other(untyped)
            self.last_event_ms = at_ms
            if self._event_id is None:
                self._set_event_id(untyped.event_id)
            if user_id is not None:
                users.append(user_id)
                times_ms.append(at_ms)

    def apply_asleep(self, event: Event) -> None:
        """Apply an event to a session that is asleep: a leave or a poll's end does not wake it."""
        if not isinstance(event, _NON_WAKING):
            self.apply((event,))
            return
        self._apply_other(event)
        if self._event_id is None:
            self._set_event_id(event.event_id)

    def commit(self) -> SessionState:
        """Make the changes part of the state; return it."""
        state = self._state
        if self._chats:
            state.chats = state.chats.with_events(self._chats)
        if self._reactions:
            state.reactions = state.reactions.with_events(self._reactions)
        if self._messages:
            state.messages.update(self._messages)
        if self._connections:
            self._commit_connections()
        if self._users:
            self._commit_active()
        if self._polls is not None:
            for poll in self._polls.values():
                poll.commit()
            state.polls = self._polls
            state.votes += self._votes
        state.has_joins = self._has_joins
        state.real_event_id = self._event_id
        if self._arrangements:
            self._commit_arrangements()
        state.last_event_ms = self.last_event_ms
        state.refused_users = self._refused_users
        state.steady_score = None
        return state

    def _commit_arrangements(self) -> None:
        for event in self._arrangements:
            if type(event) is ChatSwitched:
                self._state.chat_is_open = event.is_open
            elif type(event) is QuietSet:
                self._state.quiet_until_ms = event.until_ms
            elif isinstance(event, _CONDUCT):
                self._state.conduct = (self._state.conduct or NO_CONDUCT).after(event)

    def _commit_connections(self) -> None:
        state = self._state
        connections, leavers = state.connections, state.leavers
        state.departures += self._departures
        state.returns += self._returns
        for user_id, count in self._connections.items():
            if user_id in state.active.times_ms and not state.is_present(user_id):
                state.guests -= 1
            if not count:
                connections.pop(user_id, None)
            elif user_id not in connections:
                connections[user_id] = user_id
            if count > 1 and state.devices:
                state.devices[user_id] = count
            elif count > 1:
                state.devices = {user_id: count}
            elif user_id in state.devices:
                del state.devices[user_id]
        for user_id, left_ms in self._leavers.items():
            if left_ms is None:
                leavers.times_ms.pop(user_id, None)
            else:
                leavers.add(user_id, left_ms)

    def _commit_active(self) -> None:
        state = self._state
        if not state.active.times_ms:
            state.active.times_ms = {}
        active, connections = state.active.times_ms, state.connections
        leavers = state.leavers.times_ms
        users, times_ms = self._users, self._times_ms
        if len(users) > MANY_USERS:
            users, times_ms = _last_times(users, times_ms)
        for index in range(len(users)):
            user_id = users[index]
            connected_id = connections.get(user_id)
            if connected_id is not None:
                user_id = connected_id  # one object for both dicts
            if user_id in active:
                del active[user_id]  # so that it moves to the end
            elif connected_id is None and user_id not in leavers:
                state.guests += 1
            active[user_id] = times_ms[index]

    def _arrange(self, event: Arrangement) -> None:
        self._arrangements.append(event)
        if type(event) is ChatSwitched and self._event_id is None:
            self._set_event_id(event.event_id)

    def _apply_other(self, event: PollVote | UserJoined | UserLeft | PollClosed) -> str | None:
        """Apply an event; return the user that is active by it."""
        if type(event) is PollVote:
            user_id = event.user_id
            self._vote(event, user_id)
            return user_id
        if type(event) is UserJoined:
            return self._join(event.user_id, event.at_ms)
        if type(event) is UserLeft:
            self._leave(event.user_id, event.at_ms)
        elif type(event) is PollClosed:
            self._close(event)
        else:
            assert_never(event)
        return None

    def _set_event_id(self, event_id: str | None) -> None:
        if event_id is not None and event_id not in {PLACEHOLDER_EVENT_ID, self._state.session_id}:
            self._event_id = intern(event_id)  # an event has many sessions

    def _drafted_polls(self) -> dict[str, Poll]:
        """Return the polls, which may be changed, in the order of their last votes."""
        if self._polls is None:
            self._polls = {key: poll.draft() for key, poll in self._state.polls.items()}
        return self._polls

    def _vote(self, vote: PollVote, user_id: str | None) -> None:
        polls, window_ms = self._drafted_polls(), self._state.active.length_ms
        poll_id, at_ms = vote.poll_id, vote.at_ms
        poll = polls.pop(poll_id, None)
        if poll is None or not poll.is_open_at(at_ms, window_ms):
            poll = Poll(poll_id, self._connected, at_ms)
        poll.vote(user_id, at_ms)
        polls[poll_id] = poll
        self._votes += 1
        if len(polls) > MAX_OPEN_POLLS:
            self._polls = polls = open_polls(polls, at_ms, window_ms)
        if len(polls) > MAX_OPEN_POLLS:
            del polls[next(iter(polls))]  # voted on longest ago

    def _close(self, closed: PollClosed) -> None:
        poll = self._drafted_polls().get(closed.poll_id)
        if poll is not None:
            poll.close(closed.at_ms)

    def _join(self, user_id: str, at_ms: int) -> str | None:
        """Count a connection; return the user if it is an arrival, even one over the limit.

        A second device, a join that is delivered twice and a reconnect are no arrivals.
        """
        state, connections = self._state, self._connections_of(user_id)
        self._has_joins = True
        left_ms = self._left_ms(user_id)
        is_back = left_ms is not None and at_ms - left_ms < state.leavers.length_ms
        if not connections:
            if 0 < state.rules.max_users <= self._connected:
                self._refused_users += 1
                return None if is_back else user_id
            self._connected += 1
            self._returns += is_back
        self._connections[user_id] = connections + 1
        if left_ms is not None:
            self._leavers[user_id] = None
        if state.polls or self._polls:
            for poll in self._drafted_polls().values():
                poll.update_connected(self._connected)
        return None if connections or is_back else user_id

    def _leave(self, user_id: str, at_ms: int) -> None:
        connections = self._connections_of(user_id)
        if connections:
            self._connections[user_id] = connections - 1
        if connections == 1:
            self._connected -= 1
            self._departures += 1
            self._leavers.pop(user_id, None)  # so that it moves to the end
            self._leavers[user_id] = at_ms

    def _connections_of(self, user_id: str) -> int:
        count, state = self._connections.get(user_id), self._state
        if count is not None:
            return count
        return state.devices.get(user_id, 1) if user_id in state.connections else 0

    def _left_ms(self, user_id: str) -> int | None:
        if user_id in self._leavers:
            return self._leavers[user_id]
        return self._state.leavers.times_ms.get(user_id)


def _last_times(users: list[str], times_ms: list[SharedMs]) -> tuple[list[str], list[SharedMs]]:
    """Return each user once, with the last of their times, in the order of those."""
    last: dict[str, SharedMs] = {}
    for index in range(len(users) - 1, -1, -1):
        user_id = users[index]
        if user_id not in last:
            last[user_id] = times_ms[index]
    return [*last][::-1], [*last.values()][::-1]
