"""A Router with a scripted source, between sessions without actors and recording mailboxes."""

import threading
from collections.abc import Sequence

from conductor_actors.actors.messages import (
    EventBatch,
    StartSession,
    Tick,
)
from conductor_actors.actors.router import Downstream, RouterActor
from conductor_actors.actors.runtime.base import ActorContext
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.session_table import SessionTable
from conductor_actors.actors.ticker import TickerActor
from conductor_actors.domain.entries import Entry
from conductor_actors.domain.intake import Intake
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.ticks import TickSchedule
from conductor_actors.ports import ReadResult
from tests.actors.scripted_actors import Ref
from tests.support.event_samples import REACTION
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.fakes.scripted_source import ScriptedSource, Step
from tests.support.score_rows import AT_MS

MAX_WAIT_S = 5.0
LIMIT = 10
RULES = IntakeRules()


class DownstreamDepth:
    """The depth of a mailbox downstream: `fill` sets it to the limit, `drain` to 0."""

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._polls = 0
        self._was_polled_often = threading.Event()

    def __call__(self) -> int:
        self._polls += 1
        if self._polls >= 3:
            self._was_polled_often.set()
        return self._depth

    def wait_polled(self) -> None:
        assert self._was_polled_often.wait(MAX_WAIT_S)

    def fill(self) -> None:
        self._polls, self._depth = 0, LIMIT
        self._was_polled_often.clear()

    def drain(self) -> None:
        self._depth = 0


class RouterHarness:
    """A Router with a scripted source. Sessions have no actors, so their mail stays."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.clock = FakeClock()
        self.mailbox = ThreadMailbox(self.clock)
        self.supervisor, self.dead_letters = RecordingMailbox(), RecordingMailbox()
        self.checkpointer, self.title_writer = RecordingMailbox(), RecordingMailbox()
        self.depth = DownstreamDepth()
        self.ticker = ThreadMailbox(self.clock)
        self.is_aborted = False
        self.reports_gaps = True
        self._sessions = SessionTable(dispatcher, self.supervisor, timeout_s=1800)

    def start(self, *script: Step) -> tuple[ScriptedSource, Ref]:
        source = ScriptedSource(script)
        context = ActorContext("router", self.mailbox, self.supervisor)
        depths, letters = (lambda: 0, self.depth), self.dead_letters
        downstream = Downstream(
            depths,
            LIMIT,
            self.ticker,
            letters,
            self.checkpointer,
            self.title_writer,
            lambda: self.is_aborted,
            self.reports_gaps,
        )
        ref = RouterActor.start(context, source, Intake(RULES), self._sessions, downstream)
        return source, ref

    def start_with_ticker(self, *script: Step) -> tuple[ScriptedSource, Ref]:
        source, ref = self.start(*script)
        TickerActor.start(
            ActorContext("ticker", self.ticker, self.supervisor),
            TickSchedule(RULES.tick_s, RULES.timeout_s, RULES.window_s),
            self._sessions,
            self.mailbox,
            lambda: self.depth() >= LIMIT,
        )
        return source, ref

    def route(self, *script: Step) -> Ref:
        """Start the Router with its Ticker; return once it has routed the whole script."""
        source, ref = self.start_with_ticker(*script)
        source.wait_until_routed()
        return ref

    def mail(self, session_id: str = "s") -> list[object]:
        (mailbox,) = (
            start.mailbox
            for start in self.supervisor.of(StartSession)
            if start.key == ("default", session_id)
        )
        return [each for envelope in mailbox.mail for each in _parts(envelope.message)]

    def ticks(self, session_id: str = "s") -> list[Tick]:
        return [each for each in self.mail(session_id) if isinstance(each, Tick)]


def _parts(message: object) -> list[object]:
    """Return a batch of events and the tick that follows them as two messages."""
    if isinstance(message, EventBatch) and message.tick is not None:
        return [EventBatch(message.events), message.tick]
    return [message]


def entry(at_ms: int, session_id: str = "s", sequence: int = 0) -> Entry:
    body = b'{"sessionId":"%s","emoji":"!"}' % session_id.encode()
    return at_ms, sequence, REACTION, body


def read(
    entries: Sequence[Entry], watermark_ms: int = AT_MS, now_ms: int | None = None
) -> ReadResult:
    return ReadResult(entries, watermark_ms, watermark_ms if now_ms is None else now_ms)
