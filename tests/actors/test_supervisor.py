"""The order of start and drain, restarts, and what ends the process."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import pytest
from structlog.typing import EventDict

from conductor_actors.actors.latch import Latch
from conductor_actors.actors.messages import (
    Drain,
    EventBatch,
    IntervalElapsed,
    Scored,
    StartSession,
    Tick,
)
from conductor_actors.actors.runtime.base import ActorContext, ChildFailed
from conductor_actors.actors.runtime.coalescing_mailbox import CoalescingMailbox
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import (
    PooledMailbox,
    ThreadMailbox,
)
from conductor_actors.actors.session import SessionParts
from conductor_actors.actors.session_supervisor import SessionLimits, SessionSupervisor
from conductor_actors.actors.stats import Stats
from conductor_actors.actors.supervisor import Child, Outcome, SupervisorActor
from conductor_actors.domain.failures import RestartBudget
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.errors import OwnershipLost
from tests.actors.pooled_handlers import BlockedThread
from tests.actors.scripted_actors import Ref, Script, SystemProbe
from tests.actors.session_events import chat, chats, poison
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

MAX_WAIT_S = 5.0
CHILDREN = ("lease_keeper", "publisher", "writer", "router", "ticker")
TICK_MS = AT_MS + 5000


def nothing() -> None:
    pass


class SupervisorHarness:
    """A Supervisor with five children that record their lives in `log`."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.clock = FakeClock()
        self.log: list[tuple[str, object]] = []
        self.root, self.outcome = RecordingMailbox(), Outcome()
        self.mailbox = ThreadMailbox(self.clock)
        self.mailbox.observer = self._observe
        self.failure_came = threading.Event()
        self.mail = {name: ThreadMailbox(self.clock) for name in CHILDREN}
        to_writer: CoalescingMailbox[ScoreRow] = CoalescingMailbox(Scored, self.clock)
        to_publisher: CoalescingMailbox[ScoreRow] = CoalescingMailbox(Scored, self.clock)
        self.mail |= {"writer": to_writer, "publisher": to_publisher}
        self.on_stop: dict[str, Callable[[], object]] = {}
        parts = SessionParts(
            Scoring(), to_writer, to_publisher, dispatcher, self.clock, self.mailbox, self.mailbox
        )
        self.sessions = SessionSupervisor(parts, SessionRules(), SessionLimits(), self.mailbox)

    def start(self) -> Ref:
        children = [self._child(name) for name in CHILDREN]
        stats = Stats(self.dispatcher, self.sessions, self.mail, self.clock)
        context = ActorContext("supervisor", self.mailbox, self.root)
        ref = SupervisorActor.start(context, children, self.sessions, stats, self.outcome)
        self.wait_handled(ref)
        return ref

    def wait_handled(self, ref: Ref) -> None:
        """Wait until the Supervisor has handled all mail there is."""
        ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)

    def fail(self, name: str, error: Exception | None = None) -> None:
        """Have a child fail; return when the Supervisor knows."""
        told = threading.Event()
        self.mail[name].tell(partial(self._raise, error or ValueError("a bug")))
        self.mail[name].tell(told.set)  # its successor's first message
        assert told.wait(MAX_WAIT_S)

    def children_with(self, what: object) -> list[str]:
        return [name for name, entry in self.log if entry == what]

    def _observe(self, _: object, message: object) -> AbstractContextManager[None]:
        if isinstance(message, ChildFailed):
            self.failure_came.set()
        return nullcontext()

    @staticmethod
    def _raise(error: Exception) -> None:
        raise error

    def _child(self, name: str) -> Child:
        def record(what: object) -> None:
            self.log.append((name, what))

        def receive(message: object) -> None:
            if callable(message):
                message()
            else:
                record(message)

        def stop() -> None:
            self.on_stop.get(name, nothing)()
            record("stop")

        def start(context: ActorContext[ThreadMailbox]) -> Ref:
            record("start")
            return SystemProbe.start(context, Script(on_receive=receive, on_stop=stop))

        return Child(name, self.mail[name], start, RestartBudget(limit=3, within_s=60.0))


@pytest.fixture
def harness(dispatcher: Dispatcher) -> SupervisorHarness:
    return SupervisorHarness(dispatcher)


def events_and_actors(lines: list[EventDict], *names: str) -> list[tuple[object, object]]:
    return [(line["event"], line.get("actor")) for line in lines if line["event"] in names]


def tick(at_ms: int = TICK_MS) -> Tick:
    return Tick(at_ms, is_live=True, sessions=Latch(1, 0.0, 0.0))


