"""One session's actor: what it does with its mail, and what it leaves when it fails."""

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

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
from conductor_actors.domain.checkpoints import decode_state
from conductor_actors.domain.events import Event
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_state import SessionRules, SessionState, row_at
from tests.actors.probes import Ref
from tests.actors.session_events import chat, chats, poison
from tests.actors.turns import PATIENCE_S
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

KEY = SessionKey("default", "session")
TICK_MS = AT_MS + 5000
NO_SCORE = Scoring(chat_max_per_min=0)  # divides by zero: every row fails


class Stage:
    """A session with everyone whom it tells anything."""

    def __init__(self, dispatcher: Dispatcher, scoring: Scoring | None = None) -> None:
        self.dispatcher = dispatcher
        self.clock = FakeClock()
        self.writer, self.publisher = RecordingMailbox(), RecordingMailbox()
        self.supervisor = RecordingMailbox()
        self.mailbox = PooledMailbox(str(KEY), dispatcher)
        self._scoring = scoring or Scoring()
        self.ref = self.enter(SessionState.new("session", SessionRules()))

    def enter(self, state: SessionState) -> Ref:
        parts = SessionParts(
            self._scoring, self.writer, self.publisher, self.dispatcher, self.clock
        )
        context = ActorContext(str(KEY), self.mailbox, self.supervisor)
        return SessionActor.start(context, KEY, state, parts)

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.mailbox.tell(message)
        assert self.dispatcher.wait_idle(PATIENCE_S)

    def rows(self) -> list[ScoreRow]:
        return [row for scored in self.writer.of(Scored) for row in scored.rows]


@pytest.fixture
def stage(dispatcher: Dispatcher) -> Stage:
    return Stage(dispatcher)


def tick(at_ms: int = TICK_MS, *, is_live: bool = True, total: int = 1) -> Tick:
    return Tick(at_ms, is_live, Latch(total, 1000.0, 0.25))


def expected_row(events: Sequence[Event], at_ms: int = TICK_MS) -> ScoreRow:
    state = SessionState.new("session", SessionRules()).after(events)
    return row_at(at_ms, "default", state, Scoring())


def test_at_a_tick_the_row_of_all_events_so_far_is_told_to_writer_and_publisher(
    stage: Stage,
) -> None:
    stage.tell(EventBatch(chats(3)), EventBatch([chat(7)]), tick())
    assert stage.rows() == [expected_row([*chats(3), chat(7)])]
    assert stage.publisher.messages == stage.writer.messages


def test_an_old_tick_is_stored_and_not_announced(stage: Stage) -> None:
    stage.tell(EventBatch(chats(3)), tick(is_live=False))
    assert stage.rows() == [expected_row(chats(3))]
    assert stage.publisher.messages == []


def test_events_behind_a_tick_count_in_the_next(stage: Stage) -> None:
    later = chat(7, TICK_MS)
    stage.tell(EventBatch(chats(3)), tick(), EventBatch([later]), tick(TICK_MS + 5000))
    assert stage.rows() == [
        expected_row(chats(3)),
        expected_row([*chats(3), later], TICK_MS + 5000),
    ]


def test_a_session_that_has_not_begun_or_is_over_has_no_row(stage: Stage) -> None:
    stage.tell(tick())
    stage.tell(EventBatch(chats(1)), tick(AT_MS + 1800_000))
    assert stage.rows() == []


def test_a_bad_event_costs_nothing_but_itself(stage: Stage) -> None:
    bad = poison()
    stage.tell(EventBatch([*chats(2), bad, chat(2)]))
    failure = stage.supervisor.take(ChildFailed)
    assert isinstance(failure.error, Poisoned)
    assert [item for item, _ in failure.error.items] == [bad]
    assert isinstance(failure.error.__cause__, TypeError)
    assert isinstance(failure.handover, SessionState)
    stage.enter(failure.handover)
    stage.tell(tick())
    assert stage.rows() == [expected_row(chats(3))]


def test_a_successor_goes_on_from_before_the_bad_event(stage: Stage) -> None:
    stage.tell(EventBatch([*chats(2), poison()]), tick(), EventBatch([chat(2, TICK_MS)]))
    handover = stage.supervisor.take(ChildFailed).handover
    assert isinstance(handover, SessionState)
    stage.enter(handover)
    stage.tell(tick(TICK_MS + 5000))
    assert stage.rows()[1:] == [expected_row([*chats(2), chat(2, TICK_MS)], TICK_MS + 5000)]


