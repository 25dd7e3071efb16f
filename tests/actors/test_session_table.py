"""Where sessions' mail goes, and what becomes of it when a session is passivated."""

import pytest

from conductor_actors.actors.latch import Latch
from conductor_actors.actors.messages import (
    AllSnapshotsTaken,
    EventBatch,
    Passivate,
    SnapshotTaken,
    StartSession,
    Tick,
)
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.session_table import (
    PASSIVATION_CHECK_MS,
    CheckpointContents,
    DirtySet,
    SessionTable,
)
from conductor_actors.domain.checkpoints import decode_state
from conductor_actors.domain.events import Event
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake import EventsBySession
from conductor_actors.domain.session_state import SessionRules, SessionState
from tests.actors.cast import Cast
from tests.actors.session_events import chat, chats, poison
from tests.actors.turns import PATIENCE_S, Held
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

TIMEOUT_S = 1800
OVER_MS = AT_MS + TIMEOUT_S * 1000
KEY = SessionKey("default", "s")


@pytest.fixture
def cast(dispatcher: Dispatcher) -> Cast:
    return Cast(dispatcher)


@pytest.fixture
def session_table(cast: Cast) -> SessionTable:
    return SessionTable(cast.dispatcher, cast.supervisor, TIMEOUT_S)


def batch(events: list[Event], session_id: str = "s") -> EventsBySession:
    return EventsBySession({("default", session_id): events})


def tick(at_ms: int) -> Tick:
    return Tick(at_ms, is_live=False, sessions=Latch(1, 0.0, 0.0))


def mail(start: StartSession) -> list[object]:
    return [envelope.message for envelope in start.mailbox.mail]


def begin_checkpoint(session_table: SessionTable) -> tuple[CheckpointContents, RecordingMailbox]:
    """Begin a checkpoint, as the Router does."""
    answers = RecordingMailbox()
    contents = session_table.begin_checkpoint()
    session_table.request_snapshots(contents, answers, 0.0)
    return contents, answers


def captured(answers: RecordingMailbox) -> dict[SessionKey, bytes]:
    """Give the states of a checkpoint that is whole: the end is told once, and last."""
    assert isinstance(answers.messages[-1], AllSnapshotsTaken)
    assert len(answers.of(AllSnapshotsTaken)) == 1
    return {each.key: each.state for each in answers.of(SnapshotTaken)}


def test_each_session_is_told_its_own_events_and_everyone_every_tick(
    cast: Cast, session_table: SessionTable
) -> None:
    ours, theirs = chats(2), [chat(7)]
    session_table.deliver(EventsBySession({KEY: ours, ("acme", "s"): theirs}))
    session_table.broadcast("tick")
    first, second = cast.supervisor.of(StartSession)
    assert (first.key, mail(first)) == (KEY, [EventBatch(ours), "tick"])
    assert (second.key, mail(second)) == (SessionKey("acme", "s"), [EventBatch(theirs), "tick"])


def test_a_session_is_started_once(cast: Cast, session_table: SessionTable) -> None:
    for _ in range(3):
        session_table.deliver(batch(chats(1)))
    assert len(cast.supervisor.of(StartSession)) == len(session_table) == 1


def test_a_session_is_passivated_after_its_timeout_without_an_event_whatever_ticks(
    cast: Cast, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(1)))
    session_table.passivate(OVER_MS - PASSIVATION_CHECK_MS - 1)
    session_table.broadcast(tick(OVER_MS - 5000))
    session_table.passivate(OVER_MS - 1)
    assert len(session_table) == 1
    session_table.passivate(OVER_MS - 1 + PASSIVATION_CHECK_MS)
    assert len(session_table) == 0
    begin_checkpoint(session_table)
    assert mail(cast.supervisor.take(StartSession))[-1] == Passivate()


def test_whoever_was_heard_of_in_time_stays(cast: Cast, session_table: SessionTable) -> None:
    session_table.deliver(batch(chats(1)))
    session_table.deliver(batch([chat(1, AT_MS + 1)], "lively"))
    session_table.passivate(OVER_MS)
    assert len(session_table) == 1
    session_table.broadcast("tick")
    begin_checkpoint(session_table)
    silent, lively = (mail(start) for start in cast.supervisor.of(StartSession))
    assert (silent[-1], lively[-2]) == (Passivate(), "tick")


