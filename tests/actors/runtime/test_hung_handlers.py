"""What one session's handler can do at its worst, on a pool that others live on, too."""

import threading
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from conductor_actors.actors.latch import Latch
from conductor_actors.actors.messages import (
    EventBatch,
    Passivate,
    Snapshot,
    SnapshotTaken,
    StartSession,
    Tick,
)
from conductor_actors.actors.runtime.awake_clock import AwakeClock
from conductor_actors.actors.runtime.base import Hung
from conductor_actors.actors.runtime.dispatcher import HUNG_AFTER_S, Dispatcher
from conductor_actors.actors.runtime.mailbox import Envelope, PooledMailbox
from conductor_actors.actors.session_table import SessionTable
from conductor_actors.domain.events import Event
from conductor_actors.domain.intake import EventsBySession
from tests.actors.pooled_handlers import MAX_WAIT_S
from tests.actors.session_events import CallingEvents, chat, chats
from tests.actors.session_harness import SessionHarness
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

TICK_MS = AT_MS + 5000
QUARANTINE_S = 300.0


class HangingHandler:
    """A handler that does not come back until it is let."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self._entered, self._released = threading.Event(), threading.Event()

    def events(self, *earlier: Event) -> CallingEvents:
        return CallingEvents(self._hang, *earlier)

    def wait(self) -> None:
        assert self._entered.wait(MAX_WAIT_S)

    def release(self) -> None:
        """Let it come back, and wait for its thread's end."""
        self._released.set()
        if self.thread is not None:
            self.thread.join(MAX_WAIT_S)
            assert not self.thread.is_alive()

    def _hang(self) -> None:
        self.thread = threading.current_thread()
        self._entered.set()
        self._released.wait(MAX_WAIT_S)


