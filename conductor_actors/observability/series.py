"""Create the series of metrics, each with the prefix of the service."""

from collections.abc import Callable, Collection
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from conductor_actors.log_events import LogEvent

Combine: TypeAlias = Callable[[Collection[float]], float]


def highest(values: Collection[float]) -> float:
    """Return the highest value, or 0 if there is none."""
    return max(values, default=0.0)


def lowest(values: Collection[float]) -> float:
    """Return the lowest value, or 0 if there is none."""
    return min(values, default=0.0)


class PartitionGauge:
    """A gauge that has a value for each partition in this process, and exports them combined.

    The partition is that of the event that reports the value; a collector of all sessions has one
    value, of the partition "".
    """

    def __init__(self, gauge: Gauge, combine: Combine) -> None:
        self._gauge = gauge
        self._combine = combine
        self._values: dict[tuple[str, ...], dict[str, float]] = {}

    def export(self, *labels: str) -> None:
        """Export the series with these labels as 0, until it has a value."""
        self._values_of(labels)

    def set(self, event: LogEvent, value: float, *labels: str) -> None:
        """Set the value of the event's partition."""
        self._values_of(labels)[event.partition] = value

    def add(self, event: LogEvent, amount: float, *labels: str) -> None:
        """Add to the value of the event's partition; one thread of it may do so."""
        values = self._values_of(labels)
        values[event.partition] = values.get(event.partition, 0.0) + amount

    def forget(self, partition: str) -> None:
        """Remove the values of a partition that has left this process."""
        for values in [*self._values.values()]:
            values.pop(partition, None)

    def _values_of(self, labels: tuple[str, ...]) -> dict[str, float]:
        values = self._values.get(labels)
        return self._add_series(labels) if values is None else values

    def _add_series(self, labels: tuple[str, ...]) -> dict[str, float]:
        values = self._values.setdefault(labels, {})
        series = self._gauge.labels(*labels) if labels else self._gauge
        series.set_function(lambda: self._combine([*values.values()]))
        return values


class SeriesFactory:
    """Creates series whose names begin with `conductor_`, all in one registry."""

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float]) -> None:
        self._registry = registry
        self._now = now
        self._partition_gauges: list[PartitionGauge] = []
        self._steps: list[str] = []
        self._last_success = self.partition_gauge(
            "last_success_timestamp_seconds",
            "Unix time at which a step last succeeded or had nothing to do, or of the start as "
            "owner; of several partitions the least recent; 0 without one.",
            lowest,
            "step",
        )

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """Create a counter; Prometheus adds `_total` to its name."""
        return Counter(f"conductor_{name}", meaning, labels, registry=self._registry)

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        """Create a gauge of the process."""
        return Gauge(f"conductor_{name}", meaning, labels, registry=self._registry)

    def partition_gauge(
        self, name: str, meaning: str, combine: Combine, *labels: str
    ) -> PartitionGauge:
        """Create a gauge that exports the values of all partitions, combined."""
        made = PartitionGauge(self.gauge(name, meaning, *labels), combine)
        self._partition_gauges.append(made)
        return made

    def histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        """Create a histogram with these upper bounds."""
        return Histogram(f"conductor_{name}", meaning, buckets=buckets, registry=self._registry)

    def success(self, step: str) -> Callable[[LogEvent], None]:
        """Return the function to call with each event that reports the success of a step."""
        self._steps.append(step)
        self._last_success.export(step)
        return lambda event: self._last_success.set(event, self._now(), step)

    def begin(self, event: LogEvent) -> None:
        """Set the time of every step to now, at which the owner of the partition starts."""
        for step in self._steps:
            self._last_success.set(event, self._now(), step)

    def forget(self, partition: str) -> None:
        """Remove the values of a partition that has left this process."""
        for gauge in self._partition_gauges:
            gauge.forget(partition)
