"""Where sessions' mail goes, and what becomes of it when a session is passivated."""

from conductor_actors.actors.messages import EventBatch, StartSession
from conductor_actors.actors.session_table import PASSIVATION_CHECK_MS, SessionTable
from conductor_actors.domain.commands import QuietSet
from conductor_actors.domain.events import ChatSwitched, UserJoined, UserLeft
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake import EventsBySession
from tests.actors.pooled_handlers import MAX_WAIT_S, BlockedThread
from tests.actors.session_events import chat, chats, poison
from tests.actors.session_harness import (
    KEY,
    OVER_MS,
    TIMEOUT_S,
    SessionHarness,
    batch,
    begin_checkpoint,
    passivate,
    tick,
)
from tests.support.score_rows import AT_MS

TICK = tick(AT_MS)


def mail(start: StartSession) -> list[object]:
    return [envelope.message for envelope in start.mailbox.mail]


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
