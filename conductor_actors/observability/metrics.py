"""The metrics of a collector, counted from its log events.

Each class below has the series of one subject. No label is open: kinds, reasons and services are
constants of the code; sessions, tenants and users are never a label.
"""

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from conductor_actors import log_events as events
from conductor_actors.domain.quotas import (
    SESSION_EVENTS,
    SESSION_USERS,
    TENANT_EVENTS,
    TENANT_SESSIONS,
)
from conductor_actors.domain.ticks import LIVE_MS
from conductor_actors.log_events import LogEvent

# A series must be there at 0 before its first step up, or Prometheus sees no step.
_GAPS: Final = ("flooded", "reconnected", "restarted", "trimmed")
_LIMITS: Final = (TENANT_EVENTS, TENANT_SESSIONS, SESSION_EVENTS, SESSION_USERS)

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
_ROWS: Final = (1, 10, 50, 100, 500, 1000, 2500, 5000)


class SeriesFactory:
    """Makes series whose names begin with `conductor_`, all in one registry."""

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float]) -> None:
        self._registry = registry
        self._now = now
        self._last_success = self.gauge(
            "last_success_timestamp_seconds", "When a step last worked; 0: never.", "step"
        )

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """Make what only grows; Prometheus adds `_total` to its name."""
        return Counter(f"conductor_{name}", meaning, labels, registry=self._registry)

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        """Make what goes up and down."""
        return Gauge(f"conductor_{name}", meaning, labels, registry=self._registry)

    def histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        """Make what is looked at by its share below each bound."""
        return Histogram(f"conductor_{name}", meaning, buckets=buckets, registry=self._registry)

    def success(self, step: str) -> Callable[[], None]:
        """Return the function to call after each success of a step."""
        last = self._last_success.labels(step)
        return lambda: last.set(self._now())


class EventMetrics:
    """Events in."""

    def __init__(self, make: SeriesFactory) -> None:
        results = make.counter("events", "Events read, by what became of them.", "result")
        self._routed, self._skipped = results.labels("routed"), results.labels("skipped")
        self._invalid, self._refused = results.labels("invalid"), results.labels("refused")
        self._reasons = make.counter("invalid_events", "What was no event.", "reason")
        self._ignored_keys = make.counter(
            "ignored_event_keys", "Optional keys that could not be used.", "key"
        )
        self._limits = make.counter("refused_events", "What was over a limit.", "reason")
        for reason in _LIMITS:
            self._limits.labels(reason)
        self._gaps = make.counter("gaps", "Times that events were never read.", "reason")
        self._lost = make.counter("lost_events", "Events never read, if counted.", "reason")
        for reason in _GAPS:
            self._gaps.labels(reason)
            self._lost.labels(reason)
        self._unreadable = make.gauge("unreadable_streams", "Names that are no streams, left out.")
        self._lag = make.gauge("stream_lag_seconds", "Redis' clock less how far reading has come.")
        self._sessions = make.gauge("sessions", "Sessions that are scored.")
        self._has_read = make.success("read")

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.EventsRead():
                self._lag.set(event.lag_s)
                self._has_read()
            case events.EventsRouted():
                self._routed.inc(event.events)
                self._skipped.inc(event.skipped)
                self._sessions.set(event.sessions)
            case events.EventsInvalid():
                self._invalid.inc(event.events)
                self._reasons.labels(event.reason).inc(event.events)
            case events.EventKeysIgnored():
                self._ignored_keys.labels(event.key).inc(event.events)
            case events.StreamUnreadable() | events.StreamReadable():
                self._unreadable.set(event.streams)
            case events.EventsRefused():
                self._limits.labels(event.reason).inc(event.events)
                if event.reason != SESSION_USERS:  # which was routed, and counts but as connected
                    self._refused.inc(event.events)
            case events.GapDetected():
                self._gaps.labels(event.reason).inc()
                self._lost.labels(event.reason).inc(event.lost_events or 0)


class TickMetrics:
    """Ticks."""

    def __init__(self, make: SeriesFactory) -> None:
        self._completed = make.counter("ticks_completed", "Ticks at which all were scored.")
        self._late = make.counter("ticks_late", "Of these, too old to be announced.")
        self._delay = make.histogram(
            "tick_delay_seconds", "From a tick's time until all were scored.", _SECONDS
        )
        self._has_ticked = make.success("tick")

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.TickCompleted():
                self._completed.inc()
                self._late.inc(event.lag_s > LIVE_MS / 1000)
                self._delay.observe(event.lag_s + event.duration_s)
                self._has_ticked()


