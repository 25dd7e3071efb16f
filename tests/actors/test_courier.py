"""What the Courier sends, once and in time, while Redis or the database may be away."""

from collections.abc import Sequence

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.courier import (
    MAX_SEND_BACKOFF_S,
    MAX_SEND_BATCH,
    MAX_UNSENT,
    SEND_WITHIN_S,
    CourierActor,
)
from conductor_actors.actors.messages import IntervalElapsed, InterventionsChanged
from conductor_actors.actors.runtime.base import ActorContext, ChildFailed
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.domain.conductor.interventions import Intervention
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from tests.actors.scripted_actors import Ref
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_actions import MemoryActionSender
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.interventions import intervention
from tests.support.score_rows import AT_MS

MAX_WAIT_S = 5.0
AWAY = Unavailable("connection refused")
SEND_BY_MS = AT_MS + 15_000


class CourierHarness:
    """A Courier, whose mail can be there before it is."""

    def __init__(self) -> None:
        self.sender = MemoryActionSender()
        self.clock = FakeClock()
        self.mailbox = ThreadMailbox(self.clock)
        self.supervisor = RecordingMailbox()
        self.is_database_away = False
        self.ref: Ref | None = None

    def start(self) -> Ref:
        context = ActorContext("courier", self.mailbox, self.supervisor)
        self.ref = CourierActor.start(context, self.sender, lambda: self.is_database_away)
        return self.ref

    def handle(self, *messages: object) -> None:
        """Have the messages waiting together, and handled."""
        for message in messages:
            self.mailbox.tell(message)
        (self.ref or self.start()).ask(IntervalElapsed(), timeout=MAX_WAIT_S)

    def pass_time(self, by_s: float) -> None:
        self.clock.advance(by_s)
        self.sender.now_ms += round(by_s * 1000)
        self.handle()

    def sent(self) -> list[str]:
        return [action.record.id for action in self.sender.sent]


@pytest.fixture
def harness() -> CourierHarness:
    return CourierHarness()


def changed(*records: Intervention, tenant: str = "default") -> InterventionsChanged:
    return InterventionsChanged(tenant, "keynote", records)


def lines_of(lines: Sequence[EventDict], event: str) -> list[EventDict]:
    return [line for line in lines if line["event"] == event]


def test_an_approved_action_is_sent_at_once(
    harness: CourierHarness, log_lines: list[EventDict]
) -> None:
    record = intervention()
    harness.handle(changed(record))
    [action] = harness.sender.sent
    assert (action.tenant_id, action.session_id, action.record) == ("default", "keynote", record)
    [line] = lines_of(log_lines, "intervention_sent")
    assert (line["id"], line["type"], line["session"]) == (record.id, "BROADCAST", "keynote")


@pytest.mark.parametrize(
    "status", ["HELD", "SUGGESTED", "DISMISSED", "EXPIRED", "SENT", "EXECUTED", "COMPLETED"]
)
def test_nothing_but_an_approved_action_is_sent(harness: CourierHarness, status: str) -> None:
    harness.handle(changed(intervention(status=status)))
    assert harness.sender.calls == []


def test_an_action_that_is_offered_at_each_tick_is_sent_by_one_call(
    harness: CourierHarness, log_lines: list[EventDict]
) -> None:
    for _ in range(5):
        harness.handle(changed(intervention()))
    assert len(harness.sender.calls) == 1
    assert len(lines_of(log_lines, "intervention_sent")) == 1


def test_what_a_predecessor_has_sent_is_neither_sent_nor_reported_again(
    harness: CourierHarness, log_lines: list[EventDict]
) -> None:
    first, record = CourierHarness(), intervention()
    first.sender = harness.sender
    first.handle(changed(record))
    assert len(lines_of(log_lines, "intervention_sent")) == 1
    harness.handle(changed(record))
    harness.handle(changed(record))
    assert (harness.sent(), len(harness.sender.calls)) == ([record.id], 2)
    assert len(lines_of(log_lines, "intervention_sent")) == 1


def test_an_action_that_expires_before_it_is_sent_is_withdrawn(harness: CourierHarness) -> None:
    record = intervention()
    harness.handle(changed(record), changed(intervention(status="EXPIRED")))
    assert harness.sender.calls == []
    harness.sender.outage = AWAY
    harness.handle(changed(record))
    harness.sender.outage = None
    harness.handle(changed(intervention(status="EXPIRED")))
    harness.pass_time(MAX_SEND_BACKOFF_S)
    assert harness.sent() == []


def test_an_action_is_sent_when_redis_is_back_in_time(
    harness: CourierHarness, log_lines: list[EventDict]
) -> None:
    harness.sender.outage = AWAY
    harness.handle(changed(intervention()))
    harness.handle(changed(intervention()))
    assert len(harness.sender.calls) == 1
    harness.pass_time(MAX_SEND_BACKOFF_S)
    assert harness.sent() == []
    harness.sender.outage = None
    harness.pass_time(MAX_SEND_BACKOFF_S)
    assert harness.sent() == [intervention().id]
    assert [line["event"] for line in log_lines] == [
        "outage_began",
        "intervention_sent",
        "outage_ended",
    ]
    assert harness.supervisor.messages == []


