"""What can be measured of a collector, made of its log stream, which says it all already.

Each class below speaks of one thing and has a method for each line that tells of it, named as the
line is named in the vocabulary. No label is open: kinds, reasons and services are constants of the
code; sessions, tenants and users are never a label.
"""

import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Final, TypeAlias

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from conductor_actors.domain.intake import LIVE_MS
from conductor_actors.domain.quotas import (
    SESSION_EVENTS,
    SESSION_USERS,
    TENANT_EVENTS,
    TENANT_SESSIONS,
)
from conductor_actors.log_events import VOCABULARY

Line: TypeAlias = Mapping[str, Any]

# While they are away, scores stand still. A standby says `redis`.
NEEDED: Final = frozenset({"redis", "redis events", "redis updates"})

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
        """Give what to call each time a step has worked."""
        last = self._last_success.labels(step)
        return lambda: last.set(self._now())


class EventMetrics:
    """Events in."""

    def __init__(self, make: SeriesFactory) -> None:
        events = make.counter("events", "Events read, by what became of them.", "result")
        self._routed, self._skipped = events.labels("routed"), events.labels("skipped")
        self._invalid, self._refused = events.labels("invalid"), events.labels("refused")
        self._reasons = make.counter("invalid_events", "What was no event.", "reason")
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

    def events_read(self, line: Line) -> None:
        """Note that reading works."""
        self._lag.set(line["lag_s"])
        self._has_read()

    def events_routed(self, line: Line) -> None:
        """Count what became messages to sessions."""
        self._routed.inc(line["events"])
        self._skipped.inc(line["skipped"])
        self._sessions.set(line["sessions"])

    def events_invalid(self, line: Line) -> None:
        """Count what went to the dead letters."""
        self._invalid.inc(line["events"])
        self._reasons.labels(line["reason"]).inc(line["events"])

    def stream_unreadable(self, line: Line) -> None:
        """Note how many names are left out."""
        self._unreadable.set(line["streams"])

    stream_readable = stream_unreadable

    def events_refused(self, line: Line) -> None:
        """Count what was over a limit; whose it was is said by the log."""
        self._limits.labels(line["reason"]).inc(line["events"])
        if line["reason"] != SESSION_USERS:  # which was routed, and counts but as connected
            self._refused.inc(line["events"])

    def gap_detected(self, line: Line) -> None:
        """Count what was never read; how much is not always known."""
        self._gaps.labels(line["reason"]).inc()
        self._lost.labels(line["reason"]).inc(line["lost_events"] or 0)


class TickMetrics:
    """Ticks."""

    def __init__(self, make: SeriesFactory) -> None:
        self._completed = make.counter("ticks_completed", "Ticks at which all were scored.")
        self._late = make.counter("ticks_late", "Of these, too old to be announced.")
        self._delay = make.histogram(
            "tick_delay_seconds", "From a tick's time until all were scored.", _SECONDS
        )
        self._has_ticked = make.success("tick")

    def tick_completed(self, line: Line) -> None:
        """Count a tick, and how late it was."""
        self._completed.inc()
        self._late.inc(line["lag_s"] > LIVE_MS / 1000)
        self._delay.observe(line["lag_s"] + line["duration_s"])
        self._has_ticked()


class WriterMetrics:
    """Rows out, into the database or, while it is away, into the outbox."""

    def __init__(self, make: SeriesFactory) -> None:
        self._written = make.counter("rows_written", "Rows handed to the database.")
        self._refused = make.counter("rows_refused", "Rows it refuses for good.")
        self._batch = make.histogram("batch_rows", "Rows a batch.", _ROWS)
        self._duration = make.histogram("write_duration_seconds", "Time of a batch.", _SECONDS)
        self._outbox = make.gauge(
            "outbox_rows", "Rows set aside and not stored yet; a predecessor's count by entry."
        )
        self._has_stored = make.success("store")

    def batch_written(self, line: Line) -> None:
        """Count a batch."""
        self._written.inc(line["rows"])
        self._batch.observe(line["rows"])
        self._duration.observe(line["duration_s"])
        self._has_stored()

    def rows_refused(self, line: Line) -> None:
        """Count what became dead letters."""
        self._refused.inc(line["rows"])

    def outbox_found(self, line: Line) -> None:
        """Count what a predecessor has left."""
        self._outbox.set(line["entries"])

    def rows_set_aside(self, line: Line) -> None:
        """Count what waits in the outbox."""
        self._outbox.inc(line["rows"])

    def outbox_drained(self, _: Line) -> None:
        """Note that nothing waits there any more."""
        self._outbox.set(0)