def start_session(harness: SupervisorHarness, ref: Ref) -> PooledMailbox:
    mailbox = PooledMailbox("default/s", harness.dispatcher)
    harness.mailbox.tell(StartSession(SessionKey("default", "s"), mailbox))
    harness.wait_handled(ref)
    return mailbox


def count_rows_of_writer(harness: SupervisorHarness) -> int:
    return sum(repr(entry).count("ScoreRow(") for name, entry in harness.log if name == "writer")


def test_children_start_in_the_order_given(harness: SupervisorHarness) -> None:
    harness.start()
    assert harness.children_with("start") == list(CHILDREN)


def test_a_child_that_fails_is_restarted_and_gets_its_mail(
    harness: SupervisorHarness, log_lines: list[EventDict]
) -> None:
    harness.start()
    for _ in range(3):
        harness.fail("writer")
    assert harness.children_with("start") == [*CHILDREN, *["writer"] * 3]
    assert (
        events_and_actors(log_lines, "actor_failed", "actor_restarted")
        == [
            ("actor_failed", "writer"),
            ("actor_restarted", "writer"),
        ]
        * 3
    )
    assert not harness.outcome.wait_failed(0)


def test_a_child_over_budget_ends_the_process_with_70(
    harness: SupervisorHarness, log_lines: list[EventDict]
) -> None:
    harness.start()
    for _ in range(3):
        harness.fail("writer")
    harness.mail["writer"].tell(partial(harness._raise, ValueError("a bug")))
    assert harness.outcome.wait_failed(MAX_WAIT_S)
    assert harness.outcome.exit_code == 70
    assert harness.children_with("start") == [*CHILDREN, *["writer"] * 3]
    assert events_and_actors(log_lines, "restarts_exhausted") == [("restarts_exhausted", "writer")]


def test_each_child_has_its_own_budget_which_recovers_with_time(harness: SupervisorHarness) -> None:
    harness.start()
    for _ in range(5):
        harness.fail("writer")
        harness.fail("publisher")
        harness.clock.advance(30)
    assert not harness.outcome.wait_failed(0)


def test_a_lost_lease_ends_the_process_with_70_at_once(
    harness: SupervisorHarness, log_lines: list[EventDict]
) -> None:
    harness.start()
    harness.mail["lease_keeper"].tell(partial(harness._raise, OwnershipLost("another has it")))
    assert harness.outcome.wait_failed(MAX_WAIT_S)
    assert harness.outcome.exit_code == 70
    assert harness.children_with("start") == list(CHILDREN)
    assert events_and_actors(log_lines, "ownership_lost") == [("ownership_lost", None)]


def test_a_supervisor_that_can_not_start_a_child_fails(harness: SupervisorHarness) -> None:
    class UnstartableChild:
        name = "writer"
        mailbox = ThreadMailbox()

        def start(self, context: object) -> Ref:
            raise OSError(context)

    context = ActorContext("supervisor", harness.mailbox, harness.root)
    stats = Stats(harness.dispatcher, harness.sessions, harness.mail, harness.clock)
    SupervisorActor.start(context, [UnstartableChild()], harness.sessions, stats, harness.outcome)
    assert isinstance(harness.root.take(ChildFailed).error, OSError)


def test_the_drain_stops_children_in_reverse_each_after_all_of_its_mail(
    harness: SupervisorHarness,
) -> None:
    harness.start()
    feeds = {"ticker": "router", "router": "writer", "writer": "publisher"}
    for feeder, fed in feeds.items():
        harness.on_stop[feeder] = partial(harness.mail[fed].tell, "last")
    for number in range(100):
        for name in CHILDREN:
            harness.mail[name].tell(number)
    harness.mailbox.tell(Drain())
    assert harness.outcome.wait_drained(MAX_WAIT_S)
    assert harness.outcome.exit_code == 0
    assert harness.children_with("stop") == list(reversed(CHILDREN))
    for name in CHILDREN:
        handled = [entry for who, entry in harness.log if who == name and entry != "start"]
        assert handled == [*range(100), *(["last"] if name in feeds.values() else []), "stop"]


def test_a_second_signal_changes_nothing(harness: SupervisorHarness) -> None:
    harness.start()
    harness.on_stop["writer"] = partial(harness.mailbox.tell, Drain())
    harness.mailbox.tell(Drain())
    harness.mailbox.tell(Drain())
    assert harness.outcome.wait_drained(MAX_WAIT_S)
    assert harness.children_with("stop") == list(reversed(CHILDREN))


