"""Where each session's mail goes: one mailbox per session, made at its first event."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

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
from conductor_actors.actors.runtime.dispatcher import Dispatcher
from conductor_actors.actors.runtime.mailbox import Envelope, Mailbox, PooledMailbox
from conductor_actors.domain.intake import EventsBySession, SessionKey
from conductor_actors.domain.session_state import SessionState

CHECK_EVERY_MS: Final = 5 * 60 * 1000


class Difference(NamedTuple):
    """What a checkpoint must hold."""

    number: int
    changed: frozenset[SessionKey]
    ended: frozenset[SessionKey]
    is_whole: bool


class Changes:
    """Keeps what a checkpoint was to hold until that is durable: the next one holds it, too."""

    def __init__(self, last_number: int = 0, ended: Iterable[SessionKey] = ()) -> None:
        """Go on behind a checkpoint; without one, the first is whole."""
        self._number = last_number
        self._changed: set[SessionKey] = set()
        self._ended: set[SessionKey] = set(ended)
        self._is_whole = last_number == 0
        self._cut: Difference | None = None

    def note_change(self, keys: Iterable[SessionKey]) -> None:
        """Note sessions that were told something."""
        self._changed.update(keys)

    def note_end(self, key: SessionKey) -> None:
        """Note a session that is told nothing more."""
        self._changed.discard(key)
        self._ended.add(key)

    def note_loss(self) -> None:
        """Note that there is nothing to add to any more."""
        self._is_whole = True

    def cut(self, alive: Iterable[SessionKey]) -> Difference:
        """Say what the next checkpoint holds; everything noted later is for the one behind it."""
        living = frozenset(alive)
        if self._cut is not None:  # nobody said that it is durable
            self._changed |= self._cut.changed
            self._ended |= self._cut.ended
            self._is_whole |= self._cut.is_whole
        changed = living if self._is_whole else living & self._changed
        self._number += 1
        self._cut = Difference(
            self._number, changed, frozenset(self._ended - living), self._is_whole
        )
        self._changed, self._ended, self._is_whole = set(), set(), False
        return self._cut

    def committed(self, number: int) -> None:
        """Note that a checkpoint is durable."""
        if self._cut is not None and self._cut.number == number:
            self._cut = None


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
