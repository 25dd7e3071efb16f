"""How sessions are restarted, quarantined, released and removed."""

import json

from structlog.testing import capture_logs

from conductor_actors.actors.latch import Latch
from conductor_actors.actors.messages import (
    EventBatch,
    Passivate,
    Snapshot,
    SnapshotQuarantined,
    SnapshotTaken,
    StartSession,
    Tick,
)
from conductor_actors.actors.runtime.base import ChildFailed
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import PooledMailbox, ThreadMailbox
from conductor_actors.actors.session_supervisor import SessionLimits
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState
from tests.actors.pooled_handlers import MAX_WAIT_S, BlockedThread
from tests.actors.session_events import chat, chats, poison
from tests.actors.session_harness import SessionHarness
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

TICK_MS = AT_MS + 5000
QUARANTINE_S = 300.0


def batch_with_poison() -> EventBatch:
    return EventBatch([chat(), poison()])


def tick(at_ms: int) -> Tick:
    return Tick(at_ms, is_live=False, sessions=Latch(1, 0.0, 0.0))


def fail(sessions: SessionHarness, mailbox: PooledMailbox, times: int) -> None:
    for _ in range(times):
        sessions.send_and_tick(mailbox, [poison()], TICK_MS)


def test_a_session_restarts_and_only_the_event_that_failed_is_a_dead_letter(
    sessions: SessionHarness,
) -> None:
    mailbox = sessions.start("s")
    sessions.send_and_tick(mailbox, [*chats(2), poison(AT_MS + 7), chat(2)], TICK_MS)
    (row,) = sessions.send_and_tick(mailbox, [chat(3, TICK_MS)], TICK_MS + 5000)
    assert row.signals.chat_msgs_per_min == 4
    (letter,) = sessions.dead_letters()
    assert (letter.source, letter.entry_id) == ("session:default/s", f"{AT_MS + 7}-0")
    assert letter.reason == "handler_failed"
    assert json.loads(letter.body) == {
        "type": "ChatMessage",
        "at_ms": AT_MS + 7,
        "event_id": None,
        "user_id": None,
        "message_id": ["no", "id"],
    }
    assert sessions.supervisor.failures == 1


def test_every_bad_event_of_a_batch_is_a_dead_letter_at_one_restart(
    sessions: SessionHarness,
) -> None:
    mailbox = sessions.start("s")
    bad = [poison(AT_MS + number) for number in range(5)]
    (row,) = sessions.send_and_tick(mailbox, [chat(0), *bad, chat(1)], TICK_MS)
    assert row.signals.chat_msgs_per_min == 2
    assert [letter.entry_id for letter in sessions.dead_letters()] == [
        f"{AT_MS + number}-0" for number in range(5)
    ]
    assert sessions.supervisor.failures == 1


def test_mail_after_an_event_that_fails_is_handled_by_the_successor(
    sessions: SessionHarness,
) -> None:
    mailbox = sessions.start("s")
    blocked = BlockedThread(sessions.dispatcher)
    for at_ms in (TICK_MS, TICK_MS + 5000):
        mailbox.tell(batch_with_poison())
        mailbox.tell(tick(at_ms))
    mailbox.tell(tick(TICK_MS + 10_000))
    blocked.release()
    sessions.settle()
    assert [(row.at_ms, row.signals.chat_msgs_per_min) for row in sessions.rows()] == [
        (TICK_MS, 1),
        (TICK_MS + 5000, 1),
        (TICK_MS + 10_000, 1),
    ]
    assert len(sessions.dead_letters()) == 2


def test_a_message_that_can_not_be_handled_is_a_dead_letter(dispatcher: Dispatcher) -> None:
    sessions = SessionHarness(dispatcher, Scoring(chat_max_per_min=0))  # every row divides by zero
    sessions.send_and_tick(sessions.start("s"), chats(1), TICK_MS)
    (letter,) = sessions.dead_letters()
    assert letter.entry_id == f"{TICK_MS}-0"
    assert json.loads(letter.body) == {"type": "Tick"}


def test_failures_of_a_session_do_not_affect_another(sessions: SessionHarness) -> None:
    bad, neighbour = sessions.start("bad"), sessions.start("neighbour")
    for number in range(6):
        at_ms = TICK_MS + number * 5000
        sessions.send_and_tick(bad, [poison()], at_ms)
        (row,) = sessions.send_and_tick(neighbour, [chat(number, at_ms - 1)], at_ms)
        assert row.signals.chat_msgs_per_min == number + 1
    assert sessions.supervisor.quarantined == 1
    assert len(sessions.supervisor) == 2


def test_the_fourth_failure_within_a_minute_is_a_quarantine(sessions: SessionHarness) -> None:
    mailbox = sessions.start("s")
    with capture_logs() as lines:
        fail(sessions, mailbox, 3)
        assert sessions.supervisor.quarantined == 0
        fail(sessions, mailbox, 1)
    assert sessions.supervisor.quarantined == 1
    assert [line["event"] for line in lines if line["event"] != "tick_completed"] == [
        *["actor_failed", "actor_restarted"] * 3,
        *["actor_failed", "session_quarantined"],
    ]


