"""The order of start and drain, restarts, and what ends the process."""

import threading
from collections.abc import Callable
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
    AnyEnvelope,
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
from conductor_actors.domain.session_state import SessionRules
from conductor_actors.errors import OwnershipLost
from tests.actors.probes import Ref, Script, SystemProbe
from tests.actors.session_events import chat, chats, poison
from tests.actors.turns import Held
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

PATIENCE_S = 5.0
CHILDREN = ("lease_keeper", "publisher", "writer", "router", "ticker")
TICK_MS = AT_MS + 5000


def nothing() -> None:
    pass


class Ear(ThreadMailbox):
    """The Supervisor's mailbox; tells the test when a failure has come in."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.failure_came = threading.Event()

    def put(self, envelope: AnyEnvelope, /) -> None:
        super().put(envelope)
        if isinstance(envelope.message, ChildFailed):
            self.failure_came.set()


class Company:
    """A Supervisor with five children that note their lives in `diary`."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.clock = FakeClock()
        self.diary: list[tuple[str, object]] = []
        self.root, self.outcome = RecordingMailbox(), Outcome()
        self.mailbox = Ear(self.clock)
        self.mail = {name: ThreadMailbox(self.clock) for name in CHILDREN}
        to_writer: CoalescingMailbox[ScoreRow] = CoalescingMailbox(Scored, self.clock)
        to_publisher: CoalescingMailbox[ScoreRow] = CoalescingMailbox(Scored, self.clock)
        self.mail |= {"writer": to_writer, "publisher": to_publisher}
        self.on_stop: dict[str, Callable[[], object]] = {}
        parts = SessionParts(Scoring(), to_writer, to_publisher, dispatcher, self.clock)
        self.sessions = SessionSupervisor(parts, SessionRules(), SessionLimits(), self.mailbox)

    def start(self) -> Ref:
        children = [self._child(name) for name in CHILDREN]
        stats = Stats(self.dispatcher, self.sessions, self.mail, self.clock)
        context = ActorContext("supervisor", self.mailbox, self.root)
        ref = SupervisorActor.start(context, children, self.sessions, stats, self.outcome)
        self.wait_supervised(ref)
        return ref

    def wait_supervised(self, ref: Ref) -> None:
        """Wait until the Supervisor has handled all mail there is."""
        ref.ask(IntervalElapsed(), timeout=PATIENCE_S)

    def fail(self, name: str, error: Exception | None = None) -> None:
        """Have a child fail; return when the Supervisor knows."""
        told = threading.Event()
        self.mail[name].tell(partial(self._raise, error or ValueError("a bug")))
        self.mail[name].tell(told.set)  # its successor's first message
        assert told.wait(PATIENCE_S)

    def notes(self, what: object) -> list[str]:
        return [name for name, noted in self.diary if noted == what]

    @staticmethod
    def _raise(error: Exception) -> None:
        raise error

    def _child(self, name: str) -> Child:
        def note(what: object) -> None:
            self.diary.append((name, what))

        def receive(message: object) -> None:
            if callable(message):
                message()
            else:
                note(message)

        def stop() -> None:
            self.on_stop.get(name, nothing)()
            note("stop")

        def start(context: ActorContext[ThreadMailbox]) -> Ref:
            note("start")
            return SystemProbe.start(context, Script(on_receive=receive, on_stop=stop))

        return Child(name, self.mail[name], start, RestartBudget(limit=3, within_s=60.0))


@pytest.fixture
def company(dispatcher: Dispatcher) -> Company:
    return Company(dispatcher)


def said(lines: list[EventDict], *names: str) -> list[tuple[object, object]]:
    return [(line["event"], line.get("actor")) for line in lines if line["event"] in names]


def tick(at_ms: int = TICK_MS) -> Tick:
    return Tick(at_ms, is_live=True, sessions=Latch(1, 0.0, 0.0))


def start_session(company: Company, ref: Ref) -> PooledMailbox:
    mailbox = PooledMailbox("default/s", company.dispatcher)
    company.mailbox.tell(StartSession(SessionKey("default", "s"), mailbox))
    company.wait_supervised(ref)
    return mailbox