def test_an_action_whose_reply_was_lost_is_sent_and_reported_once(
    harness: CourierHarness, log_lines: list[EventDict]
) -> None:
    harness.sender.outage, harness.sender.sends_before_outage = AWAY, True
    harness.handle(changed(intervention()))
    harness.sender.outage = None
    harness.pass_time(MAX_SEND_BACKOFF_S)
    assert harness.sent() == [intervention().id]
    assert len(lines_of(log_lines, "intervention_sent")) == 1


def test_an_action_is_given_up_when_redis_is_away_for_too_long(
    harness: CourierHarness, log_lines: list[EventDict]
) -> None:
    harness.sender.outage = AWAY
    harness.handle(changed(intervention()))
    harness.pass_time(SEND_WITHIN_S)
    assert lines_of(log_lines, "intervention_given_up") == []
    harness.pass_time(0.1)
    [line] = lines_of(log_lines, "intervention_given_up")
    assert (line["reason"], line["waited_s"]) == ("redis_away", 15.1)
    harness.sender.outage, harness.sender.now_ms = None, AT_MS
    harness.handle(changed(intervention()))
    harness.pass_time(MAX_SEND_BACKOFF_S)
    assert harness.sent() == []


def test_an_action_that_is_late_by_the_clock_of_redis_is_given_up(
    harness: CourierHarness, log_lines: list[EventDict]
) -> None:
    harness.sender.now_ms = SEND_BY_MS
    harness.handle(changed(intervention()))
    harness.handle(changed(intervention()))
    assert (harness.sent(), len(harness.sender.calls)) == ([], 1)
    assert [line["reason"] for line in lines_of(log_lines, "intervention_given_up")] == ["late"]


def test_nothing_is_sent_while_the_database_is_away(
    harness: CourierHarness, log_lines: list[EventDict]
) -> None:
    harness.is_database_away = True
    harness.handle(changed(intervention(1)))
    harness.pass_time(5.0)
    assert harness.sender.calls == []
    harness.is_database_away = False
    harness.pass_time(1.0)
    assert harness.sent() == [intervention(1).id]
    harness.is_database_away = True
    harness.handle(changed(intervention(2)))
    harness.pass_time(SEND_WITHIN_S + 0.1)
    reasons = [line["reason"] for line in lines_of(log_lines, "intervention_given_up")]
    assert (len(harness.sender.calls), reasons) == (1, ["database_away"])


def test_an_action_over_the_limit_of_its_event_is_reported(
    harness: CourierHarness, log_lines: list[EventDict]
) -> None:
    harness.handle(changed(*(intervention(number) for number in range(101))))
    assert len(harness.sent()) == 100
    [line] = lines_of(log_lines, "intervention_refused")
    assert (line["id"], line["reason"]) == (intervention(100).id, "event_limit")
    assert [len(call) for call in harness.sender.calls] == [MAX_SEND_BATCH, 1]


def test_a_tenant_whose_actions_are_refused_does_not_stop_the_others(
    harness: CourierHarness,
) -> None:
    harness.sender.refused_tenants["acme"] = ConfigError("grant it")
    harness.handle(changed(intervention(1), tenant="acme"), changed(intervention(2)))
    assert harness.sent() == [intervention(2).id]
    del harness.sender.refused_tenants["acme"]
    harness.pass_time(MAX_SEND_BACKOFF_S)
    assert harness.sent() == [intervention(2).id, intervention(1).id]


def test_two_tenants_may_use_the_same_id(harness: CourierHarness) -> None:
    harness.handle(changed(intervention()), changed(intervention(), tenant="acme"))
    assert [action.tenant_id for action in harness.sender.sent] == ["default", "acme"]


def test_the_oldest_is_given_up_when_more_wait_than_memory_allows(
    harness: CourierHarness, log_lines: list[EventDict]
) -> None:
    harness.is_database_away = True
    harness.handle(*(changed(intervention(number)) for number in range(MAX_UNSENT + 1)))
    [line] = lines_of(log_lines, "intervention_given_up")
    assert (line["id"], line["reason"]) == (intervention(0).id, "too_many")


def test_the_courier_fails_when_ownership_is_lost(harness: CourierHarness) -> None:
    harness.sender.outage = OwnershipLost("another has it")
    harness.start().tell(changed(intervention()))
    assert harness.supervisor.take(ChildFailed).error is harness.sender.outage


def test_a_stopping_courier_sends_what_waits(harness: CourierHarness) -> None:
    harness.is_database_away = True
    harness.handle(changed(intervention()))
    harness.is_database_away = False
    assert harness.ref is not None
    assert harness.ref.stop(timeout=MAX_WAIT_S)
    assert harness.sent() == [intervention().id]
