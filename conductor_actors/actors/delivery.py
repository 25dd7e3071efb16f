"""The actor that delivers events to webhooks, from the queue in the database."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from random import random
from typing import Final, NamedTuple, assert_never

from conductor_actors.actors.messages import Attempted, DeliveryMessage, IntervalElapsed
from conductor_actors.actors.runtime.base import ActorContext, SystemActor
from conductor_actors.actors.runtime.mailbox import Mailbox, ThreadMailbox
from conductor_actors.domain.webhook_retries import (
    ReceiverCondition,
    retry_ms,
    verdict_of,
)
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import (
    DeliveriesExpired,
    WebhookDelivered,
    WebhookFailed,
    WebhookGivenUp,
    WebhooksCounted,
    emit,
)
from conductor_actors.outages import Backoff
from conductor_actors.ports.report_port import SessionReports
from conductor_actors.ports.webhook_port import (
    AttemptResult,
    DeliveryOutcome,
    DeliveryQueue,
    DeliveryState,
    WebhookDelivery,
    WebhookReceivers,
    WebhookSender,
)
from conductor_actors.wire.report_bodies import encode_report
from conductor_actors.wire.webhook_messages import webhook_body

MAX_QUEUE_BACKOFF_S: Final = 15.0
MAX_IN_FLIGHT: Final = 256
MAX_READY: Final = 32  # that are read for one tenant at once
COUNT_INTERVAL_S: Final = 15.0
EXPIRY_INTERVAL_S: Final = 3600.0
STOP_WITHIN_S: Final = 3.0

NO_ROWS: Final = "the session has no rows any more"


class DeliveryPorts(NamedTuple):
    """The adapters of deliveries."""

    queue: DeliveryQueue
    sender: WebhookSender
    reports: SessionReports


class DeliveryActor(SystemActor):
    """A switch over `DeliveryMessage`.

    What is to be sent is in the database alone: after a crash, what was being sent is sent again.
    Deliveries of one session are sent one after the other, those of several sessions at once. A
    result is held until the database has stored it.
    """

    def __init__(
        self,
        context: ActorContext[ThreadMailbox],
        ports: DeliveryPorts,
        receivers: WebhookReceivers,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        super().__init__(context)
        self._queue, self._sender, self._reports = ports
        self._receivers = receivers
        self._now_ms = now_ms
        self._clock = context.mailbox.clock
        self._backoff = Backoff("database webhooks", MAX_QUEUE_BACKOFF_S, self._clock)
        self._in_flight: dict[str, WebhookDelivery] = {}  # until their results are stored
        self._outcomes: list[DeliveryOutcome] = []  # to be stored
        self._ready: dict[str, deque[WebhookDelivery]] = {}  # due, by tenant
        self._may_be_due = True  # of tenants of which nothing is ready
        self._conditions: dict[str, ReceiverCondition] = {}  # of tenants' receivers that fail
        self._next_count_s = self._next_expiry_s = 0.0
        self._is_stopping = False

    def on_receive(self, message: DeliveryMessage) -> None:
        match message:
            case Attempted(delivery, result):
                self._finish(delivery, result)
            case IntervalElapsed():
                self._may_be_due = True
            case _:
                assert_never(message)
        if self._context.mailbox.empty() and self._backoff.is_over():
            with suppress(Unavailable, ConfigError), self._backoff.attempt():
                self._use_queue()

    def _finish(self, delivery: WebhookDelivery, result: AttemptResult) -> None:
        """Add what an attempt led to to what is to be stored."""
        now_ms, tenant = self._now_ms(), delivery.key.tenant_id
        condition = self._conditions.pop(tenant, ReceiverCondition()).after(
            result.status, now_ms, _fraction(), result.retry_after_s
        )
        if condition.failures:
            self._conditions[tenant] = condition
            self._ready.pop(tenant, None)  # they stay due
        self._add(_outcome_of(delivery, result, now_ms), result.duration_s)

    def _add(self, outcome: DeliveryOutcome, duration_s: float = 0.0) -> None:
        self._in_flight[outcome.delivery.id] = outcome.delivery
        self._outcomes.append(outcome)
        _report(outcome, duration_s)

    def _use_queue(self) -> None:
        self._record()
        if not self._is_stopping:
            self._count()
            self._expire()
            self._send_due()

    def _record(self) -> None:
        if self._outcomes:
            self._queue.record(self._outcomes)
            for outcome in self._outcomes:
                self._in_flight.pop(outcome.delivery.id, None)
                self._may_be_due |= not self._ready.get(outcome.delivery.key.tenant_id)
            self._outcomes = []

    def _count(self) -> None:
        if self._clock() < self._next_count_s:
            return
        self._next_count_s = self._clock() + COUNT_INTERVAL_S
        pending, failed, dead, oldest_ms = self._queue.count()
        oldest_s = 0.0 if oldest_ms is None else max(0, self._now_ms() - oldest_ms) / 1000
        emit(WebhooksCounted(pending=pending, failed=failed, dead=dead, oldest_s=oldest_s))

    def _expire(self) -> None:
        if self._clock() < self._next_expiry_s:
            return
        self._next_expiry_s = self._clock() + EXPIRY_INTERVAL_S
        expired = self._queue.expire(self._now_ms())
        if any(expired):
            emit(DeliveriesExpired(deleted=expired.deleted, given_up=expired.abandoned))

    def _send_due(self) -> None:
        self._fetch()
        now_ms = self._now_ms()
        for tenant, ready in self._ready.items():
            batch = [ready.popleft() for _ in range(min(len(ready), self._free(tenant, now_ms)))]
            if batch:
                self._send(batch)

    def _fetch(self) -> None:
        """Read what is due for the tenants of which nothing is ready."""
        if not self._may_be_due:
            return
        now_ms, self._may_be_due = self._now_ms(), False
        wanted = {
            tenant: MAX_READY if tenant not in self._conditions else 1
            for tenant in self._queue.due_tenants(now_ms)
            if not self._ready.get(tenant)
            and self._receivers.has_webhook(tenant)
            and self._free(tenant, now_ms)
        }
        if wanted:
            for delivery in self._queue.due(now_ms, wanted, [*self._in_flight]):
                self._ready.setdefault(delivery.key.tenant_id, deque()).append(delivery)

    def _free(self, tenant: str, now_ms: int) -> int:
        """Return how many more deliveries a tenant may send now."""
        in_flight = sum(each.key.tenant_id == tenant for each in self._in_flight.values())
        condition = self._conditions.get(tenant, ReceiverCondition())
        return min(condition.free_slots(in_flight, now_ms), MAX_IN_FLIGHT - len(self._in_flight))

    def _send(self, batch: Sequence[WebhookDelivery]) -> None:
        """Begin attempts, with the bodies that every attempt has."""
        made = {
            each.id: body
            for each in batch
            if each.body is None and (body := self._make_body(each)) is not None
        }
        stored = self._queue.store_bodies(made) if made else {}
        for each in batch:
            body = each.body or stored.get(each.id)
            if body is not None:
                delivery = each._replace(body=body)
                self._in_flight[each.id] = delivery
                done = partial(_tell_result, self._context.mailbox, delivery)
                self._sender.send(delivery, done)

    def _make_body(self, delivery: WebhookDelivery) -> bytes | None:
        """Return the body of an event with a report; None if it can't be read.

        That must not hold up the others: it may take too long for this session alone.
        """
        now_ms = self._now_ms()
        try:
            report = self._reports.session_report(delivery.key)
        except (Unavailable, ConfigError) as error:
            failed = AttemptResult(None, f"its report can't be read: {error}")
            self._add(_outcome_of(delivery, failed, now_ms))
            return None
        if report is None:
            self._add(DeliveryOutcome(delivery, "dead", now_ms, now_ms, None, NO_ROWS))
            return None
        return webhook_body(delivery.type, delivery.occurred_ms, encode_report(report))

    def on_stop(self) -> None:
        """Wait a moment for what is being sent; the next owner sends again what was not done."""
        self._is_stopping = True
        until_s = self._clock() + STOP_WITHIN_S
        self._receive_until(lambda: not self._in_flight or self._clock() >= until_s)
        self._sender.close()


def _tell_result(mailbox: Mailbox, delivery: WebhookDelivery, result: AttemptResult) -> None:
    mailbox.tell(Attempted(delivery, result))


def _outcome_of(delivery: WebhookDelivery, result: AttemptResult, now_ms: int) -> DeliveryOutcome:
    first_ms = now_ms if delivery.first_attempt_ms is None else delivery.first_attempt_ms
    next_ms = now_ms
    state: DeliveryState = "pending"
    match verdict_of(result.status, now_ms, first_ms):
        case "delivered":
            state = "delivered"
        case "dead":
            state = "dead"
        case "retry":
            next_ms = retry_ms(delivery.attempts + 1, now_ms, _fraction(), result.retry_after_s)
    return DeliveryOutcome(delivery, state, now_ms, next_ms, result.status, result.error)


def _report(outcome: DeliveryOutcome, duration_s: float) -> None:
    delivery, attempts, error = outcome.delivery, outcome.delivery.attempts + 1, outcome.error
    match outcome.state:
        case "delivered":
            waited_s = max(0, outcome.at_ms - delivery.occurred_ms) / 1000
            emit(
                WebhookDelivered(
                    id=delivery.id,
                    type=delivery.type,
                    attempts=attempts,
                    duration_s=duration_s,
                    waited_s=waited_s,
                ).of_session(*delivery.key)
            )
        case "pending":
            next_in_s = (outcome.next_ms - outcome.at_ms) / 1000
            emit(
                WebhookFailed(
                    id=delivery.id,
                    type=delivery.type,
                    attempts=attempts,
                    error=error,
                    next_in_s=next_in_s,
                ).of_session(*delivery.key)
            )
        case "dead":
            emit(
                WebhookGivenUp(
                    id=delivery.id, type=delivery.type, attempts=attempts, error=error
                ).of_session(*delivery.key)
            )


def _fraction() -> float:
    return random()  # noqa: S311 - no secret
