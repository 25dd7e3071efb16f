"""Where sessions' mail goes, and what becomes of it when a session is passivated."""

import pytest

from conductor_actors.actors.latch import Latch
from conductor_actors.actors.messages import (
    AllSnapshotsTaken,
    EventBatch,
    SnapshotTaken,
    StartSession,
    Tick,
)
from conductor_actors.actors.session_table import (
    PASSIVATION_CHECK_MS,
    CheckpointContents,
    DirtySet,
    SessionTable,
)
from conductor_actors.domain.checkpoints.encoding import decode_state
from conductor_actors.domain.commands import QuietSet
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.events import ChatSwitched, Event, UserJoined, UserLeft
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake import EventsBySession
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from tests.actors.pooled_handlers import MAX_WAIT_S, BlockedThread
from tests.actors.session_events import chat, chats, poison
from tests.actors.session_harness import SessionHarness
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

TIMEOUT_S = 1800
OVER_MS = AT_MS + TIMEOUT_S * 1000
KEY = SessionKey("default", "s")


TICK = Tick(AT_MS, is_live=False, sessions=Latch(1, 0.0, 0.0))


@pytest.fixture
def session_table(sessions: SessionHarness) -> SessionTable:
    return SessionTable(sessions.dispatcher, sessions.supervisor_mailbox, TIMEOUT_S)


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


def passivate(sessions: SessionHarness, session_table: SessionTable, now_ms: int) -> None:
    """Ask the sessions without recent events, and remove those that are forgotten."""
    session_table.passivate(now_ms)
    sessions.settle()
    session_table.passivate(now_ms)


def read_states(answers: RecordingMailbox) -> dict[SessionKey, bytes]:
    """Return the states of a complete checkpoint, whose end is reported once, and last."""
    assert isinstance(answers.messages[-1], AllSnapshotsTaken)
    assert len(answers.of(AllSnapshotsTaken)) == 1
    return {each.key: each.state for each in answers.of(SnapshotTaken)}


