"""What one session's handler can do at its worst, on a pool that others live on, too."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
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
)
from conductor_actors.actors.runtime.base import Hung
from conductor_actors.actors.runtime.dispatcher import HUNG_AFTER_CHECKS, Dispatcher
from conductor_actors.actors.runtime.mailbox import Envelope, PooledMailbox
from conductor_actors.actors.session_table import SessionTable
from conductor_actors.domain.events import Event, Reaction
from conductor_actors.domain.intake import EventsBySession
from tests.actors.cast import Cast
from tests.actors.session_events import chat, chats
from tests.actors.turns import PATIENCE_S
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

TICK_MS = AT_MS + 5000
QUARANTINE_S = 300.0


SPRINGS: list[Callable[[], None]] = []


class Trap(msgspec.Struct):
    """A user's id that does something when a handler looks it up; it can be written down."""

    spring: int

    def __hash__(self) -> int:
        SPRINGS[self.spring]()
        return self.spring


def trap(spring: Callable[[], None]) -> Event:
    SPRINGS.append(spring)
    user: Any = Trap(len(SPRINGS) - 1)
    return Reaction(AT_MS, None, user)


class Hanging:
    """A handler that does not come back until it is let."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self._entered, self._released = threading.Event(), threading.Event()

    def event(self) -> Event:
        return trap(self._hang)

    def wait(self) -> None:
        assert self._entered.wait(PATIENCE_S)

    def release(self) -> None:
        """Let it come back, and wait for its thread's end."""
        self._released.set()
        if self.thread is not None:
            self.thread.join(PATIENCE_S)
            assert not self.thread.is_alive()

    def _hang(self) -> None:
        self.thread = threading.current_thread()
        self._entered.set()
        self._released.wait(PATIENCE_S)


@pytest.fixture
def cast(dispatcher: Dispatcher) -> Cast:
    """Have one thread for all: should it be lost, nobody has a turn any more."""
    return Cast(dispatcher)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    hanging.release()


def hang(cast: Cast, mailbox: PooledMailbox, hanging: Hanging) -> list[EventDict]:
    """Let a session hang until that is found out; return what is said of it."""
    mailbox.tell(EventBatch([chat(99), hanging.event()]))
    hanging.wait()
    with capture_logs() as lines:
        for _ in range(HUNG_AFTER_CHECKS):
            cast.sessions.abandon_hung()
        cast.settle()
    return lines


def test_a_session_that_hangs_is_quarantined_and_others_go_on(cast: Cast, hanging: Hanging) -> None:
    bad, neighbour = cast.enter("bad"), cast.enter("neighbour")
    lines = hang(cast, bad, hanging)
    assert [line["event"] for line in lines] == ["actor_failed", "session_quarantined"]
    assert isinstance(lines[0]["exc_info"], Hung)
    assert cast.sessions.quarantined == 1
    for number in range(3):
        at_ms = TICK_MS + number * 5000
        assert cast.play(bad, [chat()], at_ms) == []
        (row,) = cast.play(neighbour, [chat(number, at_ms - 1)], at_ms)
        assert row.signals.chat_msgs_per_min == number + 1
    assert bad.refused == 6


def test_a_slow_handler_is_let_be(cast: Cast, hanging: Hanging) -> None:
    slow = cast.enter("slow")
    slow.tell(EventBatch([hanging.event()]))
    hanging.wait()
    for _ in range(HUNG_AFTER_CHECKS - 1):
        cast.sessions.abandon_hung()
    hanging._released.set()
    cast.settle()
    assert len(cast.play(slow, [chat()], TICK_MS)) == 1
    assert cast.sessions.failures == 0
    hanging.thread = None  # it lives on


def test_a_busy_session_is_none_that_hangs(cast: Cast) -> None:
    busy = cast.enter("busy")
    for number in range(3 * HUNG_AFTER_CHECKS):
        busy.tell(EventBatch([chat(number)]))
        cast.sessions.abandon_hung()
    cast.settle()
    assert cast.sessions.failures == 0


def test_a_handler_that_comes_back_late_finds_its_actor_gone(cast: Cast, hanging: Hanging) -> None:
    bad = cast.enter("bad")
    cast.play(bad, chats(3), TICK_MS)
    hang(cast, bad, hanging)
    cast.clock.advance(QUARANTINE_S)
    cast.sessions.release_quarantined()
    (row,) = cast.play(bad, [chat(5, TICK_MS)], TICK_MS + 5000)
    hanging.release()
    (later,) = cast.play(bad, [chat(6, TICK_MS + 5000)], TICK_MS + 10_000)
    assert (row.signals.chat_msgs_per_min, later.signals.chat_msgs_per_min) == (4, 5)
    assert cast.sessions.failures == 1
    assert cast.dispatcher.mailboxes() == [bad]