class WriterMetrics:
    """Rows out, into the database or, while it is away, into the outbox."""

    def __init__(self, make: SeriesFactory) -> None:
        self._written = make.counter("rows_written", "Rows handed to the database.")
        self._refused = make.counter("rows_refused", "Rows it refuses for good.")
        self._batch = make.histogram("batch_rows", "Rows a batch.", _ROWS)
        self._duration = make.histogram("write_duration_seconds", "Time of a batch.", _SECONDS)
        self._outbox = make.gauge(
            "outbox_rows", "Spilled rows, not stored yet; a predecessor's count by entry."
        )
        self._has_stored = make.success("store")

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.BatchWritten():
                self._written.inc(event.rows)
                self._batch.observe(event.rows)
                self._duration.observe(event.duration_s)
                self._has_stored()
            case events.RowsRefused():
                self._refused.inc(event.rows)
            case events.OutboxFound():
                self._outbox.set(event.entries)
            case events.RowsSetAside():
                self._outbox.inc(event.rows)
            case events.OutboxDrained():
                self._outbox.set(0)


class PublisherMetrics:
    """Updates out."""

    def __init__(self, make: SeriesFactory) -> None:
        self._published = make.counter("updates_published", "Updates announced in Redis.")
        self._dropped = make.counter("updates_dropped", "Updates never announced: Redis was away.")
        self._letters = make.counter("dead_letters_lost", "Dead letters that could not be kept.")
        self._duration = make.histogram("publish_duration_seconds", "Time of a batch.", _SECONDS)
        self._has_published = make.success("publish")

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.UpdatesPublished():
                self._published.inc(event.updates)
                self._duration.observe(event.duration_s)
                self._has_published()
            case events.UpdatesDropped():
                self._dropped.inc(event.updates)
                self._letters.inc(event.dead_letters)


class ActorMetrics:
    """Actors: how busy they are, how often they fail."""

    def __init__(self, make: SeriesFactory) -> None:
        self._depth = make.gauge("mailbox_messages", "Messages waiting.", "kind")
        self._oldest = make.gauge("mailbox_oldest_seconds", "Age of the oldest of them.", "kind")
        self._handled = make.counter("messages_handled", "Messages handled.", "kind")
        self._handled_before: dict[str, int] = {}
        self._quarantined = make.gauge("sessions_quarantined", "Sessions left alone.")
        self._failures = make.counter("actor_failures", "Actors that died of a bug.", "kind")
        self._restarts = make.counter("actor_restarts", "Of these, restarted.", "kind")
        self._slow = make.counter("slow_handlers", "Seen on their thread for over 1 s.")

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.ActorStats():
                kind = event.kind
                self._depth.labels(kind).set(event.mailbox_depth)
                self._oldest.labels(kind).set(event.oldest_s)
                self._handled.labels(kind).inc(
                    max(0, event.handled - self._handled_before.get(kind, 0))
                )
                self._handled_before[kind] = event.handled
                self._failures.labels(kind)  # there at 0
                self._restarts.labels(kind)
                if isinstance(event.quarantined, int):
                    self._quarantined.set(event.quarantined)
            case events.ActorFailed():
                self._failures.labels(event.actor).inc()
            case events.ActorRestarted():
                self._restarts.labels(event.actor).inc()
            case events.HandlerSlow():
                self._slow.inc()


class OwnershipMetrics:
    """Whether this process owns the events, and which services are away."""

    def __init__(self, make: SeriesFactory) -> None:
        self._owner = make.gauge("owner", "1 while this process reads the events, else 0.")
        self._outage = make.gauge("outage", "1 while a service is away.", "service")
        self._has_saved = make.success("checkpoint")
        build = make.gauge("build_info", "1, with the version as its label.", "version")
        build.labels(version("conductor-actors")).set(1)

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.ServiceStarted():
                self._owner.set(1)
            case events.DrainBegan():
                self._owner.set(0)
            case events.CheckpointCommitted():
                self._has_saved()
            case events.OutageBegan():
                self._outage.labels(event.service).set(1)
            case events.OutageEnded():
                self._outage.labels(event.service).set(0)


class CollectorMetrics:
    """Every series of the collector in this process. Pass `observe` to `log_events.subscribe`."""

    def __init__(
        self, registry: CollectorRegistry = REGISTRY, now: Callable[[], float] = time.time
    ) -> None:
        make = SeriesFactory(registry, now)
        self._parts = (
            OwnershipMetrics(make),
            EventMetrics(make),
            TickMetrics(make),
            WriterMetrics(make),
            PublisherMetrics(make),
            ActorMetrics(make),
        )

    def observe(self, event: LogEvent) -> None:
        """Count what one event reports."""
        for part in self._parts:
            part.observe(event)
