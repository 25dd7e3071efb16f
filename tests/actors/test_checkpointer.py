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
from conductor_actors.domain.checkpoints.encoding import Header, encode_header
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake_state import IntakeState
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from tests.actors.scripted_actors import Ref
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_checkpoints import MemoryCheckpoints
from tests.support.fakes.recording_mailbox import RecordingMailbox

MAX_WAIT_S = 5.0
KEY, OTHER = SessionKey("default", "s"), SessionKey("acme", "s")


class CheckpointerHarness:
    """A Checkpointer; the test is everybody else."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.mailbox = ThreadMailbox(self.clock)
        self.store = MemoryCheckpoints()
        self.router, self.supervisor = RecordingMailbox(), RecordingMailbox()
        self.writer, self.publisher = RecordingMailbox(), RecordingMailbox()
        self.is_aborted = threading.Event()
        self.ref: Ref = CheckpointerActor.start(
            ActorContext("checkpointer", self.mailbox, self.supervisor),
            self.store,
            self.router,
            (self.writer, self.publisher),
            self.is_aborted.is_set,
        )
        self.router.take(Barrier)

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.ref.ask(message, timeout=MAX_WAIT_S)

    def pass_time(self, seconds: float = 0.0) -> None:
        self.clock.advance(seconds)
        self.tell(IntervalElapsed())

    def finish(self, number: int) -> None:
        """Have everything flushed that a checkpoint waits for."""
        self.tell(
            AllSnapshotsTaken(number), Flushed(number, "writer"), Flushed(number, "publisher")
        )


@pytest.fixture
def harness() -> CheckpointerHarness:
    return CheckpointerHarness()


def barrier(number: int = 1, *ended: SessionKey, is_full: bool = True) -> BarrierPassed:
    return BarrierPassed(header(number), frozenset(ended), is_full)


def header(number: int) -> Header:
    return Header(number, 60, b"position", IntakeState(passed_ms=number))


def event_names(lines: list[EventDict]) -> list[str]:
    return [line["event"] for line in lines]


def test_the_first_checkpoint_is_requested_at_once(harness: CheckpointerHarness) -> None:
    assert harness.router.messages == [Barrier()]


def test_a_checkpoint_holds_the_states_of_sessions_and_the_header_of_the_router(
    harness: CheckpointerHarness, log_lines: list[EventDict]
) -> None:
    harness.tell(barrier(1), SnapshotTaken(1, KEY, b"one"), SnapshotTaken(1, OTHER, b"two"))
    harness.finish(1)
    assert harness.store.header == encode_header(header(1))
    assert harness.store.sessions == {KEY: b"one", OTHER: b"two"}
    assert harness.router.messages[1:] == [Committed(1)]
    harness.tell(barrier(2, OTHER, is_full=False), SnapshotTaken(2, KEY, b"three"))
    harness.finish(2)
    assert harness.store.sessions == {KEY: b"three"}
    first, second = log_lines
    assert first["event"] == second["event"] == "checkpoint_committed"
    assert (first["number"], first["sessions"], first["ended"]) == (1, 2, 0)
    assert first["size_bytes"] == len(encode_header(header(1))) + 6
    assert (second["number"], second["sessions"], second["ended"]) == (2, 1, 1)


def test_a_checkpoint_is_committed_after_writer_and_publisher_were_flushed(
    harness: CheckpointerHarness,
) -> None:
    harness.tell(barrier(1), SnapshotTaken(1, KEY, b"one"))
    assert harness.writer.messages == []
    harness.tell(AllSnapshotsTaken(1))
    assert harness.writer.messages == [Flush(1, harness.mailbox)]
    assert harness.publisher.messages == []  # the Writer may have dead letters for it
    harness.tell(Flushed(1, "writer"))
    assert harness.publisher.messages == [Flush(1, harness.mailbox)]
    assert harness.store.commits == []
    harness.tell(Flushed(1, "publisher"))
    assert len(harness.store.commits) == 1


def test_checkpoints_are_requested_at_intervals_and_one_at_a_time(
    harness: CheckpointerHarness,
) -> None:
    harness.tell(barrier(1))
    harness.pass_time()
    assert harness.router.of(Barrier) == [Barrier()]
    harness.finish(1)
    harness.pass_time()
    harness.pass_time()
    assert harness.router.of(Barrier) == [Barrier()] * 2


def test_a_checkpoint_that_is_not_ready_in_time_is_postponed(
    harness: CheckpointerHarness, log_lines: list[EventDict]
) -> None:
    harness.tell(barrier(1), SnapshotTaken(1, KEY, b"old"), AllSnapshotsTaken(1))
    harness.pass_time(CHECKPOINT_TIMEOUT_S - 1)
    assert harness.router.of(Barrier) == [Barrier()]
    harness.pass_time(1)
    assert harness.router.of(Barrier) == [Barrier()] * 2
    assert event_names(log_lines) == ["checkpoint_postponed"]
    harness.tell(Flushed(1, "writer"), Flushed(1, "publisher"), SnapshotTaken(1, OTHER, b"late"))
    assert harness.store.commits == []
    harness.tell(
        barrier(2),
        SnapshotTaken(1, OTHER, b"late"),
        SnapshotTaken(2, KEY, b"new"),
        AllSnapshotsTaken(1),
    )
    harness.finish(2)
    assert harness.store.sessions == {KEY: b"new"}


def test_a_barrier_that_does_not_come_is_requested_again(
    harness: CheckpointerHarness, log_lines: list[EventDict]
) -> None:
    harness.pass_time(CHECKPOINT_TIMEOUT_S)
    assert harness.router.of(Barrier) == [Barrier()] * 2
    assert event_names(log_lines) == []


@pytest.mark.parametrize("outage", [Unavailable("connection refused"), ConfigError("grant it")])
def test_an_outage_postpones_a_checkpoint(
    harness: CheckpointerHarness, log_lines: list[EventDict], outage: Exception
) -> None:
    harness.store.outage = outage
    harness.tell(barrier(1), SnapshotTaken(1, KEY, b"one"))
    harness.finish(1)
    assert [(line["event"], line["reason"]) for line in log_lines] == [
        ("checkpoint_postponed", str(outage))
    ]
    assert harness.router.messages == [Barrier()]
    harness.store.outage = None
    harness.pass_time()
    assert harness.router.messages == [Barrier()] * 2
    harness.tell(barrier(2), SnapshotTaken(2, KEY, b"one"))
    harness.finish(2)
    assert harness.router.messages[2:] == [Committed(2)]


def test_the_next_checkpoint_must_be_full_if_the_stored_one_is_gone(
    harness: CheckpointerHarness,
) -> None:
    harness.tell(barrier(1, is_full=False))
    harness.finish(1)
    assert harness.store.commits == []
    assert harness.router.messages[1:] == [RequireFull(), Barrier()]


def test_the_checkpointer_fails_when_ownership_is_lost(harness: CheckpointerHarness) -> None:
    harness.store.outage = OwnershipLost("another has it")
    for message in (
        barrier(1),
        AllSnapshotsTaken(1),
        Flushed(1, "writer"),
        Flushed(1, "publisher"),
    ):
        harness.mailbox.tell(message)
    assert harness.supervisor.take(ChildFailed).error is harness.store.outage


def test_a_stopping_checkpointer_finishes_the_last_checkpoint(
    harness: CheckpointerHarness,
) -> None:
    harness.tell(barrier(1), SnapshotTaken(1, KEY, b"old"), AllSnapshotsTaken(1))
    harness.tell(barrier(2), SnapshotTaken(2, KEY, b"last"))
    harness.mailbox.tell(AllSnapshotsTaken(2))
    stop = harness.ref.stop(block=False)
    harness.writer.take(Flush)
    assert harness.writer.take(Flush).number == 2
    harness.mailbox.tell(Flushed(2, "writer"))
    assert harness.publisher.take(Flush).number == 2
    harness.mailbox.tell(Flushed(2, "publisher"))
    assert stop.get(timeout=MAX_WAIT_S)
    assert harness.store.sessions == {KEY: b"last"}
    assert [len(commit.sessions) for commit in harness.store.commits] == [1]


def test_a_stopping_checkpointer_without_a_checkpoint_stops_at_once(
    harness: CheckpointerHarness,
) -> None:
    assert harness.ref.stop(timeout=MAX_WAIT_S)


def test_a_stopping_checkpointer_gives_up_when_the_drain_is_aborted(
    harness: CheckpointerHarness,
) -> None:
    harness.tell(barrier(1), AllSnapshotsTaken(1))
    stop = harness.ref.stop(block=False)
    harness.is_aborted.set()
    assert stop.get(timeout=MAX_WAIT_S)
    assert harness.store.commits == []
    harness.supervisor.take(ChildStopped)
