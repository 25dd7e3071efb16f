"""What the Conductor learns, and what waits while Redis is away."""

import pytest
from structlog.typing import EventDict

from conductor_actors.actors import conductor
from conductor_actors.actors.conductor import (
    MAX_LEARN_BACKOFF_S,
    MAX_LEARN_BATCH,
    ConductorActor,
    trial_of,
)
from conductor_actors.actors.messages import Flush, Flushed, IntervalElapsed, TrialsMeasured
from conductor_actors.actors.runtime.base import ActorContext, ChildFailed
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.domain.conductor.interventions import Intervention, MeasuredOutcome
from conductor_actors.domain.conductor.policy import CellSums
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.ports.conductor_port import PolicyTrial
from tests.actors.scripted_actors import Ref
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_policy import MemoryPolicyStore
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.interventions import CENSORED, MEASURED, MEASURED_MS, intervention

MAX_WAIT_S = 5.0
AWAY = Unavailable("connection refused")
CELL = "BROADCAST:SUDDEN_DROP"


class ConductorHarness:
    """A Conductor, whose mail can be there before it is."""

    def __init__(self) -> None:
        self.store = MemoryPolicyStore()
        self.clock = FakeClock()
        self.mailbox = ThreadMailbox(self.clock)
        self.supervisor = RecordingMailbox()
        self.ref: Ref | None = None

    def start(self) -> Ref:
        context = ActorContext("conductor", self.mailbox, self.supervisor)
        self.ref = ConductorActor.start(context, self.store)
        return self.ref

    def handle(self, *messages: object) -> None:
        """Have the messages waiting together, and handled."""
        for message in messages:
            self.mailbox.tell(message)
        (self.ref or self.start()).ask(IntervalElapsed(), timeout=MAX_WAIT_S)

    def pass_time(self, by_s: float = MAX_LEARN_BACKOFF_S) -> None:
        self.clock.advance(by_s)
        self.handle()

    def trials(self, tenant: str = "default") -> int:
        policy = self.store.policies.get(tenant)
        return 0 if policy is None else policy.cells[CELL].trials


@pytest.fixture
def harness() -> ConductorHarness:
    return ConductorHarness()


def measured(number: int = 1) -> Intervention:
    return intervention(number, status="COMPLETED", outcome=MEASURED)


def told(*records: Intervention, tenant: str = "default") -> TrialsMeasured:
    return TrialsMeasured(tenant, "keynote", records)


def test_a_measured_trial_is_learnt(harness: ConductorHarness, log_lines: list[EventDict]) -> None:
    harness.handle(told(measured()))
    assert harness.store.policies["default"].cells == {
        CELL: CellSums(1, 250_000, 500_000, 250_000**2, 250_000 * 500_000, 500_000**2)
    }
    [line] = log_lines
    assert (line["event"], line["tenant"]) == ("policy_updated", "default")
    assert (line["trials"], line["version"]) == (1, 1)


def test_scores_are_rounded_to_millionths() -> None:
    outcome = MeasuredOutcome(MEASURED_MS, 0.123_456_7, 0.999_999_49, 0.1)
    assert trial_of(intervention(outcome=outcome)) == PolicyTrial(
        intervention().id, CELL, 123_457, 999_999, MEASURED_MS
    )


@pytest.mark.parametrize(
    "record",
    [
        intervention(outcome=CENSORED),
        intervention(),
        intervention(choice=None, origin="manual", outcome=MEASURED),
        intervention(outcome=MeasuredOutcome(MEASURED_MS, 0.25)),
    ],
    ids=["censored", "no outcome", "no trial", "no score"],
)
def test_only_a_trial_that_was_measured_is_learnt(
    harness: ConductorHarness, record: Intervention
) -> None:
    harness.handle(told(record))
    assert harness.store.calls == []


