"""How the lease is kept, and what happens when it is lost."""

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.lease_keeper import LeaseKeeperActor
from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.base import ActorContext, ChildFailed, ChildStopped
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from tests.actors.scripted_actors import Ref
from tests.support.fakes.memory_lease import MemoryLease
from tests.support.fakes.recording_mailbox import RecordingMailbox

MAX_WAIT_S = 5.0


class LeaseKeeperHarness:
    def __init__(self) -> None:
        self.lease = MemoryLease()
        self.supervisor = RecordingMailbox()
        context = ActorContext("lease_keeper", ThreadMailbox(), self.supervisor)
        self.ref: Ref = LeaseKeeperActor.start(context, self.lease)

    def pass_time(self) -> None:
        self.ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)


@pytest.fixture
def harness() -> LeaseKeeperHarness:
    return LeaseKeeperHarness()


def test_the_lease_is_renewed_at_each_interval(harness: LeaseKeeperHarness) -> None:
    for _ in range(3):
        harness.pass_time()
    assert harness.lease.renewals == 3


def test_the_actor_fails_when_the_lease_is_lost(harness: LeaseKeeperHarness) -> None:
    harness.lease.refusal = OwnershipLost("another has it")
    harness.ref.tell(IntervalElapsed())
    assert harness.supervisor.take(ChildFailed).error is harness.lease.refusal


@pytest.mark.parametrize("outage", [Unavailable("connection refused"), ConfigError("grant it")])
def test_an_outage_is_reported_and_is_not_a_failure(
    harness: LeaseKeeperHarness, log_lines: list[EventDict], outage: Exception
) -> None:
    harness.lease.refusal = outage
    harness.pass_time()
    harness.lease.refusal = None
    harness.pass_time()
    assert [line["event"] for line in log_lines] == ["outage_began", "outage_ended"]
    assert harness.lease.renewals == 1


def test_the_lease_is_released_at_the_stop(harness: LeaseKeeperHarness) -> None:
    harness.ref.stop(timeout=MAX_WAIT_S)
    assert harness.lease.released


def test_the_actor_stops_even_if_the_lease_can_not_be_released(
    harness: LeaseKeeperHarness,
) -> None:
    harness.lease.refusal = Unavailable("connection refused")
    harness.ref.stop(timeout=MAX_WAIT_S)
    harness.supervisor.take(ChildStopped)
