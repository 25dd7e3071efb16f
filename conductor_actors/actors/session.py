"""One session: applies its events, and at each tick tells its score to Writer and Publisher."""

from collections.abc import Sequence
from typing import NamedTuple, assert_never

import structlog

from conductor_actors.actors.base import Place, Poisoned, PooledActor, salvage
from conductor_actors.actors.dispatcher import Dispatcher
from conductor_actors.actors.mailbox import Mailbox, PooledMailbox
from conductor_actors.actors.messages import (
    AllCaptured,
    Capture,
    Captured,
    EventBatch,
    EventsRefused,
    Passivate,
    Scored,
    SessionMessage,
    Tick,
)
from conductor_actors.domain.checkpoints import encode_state
from conductor_actors.domain.events import Event
from conductor_actors.domain.intake import SessionKey
from conductor_actors.domain.quotas import SESSION_USERS
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session import SessionState, row_at
from conductor_actors.ports import Clock

log = structlog.get_logger()


class SessionParts(NamedTuple):
    """What all sessions share."""

    scoring: Scoring
    writer: Mailbox
    publisher: Mailbox
    dispatcher: Dispatcher
    clock: Clock


class SessionActor(PooledActor):
    """A switch over `SessionMessage`."""

    def __init__(
        self, place: Place[PooledMailbox], tenant_id: str, state: SessionState, parts: SessionParts
    ) -> None:
        super().__init__(place, parts.dispatcher)
        self._tenant_id = tenant_id
        self._state = state
        self._parts = parts
        self._poison: list[tuple[Event, Exception]] = []

    def on_receive(self, message: SessionMessage) -> None:
        match message:
            case EventBatch(events):
                self._apply(events)
            case Tick():
                self._score(message)
            case Capture():
                answer(message, (self._tenant_id, self._state.session_id), self._state)
            case Passivate():
                self.stop()
            case _:
                assert_never(message)
        if self._poison:
            poison, self._poison = self._poison, []
            raise Poisoned(poison) from poison[0][1]

    def legacy(self) -> SessionState:
        """Give the state from before whatever failed."""
        return self._state

    def _apply(self, events: Sequence[Event]) -> None:
        before = self._state.refused_users
        self._state, self._poison = salvage(SessionState.after, self._state, events)
        if self._state.refused_users > before:
            refused = self._state.refused_users - before
            self._place.supervisor.tell(EventsRefused(self._tenant_id, SESSION_USERS, refused))

    def _score(self, tick: Tick) -> None:
        try:
            if self._state.has_row_at(tick.at_ms):
                self._tell_row(tick)
        finally:
            if tick.sessions.is_last():
                self._completed(tick)

    def _tell_row(self, tick: Tick) -> None:
        parts = self._parts
        scored = Scored(row_at(tick.at_ms, self._tenant_id, self._state, parts.scoring, tick.marks))
        parts.writer.tell(scored)
        if tick.is_live:
            parts.publisher.tell(scored)

    def _completed(self, tick: Tick) -> None:
        log.info(
            "tick_completed",
            tick_at_ms=tick.at_ms,
            sessions=tick.sessions.total,
            duration_s=round(self._parts.clock() - tick.sessions.began_s, 4),
            lag_s=tick.sessions.lag_s,
        )


def answer(capture: Capture, key: SessionKey, state: SessionState) -> None:
    """Tell a session's state, if that is asked for, and the end, if it is the last."""
    if capture.has_changed:
        capture.reply_to.tell(Captured(capture.number, key, encode_state(state)))
    if capture.sessions.is_last():
        capture.reply_to.tell(AllCaptured(capture.number))