def rows_told_to_writer(company: Company) -> int:
    return sum(repr(noted).count("ScoreRow(") for name, noted in company.diary if name == "writer")


def test_children_start_in_the_order_given(company: Company) -> None:
    company.start()
    assert company.notes("start") == list(CHILDREN)


def test_a_child_that_fails_is_restarted_and_gets_its_mail(
    company: Company, log_lines: list[EventDict]
) -> None:
    company.start()
    for _ in range(3):
        company.fail("writer")
    assert company.notes("start") == [*CHILDREN, *["writer"] * 3]
    assert (
        said(log_lines, "actor_failed", "actor_restarted")
        == [
            ("actor_failed", "writer"),
            ("actor_restarted", "writer"),
        ]
        * 3
    )
    assert not company.outcome.wait_failed(0)


def test_a_child_over_budget_ends_the_process_with_70(
    company: Company, log_lines: list[EventDict]
) -> None:
    company.start()
    for _ in range(3):
        company.fail("writer")
    company.mail["writer"].tell(partial(company._raise, ValueError("a bug")))
    assert company.outcome.wait_failed(PATIENCE_S)
    assert company.outcome.exit_code == 70
    assert company.notes("start") == [*CHILDREN, *["writer"] * 3]
    assert said(log_lines, "restarts_exhausted") == [("restarts_exhausted", "writer")]


def test_each_child_has_a_budget_of_its_own_that_time_refills(company: Company) -> None:
    company.start()
    for _ in range(5):
        company.fail("writer")
        company.fail("publisher")
        company.clock.advance(30)
    assert not company.outcome.wait_failed(0)


def test_a_lost_lease_ends_the_process_with_70_at_once(
    company: Company, log_lines: list[EventDict]
) -> None:
    company.start()
    company.mail["lease_keeper"].tell(partial(company._raise, OwnershipLost("another has it")))
    assert company.outcome.wait_failed(PATIENCE_S)
    assert company.outcome.exit_code == 70
    assert company.notes("start") == list(CHILDREN)
    assert said(log_lines, "ownership_lost") == [("ownership_lost", None)]


def test_a_supervisor_that_can_not_start_a_child_says_so_above(company: Company) -> None:
    class NoChild:
        name = "writer"
        mailbox = ThreadMailbox()

        def start(self, context: object) -> Ref:
            raise OSError(context)

    context = ActorContext("supervisor", company.mailbox, company.root)
    stats = Stats(company.dispatcher, company.sessions, company.mail, company.clock)
    SupervisorActor.start(context, [NoChild()], company.sessions, stats, company.outcome)
    assert isinstance(company.root.take(ChildFailed).error, OSError)


def test_the_drain_stops_children_in_reverse_each_after_all_of_its_mail(company: Company) -> None:
    company.start()
    feeds = {"ticker": "router", "router": "writer", "writer": "publisher"}
    for feeder, fed in feeds.items():
        company.on_stop[feeder] = partial(company.mail[fed].tell, "last")
    for number in range(100):
        for name in CHILDREN:
            company.mail[name].tell(number)
    company.mailbox.tell(Drain())
    assert company.outcome.wait_drained(PATIENCE_S)
    assert company.outcome.exit_code == 0
    assert company.notes("stop") == list(reversed(CHILDREN))
    for name in CHILDREN:
        handled = [noted for who, noted in company.diary if who == name and noted != "start"]
        assert handled == [*range(100), *(["last"] if name in feeds.values() else []), "stop"]


def test_a_second_signal_changes_nothing(company: Company) -> None:
    company.start()
    company.on_stop["writer"] = partial(company.mailbox.tell, Drain())
    company.mailbox.tell(Drain())
    company.mailbox.tell(Drain())
    assert company.outcome.wait_drained(PATIENCE_S)
    assert company.notes("stop") == list(reversed(CHILDREN))


