"""The metrics of webhooks: what is sent, what fails, and what waits."""

from typing import Final

from conductor_actors import log_events as events
from conductor_actors.log_events import LogEvent
from conductor_actors.observability.series import SeriesFactory, highest

_ATTEMPT_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class WebhookMetrics:
    """The deliveries of events to webhooks."""

    def __init__(self, make: SeriesFactory) -> None:
        self._attempts = make.counter(
            "webhook_attempts", "Attempts to send events to webhooks, by result.", "result"
        )
        self._duration = make.histogram(
            "webhook_duration_seconds", "Time until a webhook accepted an event.", _ATTEMPT_SECONDS
        )
        self._pending = make.partition_gauge(
            "webhooks_pending", "Events that webhooks are to receive.", highest
        )
        self._dead = make.partition_gauge(
            "webhooks_dead", "Events that are not sent any more.", highest
        )
        self._oldest = make.partition_gauge(
            "webhooks_oldest_seconds",
            "Age of the oldest event that a webhook is to receive.",
            highest,
        )
        for result in ("delivered", "failed", "given_up"):
            self._attempts.labels(result)

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.WebhookDelivered():
                self._attempts.labels("delivered").inc()
                self._duration.observe(event.duration_s)
            case events.WebhookFailed():
                self._attempts.labels("failed").inc()
            case events.WebhookGivenUp():
                self._attempts.labels("given_up").inc()
            case events.DeliveriesExpired():
                self._attempts.labels("given_up").inc(event.given_up)
            case events.WebhooksCounted():
                self._pending.set(event, event.pending)
                self._dead.set(event, event.dead)
                self._oldest.set(event, event.oldest_s)
