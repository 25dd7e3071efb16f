"""States of sessions, to be encoded and compared."""

from conductor_actors.domain.checkpoints.encoding import (
    Header,
    decode_state,
    encode_state,
)
from conductor_actors.domain.events import (
    ChatMessage,
    PollVote,
    UserJoined,
)
from conductor_actors.domain.intake_state import IntakeState
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from tests.domain.session_samples import (
    START_MS,
    after,
    new_state,
)
from tests.support.attributes import values_of

TENANT = "default"


def facts(state: SessionState) -> list[object]:
    """Return everything in a state, down to the order of its dicts."""
    counts = [
        (window.counts, window.length_s, window.newest_s, window.total)
        for window in (state.chats, state.reactions)
    ]
    moments = [
        (window.length_ms, list(window.times_ms.items()))
        for window in (state.messages, state.active, state.leavers)
    ]
    rest = (state.session_id, state.rules, state.real_event_id, state.last_event_ms, state.guests)
    polls = [(key, values_of(poll)) for key, poll in state.polls.items()]
    arranged = (state.chat_is_open, state.quiet_until_ms)
    totals = (
        state.votes,
        state.departures,
        state.returns,
        state.detector and state.detector.pack(),
        state.conduct,
    )
    connected = (state.connections, state.devices)
    return [counts, moments, connected, polls, state.has_joins, rest, arranged, totals]


def copied(state: SessionState) -> SessionState:
    return decode_state(encode_state(state), state.session_id, state.rules)


def quiet_session(users: int) -> SessionState:
    """Return a session in which each user has joined, voted and chatted once, with UUIDs."""
    joins = [UserJoined(START_MS + n, "event", f"{n:036d}") for n in range(users)]
    votes = [PollVote(START_MS + n, None, f"{n:036d}", "poll") for n in range(0, users, 2)]
    chats = [ChatMessage(START_MS + n, None, f"{n:036d}", f"{n:036d}") for n in range(0, users, 10)]
    return after(new_state(), [*joins, *votes, *chats])


def header_of(rules: SessionRules, passed_ms: int = 0) -> Header:
    return Header(3, rules.window_s, b"position", IntakeState(passed_ms=passed_ms))
