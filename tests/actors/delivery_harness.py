"""A DeliveryActor with a real database and real receivers, and a clock of the test's."""

from collections.abc import Callable, Sequence
from threading import Condition
from time import time
from typing import Self
from uuid import NAMESPACE_URL, uuid5

from conductor_actors.actors.delivery import DeliveryActor, DeliveryPorts
from conductor_actors.actors.messages import IntervalElapsed
from conductor_actors.actors.runtime.base import ActorContext
from conductor_actors.actors.runtime.mailbox import ThreadMailbox
from conductor_actors.adapters.postgres.delivery_queue import PostgresDeliveryQueue
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.webhooks.http_sender import HttpWebhookSender
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports.webhook_port import (
    AttemptResult,
    DeliveryOutcome,
    WebhookDelivery,
    WebhookReceiver,
    WebhookReceivers,
)
from tests.actors.scripted_actors import Ref
from tests.support.fakes.fake_clock import FakeClock
from tests.support.fakes.memory_reports import MemoryReports
from tests.support.fakes.recording_mailbox import RecordingMailbox
from tests.support.score_rows import began, ended, row
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import SECRET

MAX_WAIT_S = 20.0
NOW_MS = round(time()) * 1000


class CountingSender:
    """The real sender; it counts the attempts that were begun and have not ended."""

    def __init__(self, sender: HttpWebhookSender) -> None:
        self._sender = sender
        self._changed = Condition()
        self.begun = self.running = self.most = 0

    def send(self, delivery: WebhookDelivery, done: Callable[[AttemptResult], None]) -> None:
        def end(result: AttemptResult) -> None:
            done(result)
            with self._changed:
                self.running -= 1
                self._changed.notify_all()

        with self._changed:
            self.begun += 1
            self.running += 1
            self.most = max(self.most, self.running)
        self._sender.send(delivery, end)

    def wait_ended(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: not self.running, MAX_WAIT_S)

    def close(self) -> None:
        self._sender.close()


class FailingQueue(PostgresDeliveryQueue):
    """The real queue; while `outage` is set, results can't be stored."""

    outage: Exception | None = None

    def record(self, outcomes: Sequence[DeliveryOutcome]) -> None:
        if self.outage is not None:
            raise self.outage
        super().record(outcomes)


class DeliveryHarness:
    def __init__(
        self, database: str, urls: dict[str, str], attempt_deadline_s: float = MAX_WAIT_S
    ) -> None:
        own = {tenant: WebhookReceiver(url, (SECRET,)) for tenant, url in urls.items()}
        self.receivers = WebhookReceivers(own)
        self.store = PostgresRowStore(database, has_webhook=self.receivers.has_webhook)
        self.queue = FailingQueue(database)
        self.asked = PostgresDeliveryQueue(database)
        self.reports = MemoryReports()
        self.sender = CountingSender(
            HttpWebhookSender(self.receivers, allow_private=True, deadline_s=attempt_deadline_s)
        )
        self.clock = FakeClock()
        self.now_ms = NOW_MS
        self.mailbox = ThreadMailbox(self.clock)
        self.supervisor = RecordingMailbox()
        self._ref: Ref | None = None

    @property
    def ref(self) -> Ref:
        if self._ref is None:
            context = ActorContext("delivery", self.mailbox, self.supervisor)
            ports = DeliveryPorts(self.queue, self.sender, self.reports)
            self._ref = DeliveryActor.start(context, ports, self.receivers, lambda: self.now_ms)
        return self._ref

    def store_rows(self, *rows: ScoreRow) -> None:
        self.store.write(rows)

    def poll(self) -> None:
        self.ref.ask(IntervalElapsed(), timeout=MAX_WAIT_S)

    def settle(self) -> None:
        """Send what is due, until nothing is."""
        begun = -1
        while begun != self.sender.begun:
            begun = self.sender.begun
            self.poll()
            self.sender.wait_ended()
            self.poll()

    def poll_until(self, condition: Callable[[], bool]) -> None:
        def is_true() -> bool:
            self.poll()
            return condition()

        wait_until(is_true, MAX_WAIT_S)

    def pass_time(self, by_s: float, step_s: float = 60.0) -> None:
        """Let time pass, with a look at what is due after each step."""
        until_ms = self.now_ms + round(by_s * 1000)
        while self.now_ms < until_ms:
            step_ms = min(round(step_s * 1000), until_ms - self.now_ms)
            self.now_ms += step_ms
            self.clock.advance(step_ms / 1000)
            self.settle()

    def fail(self) -> None:
        """Handle a message on which the actor fails; the next one gets its mail and adapters."""
        self.mailbox.tell(IntervalElapsed())
        wait_until(lambda: bool(self.supervisor.messages), MAX_WAIT_S)
        self.supervisor.messages.clear()
        self._ref = None

    def stop(self, seconds: float = 1.0) -> None:
        """Stop the actor; so many seconds pass for it at each look at whether it has stopped."""

        def has_stopped() -> bool:
            self.clock.advance(seconds)
            return bool(self.supervisor.messages)

        self.ref.stop(block=False)
        wait_until(has_stopped, MAX_WAIT_S)

    def states(self) -> list[str]:
        return sorted(each.state for each in self.asked.find_unaccepted("all", None, 10_000))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._ref is not None:
            self._ref.stop()
        self.sender.close()
        for each in (self.store, self.queue, self.asked):
            each.close()


def talk(session: str, tenant: str = "default", at_ms: int = NOW_MS) -> list[ScoreRow]:
    """Return rows with three events: an anomaly begins, it ends, and the session ends."""
    return [
        row(session, at_ms - 10_000, tenant_id=tenant, anomalies=(began(_id(tenant, session)),)),
        row(
            session,
            at_ms,
            tenant_id=tenant,
            anomalies=(ended(_id(tenant, session), at_ms - 10_000),),
            is_last=True,
        ),
    ]


TALK = ["anomaly.began", "anomaly.ended", "session.ended"]


def last_row(session: str, tenant: str = "default", at_ms: int = NOW_MS) -> ScoreRow:
    return row(session, at_ms, tenant_id=tenant, is_last=True)


def _id(tenant: str, session: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{tenant}/{session}"))