def test_each_session_receives_its_own_events_and_every_tick(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    ours, theirs = chats(2), [chat(7)]
    session_table.deliver(EventsBySession({KEY: ours, ("acme", "s"): theirs}))
    session_table.broadcast(TICK)
    first, second = sessions.supervisor_mailbox.of(StartSession)
    assert (first.key, mail(first)) == (KEY, [EventBatch(ours), TICK])
    assert (second.key, mail(second)) == (SessionKey("acme", "s"), [EventBatch(theirs), TICK])


def test_events_that_wait_for_a_tick_are_delivered_with_it(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    events, later = chats(2), [chat(7)]
    session_table.deliver(EventsBySession({("acme", "idle"): [chat(8)]}))
    session_table.gather(batch(events))
    session_table.broadcast(TICK)
    session_table.broadcast(TICK)
    session_table.gather(batch(later))
    session_table.deliver_gathered()
    session_table.broadcast(TICK)
    idle, start = sessions.supervisor_mailbox.of(StartSession)
    assert mail(start) == [EventBatch(events, TICK), TICK, EventBatch(later), TICK]
    assert mail(idle) == [EventBatch([chat(8)]), TICK, TICK, TICK]


def test_events_that_wait_are_delivered_before_the_next(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    for number in range(3):
        session_table.gather(batch([chat(number)]))
    session_table.broadcast(TICK)
    [start] = sessions.supervisor_mailbox.of(StartSession)
    batches = [EventBatch([chat(number)]) for number in range(2)]
    assert mail(start) == [*batches, EventBatch([chat(2)], TICK)]


def test_a_session_is_started_once(sessions: SessionHarness, session_table: SessionTable) -> None:
    for _ in range(3):
        session_table.deliver(batch(chats(1)))
    assert len(sessions.supervisor_mailbox.of(StartSession)) == len(session_table) == 1


def test_no_session_is_started_for_events_with_which_none_begins(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    quiet, chat_closed = QuietSet(AT_MS, OVER_MS), ChatSwitched(AT_MS, "event", is_open=False)
    gone = UserLeft(AT_MS, None, "ada")
    session_table.deliver(batch([quiet, chat_closed, gone]))
    assert len(session_table) == 0
    session_table.deliver(batch([gone, chat(1, AT_MS), quiet]))
    session_table.deliver(batch([chat_closed]))
    session_table.broadcast(tick(AT_MS + 5000))
    sessions.settle()
    [row] = sessions.rows()
    assert (row.quiet_until_ms, row.is_chat_open) == (OVER_MS, False)


def test_a_session_is_passivated_after_its_timeout_without_events_despite_ticks(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(1)))
    passivate(sessions, session_table, OVER_MS - PASSIVATION_CHECK_MS - 1)
    session_table.broadcast(tick(OVER_MS - 5000))
    passivate(sessions, session_table, OVER_MS - 1)
    assert len(session_table) == 1
    passivate(sessions, session_table, OVER_MS - 1 + PASSIVATION_CHECK_MS)
    assert len(session_table) == 0
    begin_checkpoint(session_table)
    sessions.settle()
    assert len(sessions.supervisor) == 0


def test_a_session_with_recent_events_stays(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(1)))
    session_table.deliver(batch([chat(1, AT_MS + 1)], "lively"))
    passivate(sessions, session_table, OVER_MS)
    begin_checkpoint(session_table)
    sessions.settle()
    assert len(session_table) == len(sessions.supervisor) == 1


def test_a_session_with_connected_users_stays_until_the_last_has_left(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(batch([UserJoined(AT_MS, None, "ada")]))
    passivate(sessions, session_table, OVER_MS)
    assert len(session_table) == 1
    session_table.deliver(batch([UserLeft(OVER_MS, None, "ada")]))
    passivate(sessions, session_table, OVER_MS + PASSIVATION_CHECK_MS)
    assert len(session_table) == 1  # the leave was an event
    passivate(sessions, session_table, OVER_MS + TIMEOUT_S * 1000)
    assert len(session_table) == 0


def test_a_session_that_gets_events_after_it_was_asked_stays(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(3)))
    session_table.passivate(OVER_MS)
    session_table.deliver(batch([chat(7, OVER_MS)]))
    sessions.settle()
    session_table.passivate(OVER_MS)
    session_table.broadcast(tick(OVER_MS + 5000))
    begin_checkpoint(session_table)
    sessions.settle()
    assert len(session_table) == len(sessions.supervisor) == 1
    assert [row.signals.chat_msgs_per_min for row in sessions.rows()] == [1]


def test_mail_after_passivation_goes_to_a_successor_and_none_is_lost(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(3)))
    session_table.broadcast(tick(AT_MS + 5000))
    passivate(sessions, session_table, OVER_MS)
    session_table.deliver(batch([chat(7, OVER_MS)]))  # while the old one has yet to stop
    session_table.broadcast(tick(OVER_MS + 5000))
    begin_checkpoint(session_table)
    sessions.settle()
    assert [(row.at_ms, row.signals.chat_msgs_per_min) for row in sessions.rows()] == [
        (AT_MS + 5000, 3),
        (OVER_MS + 5000, 1),
    ]
    assert len(sessions.supervisor) == len(session_table) == 1
    assert (sessions.dispatcher.waiting, sessions.dispatcher.refused) == (0, 0)


def test_a_session_in_quarantine_is_passivated_after_its_release(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    """It would not hear of it, come back, and stay for good."""
    for _ in range(4):
        session_table.deliver(batch([chat(), poison()]))
        session_table.broadcast(tick(AT_MS + 5000))
        sessions.settle()
    assert (len(session_table), session_table.count_listening()) == (1, 0)
    passivate(sessions, session_table, OVER_MS)
    sessions.clock.advance(300)
    sessions.supervisor.release_quarantined()
    assert (len(session_table), session_table.count_listening()) == (1, 1)
    passivate(sessions, session_table, OVER_MS + PASSIVATION_CHECK_MS)
    begin_checkpoint(session_table)
    sessions.settle()
    assert len(session_table) == len(sessions.supervisor) == 0


def test_the_first_checkpoint_has_every_session_and_the_next_those_that_changed(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(EventsBySession({KEY: chats(2), ("acme", "s"): [chat(7)]}))
    whole, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert (whole.number, whole.is_full) == (1, True)
    assert set(read_states(answers)) == {KEY, SessionKey("acme", "s")}
    session_table.dirty.mark_committed(1)
    session_table.deliver(batch([chat(3)]))
    session_table.broadcast(tick(AT_MS + 5000))  # changes nothing
    second, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert (second.number, second.is_full) == (2, False)
    assert decode_state(read_states(answers)[KEY], "s", SessionRules()).chats.total == 3
    assert set(read_states(answers)) == {KEY}


def test_the_contents_of_an_uncommitted_checkpoint_are_in_the_next_one(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(1), "silent"))
    begin_checkpoint(session_table)
    session_table.dirty.mark_committed(1)
    session_table.deliver(
        EventsBySession({KEY: [chat(1, OVER_MS - 1)], ("acme", "s"): [chat(7, OVER_MS)]})
    )
    passivate(sessions, session_table, OVER_MS)
    lost, _ = begin_checkpoint(session_table)
    session_table.deliver(batch([chat(2, OVER_MS)], "new"))
    session_table.dirty.mark_committed(lost.number - 1)  # of the one before
    again, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert again.ended == lost.ended == {SessionKey("default", "silent")}
    assert (
        set(read_states(answers)) == again.changed == {*lost.changed, SessionKey("default", "new")}
    )


def test_a_session_that_began_anew_is_not_removed_from_the_checkpoint(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(batch(chats(3)))
    begin_checkpoint(session_table)
    passivate(sessions, session_table, OVER_MS)
    session_table.deliver(batch([chat(7, OVER_MS)]))
    session_table.dirty.mark_committed(1)
    contents, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert contents.ended == frozenset()
    assert decode_state(read_states(answers)[KEY], "s", SessionRules()).chats.total == 1


def test_the_next_checkpoint_is_full_if_the_stored_one_is_lost(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(EventsBySession({KEY: chats(1), ("acme", "s"): [chat(7)]}))
    begin_checkpoint(session_table)
    session_table.dirty.mark_committed(1)
    session_table.dirty.require_full()
    contents, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert contents.is_full
    assert len(read_states(answers)) == 2


def test_a_checkpoint_ends_after_the_rows_of_changed_and_unchanged_sessions(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    """Otherwise it would be ahead of a row: a start from it would not compute that again."""
    session_table.deliver(
        EventsBySession({(tenant, "s"): [chat(1, OVER_MS - 1)] for tenant in "abc"})
    )
    session_table.deliver(batch(chats(1), "leaving"))
    sessions.settle()
    begin_checkpoint(session_table)
    sessions.settle()
    session_table.dirty.mark_committed(1)
    session_table.passivate(OVER_MS)
    sessions.settle()
    blocked = BlockedThread(sessions.dispatcher)
    session_table.broadcast(tick(OVER_MS - 1000))
    session_table.passivate(OVER_MS)
    session_table.deliver(EventsBySession({("a", "s"): [chat(2, OVER_MS)]}))
    contents = session_table.begin_checkpoint()
    session_table.request_snapshots(
        contents, sessions.writer, 0.0
    )  # so that their order can be seen
    blocked.release()
    sessions.settle()
    assert contents.changed == {("a", "s")}
    assert sessions.writer.messages[-1] == AllSnapshotsTaken(2)
    assert len(sessions.rows()) == 4


def test_the_supervisor_sends_the_snapshot_of_a_session_in_quarantine(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    for _ in range(4):
        session_table.deliver(batch([chat(), poison()]))
        sessions.settle()
        session_table.broadcast(tick(AT_MS + 5000))
        sessions.settle()
    session_table.deliver(batch(chats(1), "neighbour"))
    _, answers = begin_checkpoint(session_table)
    sessions.settle()
    states = read_states(answers)
    assert set(states) == {KEY, SessionKey("default", "neighbour")}
    assert decode_state(states[KEY], "s", SessionRules()).chats.total == 1
    session_table.dirty.mark_committed(1)
    _, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert read_states(answers) == {}


def test_the_supervisor_sends_the_snapshot_that_a_new_quarantine_refuses(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    for _ in range(3):
        session_table.deliver(batch([chat(), poison()]))
        sessions.settle()
    blocked = BlockedThread(sessions.dispatcher)
    session_table.deliver(batch([poison()]))
    _, answers = begin_checkpoint(session_table)
    blocked.release()
    sessions.settle()
    assert sessions.supervisor.quarantined == 1
    assert set(read_states(answers)) == {KEY}


def test_a_passivating_session_in_quarantine_stops_after_its_release(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    session_table.deliver(batch([chat()]))
    sessions.settle()
    session_table.passivate(OVER_MS)
    sessions.settle()
    blocked = BlockedThread(sessions.dispatcher)
    for _ in range(4):
        session_table.deliver(batch([poison()]))
        session_table.broadcast(tick(AT_MS + 5000))
    session_table.passivate(OVER_MS)
    blocked.release()
    sessions.settle()
    assert (sessions.supervisor.quarantined, len(session_table)) == (1, 0)
    begin_checkpoint(session_table)
    sessions.clock.advance(300)
    sessions.supervisor.release_quarantined()
    begin_checkpoint(session_table)
    sessions.settle()
    assert len(sessions.supervisor) == 0


def test_a_checkpoint_without_sessions_ends_at_once(session_table: SessionTable) -> None:
    _, answers = begin_checkpoint(session_table)
    assert read_states(answers) == {}


def test_sessions_continue_from_their_state_in_the_checkpoint(sessions: SessionHarness) -> None:
    dirty = DirtySet(7, ended=[SessionKey("default", "over")])
    session_table = SessionTable(sessions.dispatcher, sessions.supervisor_mailbox, TIMEOUT_S, dirty)
    session_table.restore({KEY: apply_events(SessionState("s", SessionRules()), chats(3))})
    session_table.deliver(batch([chat(7)]))
    session_table.broadcast(tick(AT_MS + 5000))
    contents, answers = begin_checkpoint(session_table)
    sessions.settle()
    assert [row.signals.chat_msgs_per_min for row in sessions.rows()] == [4]
    assert (contents.number, contents.is_full) == (8, False)
    assert contents.ended == {SessionKey("default", "over")}
    assert set(read_states(answers)) == {KEY}
    passivate(sessions, session_table, OVER_MS)
    assert len(session_table) == 0


def test_a_describe_that_a_quarantine_refuses_is_answered_by_the_supervisor(
    sessions: SessionHarness, session_table: SessionTable
) -> None:
    for _ in range(3):
        session_table.deliver(batch([poison()]))
        sessions.settle()
    session_table.deliver(batch([poison()]))
    assert sessions.dispatcher.wait_idle(
        MAX_WAIT_S
    )  # failed, but not yet handled by the Supervisor
    description = sessions.introspect("s").description
    assert description is not None
    assert description.state == "quarantined"
