"""Sessions and their supervision without the Supervisor's thread: the test is that thread."""

from collections.abc import Sequence

from conductor_actors.actors.latch import Latch
from conductor_actors.actors.messages import (
    Describe,
    EventBatch,
    Introspect,
    Scored,
    SendAnswer,
    SnapshotQuarantined,
    StartSession,
    Tick,
    Undeliverable,
)
from conductor_actors.actors.runtime.base import ChildFailed, ChildStopped
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import PooledMailbox
from conductor_actors.actors.session import SessionParts
from conductor_actors.actors.session_supervisor import SessionLimits, SessionSupervisor
from conductor_actors.actors.session_table import CheckpointContents, SessionTable
from conductor_actors.domain.events import Event
from conductor_actors.domain.identity import SessionKey
from conductor_actors.domain.intake import EventsBySession
from conductor_actors.domain.introspection_protocol import (
    IntrospectionAnswer,
    IntrospectionRequest,
)
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.ports import DeadLetter
from tests.actors.pooled_handlers import MAX_WAIT_S
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import AT_MS

TIMEOUT_S = 1800
OVER_MS = AT_MS + TIMEOUT_S * 1000
KEY = SessionKey("default", "s")


class SessionHarness:
    """Sessions with their supervision. `settle` waits until all mail is handled."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        scoring: Scoring | None = None,
        limits: SessionLimits | None = None,
    ) -> None:
        self.dispatcher = dispatcher
        self.clock = FakeClock()
        self.writer, self.publisher = RecordingMailbox(), RecordingMailbox()
        self.courier, self.conductor = RecordingMailbox(), RecordingMailbox()
        self.supervisor_mailbox = RecordingMailbox()
        parts = SessionParts(
            scoring or Scoring(),
            self.writer,
            self.publisher,
            dispatcher,
            self.clock,
            self.courier,
            self.conductor,
        )
        self.supervisor = SessionSupervisor(
            parts, SessionRules(), limits or SessionLimits(), self.supervisor_mailbox
        )

    def start(self, session_id: str) -> PooledMailbox:
        mailbox = PooledMailbox(f"default/{session_id}", self.dispatcher)
        mailbox.on_refusal = self._redirect
        self.supervisor.start(StartSession(SessionKey("default", session_id), mailbox))
        return mailbox

    def settle(self) -> None:
        assert self.dispatcher.wait_idle(MAX_WAIT_S)
        while self.supervisor_mailbox.depth():
            self._supervise(self.supervisor_mailbox.take(object))
            assert self.dispatcher.wait_idle(MAX_WAIT_S)

    def send_and_tick(
        self, mailbox: PooledMailbox, events: Sequence[Event], at_ms: int
    ) -> list[ScoreRow]:
        """Send a session events and a tick; return the rows that it adds."""
        before = len(self.rows())
        mailbox.tell(EventBatch(events))
        mailbox.tell(Tick(at_ms, is_live=False, sessions=Latch(1, 0.0, 0.0)))
        self.settle()
        return self.rows()[before:]

    def request_introspection(
        self, session_id: str, trace_s: float | None = None
    ) -> RecordingMailbox:
        """Request a description or a trace; return the mailbox that gets the answer."""
        requester = RecordingMailbox()
        request = IntrospectionRequest("1", "default", session_id, trace_s)
        self.supervisor.introspect(Introspect(request, requester))
        return requester

    def introspect(self, session_id: str, trace_s: float | None = None) -> IntrospectionAnswer:
        """Request a description or a trace; return the answer."""
        requester = self.request_introspection(session_id, trace_s)
        self.settle()
        (message,) = requester.of(SendAnswer)
        return message.answer

    def rows(self) -> list[ScoreRow]:
        return [row for scored in self.writer.of(Scored) for row in scored.rows]

    def dead_letters(self) -> list[DeadLetter]:
        return [letter for told in self.publisher.of(Undeliverable) for letter in told.letters]

    def _redirect(self, _: PooledMailbox, message: object) -> None:
        if isinstance(message, Describe):
            self.supervisor_mailbox.tell(message.introspect)

    def _supervise(self, message: object) -> None:
        match message:
            case StartSession():
                self.supervisor.start(message)
            case SnapshotQuarantined():
                self.supervisor.send_snapshot(message)
            case Introspect():
                self.supervisor.introspect(message)
            case ChildFailed():
                assert self.supervisor.handle_failure(message)
            case ChildStopped():
                assert self.supervisor.handle_stop(message.mailbox)


def batch(events: list[Event], session_id: str = "s") -> EventsBySession:
    return EventsBySession({("default", session_id): events})


def tick(at_ms: int) -> Tick:
    return Tick(at_ms, is_live=False, sessions=Latch(1, 0.0, 0.0))


def begin_checkpoint(session_table: SessionTable) -> tuple[CheckpointContents, RecordingMailbox]:
    """Begin a checkpoint, as the Router does."""
    answers = RecordingMailbox()
    contents = session_table.begin_checkpoint()
    session_table.request_snapshots(contents, answers, 0.0)
    return contents, answers


def passivate(sessions: SessionHarness, session_table: SessionTable, now_ms: int) -> None:
    """Ask the sessions without recent events, and remove those that are forgotten."""
    session_table.passivate(now_ms)
    sessions.settle()
    session_table.passivate(now_ms)
