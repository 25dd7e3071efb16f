"""What is counted of a session's state for somebody who asks."""

from conductor_actors.domain.checkpoints import encode_state
from conductor_actors.domain.events import Event, PollClosed, PollVote, UserLeft
from conductor_actors.domain.introspection_protocol import PollFigures, figures
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session_state import SessionRules, SessionState
from tests.actors.session_events import chats, joined
from tests.support.score_rows import AT_MS

TICK_MS = AT_MS + 5000
LATE_MS = AT_MS + 600_000  # everything has left the windows


def state_after(*events: Event) -> SessionState:
    return SessionState.unbegun("s", SessionRules()).after(events)


def test_to_be_counted_leaves_a_state_as_it_is() -> None:
    state = state_after(joined(), *chats(3))
    before = encode_state(state)
    found = figures("acme", state, Scoring(), LATE_MS)
    assert encode_state(state) == before
    assert found.encoded_bytes == len(before)
    assert (found.chats.total, found.active, found.connected) == (0, 0, 1)


def test_a_poll_is_told_with_its_voters_its_base_and_its_end() -> None:
    vote = PollVote(AT_MS, None, "user-0", "p")
    state = state_after(joined(0), joined(1), vote, PollVote(AT_MS, None, None, "p"))
    assert figures("acme", state, Scoring(), TICK_MS).poll == PollFigures(
        "p", voters=2, base=2, is_open=True, last_vote_ms=AT_MS
    )
    closed = state.after([PollClosed(AT_MS + 1, None, "p")])
    poll = figures("acme", closed, Scoring(), TICK_MS).poll
    assert poll is not None
    assert not poll.is_open


def test_a_session_that_is_over_has_no_score_and_who_left_is_counted() -> None:
    state = state_after(joined(), UserLeft(AT_MS, None, "user-0"))
    assert figures("acme", state, Scoring(), TICK_MS).leavers == 1
    assert figures("acme", state, Scoring(), AT_MS + 1_800_000).score is None