def test_mail_after_passivation_goes_to_a_successor_and_none_is_lost(
    cast: Cast, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(3)))
    session_table.broadcast(tick(AT_MS + 5000))
    session_table.passivate(OVER_MS)
    session_table.deliver(batch([chat(7, OVER_MS)]))  # while the old one has yet to stop
    session_table.broadcast(tick(OVER_MS + 5000))
    begin_checkpoint(session_table)
    cast.settle()
    assert [(row.at_ms, row.signals.chat_msgs_per_min) for row in cast.rows()] == [
        (AT_MS + 5000, 3),
        (OVER_MS + 5000, 1),
    ]
    assert len(cast.sessions) == len(session_table) == 1
    assert (cast.dispatcher.waiting, cast.dispatcher.refused) == (0, 0)


def test_a_session_in_quarantine_is_passivated_once_it_is_out(
    cast: Cast, session_table: SessionTable
) -> None:
    """It would not hear of it, come back, and stay for good."""
    for _ in range(4):
        session_table.deliver(batch([chat(), poison()]))
        session_table.broadcast(tick(AT_MS + 5000))
        cast.settle()
    assert (len(session_table), session_table.count_listening()) == (1, 0)
    session_table.passivate(OVER_MS)
    cast.clock.advance(300)
    cast.sessions.release_quarantined()
    assert (len(session_table), session_table.count_listening()) == (1, 1)
    session_table.passivate(OVER_MS + PASSIVATION_CHECK_MS)
    begin_checkpoint(session_table)
    cast.settle()
    assert len(session_table) == len(cast.sessions) == 0


def test_the_first_checkpoint_has_every_session_and_the_next_those_that_changed(
    cast: Cast, session_table: SessionTable
) -> None:
    session_table.deliver(EventsBySession({KEY: chats(2), ("acme", "s"): [chat(7)]}))
    whole, answers = begin_checkpoint(session_table)
    cast.settle()
    assert (whole.number, whole.is_full) == (1, True)
    assert set(captured(answers)) == {KEY, SessionKey("acme", "s")}
    session_table.dirty.mark_committed(1)
    session_table.deliver(batch([chat(3)]))
    session_table.broadcast(tick(AT_MS + 5000))  # changes nothing
    second, answers = begin_checkpoint(session_table)
    cast.settle()
    assert (second.number, second.is_full) == (2, False)
    assert decode_state(captured(answers)[KEY], "s", SessionRules()).chats.total == 3
    assert set(captured(answers)) == {KEY}


def test_what_is_not_known_to_be_durable_is_in_the_next_checkpoint_too(
    cast: Cast, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(1), "silent"))
    begin_checkpoint(session_table)
    session_table.dirty.mark_committed(1)
    session_table.deliver(
        EventsBySession({KEY: [chat(1, OVER_MS - 1)], ("acme", "s"): [chat(7, OVER_MS)]})
    )
    session_table.passivate(OVER_MS)
    lost, _ = begin_checkpoint(session_table)
    session_table.deliver(batch([chat(2, OVER_MS)], "new"))
    session_table.dirty.mark_committed(lost.number - 1)  # of the one before
    again, answers = begin_checkpoint(session_table)
    cast.settle()
    assert again.ended == lost.ended == {SessionKey("default", "silent")}
    assert set(captured(answers)) == again.changed == {*lost.changed, SessionKey("default", "new")}


def test_a_session_that_ended_and_began_anew_has_not_ended(
    cast: Cast, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(3)))
    begin_checkpoint(session_table)
    session_table.passivate(OVER_MS)
    session_table.deliver(batch([chat(7, OVER_MS)]))
    session_table.dirty.mark_committed(1)
    contents, answers = begin_checkpoint(session_table)
    cast.settle()
    assert contents.ended == frozenset()
    assert decode_state(captured(answers)[KEY], "s", SessionRules()).chats.total == 1


def test_after_a_loss_the_next_checkpoint_is_whole(cast: Cast, session_table: SessionTable) -> None:
    session_table.deliver(EventsBySession({KEY: chats(1), ("acme", "s"): [chat(7)]}))
    begin_checkpoint(session_table)
    session_table.dirty.mark_committed(1)
    session_table.dirty.require_full()
    contents, answers = begin_checkpoint(session_table)
    cast.settle()
    assert contents.is_full
    assert len(captured(answers)) == 2


