"""The metrics of the dashboard. No label is open."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class DashboardMetrics:
    """Every series of one dashboard, in a registry of its own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.connections = self._gauge("connections", "Open Engine.IO connections.")
        self.subscriptions = self._gauge("subscriptions", "Sessions subscribed to, all clients.")
        self.updates_heard = self._counter("updates_heard", "Updates and anomalies from Redis.")
        self.updates_invalid = self._counter("updates_invalid", "What was published but is none.")
        self.messages_sent = self._counter("messages_sent", "Messages handed to clients.")
        self.messages_replaced = self._counter(
            "messages_replaced", "Messages a slow client never got, because a newer one came."
        )
        self.clients_closed = self._counter("clients_closed", "Clients cut off.", "reason")
        self.clients_refused = self._counter("clients_refused", "Clients not let in.", "reason")
        self.requests = self._counter("http_requests", "Answers of the HTTP API.", "code")
        self.feedback = self._counter(
            "anomaly_feedback", "Feedback on anomalies, by type.", "type", "verdict"
        )
        self.exports = self._counter("exports", "Exports that ended, by outcome.", "outcome")
        self.history_seconds = Histogram(
            "conductor_dashboard_history_query_seconds",
            "Time the database took for a history.",
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.past_query_seconds = Histogram(
            "conductor_dashboard_past_query_seconds",
            "Time the database took for lists, timelines, events and reports.",
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.update_age_seconds = Histogram(
            "conductor_dashboard_update_age_seconds",
            "From a tick to its update's arrival here.",
            buckets=_BUCKETS_S,
            registry=self.registry,
        )

    def observe(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read at every scrape."""
        self._gauge(name, meaning).set_function(read)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"conductor_dashboard_{name}", meaning, registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"conductor_dashboard_{name}", meaning, labels, registry=self.registry)