def test_failures_spread_over_time_never_lead_to_a_quarantine(sessions: SessionHarness) -> None:
    mailbox = sessions.start("s")
    for _ in range(9):
        fail(sessions, mailbox, 1)
        sessions.clock.advance(20)
    assert sessions.supervisor.quarantined == 0


def test_mail_in_quarantine_is_refused_and_counted(sessions: SessionHarness) -> None:
    mailbox = sessions.start("s")
    fail(sessions, mailbox, 4)
    handled = sessions.dispatcher.handled
    assert sessions.send_and_tick(mailbox, [chat(1, TICK_MS)], TICK_MS + 5000) == []
    assert sessions.dispatcher.handled == handled
    assert (sessions.dispatcher.waiting, mailbox.refused) == (
        0,
        3,
    )  # the tick behind the last failure, too


def test_a_quarantine_lasts_five_minutes_and_keeps_the_state(sessions: SessionHarness) -> None:
    mailbox = sessions.start("s")
    sessions.send_and_tick(mailbox, chats(3), TICK_MS)
    fail(sessions, mailbox, 4)
    sessions.send_and_tick(mailbox, [chat(8, TICK_MS)], TICK_MS + 5000)
    sessions.clock.advance(QUARANTINE_S - 0.1)
    sessions.supervisor.release_quarantined()
    assert sessions.send_and_tick(mailbox, [chat(9, TICK_MS)], TICK_MS + 5000) == []
    sessions.clock.advance(0.1)
    with capture_logs() as lines:
        sessions.supervisor.release_quarantined()
    (row,) = sessions.send_and_tick(mailbox, [chat(10, TICK_MS)], TICK_MS + 5000)
    assert row.signals.chat_msgs_per_min == 4
    assert sessions.supervisor.quarantined == 0
    assert [(line["event"], line["lost_messages"]) for line in lines] == [("session_released", 5)]


def test_a_released_session_has_a_full_budget(dispatcher: Dispatcher) -> None:
    sessions = SessionHarness(dispatcher, limits=SessionLimits(quarantine_s=1))
    mailbox = sessions.start("s")
    fail(sessions, mailbox, 4)
    sessions.clock.advance(1)
    sessions.supervisor.release_quarantined()
    fail(sessions, mailbox, 3)
    assert sessions.supervisor.quarantined == 0
    fail(sessions, mailbox, 1)
    assert sessions.supervisor.quarantined == 1


def test_the_stop_of_a_session_does_not_affect_its_successor_of_that_name(
    sessions: SessionHarness,
) -> None:
    old, new = sessions.start("s"), sessions.start("s")
    sessions.send_and_tick(new, chats(2), TICK_MS)
    old.tell(Passivate())
    sessions.settle()
    assert len(sessions.supervisor) == 1
    fail(sessions, new, 1)
    (row,) = sessions.send_and_tick(new, [chat(2, TICK_MS)], TICK_MS + 5000)
    assert row.signals.chat_msgs_per_min == 3


def test_a_failure_or_stop_of_another_actor_is_left_to_the_supervisor(
    sessions: SessionHarness,
) -> None:
    other = ThreadMailbox()
    failure = ChildFailed("writer", other, None, ValueError("bug"), None)
    assert not sessions.supervisor.handle_failure(failure)
    assert not sessions.supervisor.handle_stop(other)


def test_no_line_about_a_failure_names_a_user(sessions: SessionHarness) -> None:
    with capture_logs() as lines:
        sessions.send_and_tick(sessions.start("s"), [chat(4711), poison()], TICK_MS)
    assert "4711" not in str([{**line, "exc_info": None} for line in lines])


def test_finish_waits_for_sessions_that_have_mail(sessions: SessionHarness) -> None:
    blocked = BlockedThread(sessions.dispatcher)
    with capture_logs() as lines:
        assert not sessions.supervisor.wait_finished(0.01)
    assert [line["event"] for line in lines] == ["sessions_unfinished"]
    blocked.release()
    assert sessions.supervisor.wait_finished(MAX_WAIT_S)


def test_the_start_of_a_recovered_session_is_not_logged(sessions: SessionHarness) -> None:
    state = apply_events(SessionState("s", SessionRules()), chats(3))
    mailbox = PooledMailbox("default/s", sessions.dispatcher)
    with capture_logs() as lines:
        sessions.supervisor.start(StartSession(SessionKey("default", "s"), mailbox, state))
    assert lines == []
    (row,) = sessions.send_and_tick(mailbox, [chat(7)], TICK_MS)
    assert row.signals.chat_msgs_per_min == 4


def test_no_snapshot_is_sent_for_a_session_that_was_just_released(sessions: SessionHarness) -> None:
    """Its state has events from after the barrier by now."""
    mailbox = sessions.start("s")
    fail(sessions, mailbox, 4)
    snapshot = Snapshot(1, True, Latch(1, 0.0, 0.0), RecordingMailbox())  # noqa: FBT003
    sessions.supervisor.send_snapshot(SnapshotQuarantined(mailbox, snapshot))
    sessions.clock.advance(QUARANTINE_S)
    sessions.supervisor.release_quarantined()
    sessions.supervisor.send_snapshot(SnapshotQuarantined(mailbox, snapshot))
    assert isinstance(snapshot.reply_to, RecordingMailbox)
    assert len(snapshot.reply_to.of(SnapshotTaken)) == 1
