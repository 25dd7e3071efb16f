"""The ports through which webhooks receive events: a queue in the database, and the sender."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

from conductor_actors.domain.identity import SessionKey

DeliveryState: TypeAlias = Literal["pending", "delivered", "dead"]


class WebhookReceiver(NamedTuple):
    """Where the events of a tenant are sent, and the secrets that sign them, each in base64."""

    url: str
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return "WebhookReceiver(…)"  # a URL may contain a secret, too


class WebhookReceivers(NamedTuple):
    """The receivers of tenants; `fallback` is that of tenants that have none of their own.

    A tenant whose own is None has no webhook.
    """

    own: Mapping[str, WebhookReceiver | None] = {}
    fallback: WebhookReceiver | None = None

    def of(self, tenant_id: str) -> WebhookReceiver | None:
        """Return the receiver of a tenant, if it has one."""
        return self.own.get(tenant_id, self.fallback)

    def has_webhook(self, tenant_id: str) -> bool:
        """Check whether a tenant has a receiver."""
        return self.of(tenant_id) is not None

    def is_empty(self) -> bool:
        """Check whether no tenant has a receiver."""
        return self.fallback is None and not any(self.own.values())


class WebhookDelivery(NamedTuple):
    """An event that a webhook is to receive, and how often it was sent so far.

    `body` is None until it is made, right before the first attempt.
    """

    id: str
    key: SessionKey
    type: str
    occurred_ms: int
    body: bytes | None = None
    attempts: int = 0
    first_attempt_ms: int | None = None


class AttemptResult(NamedTuple):
    """What one attempt led to: the status of the response, or an error without one."""

    status: int | None
    error: str = ""
    duration_s: float = 0.0
    retry_after_s: float | None = None
    response: bytes = b""  # its beginning


class DeliveryOutcome(NamedTuple):
    """The state of a delivery after an attempt; one that stays pending has its next at `next_ms`.

    Later ones of its session wait for it.
    """

    delivery: WebhookDelivery
    state: DeliveryState
    at_ms: int
    next_ms: int
    status: int | None
    error: str


class DeliveryCounts(NamedTuple):
    """The numbers of deliveries. `failed` are those of the pending that failed at least once.

    `oldest_ms` is when the oldest of the pending was to be sent first; None if there are none.
    """

    pending: int
    failed: int
    dead: int
    oldest_ms: int | None


class ExpiredDeliveries(NamedTuple):
    """The numbers of deliveries that were deleted, and of those that became dead by their age."""

    deleted: int
    abandoned: int


class DeliveryQueue(Protocol):
    """The queue of deliveries in the database, of which one process sends.

    Every call may raise `Unavailable`, or `ConfigError` for what the operator must change.
    """

    def due_tenants(self, now_ms: int) -> Sequence[str]:
        """Return the tenants that have a delivery whose next attempt is due."""

    def due(
        self, now_ms: int, slots: Mapping[str, int], in_flight: Collection[str]
    ) -> Sequence[WebhookDelivery]:
        """Return due deliveries, of each tenant at most so many, the longest due first.

        Of a session only the first can be due. `in_flight` are ids that are being sent.
        """

    def store_bodies(self, bodies: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Store the bodies of deliveries, by id; return what is stored, which are the first."""

    def record(self, outcomes: Sequence[DeliveryOutcome]) -> None:
        """Store what attempts led to, all or none."""

    def count(self) -> DeliveryCounts:
        """Return the numbers of deliveries."""

    def expire(self, now_ms: int) -> ExpiredDeliveries:
        """Delete deliveries that were done long ago, and abandon those that wait for too long."""

    def close(self) -> None:
        """Close the connection."""


class WebhookSender(Protocol):
    """Send deliveries to the receivers of their tenants, many at once."""

    def send(self, delivery: WebhookDelivery, done: Callable[[AttemptResult], None]) -> None:
        """Begin an attempt; `done` is called on another thread, within a bounded time."""

    def close(self) -> None:
        """End the attempts; those that were not done may have been received or not."""