def test_the_end_of_a_checkpoint_comes_behind_the_rows_of_every_session_changed_or_not(
    cast: Cast, session_table: SessionTable
) -> None:
    """Otherwise it would be ahead of a row: a start from it would not compute that again."""
    session_table.deliver(
        EventsBySession({(tenant, "s"): [chat(1, OVER_MS - 1)] for tenant in "abc"})
    )
    session_table.deliver(batch(chats(1), "leaving"))
    cast.settle()
    begin_checkpoint(session_table)
    cast.settle()
    session_table.dirty.mark_committed(1)
    held = Held(cast.dispatcher)
    session_table.broadcast(tick(OVER_MS - 1000))
    session_table.passivate(OVER_MS)
    session_table.deliver(EventsBySession({("a", "s"): [chat(2, OVER_MS)]}))
    contents = session_table.begin_checkpoint()
    session_table.request_snapshots(contents, cast.writer, 0.0)  # so that their order can be seen
    held.release()
    cast.settle()
    assert contents.changed == {("a", "s")}
    assert cast.writer.messages[-1] == AllSnapshotsTaken(2)
    assert len(cast.rows()) == 4


def test_a_session_in_quarantine_is_answered_for(cast: Cast, session_table: SessionTable) -> None:
    for _ in range(4):
        session_table.deliver(batch([chat(), poison()]))
        cast.settle()
        session_table.broadcast(tick(AT_MS + 5000))
        cast.settle()
    session_table.deliver(batch(chats(1), "neighbour"))
    _, answers = begin_checkpoint(session_table)
    cast.settle()
    states = captured(answers)
    assert set(states) == {KEY, SessionKey("default", "neighbour")}
    assert decode_state(states[KEY], "s", SessionRules()).chats.total == 1
    session_table.dirty.mark_committed(1)
    _, answers = begin_checkpoint(session_table)
    cast.settle()
    assert captured(answers) == {}


def test_a_session_that_goes_into_quarantine_while_it_is_asked_is_answered_for(
    cast: Cast, session_table: SessionTable
) -> None:
    for _ in range(3):
        session_table.deliver(batch([chat(), poison()]))
        cast.settle()
    held = Held(cast.dispatcher)
    session_table.deliver(batch([poison()]))
    _, answers = begin_checkpoint(session_table)
    held.release()
    cast.settle()
    assert cast.sessions.quarantined == 1
    assert set(captured(answers)) == {KEY}


def test_a_session_that_left_and_went_into_quarantine_is_dismissed_when_it_is_out(
    cast: Cast, session_table: SessionTable
) -> None:
    session_table.deliver(batch([chat()]))
    cast.settle()
    held = Held(cast.dispatcher)
    for _ in range(4):
        session_table.deliver(batch([poison()]))
        session_table.broadcast(tick(AT_MS + 5000))
    session_table.passivate(OVER_MS)
    held.release()
    cast.settle()
    assert (cast.sessions.quarantined, len(session_table)) == (1, 0)
    begin_checkpoint(session_table)
    cast.clock.advance(300)
    cast.sessions.release_quarantined()
    begin_checkpoint(session_table)
    cast.settle()
    assert len(cast.sessions) == 0


def test_a_checkpoint_of_nobody_ends_at_once(session_table: SessionTable) -> None:
    _, answers = begin_checkpoint(session_table)
    assert captured(answers) == {}


def test_sessions_of_a_checkpoint_go_on_where_they_were(cast: Cast) -> None:
    dirty = DirtySet(7, ended=[SessionKey("default", "over")])
    session_table = SessionTable(cast.dispatcher, cast.supervisor, TIMEOUT_S, dirty)
    session_table.restore({KEY: SessionState.new("s", SessionRules()).after(chats(3))})
    session_table.deliver(batch([chat(7)]))
    session_table.broadcast(tick(AT_MS + 5000))
    contents, answers = begin_checkpoint(session_table)
    cast.settle()
    assert [row.signals.chat_msgs_per_min for row in cast.rows()] == [4]
    assert (contents.number, contents.is_full) == (8, False)
    assert contents.ended == {SessionKey("default", "over")}
    assert set(captured(answers)) == {KEY}
    session_table.passivate(OVER_MS)
    assert len(session_table) == 0


def test_a_describe_that_a_quarantine_refuses_is_answered_by_the_supervisor(
    cast: Cast, session_table: SessionTable
) -> None:
    for _ in range(3):
        session_table.deliver(batch([poison()]))
        cast.settle()
    session_table.deliver(batch([poison()]))
    assert cast.dispatcher.wait_idle(PATIENCE_S)  # it is dead, and the Supervisor has yet to hear
    description = cast.introspected("s").description
    assert description is not None
    assert description.state == "quarantined"
