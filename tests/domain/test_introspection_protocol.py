"""The figures of a session's state, and the keys of an answer."""

import msgspec

from conductor_actors.domain.anomalies.detector import Detector, OpenAnomaly
from conductor_actors.domain.checkpoints.encoding import encode_state
from conductor_actors.domain.commands import QuietSet
from conductor_actors.domain.conductor.session_conduct import Measurement, SessionConduct
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.events import ChatSwitched, Event, PollClosed, PollVote, UserLeft
from conductor_actors.domain.introspection_protocol import (
    AnomalyFigures,
    ConductFigures,
    IntrospectionAnswer,
    MailboxFigures,
    OpenIntervention,
    PollFigures,
    SessionDescription,
    Supervision,
    state_figures,
)
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from tests.actors.session_events import chats, join
from tests.support.interventions import INTERVENTION_ID, intervention
from tests.support.score_rows import AT_MS

TICK_MS = AT_MS + 5000
LATE_MS = AT_MS + 600_000  # everything has left the windows


def state_after(*events: Event) -> SessionState:
    return apply_events(SessionState("s", SessionRules()), events)


def test_counting_figures_does_not_change_the_state() -> None:
    state = state_after(join(), *chats(3))
    before = encode_state(state)
    found = state_figures("acme", state, Scoring(), LATE_MS)
    assert encode_state(state) == before
    assert found.encoded_bytes == len(before)
    assert (found.chats.total, found.active, found.connected) == (0, 0, 1)


def test_a_poll_has_its_voters_its_base_and_whether_it_is_open() -> None:
    vote = PollVote(AT_MS, None, "user-0", "p")
    state = state_after(join(0), join(1), vote, PollVote(AT_MS, None, None, "p"))
    assert state_figures("acme", state, Scoring(), TICK_MS).poll == PollFigures(
        "p", voters=2, base=2, is_open=True, last_vote_ms=AT_MS
    )
    closed = apply_events(state, [PollClosed(AT_MS + 1, None, "p")])
    poll = state_figures("acme", closed, Scoring(), TICK_MS).poll
    assert poll is not None
    assert not poll.is_open


def test_what_is_arranged_is_described_while_it_lasts() -> None:
    state = state_after(join(), QuietSet(AT_MS, LATE_MS), ChatSwitched(AT_MS, None, is_open=False))
    quiet = state_figures("acme", state, Scoring(), TICK_MS)
    assert (quiet.quiet_until_ms, quiet.is_chat_open) == (LATE_MS, False)
    assert state_figures("acme", state, Scoring(), LATE_MS + 5000).quiet_until_ms == 0


def test_leavers_are_counted_and_a_session_that_is_over_has_no_score() -> None:
    state = state_after(join(), UserLeft(AT_MS, None, "user-0"))
    assert state_figures("acme", state, Scoring(), TICK_MS).leavers == 1
    assert state_figures("acme", state, Scoring(), AT_MS + 1_800_000).score is None


def test_an_open_anomaly_has_its_begin_and_its_reason() -> None:
    state = state_after(join())
    assert state_figures("acme", state, Scoring(), TICK_MS).anomaly is None
    state.detector = Detector(AT_MS, AT_MS)
    state.detector.anomaly = OpenAnomaly("1", "MASS_EXIT", AT_MS, "9 of 20 left.")
    found = state_figures("acme", state, Scoring(), TICK_MS).anomaly
    assert found == AnomalyFigures("1", "MASS_EXIT", AT_MS, "9 of 20 left.")


def test_the_keys_of_an_answer_are_those_on_the_wire() -> None:
    figures = state_figures("acme", state_after(join()), Scoring(), TICK_MS)
    description = SessionDescription(
        "acme", "s", "running", figures, MailboxFigures(0, 0.0, 2, 0, 0.0), Supervision()
    )
    answer = IntrospectionAnswer(
        id="1", is_known=True, description=description, trace_output="stream"
    )
    document = msgspec.to_builtins(answer)
    answer_keys = ["id", "is_known", "description", "traced_s", "next_tick_ms", "lines"]
    assert list(document) == answer_keys
    description_keys = ["tenant", "session", "state", "known", "mailbox", "upkeep"]
    assert list(document["description"]) == description_keys
    assert list(document["description"]["upkeep"]) == ["restarts", "failures", "quarantine_left_s"]


def test_what_the_conductor_has_open_is_described() -> None:
    state = state_after(join())
    assert state_figures("acme", state, Scoring(), TICK_MS).conduct is None
    state.conduct = SessionConduct(
        "MANUAL", (), (intervention(),), (Measurement(INTERVENTION_ID, AT_MS),)
    )
    assert state_figures("acme", state, Scoring(), TICK_MS).conduct == ConductFigures(
        "MANUAL",
        [OpenIntervention(INTERVENTION_ID, "BROADCAST", "APPROVED", AT_MS)],
        is_measuring=True,
    )