def test_who_asks_hears_of_a_bad_event_once(stage: Stage) -> None:
    with pytest.raises(Poisoned):
        stage.ref.ask(EventBatch([*chats(2), poison()]), timeout=PATIENCE_S)
    stage.tell(tick())
    stage.tell(EventBatch([chat(2, TICK_MS)]), tick(TICK_MS + 5000))
    assert stage.rows()[1:] == [expected_row([*chats(2), chat(2, TICK_MS)], TICK_MS + 5000)]
    assert stage.ref.is_alive()


def test_a_row_that_fails_ends_the_actor_and_keeps_its_events(dispatcher: Dispatcher) -> None:
    stage = Stage(dispatcher, NO_SCORE)
    stage.tell(EventBatch(chats(3)), tick())
    failure = stage.supervisor.take(ChildFailed)
    assert isinstance(failure.error, ZeroDivisionError)
    assert isinstance(failure.handover, SessionState)
    assert failure.handover.chats.total == 3


def test_a_passivated_session_stops(stage: Stage) -> None:
    stage.tell(EventBatch(chats(1)), tick(), Passivate())
    assert stage.supervisor.take(ChildStopped) == ChildStopped("default/session", stage.mailbox)
    assert len(stage.rows()) == 1
    assert stage.dispatcher.waiting == 0


def test_the_last_session_of_a_tick_says_that_it_is_complete(stage: Stage) -> None:
    last = tick(total=3)
    stage.clock.advance(0.5)
    with capture_logs() as lines:
        stage.tell(last, last)
        assert lines == []
        stage.tell(last)
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


def test_behind_the_last_row_of_a_tick_its_end_is_told(stage: Stage) -> None:
    last = tick(total=2)
    stage.tell(EventBatch(chats(1)), last)
    assert stage.publisher.of(TickScored) == []
    stage.tell(last)
    assert [type(message) for message in stage.writer.messages] == [Scored, Scored, TickScored]
    assert stage.publisher.messages == stage.writer.messages


def test_the_end_of_an_old_tick_hurries_nobody(stage: Stage) -> None:
    stage.tell(EventBatch(chats(1)), tick(is_live=False))
    assert stage.writer.of(TickScored) == stage.publisher.of(TickScored) == []


def test_a_tick_is_complete_though_a_row_failed(dispatcher: Dispatcher) -> None:
    stage = Stage(dispatcher, NO_SCORE)
    with capture_logs() as lines:
        stage.tell(EventBatch(chats(1)), tick())
    assert [line["event"] for line in lines] == ["tick_completed"]


def snapshot(number: int = 1, total: int = 1, *, has_changed: bool = True) -> Snapshot:
    return Snapshot(number, has_changed, Latch(total, 0.0, 0.0), RecordingMailbox())


def told(asked: Snapshot) -> list[object]:
    assert isinstance(asked.reply_to, RecordingMailbox)
    return asked.reply_to.messages


def test_a_captured_state_has_every_event_before_it_and_none_behind(stage: Stage) -> None:
    asked = snapshot()
    stage.tell(EventBatch(chats(3)), asked, EventBatch([chat(7)]))
    [captured, end] = told(asked)
    assert isinstance(captured, SnapshotTaken)
    assert (captured.number, captured.key) == (1, KEY)
    state = decode_state(captured.state, "session", SessionRules())
    assert row_at(TICK_MS, "default", state, Scoring()) == expected_row(chats(3))
    assert end == AllSnapshotsTaken(1)


def test_who_has_not_changed_tells_no_state(stage: Stage) -> None:
    asked = snapshot(has_changed=False)
    stage.tell(asked)
    assert told(asked) == [AllSnapshotsTaken(1)]


def test_the_last_to_answer_tells_the_end(stage: Stage) -> None:
    asked = snapshot(total=2, has_changed=False)
    stage.tell(asked)
    assert told(asked) == []
    stage.tell(asked)
    assert told(asked) == [AllSnapshotsTaken(1)]


def test_a_bad_event_before_a_capture_costs_nothing_but_itself(stage: Stage) -> None:
    asked = snapshot()
    stage.tell(EventBatch([*chats(2), poison()]))
    handover = stage.supervisor.take(ChildFailed).handover
    assert isinstance(handover, SessionState)
    stage.enter(handover)
    stage.tell(asked)
    captured = told(asked)[0]
    assert isinstance(captured, SnapshotTaken)
    assert decode_state(captured.state, "session", SessionRules()).chats.total == 2


def test_a_row_is_marked_as_its_tick_is(stage: Stage) -> None:
    marks = {"default": GapMark("trimmed", 7), "acme": GapMark("trimmed", 8)}
    marked = Tick(TICK_MS, is_live=True, sessions=Latch(1, 0.0, 0.0), marks=marks)
    stage.tell(EventBatch(chats(3)), marked)
    assert [row.gap for row in stage.rows()] == [GapMark("trimmed", 7)]