def test_a_child_that_fails_while_draining_is_not_restarted_and_hurries_nobody(
    company: Company,
) -> None:
    def stop_router() -> None:
        company.mail["writer"].tell(partial(company._raise, ValueError("a bug")))
        assert company.mailbox.failure_came.wait(PATIENCE_S)
        company.wait_supervised(ref)
        company.mail["publisher"].tell("told by the router")

    ref = company.start()
    company.on_stop["router"] = stop_router
    company.mailbox.tell(Drain())
    assert company.outcome.wait_drained(PATIENCE_S)
    assert company.notes("stop") == ["ticker", "router", "publisher", "lease_keeper"]
    assert company.notes("told by the router") == ["publisher"]
    assert company.notes("start") == list(CHILDREN)
    assert company.outcome.exit_code == 0


def test_a_child_that_fails_to_stop_does_not_hold_up_the_drain(company: Company) -> None:
    company.start()
    company.on_stop["writer"] = partial(company._raise, ValueError("a bug"))
    company.mailbox.tell(Drain())
    assert company.outcome.wait_drained(PATIENCE_S)
    assert company.notes("stop") == ["ticker", "router", "publisher", "lease_keeper"]


def test_a_child_that_is_dead_when_the_drain_begins_is_left_out(company: Company) -> None:
    ref = company.start()
    company.mail["lease_keeper"].tell(partial(company._raise, OwnershipLost("another has it")))
    assert company.outcome.wait_failed(PATIENCE_S)
    company.wait_supervised(ref)
    stopped = threading.Event()
    company.on_stop["publisher"] = stopped.set
    company.mailbox.tell(Drain())
    assert stopped.wait(PATIENCE_S)
    assert company.outcome.wait_drained(PATIENCE_S)
    assert company.outcome.exit_code == 70


@pytest.mark.parametrize("router_fails", [False, True])
def test_the_drain_waits_for_sessions_behind_the_router(
    company: Company, *, router_fails: bool
) -> None:
    ref = company.start()
    mailbox = start_session(company, ref)
    held = Held(company.dispatcher)
    mailbox.tell(EventBatch(chats(3)))
    mailbox.tell(tick())
    if router_fails:
        company.on_stop["router"] = partial(company._raise, ValueError("a bug"))
    company.mail["router"].tell(held.release)
    company.mailbox.tell(Drain())
    assert company.outcome.wait_drained(PATIENCE_S)
    assert rows_told_to_writer(company) == 1
    assert company.notes("stop")[-3:] == ["writer", "publisher", "lease_keeper"]


def test_sessions_that_fail_while_draining_get_successors_for_their_mail(
    company: Company,
) -> None:
    ref = company.start()
    mailbox = start_session(company, ref)
    held = Held(company.dispatcher)
    for number in range(3):
        mailbox.tell(EventBatch([chat(number), poison()]))
        mailbox.tell(tick(TICK_MS + number * 5000))
    company.on_stop["router"] = held.release
    company.mailbox.tell(Drain())
    assert company.outcome.wait_drained(PATIENCE_S)
    assert rows_told_to_writer(company) == 3
    assert company.sessions.failures == 3
    assert "Undeliverable" in repr(company.diary)


def test_a_session_that_fails_is_restarted_and_the_process_goes_on(company: Company) -> None:
    ref = company.start()
    mailbox = start_session(company, ref)
    for number in range(4):
        mailbox.tell(EventBatch([poison()]))
        mailbox.tell(tick(TICK_MS + number * 5000))
        assert company.dispatcher.wait_idle(PATIENCE_S)
        company.wait_supervised(ref)
    assert company.sessions.quarantined == 1
    company.clock.advance(300)
    company.wait_supervised(ref)
    assert company.sessions.quarantined == 0
    assert not company.outcome.wait_failed(0)
    assert company.root.messages == []


def test_a_failure_is_known_before_the_drain_that_follows_it() -> None:
    outcome = Outcome()
    assert (outcome.wait_failed(0), outcome.wait_drained(0), outcome.exit_code) == (False, False, 0)
    outcome.mark_failed()
    assert (outcome.wait_failed(0), outcome.wait_drained(0), outcome.exit_code) == (True, False, 70)
    outcome.mark_drained()
    assert (outcome.wait_drained(0), outcome.exit_code) == (True, 70)
