"""What can be measured of the real-time service, by Prometheus' conventions. No label is open."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from conductor_actors.errors import ConfigError

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
        self.history_seconds = Histogram(
            "conductor_dashboard_history_query_seconds",
            "Time the database took for a history.",
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
        """Add a gauge that is read when it is asked for."""
        self._gauge(name, meaning).set_function(read)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"conductor_dashboard_{name}", meaning, registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"conductor_dashboard_{name}", meaning, labels, registry=self.registry)


@contextmanager
def served(host: str, port: int, registry: CollectorRegistry) -> Iterator[WSGIServer]:
    """Serve a registry on a thread of the library's own, until the block ends."""
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigError(
            f"CONDUCTOR_METRICS_HOST={host}, CONDUCTOR_METRICS_PORT={port}: {error.strerror}; "
            "set another, or CONDUCTOR_METRICS_PORT=0 for none"
        ) from None
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
