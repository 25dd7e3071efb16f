"""The actor that sends actions to the platform, each once and in time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from conductor_actors.actors.messages import (
    CourierMessage,
    IntervalElapsed,
    InterventionsChanged,
)
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.actors.tenant_calls import call_for_tenants
from conductor_actors.log_events import (
    InterventionDelivered,
    InterventionGivenUp,
    InterventionRefused,
    emit,
)
from conductor_actors.outages import Backoff
from conductor_actors.ports.conductor_port import ActionSender, OutgoingAction, SendResult

SEND_WITHIN_S: Final = 15.0  # of the tick at which it was approved
MAX_SEND_BACKOFF_S: Final = 2.0
MAX_SEND_BATCH: Final = 100
MAX_UNSENT: Final = 10_000
MAX_REMEMBERED: Final = 10_000  # what is forgotten costs a round trip if it is offered again

_Key: TypeAlias = tuple[str, str]  # the tenant, and the id of the intervention


@dataclass(slots=True)
class _Unsent:
    action: OutgoingAction
    received_s: float
    was_attempted: bool = False


class CourierActor(SystemActor):
    """A switch over `CourierMessage`.

    A session offers an action at each tick until it knows that it was sent; so a Courier that is
    restarted, or that forgets, misses nothing. While the database is away, nothing is sent: what it
    would lead to could not be measured.
    """

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        sender: ActionSender,
        is_database_away: Callable[[], bool],
    ) -> None:
        super().__init__(context)
        self._sender = sender
        self._is_database_away = is_database_away
        self._clock = context.mailbox.clock
        self._backoff = Backoff("redis interventions", MAX_SEND_BACKOFF_S, self._clock)
        self._unsent: dict[_Key, _Unsent] = {}  # oldest first
        self._finished: dict[_Key, None] = {}  # oldest first

    def on_receive(self, message: CourierMessage) -> None:
        match message:
            case InterventionsChanged(tenant_id, session_id, records):
                for record in records:
                    self._receive(OutgoingAction(tenant_id, session_id, record))
            case IntervalElapsed():
                pass
            case _:
                assert_never(message)
        if len(self._unsent) >= MAX_SEND_BATCH or self._context.mailbox.empty():
            self._send()

    def _receive(self, action: OutgoingAction) -> None:
        """Add an action to those to be sent; withdraw one that is not to be sent any more."""
        key = action.tenant_id, action.record.id
        if not action.record.is_to_send:
            self._unsent.pop(key, None)
        elif key not in self._finished and key not in self._unsent:
            self._unsent[key] = _Unsent(action, self._clock())
            if len(self._unsent) > MAX_UNSENT:
                self._give_up(next(iter(self._unsent)), "too_many")

    def _send(self) -> None:
        is_database_away = self._is_database_away()
        self._abandon_late("database_away" if is_database_away else "redis_away")
        if self._unsent and not is_database_away and self._backoff.is_over():
            tenants = dict.fromkeys(tenant_id for tenant_id, _ in self._unsent)
            call_for_tenants(self._backoff, tenants, self._send_of_tenant)

    def _abandon_late(self, reason: str) -> None:
        """Abandon what is late by this clock: a server that is away can't refuse it."""
        oldest_s = self._clock() - SEND_WITHIN_S
        for key in [key for key, each in self._unsent.items() if each.received_s < oldest_s]:
            self._give_up(key, reason)

    def _send_of_tenant(self, tenant_id: str) -> None:
        keys = [key for key in self._unsent if key[0] == tenant_id]
        for first in range(0, len(keys), MAX_SEND_BATCH):
            self._send_batch(keys[first : first + MAX_SEND_BATCH])

    def _send_batch(self, keys: Sequence[_Key]) -> None:
        batch = [self._unsent[key] for key in keys]
        were_attempted = [each.was_attempted for each in batch]
        for each in batch:
            each.was_attempted = True
        results = self._sender.send([each.action for each in batch])
        for key, was_attempted, result in zip(keys, were_attempted, results, strict=True):
            self._finish(key, result, was_attempted=was_attempted)

    def _finish(self, key: _Key, result: SendResult, *, was_attempted: bool) -> None:
        if result is SendResult.LATE:
            self._give_up(key, "late")
            return
        action, waited_s = self._remove(key)
        record = action.record
        match result:
            case SendResult.SENT_BEFORE if not was_attempted:
                pass  # the process before this one has reported it
            case SendResult.SENT | SendResult.SENT_BEFORE:
                emit(
                    InterventionDelivered(
                        id=record.id, type=record.type, waited_s=waited_s
                    ).of_session(action.tenant_id, action.session_id)
                )
            case SendResult.REFUSED:
                emit(
                    InterventionRefused(
                        id=record.id, type=record.type, reason="event_limit"
                    ).of_session(action.tenant_id, action.session_id)
                )
            case _:
                assert_never(result)

    def _give_up(self, key: _Key, reason: str) -> None:
        action, waited_s = self._remove(key)
        emit(
            InterventionGivenUp(
                id=action.record.id, type=action.record.type, reason=reason, waited_s=waited_s
            ).of_session(action.tenant_id, action.session_id)
        )

    def _remove(self, key: _Key) -> tuple[OutgoingAction, float]:
        """Remove an action from those to be sent, and remember it; return how long it waited."""
        unsent = self._unsent.pop(key)
        self._finished[key] = None
        if len(self._finished) > MAX_REMEMBERED:
            del self._finished[next(iter(self._finished))]
        return unsent.action, round(self._clock() - unsent.received_s, 3)

    def on_stop(self) -> None:
        self._send()