def test_a_child_that_fails_during_the_drain_is_not_restarted(
    harness: SupervisorHarness,
) -> None:
    def stop_router() -> None:
        harness.mail["writer"].tell(partial(harness._raise, ValueError("a bug")))
        assert harness.failure_came.wait(MAX_WAIT_S)
        harness.wait_handled(ref)
        harness.mail["publisher"].tell("from the router")

    ref = harness.start()
    harness.on_stop["router"] = stop_router
    harness.mailbox.tell(Drain())
    assert harness.outcome.wait_drained(MAX_WAIT_S)
    assert harness.children_with("stop") == ["ticker", "router", "publisher", "lease_keeper"]
    assert harness.children_with("from the router") == ["publisher"]
    assert harness.children_with("start") == list(CHILDREN)
    assert harness.outcome.exit_code == 0


def test_a_child_that_fails_to_stop_does_not_delay_the_drain(harness: SupervisorHarness) -> None:
    harness.start()
    harness.on_stop["writer"] = partial(harness._raise, ValueError("a bug"))
    harness.mailbox.tell(Drain())
    assert harness.outcome.wait_drained(MAX_WAIT_S)
    assert harness.children_with("stop") == ["ticker", "router", "publisher", "lease_keeper"]


def test_the_drain_skips_a_child_that_has_failed_before(harness: SupervisorHarness) -> None:
    ref = harness.start()
    harness.mail["lease_keeper"].tell(partial(harness._raise, OwnershipLost("another has it")))
    assert harness.outcome.wait_failed(MAX_WAIT_S)
    harness.wait_handled(ref)
    stopped = threading.Event()
    harness.on_stop["publisher"] = stopped.set
    harness.mailbox.tell(Drain())
    assert stopped.wait(MAX_WAIT_S)
    assert harness.outcome.wait_drained(MAX_WAIT_S)
    assert harness.outcome.exit_code == 70


@pytest.mark.parametrize("router_fails", [False, True])
def test_the_drain_waits_for_sessions_after_the_router(
    harness: SupervisorHarness, *, router_fails: bool
) -> None:
    ref = harness.start()
    mailbox = start_session(harness, ref)
    blocked = BlockedThread(harness.dispatcher)
    mailbox.tell(EventBatch(chats(3)))
    mailbox.tell(tick())
    if router_fails:
        harness.on_stop["router"] = partial(harness._raise, ValueError("a bug"))
    harness.mail["router"].tell(blocked.release)
    harness.mailbox.tell(Drain())
    assert harness.outcome.wait_drained(MAX_WAIT_S)
    assert count_rows_of_writer(harness) == 1
    assert harness.children_with("stop")[-3:] == ["writer", "publisher", "lease_keeper"]


def test_sessions_that_fail_during_the_drain_are_restarted(
    harness: SupervisorHarness,
) -> None:
    ref = harness.start()
    mailbox = start_session(harness, ref)
    blocked = BlockedThread(harness.dispatcher)
    for number in range(3):
        mailbox.tell(EventBatch([chat(number), poison()]))
        mailbox.tell(tick(TICK_MS + number * 5000))
    harness.on_stop["router"] = blocked.release
    harness.mailbox.tell(Drain())
    assert harness.outcome.wait_drained(MAX_WAIT_S)
    assert count_rows_of_writer(harness) == 3
    assert harness.sessions.failures == 3
    assert "Undeliverable" in repr(harness.log)


def test_a_session_that_fails_is_restarted_and_the_process_goes_on(
    harness: SupervisorHarness,
) -> None:
    ref = harness.start()
    mailbox = start_session(harness, ref)
    for number in range(4):
        mailbox.tell(EventBatch([poison()]))
        mailbox.tell(tick(TICK_MS + number * 5000))
        assert harness.dispatcher.wait_idle(MAX_WAIT_S)
        harness.wait_handled(ref)
    assert harness.sessions.quarantined == 1
    harness.clock.advance(300)
    harness.wait_handled(ref)
    assert harness.sessions.quarantined == 0
    assert not harness.outcome.wait_failed(0)
    assert harness.root.messages == []


def test_the_outcome_has_a_failure_before_the_end_of_the_drain() -> None:
    outcome = Outcome()
    assert (outcome.wait_failed(0), outcome.wait_drained(0), outcome.exit_code) == (False, False, 0)
    outcome.mark_failed()
    assert (outcome.wait_failed(0), outcome.wait_drained(0), outcome.exit_code) == (True, False, 70)
    outcome.mark_drained()
    assert (outcome.wait_drained(0), outcome.exit_code) == (True, 70)