class Time:
    """The time of the dispatcher, which passes a second at a time, or while it is suspended."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.awake_clock = AwakeClock(self.clock)

    def pass_by(self, passed_s: float) -> None:
        for _ in range(round(passed_s)):
            self.suspend(1.0)

    def suspend(self, passed_s: float) -> None:
        self.clock.advance(passed_s)
        self.awake_clock.advance()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def sessions(time: Time) -> Iterator[SessionHarness]:
    """Have one thread for all: should it be lost, nobody has a turn any more."""
    dispatcher = Dispatcher(1, time.clock, time.awake_clock)
    yield SessionHarness(dispatcher)
    dispatcher.close()


@pytest.fixture
def hanging() -> Iterator[HangingHandler]:
    hanging = HangingHandler()
    yield hanging
    hanging.release()


def hang(
    sessions: SessionHarness, mailbox: PooledMailbox, hanging: HangingHandler, time: Time
) -> list[EventDict]:
    """Let a session hang until that is found out; return what is said of it."""
    mailbox.tell(EventBatch(hanging.events(chat(99))))
    hanging.wait()
    with capture_logs() as lines:
        time.pass_by(HUNG_AFTER_S)
        sessions.supervisor.abandon_hung()
        sessions.settle()
    return lines


def test_a_hung_session_is_quarantined_and_others_continue(
    sessions: SessionHarness, hanging: HangingHandler, time: Time
) -> None:
    bad, neighbour = sessions.start("bad"), sessions.start("neighbour")
    lines = hang(sessions, bad, hanging, time)
    assert [line["event"] for line in lines] == ["actor_failed", "session_quarantined"]
    assert isinstance(lines[0]["exc_info"], Hung)
    assert sessions.supervisor.quarantined == 1
    for number in range(3):
        at_ms = TICK_MS + number * 5000
        assert sessions.send_and_tick(bad, [chat()], at_ms) == []
        (row,) = sessions.send_and_tick(neighbour, [chat(number, at_ms - 1)], at_ms)
        assert row.signals.chat_msgs_per_min == number + 1
    assert bad.refused == 6


@pytest.mark.parametrize("passed_s", [0.0, HUNG_AFTER_S - 1])
def test_a_handler_is_not_hung_before_5_s_have_passed_however_often_that_is_checked(
    sessions: SessionHarness, hanging: HangingHandler, time: Time, passed_s: float
) -> None:
    slow = sessions.start("slow")
    slow.tell(EventBatch(hanging.events()))
    hanging.wait()
    time.pass_by(passed_s)
    for _ in range(100):
        sessions.supervisor.abandon_hung()
    hanging._released.set()
    sessions.settle()
    assert len(sessions.send_and_tick(slow, [chat()], TICK_MS)) == 1
    assert sessions.supervisor.failures == 0
    hanging.thread = None  # it lives on


def test_a_suspension_of_the_process_makes_no_handler_hung(
    sessions: SessionHarness, hanging: HangingHandler, time: Time
) -> None:
    sessions.start("slow").tell(EventBatch(hanging.events()))
    hanging.wait()
    time.pass_by(3)
    time.suspend(3600)
    sessions.supervisor.abandon_hung()
    assert sessions.supervisor_mailbox.depth() == 0
    time.pass_by(1)
    sessions.supervisor.abandon_hung()
    assert sessions.supervisor_mailbox.depth() == 1


def test_a_busy_session_is_not_hung(sessions: SessionHarness, time: Time) -> None:
    busy = sessions.start("busy")
    for number in range(15):
        busy.tell(EventBatch([chat(number)]))
        sessions.settle()
        time.pass_by(1)
        sessions.supervisor.abandon_hung()
    assert sessions.supervisor.failures == 0


def test_a_hung_handler_that_returns_changes_no_state(
    sessions: SessionHarness, hanging: HangingHandler, time: Time
) -> None:
    bad = sessions.start("bad")
    sessions.send_and_tick(bad, chats(3), TICK_MS)
    hang(sessions, bad, hanging, time)
    sessions.clock.advance(QUARANTINE_S)
    sessions.supervisor.release_quarantined()
    (row,) = sessions.send_and_tick(bad, [chat(5, TICK_MS)], TICK_MS + 5000)
    hanging.release()
    (later,) = sessions.send_and_tick(bad, [chat(6, TICK_MS + 5000)], TICK_MS + 10_000)
    assert (row.signals.chat_msgs_per_min, later.signals.chat_msgs_per_min) == (4, 5)
    assert sessions.supervisor.failures == 1
    assert sessions.dispatcher.mailboxes() == [bad]


def test_a_hung_handler_that_returns_adds_no_row_for_the_tick_that_came_with_its_events(
    sessions: SessionHarness, hanging: HangingHandler, time: Time
) -> None:
    tick = Tick(TICK_MS, is_live=True, sessions=Latch(1, 0.0, 0.0))
    sessions.start("bad").tell(EventBatch(hanging.events(chat(99)), tick))
    hanging.wait()
    time.pass_by(HUNG_AFTER_S)
    sessions.supervisor.abandon_hung()
    hanging.release()
    sessions.settle()
    assert sessions.rows() == []


def test_a_hung_handler_that_returns_takes_no_mail_from_its_successor(
    sessions: SessionHarness, hanging: HangingHandler, time: Time
) -> None:
    bad, busy = sessions.start("bad"), HangingHandler()
    hang(sessions, bad, hanging, time)
    sessions.clock.advance(QUARANTINE_S)
    sessions.supervisor.release_quarantined()
    sessions.settle()
    sessions.dispatcher.deliver(
        (bad, Envelope(EventBatch(events))) for events in (busy.events(), chats(2))
    )
    busy.wait()
    hanging.release()
    busy._released.set()
    sessions.settle()
    (row,) = sessions.send_and_tick(bad, [], TICK_MS)
    assert row.signals.chat_msgs_per_min == 2


def test_a_hung_handler_that_raises_is_not_reported_again(
    sessions: SessionHarness, time: Time
) -> None:
    entered, released = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def hang_and_exit() -> None:
        threads.append(threading.current_thread())
        entered.set()
        released.wait(MAX_WAIT_S)
        raise SystemExit

    bad = sessions.start("bad")
    bad.tell(EventBatch(CallingEvents(hang_and_exit)))
    assert entered.wait(MAX_WAIT_S)
    time.pass_by(HUNG_AFTER_S)
    sessions.supervisor.abandon_hung()
    released.set()
    threads[0].join(MAX_WAIT_S)
    sessions.settle()
    assert sessions.supervisor.failures == 1
    assert sessions.supervisor.quarantined == 1


def test_every_hung_thread_is_replaced(sessions: SessionHarness, time: Time) -> None:
    all_hanging = [HangingHandler() for _ in range(5)]
    for number, hanging in enumerate(all_hanging):
        hang(sessions, sessions.start(str(number)), hanging, time)
    assert len(sessions.send_and_tick(sessions.start("neighbour"), [chat()], TICK_MS)) == 1
    assert len(sessions.dispatcher._threads) == 1
    for hanging in all_hanging:
        hanging.release()
    assert len(sessions.send_and_tick(sessions.start("another"), [chat()], TICK_MS)) == 1


def test_the_snapshot_of_a_hung_session_has_the_state_from_before(
    sessions: SessionHarness, hanging: HangingHandler, time: Time
) -> None:
    checkpointer = RecordingMailbox()
    session_table = SessionTable(sessions.dispatcher, sessions.supervisor_mailbox, 1800)
    session_table.deliver(EventsBySession({("default", "s"): hanging.events()}))
    sessions.supervisor.start(sessions.supervisor_mailbox.take(StartSession))
    hanging.wait()
    session_table.request_snapshots(session_table.begin_checkpoint(), checkpointer, 0.0)
    time.pass_by(HUNG_AFTER_S)
    sessions.supervisor.abandon_hung()
    sessions.settle()
    assert len(checkpointer.of(SnapshotTaken)) == 1


def raise_system_exit() -> None:
    raise SystemExit


def raise_memory_error() -> None:
    raise MemoryError


def raise_keyboard_interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "callback", [raise_system_exit, raise_memory_error, raise_keyboard_interrupt]
)
def test_a_session_that_always_raises_is_quarantined_and_others_continue(
    sessions: SessionHarness, callback: Callable[[], None]
) -> None:
    bad, neighbour = sessions.start("bad"), sessions.start("neighbour")
    for number in range(6):
        at_ms = TICK_MS + number * 5000
        sessions.send_and_tick(bad, CallingEvents(callback), at_ms)
        (row,) = sessions.send_and_tick(neighbour, [chat(number, at_ms - 1)], at_ms)
        assert row.signals.chat_msgs_per_min == number + 1
    assert sessions.supervisor.failures == 4
    assert sessions.supervisor.quarantined == 1
    assert len(sessions.dead_letters()) == 4
    neighbour.tell(Passivate())
    sessions.settle()
    assert len(sessions.supervisor) == 1


def test_a_session_that_fails_sends_its_snapshot(
    sessions: SessionHarness,
) -> None:
    bad = sessions.start("bad")
    reply_to = RecordingMailbox()
    bad.tell(EventBatch(CallingEvents(raise_system_exit)))
    bad.tell(Snapshot(1, True, Latch(1, 0.0, 0.0), reply_to))  # noqa: FBT003
    sessions.settle()
    assert len(reply_to.of(SnapshotTaken)) == 1
