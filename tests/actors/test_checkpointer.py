"""When a checkpoint is begun, what it waits for, and what becomes of one that can't be finished."""

import threading

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.checkpointer import CHECKPOINT_TIMEOUT_S, CheckpointerActor
from conductor_actors.actors.messages import (
    AllSnapshotsTaken,
    Barrier,
    BarrierPassed,
    Committed,
    Flush,
    Flushed,
    IntervalElapsed,
    RequireFull,
    SnapshotTaken,
)
from conductor_actors.actors.runtime.base import ActorContext, ChildFailed, ChildStopped
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.domain.checkpoints import Header, encode_header
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake import IntakeState
from conductor_actors.errors import OwnershipLost, Unavailable
from tests.actors.probes import Ref
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fakes.recording_mailbox import RecordingMailbox

PATIENCE_S = 5.0
KEY, OTHER = SessionKey("default", "s"), SessionKey("acme", "s")


class Desk:
    """A Checkpointer; the test is everybody else."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.mailbox = ThreadMailbox(self.clock)
        self.store = MemoryCheckpoints()
        self.router, self.supervisor = RecordingMailbox(), RecordingMailbox()
        self.writer, self.publisher = RecordingMailbox(), RecordingMailbox()
        self.give_up = threading.Event()
        self.ref: Ref = CheckpointerActor.start(
            ActorContext("checkpointer", self.mailbox, self.supervisor),
            self.store,
            self.router,
            (self.writer, self.publisher),
            self.give_up.is_set,
        )
        self.router.take(Barrier)

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.ref.ask(message, timeout=PATIENCE_S)

    def pass_time(self, seconds: float = 0.0) -> None:
        self.clock.advance(seconds)
        self.tell(IntervalElapsed())

    def finish(self, number: int) -> None:
        """Have everything flushed that a checkpoint waits for."""
        self.tell(
            AllSnapshotsTaken(number), Flushed(number, "writer"), Flushed(number, "publisher")
        )


@pytest.fixture
def desk() -> Desk:
    return Desk()


def barrier(number: int = 1, *ended: SessionKey, is_full: bool = True) -> BarrierPassed:
    return BarrierPassed(header(number), frozenset(ended), is_full)


def header(number: int) -> Header:
    return Header(number, 60, b"position", IntakeState(passed_ms=number))


def said(lines: list[EventDict]) -> list[str]:
    return [line["event"] for line in lines]


def test_the_first_is_begun_at_once(desk: Desk) -> None:
    assert desk.router.messages == [Barrier()]


def test_it_holds_what_the_sessions_told_and_the_router(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    desk.tell(barrier(1), SnapshotTaken(1, KEY, b"one"), SnapshotTaken(1, OTHER, b"two"))
    desk.finish(1)
    assert desk.store.header == encode_header(header(1))
    assert desk.store.sessions == {KEY: b"one", OTHER: b"two"}
    assert desk.router.messages[1:] == [Committed(1)]
    desk.tell(barrier(2, OTHER, is_full=False), SnapshotTaken(2, KEY, b"three"))
    desk.finish(2)
    assert desk.store.sessions == {KEY: b"three"}
    first, second = log_lines
    assert first["event"] == second["event"] == "checkpoint_committed"
    assert (first["number"], first["sessions"], first["ended"]) == (1, 2, 0)
    assert first["size_bytes"] == len(encode_header(header(1))) + 6
    assert (second["number"], second["sessions"], second["ended"]) == (2, 1, 1)


def test_nothing_is_committed_before_all_before_it_is_durable(desk: Desk) -> None:
    desk.tell(barrier(1), SnapshotTaken(1, KEY, b"one"))
    assert desk.writer.messages == []
    desk.tell(AllSnapshotsTaken(1))
    assert desk.writer.messages == [Flush(1, desk.mailbox)]
    assert desk.publisher.messages == []  # the Writer may have dead letters for it
    desk.tell(Flushed(1, "writer"))
    assert desk.publisher.messages == [Flush(1, desk.mailbox)]
    assert desk.store.commits == []
    desk.tell(Flushed(1, "publisher"))
    assert len(desk.store.commits) == 1


def test_the_next_is_begun_when_time_has_passed_and_one_at_a_time(desk: Desk) -> None:
    desk.tell(barrier(1))
    desk.pass_time()
    assert desk.router.of(Barrier) == [Barrier()]
    desk.finish(1)
    desk.pass_time()
    desk.pass_time()
    assert desk.router.of(Barrier) == [Barrier()] * 2


def test_one_that_is_not_ready_in_time_is_left_for_the_next(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    desk.tell(barrier(1), SnapshotTaken(1, KEY, b"old"), AllSnapshotsTaken(1))
    desk.pass_time(CHECKPOINT_TIMEOUT_S - 1)
    assert desk.router.of(Barrier) == [Barrier()]
    desk.pass_time(1)
    assert desk.router.of(Barrier) == [Barrier()] * 2
    assert said(log_lines) == ["checkpoint_postponed"]
    desk.tell(Flushed(1, "writer"), Flushed(1, "publisher"), SnapshotTaken(1, OTHER, b"late"))
    assert desk.store.commits == []
    desk.tell(
        barrier(2),
        SnapshotTaken(1, OTHER, b"late"),
        SnapshotTaken(2, KEY, b"new"),
        AllSnapshotsTaken(1),
    )
    desk.finish(2)
    assert desk.store.sessions == {KEY: b"new"}


def test_a_cut_that_never_came_is_asked_for_again(desk: Desk, log_lines: list[EventDict]) -> None:
    desk.pass_time(CHECKPOINT_TIMEOUT_S)
    assert desk.router.of(Barrier) == [Barrier()] * 2
    assert said(log_lines) == []


def test_an_outage_postpones_it(desk: Desk, log_lines: list[EventDict]) -> None:
    desk.store.outage = Unavailable("connection refused")
    desk.tell(barrier(1), SnapshotTaken(1, KEY, b"one"))
    desk.finish(1)
    assert [(line["event"], line["reason"]) for line in log_lines] == [
        ("checkpoint_postponed", "connection refused")
    ]
    assert desk.router.messages == [Barrier()]
    desk.store.outage = None
    desk.pass_time()
    assert desk.router.messages == [Barrier()] * 2
    desk.tell(barrier(2), SnapshotTaken(2, KEY, b"one"))
    desk.finish(2)
    assert desk.router.messages[2:] == [Committed(2)]


def test_when_the_last_one_is_gone_the_next_must_be_whole(desk: Desk) -> None:
    desk.tell(barrier(1, is_full=False))
    desk.finish(1)
    assert desk.store.commits == []
    assert desk.router.messages[1:] == [RequireFull(), Barrier()]


def test_a_lost_ownership_ends_it(desk: Desk) -> None:
    desk.store.outage = OwnershipLost("another has it")
    for message in (
        barrier(1),
        AllSnapshotsTaken(1),
        Flushed(1, "writer"),
        Flushed(1, "publisher"),
    ):
        desk.mailbox.tell(message)
    assert desk.supervisor.take(ChildFailed).error is desk.store.outage


def test_in_the_end_the_last_one_is_finished_which_comes_unasked(desk: Desk) -> None:
    desk.tell(barrier(1), SnapshotTaken(1, KEY, b"old"), AllSnapshotsTaken(1))
    desk.tell(barrier(2), SnapshotTaken(2, KEY, b"last"))
    desk.mailbox.tell(AllSnapshotsTaken(2))
    stop = desk.ref.stop(block=False)
    desk.writer.take(Flush)
    assert desk.writer.take(Flush).number == 2
    desk.mailbox.tell(Flushed(2, "writer"))
    assert desk.publisher.take(Flush).number == 2
    desk.mailbox.tell(Flushed(2, "publisher"))
    assert stop.get(timeout=PATIENCE_S)
    assert desk.store.sessions == {KEY: b"last"}
    assert [len(commit.sessions) for commit in desk.store.commits] == [1]


def test_in_the_end_it_waits_for_nothing_when_there_is_nothing(desk: Desk) -> None:
    assert desk.ref.stop(timeout=PATIENCE_S)


def test_in_the_end_it_gives_up_when_told(desk: Desk) -> None:
    desk.tell(barrier(1), AllSnapshotsTaken(1))
    stop = desk.ref.stop(block=False)
    desk.give_up.set()
    assert stop.get(timeout=PATIENCE_S)
    assert desk.store.commits == []
    desk.supervisor.take(ChildStopped)
