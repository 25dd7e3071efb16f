"""Events of sessions, random and by hand, and the states after them."""

from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec
from hypothesis import strategies as st

from conductor_actors.domain import session_state
from conductor_actors.domain.commands import QuietSet
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.events import (
    ChatMessage,
    ChatSwitched,
    Event,
    PollClosed,
    PollVote,
    Reaction,
    UserJoined,
    UserLeft,
)
from conductor_actors.domain.scoring import ScoreRow, Scoring, Signals
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState

SCORING = Scoring()
START_MS = 1_767_528_000_000
TICK_MS = 5000
MINUTE_MS = 60_000
SESSION = "keynote"

EDGES_MS = (
    *(1, 999, 1000, 5000, 10_000, 59_999, 60_000, 89_999, 90_000, 299_999, 300_000, 600_000),
    *(1_800_000, 21_599_999, 21_600_000),
)
gaps_ms = st.one_of(
    st.just(0),
    st.integers(0, 2000),
    st.integers(0, 15_000),
    st.integers(0, 4).map(lambda seconds: seconds * 1000),
    st.integers(0, 4).map(lambda ticks: ticks * TICK_MS),
    st.integers(0, MINUTE_MS),
    st.sampled_from(EDGES_MS) | st.integers(0, 40 * MINUTE_MS),
)
event_ids = st.sampled_from((None, "unknown", SESSION, "event-1", "event-2"))
users = st.sampled_from(("ada", "bob", "cyd", "dan"))
users_or_none = st.none() | users
polls = st.sampled_from(("lunch", "venue"))
messages = st.sampled_from((None, "m1", "m2", "m3"))
at_start = st.just(START_MS)
quiet_until_ms = st.sampled_from((0, START_MS, START_MS + MINUTE_MS, START_MS + 40 * MINUTE_MS))
happenings: st.SearchStrategy[Event] = st.one_of(
    st.builds(ChatMessage, at_start, event_ids, users_or_none, messages),
    st.builds(PollVote, at_start, event_ids, users_or_none, polls),
    st.builds(PollClosed, at_start, event_ids, polls),
    st.builds(Reaction, at_start, event_ids, users_or_none),
    st.builds(UserJoined, at_start, event_ids, users),
    st.builds(UserLeft, at_start, event_ids, users),
    st.builds(ChatSwitched, at_start, event_ids, st.booleans()),
    st.builds(QuietSet, at_start, quiet_until_ms),
)


def timed(steps: Sequence[tuple[int, Event]]) -> list[Event]:
    at_ms = START_MS
    events: list[Event] = []
    for gap_ms, event in steps:
        at_ms += gap_ms
        events.append(msgspec.structs.replace(event, at_ms=at_ms))
    return events


# Of an even spread of lengths: left alone, lists come out short, and nothing collides in them.
streams = st.integers(1, 40).flatmap(
    lambda size: st.lists(st.tuples(gaps_ms, happenings), min_size=size, max_size=size).map(timed)
)
rules_of_all_kinds = st.sampled_from(
    (
        SessionRules(),
        SessionRules(10, 1800),
        SessionRules(60, 90),
        SessionRules(10, 10),
        SessionRules(60, 90, 600),
        SessionRules(10, 10, 10),
    )
)
batch_sizes = st.lists(st.integers(1, 7), min_size=1, max_size=5)


def new_state(rules: SessionRules | None = None) -> SessionState:
    return SessionState(SESSION, rules or SessionRules())


def after(state: SessionState, events: Sequence[Event]) -> SessionState:
    """Return the state after these events; the old one stays unchanged."""
    return apply_events(state.copy(), events)


def state_after(*events: Event) -> SessionState:
    return after(new_state(), events)


def row_of(tick_ms: int, state: SessionState) -> ScoreRow:
    return session_state.row_at(tick_ms, "default", state, SCORING)


def ticks_over(events: Sequence[Event], step_ms: int = TICK_MS) -> range:
    """Return the ticks from before the first event until no window has one."""
    last_ms = events[-1].at_ms + 31 * MINUTE_MS
    return range(START_MS, last_ms, step_ms)


def batches(events: Sequence[Event], tick_ms: int, sizes: Sequence[int]) -> Iterator[list[Event]]:
    """Split the events before the tick into batches."""
    left = (event for event in events if event.at_ms < tick_ms)
    for number in range(len(events) + 1):
        yield list(islice(left, sizes[number % len(sizes)]))


def states_at_ticks(
    events: Sequence[Event], rules: SessionRules, sizes: Sequence[int], step_ms: int = TICK_MS
) -> Iterator[tuple[int, SessionState]]:
    """Apply events tick by tick, those of each tick in batches."""
    state, fed = new_state(rules), 0
    for tick_ms in ticks_over(events, step_ms):
        for batch in batches(events[fed:], tick_ms, sizes):
            state = apply_events(state, batch)
            fed += len(batch)
        yield tick_ms, state


def answers(state: SessionState, tick_ms: int) -> tuple[bool, str, Signals]:
    return state.has_row_at(tick_ms), state.event_id, state.signals(tick_ms)


def chat(at_ms: int, user: str | None = "ada", message: str | None = None) -> ChatMessage:
    return ChatMessage(START_MS + at_ms, None, user, message)


def vote(at_ms: int, user: str | None = "ada", poll: str = "lunch") -> PollVote:
    return PollVote(START_MS + at_ms, None, user, poll)


def closed(at_ms: int, poll: str = "lunch") -> PollClosed:
    return PollClosed(START_MS + at_ms, None, poll)


def reaction(at_ms: int, event_id: str | None = None) -> Reaction:
    return Reaction(START_MS + at_ms, event_id, None)


def joined(at_ms: int, user: str = "ada") -> UserJoined:
    return UserJoined(START_MS + at_ms, None, user)


def left(at_ms: int, user: str = "ada") -> UserLeft:
    return UserLeft(START_MS + at_ms, None, user)
