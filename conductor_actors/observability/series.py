"""Create the series of metrics, each with the prefix of the service."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class SeriesFactory:
    """Creates series whose names begin with `conductor_`, all in one registry."""

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float]) -> None:
        self._registry = registry
        self._now = now
        self._last_success = self.gauge(
            "last_success_timestamp_seconds",
            "Unix time at which a step last succeeded; 0 if never.",
            "step",
        )

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """Create a counter; Prometheus adds `_total` to its name."""
        return Counter(f"conductor_{name}", meaning, labels, registry=self._registry)

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        """Create a gauge."""
        return Gauge(f"conductor_{name}", meaning, labels, registry=self._registry)

    def histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        """Create a histogram with these upper bounds."""
        return Histogram(f"conductor_{name}", meaning, buckets=buckets, registry=self._registry)

    def success(self, step: str) -> Callable[[], None]:
        """Return the function to call after each success of a step."""
        last = self._last_success.labels(step)
        return lambda: last.set(self._now())