def test_a_handler_that_comes_back_late_takes_no_mail_of_its_successors_turn(
    cast: Cast, hanging: Hanging
) -> None:
    bad, busy = cast.enter("bad"), Hanging()
    hang(cast, bad, hanging)
    cast.clock.advance(QUARANTINE_S)
    cast.sessions.release_quarantined()
    cast.settle()
    cast.dispatcher.deliver(
        (bad, Envelope(EventBatch(events))) for events in ([busy.event()], chats(2))
    )
    busy.wait()
    hanging.release()
    busy._released.set()
    cast.settle()
    (row,) = cast.play(bad, [], TICK_MS)
    assert row.signals.chat_msgs_per_min == 2


def test_a_handler_that_raises_late_is_not_heard_of_again(cast: Cast) -> None:
    entered, released = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def hang_and_exit() -> None:
        threads.append(threading.current_thread())
        entered.set()
        released.wait(PATIENCE_S)
        raise SystemExit

    bad = cast.enter("bad")
    bad.tell(EventBatch([trap(hang_and_exit)]))
    assert entered.wait(PATIENCE_S)
    for _ in range(HUNG_AFTER_CHECKS):
        cast.sessions.abandon_hung()
    released.set()
    threads[0].join(PATIENCE_S)
    cast.settle()
    assert cast.sessions.failures == 1
    assert cast.sessions.quarantined == 1


def test_as_many_threads_run_as_before_however_many_hang(cast: Cast) -> None:
    all_hanging = [Hanging() for _ in range(5)]
    for number, hanging in enumerate(all_hanging):
        hang(cast, cast.enter(str(number)), hanging)
    assert len(cast.play(cast.enter("neighbour"), [chat()], TICK_MS)) == 1
    assert len(cast.dispatcher._threads) == 1
    for hanging in all_hanging:
        hanging.release()
    assert len(cast.play(cast.enter("another"), [chat()], TICK_MS)) == 1


def test_a_checkpoint_that_waits_for_who_hangs_is_answered_with_the_state_from_before(
    cast: Cast, hanging: Hanging
) -> None:
    checkpointer = RecordingMailbox()
    session_table = SessionTable(cast.dispatcher, cast.supervisor, 1800)
    session_table.deliver(EventsBySession({("default", "s"): [hanging.event()]}))
    cast.sessions.start(cast.supervisor.take(StartSession))
    hanging.wait()
    session_table.request_snapshots(session_table.begin_checkpoint(), checkpointer, 0.0)
    for _ in range(HUNG_AFTER_CHECKS):
        cast.sessions.abandon_hung()
    cast.settle()
    assert len(checkpointer.of(SnapshotTaken)) == 1


def raise_system_exit() -> None:
    raise SystemExit


def raise_memory_error() -> None:
    raise MemoryError


def raise_keyboard_interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "spring", [raise_system_exit, raise_memory_error, raise_keyboard_interrupt]
)
def test_a_session_that_always_raises_is_quarantined_and_others_go_on(
    cast: Cast, spring: Callable[[], None]
) -> None:
    bad, neighbour = cast.enter("bad"), cast.enter("neighbour")
    for number in range(6):
        at_ms = TICK_MS + number * 5000
        cast.play(bad, [trap(spring)], at_ms)
        (row,) = cast.play(neighbour, [chat(number, at_ms - 1)], at_ms)
        assert row.signals.chat_msgs_per_min == number + 1
    assert cast.sessions.failures == 4
    assert cast.sessions.quarantined == 1
    assert len(cast.letters()) == 4
    neighbour.tell(Passivate())
    cast.settle()
    assert len(cast.sessions) == 1


def test_a_capture_asked_of_a_session_that_always_raises_is_answered(cast: Cast) -> None:
    bad = cast.enter("bad")
    reply_to = RecordingMailbox()
    bad.tell(EventBatch([trap(raise_system_exit)]))
    bad.tell(Snapshot(1, True, Latch(1, 0.0, 0.0), reply_to))  # noqa: FBT003
    cast.settle()
    assert len(reply_to.of(SnapshotTaken)) == 1
