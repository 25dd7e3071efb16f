"""How the lease is kept, and what happens when it is lost."""

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.lease_keeper import LeaseKeeperActor
from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.base import ActorContext, ChildFailed, ChildStopped
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.errors import OwnershipLost, Unavailable
from tests.actors.probes import Ref
from tests.support.fakes.memory_lease import MemoryLease
from tests.support.fakes.recording_mailbox import RecordingMailbox

PATIENCE_S = 5.0


class Desk:
    def __init__(self) -> None:
        self.lease = MemoryLease()
        self.supervisor = RecordingMailbox()
        context = ActorContext("lease_keeper", ThreadMailbox(), self.supervisor)
        self.ref: Ref = LeaseKeeperActor.start(context, self.lease)

    def pass_time(self) -> None:
        self.ref.ask(IntervalElapsed(), timeout=PATIENCE_S)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_lease_is_renewed_each_time(desk: Desk) -> None:
    for _ in range(3):
        desk.pass_time()
    assert desk.lease.renewals == 3


def test_a_lost_lease_ends_the_owner(desk: Desk) -> None:
    desk.lease.refusal = OwnershipLost("another has it")
    desk.ref.tell(IntervalElapsed())
    assert desk.supervisor.take(ChildFailed).error is desk.lease.refusal


def test_an_outage_is_said_and_does_not_end_the_owner(
    desk: Desk, log_lines: list[EventDict]
) -> None:
    desk.lease.refusal = Unavailable("connection refused")
    desk.pass_time()
    desk.lease.refusal = None
    desk.pass_time()
    assert [line["event"] for line in log_lines] == ["outage_began", "outage_ended"]
    assert desk.lease.renewals == 1


def test_the_lease_is_given_up_in_the_end(desk: Desk) -> None:
    desk.ref.stop(timeout=PATIENCE_S)
    assert desk.lease.released


def test_a_lease_that_can_not_be_given_up_does_not_hold_up_the_end(desk: Desk) -> None:
    desk.lease.refusal = Unavailable("connection refused")
    desk.ref.stop(timeout=PATIENCE_S)
    desk.supervisor.take(ChildStopped)
