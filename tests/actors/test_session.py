"""One session's actor: what it does with its mail, and what it leaves when it fails."""

import threading
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from conductor_actors.actors import session
from conductor_actors.actors.latch import Latch
from conductor_actors.actors.messages import (
    AllSnapshotsTaken,
    EventBatch,
    Passivate,
    Scored,
    Snapshot,
    SnapshotTaken,
    Tick,
    TickScored,
)
from conductor_actors.actors.runtime.base import ActorContext, ChildFailed, ChildStopped, Poisoned
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import PooledMailbox
from conductor_actors.actors.session import SessionActor, SessionParts
from conductor_actors.domain.checkpoints.encoding import decode_state
from conductor_actors.domain.draft import apply_events
from conductor_actors.domain.events import Event, UserJoined
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import SessionState, row_at
from tests.actors.pooled_handlers import MAX_WAIT_S
from tests.actors.scripted_actors import Ref
from tests.actors.session_events import CallingEvents, chat, chats, poison
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

KEY = SessionKey("default", "session")
TICK_MS = AT_MS + 5000
NO_SCORE = Scoring(chat_max_per_min=0)  # divides by zero: every row fails


class OneSession:
    """A session with everyone whom it tells anything."""

    def __init__(self, dispatcher: Dispatcher, scoring: Scoring | None = None) -> None:
        self.dispatcher = dispatcher
        self.clock = FakeClock()
        self.writer, self.publisher = RecordingMailbox(), RecordingMailbox()
        self.courier, self.conductor = RecordingMailbox(), RecordingMailbox()
        self.supervisor = RecordingMailbox()
        self.mailbox = PooledMailbox(str(KEY), dispatcher)
        self._scoring = scoring or Scoring()
        self.ref = self.start(SessionState("session", SessionRules()))

    def start(self, state: SessionState) -> Ref:
        parts = SessionParts(
            self._scoring,
            self.writer,
            self.publisher,
            self.dispatcher,
            self.clock,
            self.courier,
            self.conductor,
        )
        context = ActorContext(str(KEY), self.mailbox, self.supervisor)
        return SessionActor.start(context, KEY, state, parts)

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.mailbox.tell(message)
        assert self.dispatcher.wait_idle(MAX_WAIT_S)

    def rows(self) -> list[ScoreRow]:
        return [row for scored in self.writer.of(Scored) for row in scored.rows]


@pytest.fixture
def one_session(dispatcher: Dispatcher) -> OneSession:
    return OneSession(dispatcher)


def tick(at_ms: int = TICK_MS, *, is_live: bool = True, total: int = 1) -> Tick:
    return Tick(at_ms, is_live, Latch(total, 1000.0, 0.25))


def expected_row(events: Sequence[Event], at_ms: int = TICK_MS) -> ScoreRow:
    state = apply_events(SessionState("session", SessionRules()), events)
    return row_at(at_ms, "default", state, Scoring())


def test_a_tick_sends_the_row_of_all_earlier_events_to_writer_and_publisher(
    one_session: OneSession,
) -> None:
    one_session.tell(EventBatch(chats(3)), EventBatch([chat(7)]), tick())
    assert one_session.rows() == [expected_row([*chats(3), chat(7)])]
    assert one_session.publisher.messages == one_session.writer.messages


def test_the_row_of_an_old_tick_is_stored_and_not_published(one_session: OneSession) -> None:
    one_session.tell(EventBatch(chats(3)), tick(is_live=False))
    assert one_session.rows() == [expected_row(chats(3))]
    assert one_session.publisher.messages == []


def test_events_after_a_tick_count_in_the_next_one(one_session: OneSession) -> None:
    later = chat(7, TICK_MS)
    one_session.tell(EventBatch(chats(3)), tick(), EventBatch([later]), tick(TICK_MS + 5000))
    assert one_session.rows() == [
        expected_row(chats(3)),
        expected_row([*chats(3), later], TICK_MS + 5000),
    ]


def test_a_session_that_has_not_begun_or_is_over_has_no_row(one_session: OneSession) -> None:
    one_session.tell(tick())
    one_session.tell(EventBatch(chats(1)), tick(AT_MS + 1800_000))
    assert one_session.rows() == []


def test_an_event_that_fails_is_the_only_one_to_be_skipped(one_session: OneSession) -> None:
    bad = poison()
    one_session.tell(EventBatch([*chats(2), bad, chat(2)]))
    failure = one_session.supervisor.take(ChildFailed)
    assert isinstance(failure.error, Poisoned)
    assert [item for item, _ in failure.error.items] == [bad]
    assert isinstance(failure.error.__cause__, TypeError)
    assert isinstance(failure.handover, SessionState)
    one_session.start(failure.handover)
    one_session.tell(tick())
    assert one_session.rows() == [expected_row(chats(3))]


