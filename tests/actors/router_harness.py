"""A Router with a scripted source, between sessions without actors and recording mailboxes."""

import threading
from collections.abc import Sequence

from conductor_actors.actors.messages import (
    StartSession,
    Tick,
)
from conductor_actors.actors.router import Downstream, RouterActor
from conductor_actors.actors.runtime.base import ActorContext
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.session_table import SessionTable
from conductor_actors.actors.ticker import TickerActor
from conductor_actors.domain.intake import Entry, Intake, IntakeRules
from conductor_actors.domain.ticks import TickSchedule
from conductor_actors.ports import ReadResult
from tests.actors.probes import Ref
from tests.support.event_samples import REACTION
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.fakes.scripted_source import ScriptedSource, Step
from tests.support.score_rows import AT_MS

PATIENCE_S = 5.0
LIMIT = 10
RULES = IntakeRules()


class Depth:
    """A mailbox downstream that is full until `drain`, for so many looks at least."""

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._looks = 0
        self._looked_often = threading.Event()

    def __call__(self) -> int:
        self._looks += 1
        if self._looks >= 3:
            self._looked_often.set()
        return self._depth

    def wait_looked_at(self) -> None:
        assert self._looked_often.wait(PATIENCE_S)

    def fill(self) -> None:
        self._looks, self._depth = 0, LIMIT
        self._looked_often.clear()

    def drain(self) -> None:
        self._depth = 0


class Desk:
    """A Router with its script; sessions have mailboxes and no actors, so their mail stays."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.clock = FakeClock()
        self.mailbox = ThreadMailbox(self.clock)
        self.supervisor, self.dead_letters = RecordingMailbox(), RecordingMailbox()
        self.checkpointer = RecordingMailbox()
        self.depth = Depth()
        self.ticker = ThreadMailbox(self.clock)
        self.is_aborted = False
        self._sessions = SessionTable(dispatcher, self.supervisor, timeout_s=1800)

    def start(self, *script: Step) -> tuple[ScriptedSource, Ref]:
        source = ScriptedSource(script)
        context = ActorContext("router", self.mailbox, self.supervisor)
        depths, letters = (lambda: 0, self.depth), self.dead_letters
        downstream = Downstream(
            depths, LIMIT, self.ticker, letters, self.checkpointer, lambda: self.is_aborted
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

    def play(self, *script: Step) -> Ref:
        """Route a whole script."""
        source, ref = self.start_with_ticker(*script)
        source.wait_played()
        return ref

    def mail(self, session_id: str = "s") -> list[object]:
        (mailbox,) = (
            start.mailbox
            for start in self.supervisor.of(StartSession)
            if start.key == ("default", session_id)
        )
        return [envelope.message for envelope in mailbox.mail]

    def ticks(self, session_id: str = "s") -> list[Tick]:
        return [each for each in self.mail(session_id) if isinstance(each, Tick)]


def entry(at_ms: int, session_id: str = "s", sequence: int = 0) -> Entry:
    body = b'{"sessionId":"%s","emoji":"!"}' % session_id.encode()
    return at_ms, sequence, REACTION, body


def read(
    entries: Sequence[Entry], watermark_ms: int = AT_MS, now_ms: int | None = None
) -> ReadResult:
    return ReadResult(entries, watermark_ms, watermark_ms if now_ms is None else now_ms)
