"""The metrics of a collector, counted from its log events.

Each class below has the series of one subject. Every label has a bounded set of values: kinds,
reasons and services are constants in the code. Sessions, tenants and users are never a label.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from typing import Final, get_args

from prometheus_client import REGISTRY, CollectorRegistry

from conductor_actors import log_events as events
from conductor_actors.domain.anomalies.changes import AnomalyType
from conductor_actors.domain.gaps import CLOCK
from conductor_actors.domain.quotas import (
    SESSION_EVENTS,
    SESSION_USERS,
    TENANT_EVENTS,
    TENANT_SESSIONS,
)
from conductor_actors.domain.ticks import LIVE_MS
from conductor_actors.log_events import LogEvent
from conductor_actors.observability.catalog_metrics import CatalogMetrics
from conductor_actors.observability.conductor_metrics import ConductorMetrics
from conductor_actors.observability.open_anomalies import OpenAnomalies
from conductor_actors.observability.partition_metrics import PartitionMetrics
from conductor_actors.observability.series import SeriesFactory, highest
from conductor_actors.observability.webhook_metrics import WebhookMetrics

# Exported as 0 from the start: Prometheus sees no increase in the first value of a series.
_GAPS: Final = (CLOCK, "flooded", "reconnected", "restarted", "trimmed")
_LIMITS: Final = (TENANT_EVENTS, TENANT_SESSIONS, SESSION_EVENTS, SESSION_USERS)

MIN_TENANT_SESSIONS: Final = 10  # in fewer, some anomalies are no storm

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
_ROWS: Final = (1, 10, 50, 100, 500, 1000, 2500, 5000)


class EventMetrics:
    """The events that are read."""

    def __init__(self, make: SeriesFactory) -> None:
        results = make.counter("events", "Events read, by result.", "result")
        self._routed, self._skipped = results.labels("routed"), results.labels("skipped")
        self._invalid, self._refused = results.labels("invalid"), results.labels("refused")
        self._reasons = make.counter(
            "invalid_events", "Entries that are not valid events, by reason.", "reason"
        )
        self._ignored_keys = make.counter(
            "ignored_event_keys", "Optional keys that could not be used.", "key"
        )
        self._limits = make.counter("refused_events", "Events over a limit, by limit.", "reason")
        for reason in _LIMITS:
            self._limits.labels(reason)
        self._gaps = make.counter("gaps", "Gaps: times at which events were never read.", "reason")
        self._lost = make.counter(
            "lost_events", "Events that were never read, where their number is known.", "reason"
        )
        for reason in _GAPS:
            self._gaps.labels(reason)
            self._lost.labels(reason)
        self._unreadable = make.partition_gauge(
            "unreadable_streams", "Event names whose Redis key is not a stream.", highest
        )
        self._lag = make.partition_gauge(
            "stream_lag_seconds",
            "Time that reading is behind Redis; of several partitions the longest.",
            highest,
        )
        self._sessions = make.partition_gauge("sessions", "Sessions that are scored.", sum)
        self._has_read = make.success("read")

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.EventsRead():
                self._lag.set(event, event.lag_s)
                self._has_read(event)
            case events.SplitterStarted():
                self._has_read(event)
            case events.EventsRouted():
                self._routed.inc(event.events)
                self._skipped.inc(event.skipped)
                self._sessions.set(event, event.sessions)
            case events.EventsInvalid():
                self._invalid.inc(event.events)
                self._reasons.labels(event.reason).inc(event.events)
            case events.EventKeysIgnored():
                self._ignored_keys.labels(event.key).inc(event.events)
            case events.StreamUnreadable() | events.StreamReadable():
                self._unreadable.set(event, event.streams)
            case events.EventsRefused():
                self._limits.labels(event.reason).inc(event.events)
                if event.reason != SESSION_USERS:  # counted as routed already
                    self._refused.inc(event.events)
            case events.GapDetected():
                self._gaps.labels(event.reason).inc()
                self._lost.labels(event.reason).inc(event.lost_events or 0)


class TickMetrics:
    """The ticks at which all sessions are scored."""

    def __init__(self, make: SeriesFactory) -> None:
        self._completed = make.counter(
            "ticks_completed", "Ticks at which all sessions were scored."
        )
        self._late = make.counter(
            "ticks_late", "Completed ticks that were too old to be published."
        )
        self._delay = make.histogram(
            "tick_delay_seconds", "Time from a tick until all sessions were scored.", _SECONDS
        )
        self._has_ticked = make.success("tick")

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.TickCompleted():
                self._completed.inc()
                self._late.inc(event.lag_s > LIVE_MS / 1000)
                self._delay.observe(event.lag_s + event.duration_s)
                self._has_ticked(event)
            case events.TickBroadcast(sessions=0) | events.EventsRouted(sessions=0):
                self._has_ticked(event)


class WriterMetrics:
    """The rows that are stored in the database or, during its outage, in the outbox."""

    def __init__(self, make: SeriesFactory) -> None:
        self._written = make.counter("rows_written", "Rows written to the database.")
        self._refused = make.counter("rows_refused", "Rows that the database refused.")
        self._batch = make.histogram("batch_rows", "Rows in a batch.", _ROWS)
        self._duration = make.histogram(
            "write_duration_seconds", "Time to write a batch.", _SECONDS
        )
        self._outbox = make.partition_gauge(
            "outbox_rows",
            "Rows in the outbox; those of an earlier process are counted by entry.",
            sum,
        )
        self._has_stored = make.success("store")

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.BatchWritten():
                self._written.inc(event.rows)
                self._batch.observe(event.rows)
                self._duration.observe(event.duration_s)
                self._has_stored(event)
            case events.TickBroadcast(sessions=0) | events.EventsRouted(sessions=0):
                self._has_stored(event)
            case events.RowsRefused():
                self._refused.inc(event.rows)
            case events.OutboxFound():
                self._outbox.set(event, event.entries)
            case events.RowsSetAside():
                self._outbox.add(event, event.rows)
            case events.OutboxDrained():
                self._outbox.set(event, 0)


class AnomalyMetrics:
    """The anomalies of sessions.

    A storm of anomalies in one tenant is told by the share of its sessions that have one.
    """

    def __init__(self, make: SeriesFactory) -> None:
        self._begun = make.counter("anomalies_begun", "Anomalies that began, by type.", "type")
        self._ended = make.counter("anomalies_ended", "Anomalies that ended, by type.", "type")
        open_anomalies = make.gauge("anomalies_open", "Open anomalies, by type.", "type")
        self._share = make.gauge(
            "anomalies_tenant_share",
            "Largest share of a tenant's sessions in this process that have an open anomaly; "
            "tenants with few sessions are left out.",
        )
        self._open = OpenAnomalies()
        self._sessions: dict[str, dict[str, int]] = {}  # of each partition and tenant
        for kind in get_args(AnomalyType):
            self._begun.labels(kind)
            self._ended.labels(kind)
            open_anomalies.labels(kind).set_function(partial(self._count_open, kind))

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        self._open.observe(event)
        match event:
            case events.AnomalyDetected():
                self._begun.labels(event.type).inc()
            case events.AnomalyOver():
                self._ended.labels(event.type).inc()
            case events.TenantStats():
                # Only the busiest are in it, and who has a storm may not be: remember the others.
                known = self._sessions.setdefault(event.partition, {})
                known |= {one.tenant: one.sessions for one in event.tenants}
                self._share.set(max(self._shares(), default=0.0))

    def forget(self, partition: str) -> None:
        """Remove the anomalies and sessions of a partition that has left this process."""
        self._open.forget(partition)
        self._sessions.pop(partition, None)

    def _shares(self) -> Iterator[float]:
        partitions = [*self._sessions.values()]
        for tenant, count in self._open.by_tenant().items():
            sessions = sum(known.get(tenant, 0) for known in partitions)
            if sessions >= MIN_TENANT_SESSIONS:
                yield min(1.0, count / sessions)

    def _count_open(self, kind: str) -> float:
        return self._open.by_type()[kind]


class PublisherMetrics:
    """The updates that are published."""

    def __init__(self, make: SeriesFactory) -> None:
        self._published = make.counter("updates_published", "Updates published to Redis.")
        self._dropped = make.counter(
            "updates_dropped", "Updates dropped during an outage of Redis."
        )
        self._letters = make.counter(
            "dead_letters_lost", "Dead letters dropped during an outage of Redis."
        )
        self._duration = make.histogram(
            "publish_duration_seconds", "Time to publish a batch.", _SECONDS
        )
        self._has_published = make.success("publish")

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.UpdatesPublished():
                self._published.inc(event.updates)
                self._duration.observe(event.duration_s)
                self._has_published(event)
            case events.TickBroadcast(sessions=0) | events.EventsRouted(sessions=0):
                self._has_published(event)
            case events.UpdatesDropped():
                self._dropped.inc(event.updates)
                self._letters.inc(event.dead_letters)


class ActorMetrics:
    """The load of actors, and their failures."""

    def __init__(self, make: SeriesFactory) -> None:
        self._depth = make.partition_gauge(
            "mailbox_messages", "Messages that wait in mailboxes.", sum, "kind"
        )
        self._oldest = make.partition_gauge(
            "mailbox_oldest_seconds", "Age of the oldest message that waits.", highest, "kind"
        )
        self._handled = make.counter("messages_handled", "Messages handled.", "kind")
        self._handled_before: dict[tuple[str, str], int] = {}  # of each partition and kind
        self._quarantined = make.partition_gauge(
            "sessions_quarantined", "Sessions in quarantine.", sum
        )
        self._failures = make.counter("actor_failures", "Actors that failed.", "kind")
        self._restarts = make.counter(
            "actor_restarts", "Actors that were restarted after a failure.", "kind"
        )
        self._slow = make.counter("slow_handlers", "Handlers that ran for more than 1 s.")

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.ActorStats():
                kind = event.kind
                self._depth.set(event, event.mailbox_depth, kind)
                self._oldest.set(event, event.oldest_s, kind)
                before = self._handled_before.get((event.partition, kind), 0)
                self._handled.labels(kind).inc(max(0, event.handled - before))
                self._handled_before[event.partition, kind] = event.handled
                self._failures.labels(kind)  # exported as 0
                self._restarts.labels(kind)
                if isinstance(event.quarantined, int):
                    self._quarantined.set(event, event.quarantined)
            case events.ActorFailed():
                self._failures.labels(event.actor).inc()
            case events.ActorRestarted():
                self._restarts.labels(event.actor).inc()
            case events.HandlerSlow():
                self._slow.inc()

    def forget(self, partition: str) -> None:
        """Forget what actors of a partition had handled, which begin again at 0."""
        for key in [key for key in [*self._handled_before] if key[0] == partition]:
            self._handled_before.pop(key, None)


class OwnershipMetrics:
    """Whether this process is the owner; outages and failovers of its servers."""

    def __init__(self, make: SeriesFactory) -> None:
        self._owner = make.partition_gauge(
            "owner", "How many partitions this process owns; 1 for all sessions, 0 for none.", sum
        )
        self._outage = make.partition_gauge(
            "outage", "1 during an outage of the service, else 0.", highest, "service"
        )
        self._has_saved = make.success("checkpoint")
        self._dropped_lines = make.counter("log_lines_dropped", "Log lines dropped.", "output")
        for output in ("redis", "stdout"):
            self._dropped_lines.labels(output)
        self._lost_primaries = make.counter(
            "primaries_lost",
            "Connections whose Redis was not the primary any more, by who reports it.",
            "reason",
        )
        for reason in ("role", "sentinels"):
            self._lost_primaries.labels(reason)
        self._changed_primaries = make.counter(
            "primary_changes", "Times that the Sentinels named another primary."
        )
        build = make.gauge("build_info", "Always 1; the label is the version.", "version")
        build.labels(version("conductor-actors")).set(1)

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.ServiceStarted() | events.PartitionStarted():
                self._owner.set(event, 1)
            case events.DrainBegan():
                self._owner.set(event, 0)
            case events.CheckpointCommitted():
                self._has_saved(event)
            case events.OutageBegan():
                self._outage.set(event, 1, event.service)
            case events.OutageEnded():
                self._outage.set(event, 0, event.service)
            case events.PrimaryLost():
                self._lost_primaries.labels(event.reason).inc()
            case events.PrimaryChanged():
                self._changed_primaries.inc()
            case events.LogLinesDropped():
                self._dropped_lines.labels(event.output).inc(event.lines)


class CollectorMetrics:
    """Every series of the collector in this process. Pass `observe` to `log_events.subscribe`."""

    def __init__(
        self, registry: CollectorRegistry = REGISTRY, now: Callable[[], float] = time.time
    ) -> None:
        make = self._series = SeriesFactory(registry, now)
        self._anomalies, self._actors = AnomalyMetrics(make), ActorMetrics(make)
        self._parts = (
            OwnershipMetrics(make),
            EventMetrics(make),
            TickMetrics(make),
            WriterMetrics(make),
            PublisherMetrics(make),
            self._anomalies,
            ConductorMetrics(make),
            CatalogMetrics(make),
            WebhookMetrics(make),
            self._actors,
            PartitionMetrics(make),
        )
        self._left: set[str] = set()  # partitions whose threads may still emit

    def observe(self, event: LogEvent) -> None:
        """Count what one event reports."""
        if isinstance(event, events.CheckpointLoaded | events.PartitionStarted):
            self._left.discard(event.partition)
        if event.partition in self._left:
            return
        for part in self._parts:
            part.observe(event)
        match event:
            case events.ServiceStarted() | events.PartitionStarted():
                self._series.begin(event)
            case events.PartitionEnded():
                self._forget(event.partition)
            case events.SplitterStopped() | events.OwnershipTaken():
                self._series.forget(event.partition)  # its process may go on

    def _forget(self, partition: str) -> None:
        """Remove the values of a partition that has left this process; what it counted stays."""
        self._left.add(partition)
        self._series.forget(partition)
        self._anomalies.forget(partition)
        self._actors.forget(partition)