def test_a_tick_that_comes_with_events_follows_them(one_session: OneSession) -> None:
    one_session.tell(EventBatch(chats(3), tick()), EventBatch([chat(7, TICK_MS)]))
    assert one_session.rows() == [expected_row(chats(3))]
    assert one_session.publisher.messages == one_session.writer.messages


def test_a_tick_that_comes_with_an_event_that_fails_has_its_row(one_session: OneSession) -> None:
    one_session.tell(EventBatch([*chats(2), poison(), chat(2)], tick()))
    assert one_session.rows() == [expected_row(chats(3))]
    failure = one_session.supervisor.take(ChildFailed)
    assert isinstance(failure.error, Poisoned)


def test_an_event_that_fails_is_reported_although_the_row_fails_too(
    dispatcher: Dispatcher,
) -> None:
    session, bad = OneSession(dispatcher, NO_SCORE), poison()
    session.tell(EventBatch([chat(1), bad], tick()))
    failure = session.supervisor.take(ChildFailed)
    assert isinstance(failure.error, Poisoned)
    assert [item for item, _ in failure.error.items] == [bad]
    assert isinstance(failure.error.__context__, ZeroDivisionError)


def test_a_successor_continues_with_the_state_and_the_remaining_mail(
    one_session: OneSession,
) -> None:
    one_session.tell(EventBatch([*chats(2), poison()]), tick(), EventBatch([chat(2, TICK_MS)]))
    handover = one_session.supervisor.take(ChildFailed).handover
    assert isinstance(handover, SessionState)
    one_session.start(handover)
    one_session.tell(tick(TICK_MS + 5000))
    assert one_session.rows()[1:] == [expected_row([*chats(2), chat(2, TICK_MS)], TICK_MS + 5000)]


def test_the_error_of_an_event_is_raised_once_in_the_caller_of_ask(one_session: OneSession) -> None:
    with pytest.raises(Poisoned):
        one_session.ref.ask(EventBatch([*chats(2), poison()]), timeout=MAX_WAIT_S)
    one_session.tell(tick())
    one_session.tell(EventBatch([chat(2, TICK_MS)]), tick(TICK_MS + 5000))
    assert one_session.rows()[1:] == [expected_row([*chats(2), chat(2, TICK_MS)], TICK_MS + 5000)]
    assert one_session.ref.is_alive()


def test_a_row_that_fails_stops_the_actor_and_keeps_its_events(dispatcher: Dispatcher) -> None:
    one_session = OneSession(dispatcher, NO_SCORE)
    one_session.tell(EventBatch(chats(3)), tick())
    failure = one_session.supervisor.take(ChildFailed)
    assert isinstance(failure.error, ZeroDivisionError)
    assert isinstance(failure.handover, SessionState)
    assert failure.handover.chats.total == 3


def test_a_handler_that_hangs_leaves_the_state_from_before_its_batch(
    one_session: OneSession,
) -> None:
    one_session.tell(EventBatch(chats(2)))
    entered, released = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        assert released.wait(MAX_WAIT_S)

    one_session.mailbox.tell(EventBatch(CallingEvents(hang, chat(2), chat(3))))
    assert entered.wait(MAX_WAIT_S)
    assert one_session.mailbox.actor is not None
    one_session.mailbox.actor.report_hung(5.0)
    handover = one_session.supervisor.take(ChildFailed).handover
    released.set()
    one_session.tell()
    assert isinstance(handover, SessionState)
    assert row_at(TICK_MS, "default", handover, Scoring()) == expected_row(chats(2))


def test_a_passivated_session_stops(one_session: OneSession) -> None:
    one_session.tell(EventBatch(chats(1)), tick(), Passivate())
    assert one_session.supervisor.take(ChildStopped) == ChildStopped(
        "default/session", one_session.mailbox
    )
    assert len(one_session.rows()) == 1
    assert one_session.dispatcher.waiting == 0


def test_the_last_session_of_a_tick_reports_that_it_is_complete(one_session: OneSession) -> None:
    last = tick(total=3)
    one_session.clock.advance(0.5)
    with capture_logs() as lines:
        one_session.tell(last, last)
        assert lines == []
        one_session.tell(last)
    assert lines == [
        {
            "event": "tick_completed",
            "log_level": "info",
            "tick_at_ms": TICK_MS,
            "sessions": 3,
            "duration_s": 0.5,
            "lag_s": 0.25,
        }
    ]