def test_waiting_trials_are_learnt_together_by_tenant(harness: ConductorHarness) -> None:
    harness.handle(
        told(measured(1), measured(2)), told(measured(3), tenant="acme"), told(measured(4))
    )
    assert harness.store.calls == [("default", 3), ("acme", 1)]
    assert [len(versions) for versions in harness.store.versions.values()] == [1, 1]


def test_a_batch_has_500_trials_at_most(harness: ConductorHarness) -> None:
    harness.handle(told(*(measured(number) for number in range(2 * MAX_LEARN_BATCH + 1))))
    assert [count for _, count in harness.store.calls] == [500, 500, 1]
    assert harness.trials() == 1001


def test_a_trial_that_is_told_again_is_learnt_once(
    harness: ConductorHarness, log_lines: list[EventDict]
) -> None:
    for _ in range(2):
        harness.handle(told(measured(), measured()))
    assert harness.trials() == 1
    assert len(log_lines) == 1


def test_trials_wait_until_redis_is_back(
    harness: ConductorHarness, log_lines: list[EventDict]
) -> None:
    harness.store.outage = AWAY
    harness.handle(told(measured(1)))
    harness.handle(told(measured(2)))
    assert len(harness.store.calls) == 1
    harness.store.outage = None
    harness.pass_time()
    assert harness.trials() == 2
    assert [line["event"] for line in log_lines] == [
        "outage_began",
        "policy_updated",
        "outage_ended",
    ]
    assert harness.supervisor.messages == []


def test_a_tenant_whose_trials_are_refused_does_not_stop_the_others(
    harness: ConductorHarness,
) -> None:
    harness.store.refused_tenants["acme"] = ConfigError("rename that key")
    harness.handle(told(measured(), tenant="acme"), told(measured()))
    assert (harness.trials("acme"), harness.trials()) == (0, 1)
    harness.store.refused_tenants.clear()
    harness.pass_time()
    assert harness.trials("acme") == 1


def test_a_flush_is_answered_once_earlier_trials_are_stored(harness: ConductorHarness) -> None:
    reply_to = RecordingMailbox()
    harness.store.outage = AWAY
    harness.handle(told(measured()), Flush(7, reply_to))
    assert reply_to.messages == []
    harness.store.outage = None
    harness.pass_time()
    assert reply_to.messages == [Flushed(7, "conductor")]
    harness.handle(Flush(8, reply_to))
    assert reply_to.messages == [Flushed(7, "conductor"), Flushed(8, "conductor")]


def test_a_flush_does_not_wait_for_an_operator(harness: ConductorHarness) -> None:
    reply_to = RecordingMailbox()
    harness.store.outage = ConfigError("grant it")
    harness.handle(told(measured()), Flush(7, reply_to))
    assert reply_to.messages == [Flushed(7, "conductor")]
    harness.store.outage = None
    harness.pass_time()
    assert harness.trials() == 1


def test_trials_over_the_limit_are_dropped_and_counted(
    harness: ConductorHarness, log_lines: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conductor, "MAX_WAITING_TRIALS", 3)
    harness.store.outage = AWAY
    harness.handle(told(measured(1), measured(2)), told(measured(3), measured(4)))
    [dropped] = [line for line in log_lines if line["event"] == "trials_dropped"]
    assert dropped["trials"] == 2
    harness.store.outage = None
    harness.pass_time()
    assert harness.trials() == 2


def test_the_conductor_fails_when_ownership_is_lost(harness: ConductorHarness) -> None:
    harness.store.outage = OwnershipLost("another has it")
    harness.start().tell(told(measured()))
    assert harness.supervisor.take(ChildFailed).error is harness.store.outage


def test_a_stopping_conductor_stores_what_waits(harness: ConductorHarness) -> None:
    harness.store.outage = AWAY
    harness.handle(told(measured()))
    harness.store.outage = None
    harness.clock.advance(MAX_LEARN_BACKOFF_S)
    assert harness.ref is not None
    assert harness.ref.stop(timeout=MAX_WAIT_S)
    assert harness.trials() == 1
