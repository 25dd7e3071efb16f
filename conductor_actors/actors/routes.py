"""Where each session's mail goes: one mailbox per session, made at its first event."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from conductor_actors.actors.changes import Changes, Difference
from conductor_actors.actors.dispatcher import Dispatcher
from conductor_actors.actors.mailbox import Envelope, Mailbox, PooledMailbox
from conductor_actors.actors.messages import (
    AllCaptured,
    Capture,
    CaptureQuarantined,
    Countdown,
    Describe,
    EventBatch,
    Passivate,
    StartSession,
)
from conductor_actors.domain.intake import EventsBySession, SessionKey
from conductor_actors.domain.session import SessionState

CHECK_EVERY_MS: Final = 5 * 60 * 1000


@dataclass(slots=True)
class _Route:
    mailbox: PooledMailbox
    last_event_ms: int


class Routes:
    """The Router's table. The Router alone tells sessions anything, so no mail can be lost.

    A session's `Passivate` is the last mail of its mailbox: what comes later goes to a new one.
    It is sent behind a `Capture`, so that no checkpoint is ahead of its last rows.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        supervisor: Mailbox,
        timeout_s: float,
        changes: Changes | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._supervisor = supervisor
        self._timeout_ms = timeout_s * 1000
        self._check_every_ms = min(CHECK_EVERY_MS, self._timeout_ms)
        self._next_check_ms = 0.0
        self._on_refusal = self._refused
        self._routes: dict[SessionKey, _Route] = {}
        self._leaving: list[PooledMailbox] = []
        self.changes = changes or Changes()

    def __len__(self) -> int:
        return len(self._routes)

    def listening(self) -> int:
        """Count the sessions that take mail: not those in quarantine."""
        return sum(not route.mailbox.is_closed for route in self._routes.values())

    def restore(self, states: Mapping[SessionKey, SessionState]) -> None:
        """Let sessions go on that were in a checkpoint."""
        for key, state in states.items():
            self._open(key, state).last_event_ms = state.last_event_ms or 0

    def deliver(self, batch: EventsBySession) -> None:
        """Tell each session its events, all under one lock."""
        letters = []
        for key, events in batch.items():
            route = self._routes.get(key) or self._open(key)
            route.last_event_ms = events[-1].at_ms
            letters.append((route.mailbox, Envelope(EventBatch(events))))
        self.changes.note_change(batch)
        self._dispatcher.deliver(letters)

    def broadcast(self, message: object) -> None:
        """Tell every session."""
        routes, envelope = self._routes.values(), Envelope(message)
        self._dispatcher.deliver((route.mailbox, envelope) for route in routes)

    def passivate(self, now_ms: int) -> None:
        """Part with sessions that were silent for their timeout; looks every 5 minutes at most."""
        if now_ms < self._next_check_ms:
            return
        self._next_check_ms = now_ms + self._check_every_ms
        silent_since_ms = now_ms - self._timeout_ms
        for key, route in list(self._routes.items()):
            # One in quarantine would never hear of it, and its actor come back for good.
            if route.last_event_ms <= silent_since_ms and not route.mailbox.is_closed:
                del self._routes[key]
                self._leaving.append(route.mailbox)
                self.changes.note_end(key)

    def cut(self) -> Difference:
        """Say what the next checkpoint holds."""
        return self.changes.cut(self._routes)

    def capture(self, difference: Difference, reply_to: Mailbox, now_s: float) -> None:
        """Ask the sessions for it; whoever is in quarantine is answered for."""
        present, absent = [], []
        for key, route in self._routes.items():
            has_changed = key in difference.changed
            if not route.mailbox.is_closed:
                present.append((route.mailbox, has_changed))
            elif has_changed:
                absent.append(route.mailbox)
        leaving = self._dismissible()
        present += [(mailbox, False) for mailbox in leaving]
        sessions = Countdown(len(present) + len(absent), now_s, 0.0)
        capture, pass_by = (
            Capture(difference.number, has_changed, sessions, reply_to)
            for has_changed in (True, False)
        )
        if not sessions.total:
            reply_to.tell(AllCaptured(difference.number))
        for mailbox in absent:
            self._supervisor.tell(CaptureQuarantined(mailbox, capture))
        asked, passed_by, dismissed = Envelope(capture), Envelope(pass_by), Envelope(Passivate())
        self._dispatcher.deliver(
            (mailbox, asked if has_changed else passed_by) for mailbox, has_changed in present
        )
        self._dispatcher.deliver((mailbox, dismissed) for mailbox in leaving)

    def _dismissible(self) -> list[PooledMailbox]:
        """Take those out that can be told to stop: not in quarantine since."""
        found, self._leaving = self._leaving, []
        leaving: list[PooledMailbox] = []
        for mailbox in found:
            (self._leaving if mailbox.is_closed else leaving).append(mailbox)
        return leaving

    def _open(self, key: SessionKey, state: SessionState | None = None) -> _Route:
        mailbox = PooledMailbox("/".join(key), self._dispatcher)
        mailbox.on_refusal = self._on_refusal
        route = self._routes[key] = _Route(mailbox, 0)
        self._supervisor.tell(StartSession(key, mailbox, state))
        return route

    def _refused(self, mailbox: PooledMailbox, message: object) -> None:
        """Have whoever left a session alone answer what was asked of it just before."""
        if isinstance(message, Capture):
            self._supervisor.tell(CaptureQuarantined(mailbox, message))
        elif isinstance(message, Describe):
            self._supervisor.tell(message.inquiry)