def test_the_end_of_a_tick_is_sent_after_its_last_row(one_session: OneSession) -> None:
    last = tick(total=2)
    one_session.tell(EventBatch(chats(1)), last)
    assert one_session.publisher.of(TickScored) == []
    one_session.tell(last)
    assert [type(message) for message in one_session.writer.messages] == [
        Scored,
        Scored,
        TickScored,
    ]
    assert one_session.publisher.messages == one_session.writer.messages


def test_the_end_of_an_old_tick_is_not_sent(one_session: OneSession) -> None:
    one_session.tell(EventBatch(chats(1)), tick(is_live=False))
    assert one_session.writer.of(TickScored) == one_session.publisher.of(TickScored) == []


def test_a_tick_is_complete_even_if_a_row_failed(dispatcher: Dispatcher) -> None:
    one_session = OneSession(dispatcher, NO_SCORE)
    with capture_logs() as lines:
        one_session.tell(EventBatch(chats(1)), tick())
    assert [line["event"] for line in lines] == ["tick_completed"]


def crowd() -> EventBatch:
    return EventBatch([UserJoined(AT_MS, None, f"u{number}") for number in range(12)])


def test_a_detector_that_fails_costs_its_verdict_and_not_the_row(
    one_session: OneSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "with_anomalies", fail)
    one_session.tell(crowd(), tick())
    [row] = one_session.rows()
    assert (row.at_ms, row.anomalies, row.signals.total_users) == (TICK_MS, (), 12)
    failure = one_session.supervisor.take(ChildFailed)
    assert isinstance(failure.error, ZeroDivisionError)
    assert isinstance(failure.handover, SessionState)
    assert failure.handover.detector is None


def fail(*_: object) -> None:
    raise ZeroDivisionError


def snapshot(
    number: int = 1, total: int = 1, *, has_changed: bool = True, follows_commit: bool = False
) -> Snapshot:
    latch = Latch(total, 0.0, 0.0)
    return Snapshot(number, has_changed, latch, RecordingMailbox(), follows_commit)


def test_a_detector_that_a_tick_changed_is_sent_until_that_is_durable(
    one_session: OneSession,
) -> None:
    one_session.tell(crowd(), tick(), snapshot())
    has_sent = []
    for ticks_at_ms, follows_commit in ((TICK_MS + 5000, True), (0, False), (0, True), (0, True)):
        if ticks_at_ms:
            one_session.tell(tick(ticks_at_ms))
        request = snapshot(has_changed=False, follows_commit=follows_commit)
        one_session.tell(request)
        has_sent.append(len(replies_to(request)) == 2)
    assert has_sent == [True, True, False, False]


def replies_to(request: Snapshot) -> list[object]:
    assert isinstance(request.reply_to, RecordingMailbox)
    return request.reply_to.messages


def test_a_snapshot_has_all_earlier_events_and_no_later_ones(
    one_session: OneSession,
) -> None:
    request = snapshot()
    one_session.tell(EventBatch(chats(3)), request, EventBatch([chat(7)]))
    [taken, end] = replies_to(request)
    assert isinstance(taken, SnapshotTaken)
    assert (taken.number, taken.key) == (1, KEY)
    state = decode_state(taken.state, "session", SessionRules())
    assert row_at(TICK_MS, "default", state, Scoring()) == expected_row(chats(3))
    assert end == AllSnapshotsTaken(1)


def test_an_unchanged_session_sends_no_state(one_session: OneSession) -> None:
    request = snapshot(has_changed=False)
    one_session.tell(request)
    assert replies_to(request) == [AllSnapshotsTaken(1)]


def test_the_last_session_reports_that_all_snapshots_were_taken(one_session: OneSession) -> None:
    request = snapshot(total=2, has_changed=False)
    one_session.tell(request)
    assert replies_to(request) == []
    one_session.tell(request)
    assert replies_to(request) == [AllSnapshotsTaken(1)]


def test_a_snapshot_leaves_out_only_the_event_that_failed(one_session: OneSession) -> None:
    request = snapshot()
    one_session.tell(EventBatch([*chats(2), poison()]))
    handover = one_session.supervisor.take(ChildFailed).handover
    assert isinstance(handover, SessionState)
    one_session.start(handover)
    one_session.tell(request)
    taken = replies_to(request)[0]
    assert isinstance(taken, SnapshotTaken)
    assert decode_state(taken.state, "session", SessionRules()).chats.total == 2


def test_a_row_has_the_gap_mark_of_its_tick(one_session: OneSession) -> None:
    marks = {"default": GapMark("trimmed", 7), "acme": GapMark("trimmed", 8)}
    marked = Tick(TICK_MS, is_live=True, sessions=Latch(1, 0.0, 0.0), marks=marks)
    one_session.tell(EventBatch(chats(3)), marked)
    assert [row.gap for row in one_session.rows()] == [GapMark("trimmed", 7)]
