"""Where each session's mail goes: one mailbox per session, made at its first event."""

from dataclasses import dataclass
from typing import Final

from conductor_actors.actors.dispatcher import Dispatcher
from conductor_actors.actors.mailbox import Envelope, Mailbox, PooledMailbox
from conductor_actors.actors.messages import EventBatch, Passivate, StartSession
from conductor_actors.domain.intake import EventsBySession, SessionKey

CHECK_EVERY_MS: Final = 5 * 60 * 1000


@dataclass(slots=True)
class _Route:
    mailbox: PooledMailbox
    last_event_ms: int


class Routes:
    """The Router's table. The Router alone tells sessions anything, so no mail can be lost.

    A session's `Passivate` is the last mail of its mailbox: what comes later goes to a new one.
    """

    def __init__(self, dispatcher: Dispatcher, supervisor: Mailbox, timeout_s: float) -> None:
        self._dispatcher = dispatcher
        self._supervisor = supervisor
        self._timeout_ms = timeout_s * 1000
        self._check_every_ms = min(CHECK_EVERY_MS, self._timeout_ms)
        self._next_check_ms = 0.0
        self._routes: dict[SessionKey, _Route] = {}

    def __len__(self) -> int:
        return len(self._routes)

    def listening(self) -> int:
        """Count the sessions that take mail: not those in quarantine."""
        return sum(not route.mailbox.is_closed for route in self._routes.values())

    def deliver(self, batch: EventsBySession) -> None:
        """Tell each session its events, all under one lock."""
        letters = []
        for key, events in batch.items():
            route = self._routes.get(key) or self._open(key)
            route.last_event_ms = events[-1].at_ms
            letters.append((route.mailbox, Envelope(EventBatch(events))))
        self._dispatcher.deliver(letters)

    def broadcast(self, message: object) -> None:
        """Tell every session."""
        routes = self._routes.values()
        self._dispatcher.deliver([(route.mailbox, Envelope(message)) for route in routes])

    def passivate(self, now_ms: int) -> None:
        """Stop sessions that have been silent for their timeout; looks every 5 minutes at most."""
        if now_ms < self._next_check_ms:
            return
        self._next_check_ms = now_ms + self._check_every_ms
        silent_since_ms = now_ms - self._timeout_ms
        for key, route in list(self._routes.items()):
            # One in quarantine would never hear of it, and its actor come back for good.
            if route.last_event_ms <= silent_since_ms and not route.mailbox.is_closed:
                del self._routes[key]
                route.mailbox.tell(Passivate())

    def _open(self, key: SessionKey) -> _Route:
        mailbox = PooledMailbox("/".join(key), self._dispatcher)
        route = self._routes[key] = _Route(mailbox, 0)
        self._supervisor.tell(StartSession(key, mailbox))
        return route