class PublisherMetrics:
    """Updates out."""

    def __init__(self, make: SeriesFactory) -> None:
        self._published = make.counter("updates_published", "Updates announced in Redis.")
        self._dropped = make.counter("updates_dropped", "Updates never announced: Redis was away.")
        self._letters = make.counter("dead_letters_lost", "Dead letters that could not be kept.")
        self._duration = make.histogram("publish_duration_seconds", "Time of a batch.", _SECONDS)
        self._has_published = make.success("publish")

    def updates_published(self, line: Line) -> None:
        """Count a batch."""
        self._published.inc(line["updates"])
        self._duration.observe(line["duration_s"])
        self._has_published()

    def updates_dropped(self, line: Line) -> None:
        """Count what an outage has cost."""
        self._dropped.inc(line["updates"])
        self._letters.inc(line["dead_letters"])


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

    def actor_stats(self, line: Line) -> None:
        """Take over what each kind of actor says of itself every 5 s."""
        kind = line["kind"]
        self._depth.labels(kind).set(line["mailbox_depth"])
        self._oldest.labels(kind).set(line["oldest_s"])
        self._handled.labels(kind).inc(max(0, line["handled"] - self._handled_before.get(kind, 0)))
        self._handled_before[kind] = line["handled"]
        self._failures.labels(kind)  # there at 0
        self._restarts.labels(kind)
        if "quarantined" in line:
            self._quarantined.set(line["quarantined"])

    def actor_failed(self, line: Line) -> None:
        """Count a failure."""
        self._failures.labels(line["actor"]).inc()

    def actor_restarted(self, line: Line) -> None:
        """Count a restart."""
        self._restarts.labels(line["actor"]).inc()

    def handler_slow(self, _: Line) -> None:
        """Count a look that found a session still on its thread."""
        self._slow.inc()


class Standing:
    """Whether this process owns the events, and whom it can't reach."""

    def __init__(self, make: SeriesFactory) -> None:
        self._owner = make.gauge("owner", "1 while this process reads the events, else 0.")
        self._outage = make.gauge("outage", "1 while a service is away.", "service")
        self._has_saved = make.success("checkpoint")
        build = make.gauge("build_info", "1, with the version as its label.", "version")
        build.labels(version("conductor-actors")).set(1)
        self.phase = "starting"  # then standby, running, draining
        self._away: set[str] = set()

    def obstacles(self) -> list[str]:
        """Say what keeps this process from doing its part, if anything does.

        A standby does its part by waiting: a rollout that replaces it may go on to the owner.
        """
        if self.phase in ("starting", "draining"):
            return [f"collector: {self.phase}", *(f"{each}: away" for each in sorted(self._away))]
        return [f"{each}: away" for each in sorted(self._away & NEEDED)]

    def lease_awaited(self, _: Line) -> None:
        """Note that another process is the owner."""
        self.phase = "standby"

    def service_started(self, _: Line) -> None:
        """Note that this process is the owner."""
        self.phase = "running"
        self._owner.set(1)

    def drain_began(self, _: Line) -> None:
        """Note that it reads no more."""
        self.phase = "draining"
        self._owner.set(0)

    def checkpoint_committed(self, _: Line) -> None:
        """Note that a crash from now on costs nothing from before."""
        self._has_saved()

    def outage_began(self, line: Line) -> None:
        """Note that a service is away."""
        self._away.add(line["service"])
        self._outage.labels(line["service"]).set(1)

    def outage_ended(self, line: Line) -> None:
        """Note that it is back."""
        self._away.discard(line["service"])
        self._outage.labels(line["service"]).set(0)


class CollectorMetrics:
    """Every series of the collector in this process. Hand `hear` to `logs.configure`."""

    def __init__(
        self, registry: CollectorRegistry = REGISTRY, now: Callable[[], float] = time.time
    ) -> None:
        make = SeriesFactory(registry, now)
        self.standing = Standing(make)
        others = (
            kind(make)
            for kind in (EventMetrics, TickMetrics, WriterMetrics, PublisherMetrics, ActorMetrics)
        )
        self._steps: dict[str, Callable[[Line], None]] = {
            name: getattr(part, name)
            for part in (self.standing, *others)
            for name in vars(type(part)).keys() & VOCABULARY.keys()
        }

    @property
    def lines(self) -> frozenset[str]:
        """List the lines that are listened to."""
        return frozenset(self._steps)

    def hear(self, line: Line) -> None:
        """Take in one line of the log stream."""
        step = self._steps.get(line["event"])
        if step is not None:
            step(line)
