"""The composition root: connect adapters to ports, and run the service from start to drain."""

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from conductor_actors.actors.supervisor import EXIT_FAILED, EXIT_OK
from conductor_actors.actors.title_writer import TitleSinks
from conductor_actors.adapters.postgres import migrations
from conductor_actors.adapters.postgres.anomaly_store import PostgresAnomalyStore
from conductor_actors.adapters.postgres.history.history_ports import make_history_ports
from conductor_actors.adapters.postgres.history_reader import PostgresHistoryReader
from conductor_actors.adapters.postgres.intervention_store import PostgresInterventionStore
from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.adapters.postgres.session_catalog import PostgresSessionCatalog
from conductor_actors.adapters.postgres.titles_table import PostgresTitleTable
from conductor_actors.adapters.redis.access_check import report_shared_names
from conductor_actors.adapters.redis.command_writer import RedisCommandWriter
from conductor_actors.adapters.redis.dead_letter_stream import RedisDeadLetterQueue
from conductor_actors.adapters.redis.events.event_source import RedisSource, SourceOptions
from conductor_actors.adapters.redis.interventions.action_sender import RedisActionSender
from conductor_actors.adapters.redis.interventions.policy_store import RedisPolicyStore
from conductor_actors.adapters.redis.introspection_channel import RedisIntrospectionChannel
from conductor_actors.adapters.redis.log_stream import RedisLog
from conductor_actors.adapters.redis.outbox import RedisOutbox, RedisTitleOutbox
from conductor_actors.adapters.redis.ownership.checkpoint_store import RedisCheckpointStore
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.updates.update_publisher import RedisUpdatePublisher
from conductor_actors.adapters.redis.updates.update_subscriber import RedisUpdateSubscriber
from conductor_actors.app.collector import DATABASE_MAX_BACKOFF_S, GC_THRESHOLDS, Collector, Ports
from conductor_actors.app.deliveries import has_webhook, open_deliveries
from conductor_actors.app.monitored_ports import (
    MonitoredCheckpoints,
    MonitoredPublisher,
    MonitoredSource,
)
from conductor_actors.app.shard_owners import ShardOwners
from conductor_actors.app.signals import DRAIN_TIMEOUT_S
from conductor_actors.app.sources import BoundedSource, ShardSource
from conductor_actors.app.takeover import REDIS_MAX_BACKOFF_S, Takeover
from conductor_actors.app.tick_watchdog import MAX_STALL_S, TickWatchdog, format_stacks
from conductor_actors.compiled import IS_COMPILED
from conductor_actors.domain.shards import SINGLE_SHARD, ShardFilter
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.log_events import (
    VERSION,
    DashboardFailed,
    OwnershipTaken,
    ServiceStarted,
    ServiceStopped,
    TicksStalled,
    emit,
    observed_by,
)
from conductor_actors.observability import logs
from conductor_actors.observability.collector_progress import CollectorProgress
from conductor_actors.observability.collector_status import CollectorStatus, StatusReader
from conductor_actors.observability.log_relay import LogRelay
from conductor_actors.outages import Outage, retry_until
from conductor_actors.ports import EventSource
from conductor_actors.settings import Settings

if TYPE_CHECKING:
    from conductor_actors.dashboard.server import Dashboard

FAILURE_POLL_S: Final = 0.1


class DashboardService:
    """The dashboard without a collector: shows what any collector publishes to its Redis."""

    def __init__(self, settings: Settings, redis_url: str, database_url: str) -> None:
        self._redis_url = redis_url
        self._shards = ShardOwners(settings.shards) if settings.shards > 1 else None
        read_collector = self._shards.status if self._shards else CollectorStatus
        self._dashboard = _make_dashboard(settings, redis_url, database_url, read_collector)
        self._stop = threading.Event()

    def stop(self) -> None:
        """Request the end; any thread may call this, more than once."""
        self._stop.set()

    def run(self) -> int:
        """Run until `stop`, or until it fails; return the exit code."""
        report_shared_names(self._redis_url)
        with self._shards.poll(self._redis_url) if self._shards else nullcontext():
            return self._run()

    def _run(self) -> int:
        self._dashboard.start()
        while not self._stop.wait(FAILURE_POLL_S):
            if _has_failed(self._dashboard):
                return EXIT_FAILED
        self._dashboard.drain()
        self._dashboard.stop()
        return EXIT_OK


class Service:
    """The collector and, unless disabled, the dashboard, from the first connection to the drain."""

    def __init__(
        self,
        settings: Settings,
        redis_url: str,
        database_url: str,
        *,
        with_dashboard: bool = True,
        until_ms: int | None = None,
    ) -> None:
        """With `until_ms`, stop once every event before that time has been processed."""
        if settings.own_shard().number > 0:  # the first shard does it for all
            settings = settings.model_copy(update={"retention_days": 0.0})
        self._settings = settings
        self._redis_url = redis_url
        self._database_url = database_url
        self._shard = settings.own_shard()
        self._until_ms = until_ms
        self._lease = RedisLease(redis_url, self._shard)
        self._progress = CollectorProgress()
        self._stop = threading.Event()
        self._drain_began_s: float | None = None
        self._dashboard: Dashboard | None = None
        if with_dashboard:
            self._dashboard = _make_dashboard(
                settings, redis_url, database_url, self._progress.status
            )

    def stop(self) -> None:
        """Request a drain; any thread may call this, more than once."""
        self._stop.set()

    def run(self) -> int:
        """Run until `stop`, or until something fails too often; return the exit code.

        Raises `ConfigError` if it can't start, with a line that says what to set or grant.
        """
        with (
            relay_logs(self._redis_url) if self._settings.log_stream else nullcontext(),
            observed_by(self._progress.observe),
        ):
            report_shared_names(self._redis_url)
            with ExitStack() as cleanup:
                exit_code = self._run(cleanup)
            if self._drain_began_s is not None:
                duration_s = round(time.monotonic() - self._drain_began_s, 2)
                emit(ServiceStopped(duration_s=duration_s, exit_code=exit_code))
        return exit_code

    def _run(self, cleanup: ExitStack) -> int:
        if self._dashboard is not None:  # first, because it shows why there are no scores yet
            self._dashboard.start()
            cleanup.callback(self._dashboard.stop)
        ports = self._open_ports(cleanup)
        try:
            self._prepare_servers()
            collector = self._take_over(ports)
        except Unavailable:  # stopped while waiting for a server or for the lease
            return EXIT_OK
        except OwnershipLost as lost:
            emit(OwnershipTaken(reason=str(lost)))
            return EXIT_FAILED
        return self._collect(collector)

    def _collect(self, collector: Collector) -> int:
        collector.start()
        self._progress.record_start()
        self._report_start()
        watchdog = TickWatchdog(collector.tick_activity, self._progress.redis_now_ms)
        with observed_by(watchdog.observe):
            exit_code = self._watch(collector, watchdog)
        self._drain_began_s = time.monotonic()
        self._progress.record_drain()
        if self._dashboard is not None:
            self._dashboard.drain()
        return collector.drain() or exit_code

    def _watch(self, collector: Collector, watchdog: TickWatchdog) -> int:
        while not self._stop.is_set():
            failure = collector.wait(FAILURE_POLL_S)
            if failure is not None:
                return failure
            if watchdog.stalled_s() >= MAX_STALL_S:
                self._give_up(watchdog.stalled_s())
                return EXIT_FAILED
            if self._dashboard is not None and _has_failed(self._dashboard):
                return EXIT_FAILED
        return EXIT_OK

    def _give_up(self, stalled_s: float) -> None:
        """Release the lease for a standby, and make sure that the process ends."""
        emit(TicksStalled(stalled_s=round(stalled_s, 1), stacks=format_stacks()))
        end = threading.Timer(DRAIN_TIMEOUT_S, os._exit, [EXIT_FAILED])
        end.daemon = True
        end.start()
        with suppress(Unavailable):
            self._lease.give_up()

    def _prepare_servers(self) -> None:
        """Wait for both servers, migrate the database, and check the grants."""
        outage = Outage("database")
        for step in (lambda: migrations.migrate(self._database_url), self._require_tables):
            retry_until(self._stop, outage, DATABASE_MAX_BACKOFF_S, step)
        retry_until(self._stop, Outage("redis"), REDIS_MAX_BACKOFF_S, self._require_publishing)

    def _take_over(self, ports: Ports) -> Collector:
        """Wait for the lease; continue from the last checkpoint."""
        gc.set_threshold(*GC_THRESHOLDS)  # before thousands of states are decoded
        takeover = Takeover(self._lease, ports.source, ports.checkpoints, self._stop)
        with ExitStack() as on_failure:
            on_failure.callback(self._release_lease)
            rules = self._settings.session_rules()
            source, recovered = takeover.complete(rules, self._progress.record_standby)
            on_failure.pop_all()
        return Collector(self._settings, ports._replace(source=source), recovered)

    def _release_lease(self) -> None:
        with suppress(Unavailable, ConfigError):
            self._lease.release()

    def _require_tables(self) -> None:
        """Raise `ConfigError` now, not at the first row, if a grant is missing."""
        store = PostgresRowStore(self._database_url, has_webhook=has_webhook(self._settings))
        connected, *others = store.check_access()
        if not connected.ok:  # the migration has just succeeded
            raise Unavailable(connected.line)
        obstacles = [finding.line for finding in others if not finding.ok]
        if obstacles:
            raise ConfigError(f"DATABASE_URL: {'; '.join(obstacles)}")

    def _require_publishing(self) -> None:
        """Raise `ConfigError` now, not at the first update, if a grant is missing."""
        with closing(RedisUpdatePublisher(self._redis_url, self._lease.fence)) as publisher:
            publisher.require_access()

    def _open_ports(self, to_close: ExitStack) -> Ports:
        source = RedisSource(self._redis_url, self._source_options())
        publisher = RedisUpdatePublisher(
            self._redis_url, self._lease.fence, self._settings.agent_mode
        )
        dead_letters = RedisDeadLetterQueue(self._redis_url, self._lease.fence)
        checkpoints = RedisCheckpointStore(self._redis_url, self._lease.fence, self._shard)
        store, old_rows = (
            PostgresRowStore(self._database_url, has_webhook=has_webhook(self._settings)),
            PostgresRowStore(self._database_url),
        )
        outbox = RedisOutbox(self._redis_url, self._shard)
        channel = RedisIntrospectionChannel(self._redis_url)
        actions = RedisActionSender(self._redis_url, self._lease.fence)
        policies = RedisPolicyStore(self._redis_url, self._lease.fence)
        catalog = PostgresSessionCatalog(
            self._database_url, has_webhook=has_webhook(self._settings)
        )
        titles = TitleSinks(
            PostgresTitleTable(self._database_url), RedisTitleOutbox(self._redis_url, self._shard)
        )
        for port in (
            *(source, publisher, dead_letters, outbox, channel, checkpoints),
            *(actions, policies),
            *(store, old_rows, catalog, *titles, self._lease),
        ):
            to_close.callback(port.close)
        progress = self._progress
        return Ports(
            MonitoredSource(self._filter_source(source), progress),
            store,
            MonitoredPublisher(publisher, progress),
            dead_letters,
            old_rows,
            self._lease,
            outbox,
            MonitoredCheckpoints(checkpoints, progress),
            channel,
            actions,
            policies,
            catalog,
            titles,
            open_deliveries(self._settings, self._database_url, to_close),
        )

    def _filter_source(self, source: EventSource) -> EventSource:
        if self._shard != SINGLE_SHARD:
            source = ShardSource(source, ShardFilter(self._shard, self._settings.max_event_bytes))
        if self._until_ms is not None:
            source = BoundedSource(source, self._until_ms, self._stop)
        return source

    def _source_options(self) -> SourceOptions:
        settings = self._settings
        return SourceOptions(
            settings.transport,
            settings.tenants,
            settings.start,
            settings.window_s,
            settings.mailbox_limit,
            self._until_ms,
        )

    def _report_start(self) -> None:
        emit(
            ServiceStarted(
                version=version("conductor-actors"),
                vocabulary=VERSION,
                tenants=["default", *self._settings.tenants],
                transport=self._settings.transport,
                compiled=IS_COMPILED,
            )
        )


@contextmanager
def relay_logs(url: str) -> Iterator[None]:
    """Copy every log line to Redis until the block ends."""
    with (
        closing(RedisLog(url)) as redis_log,
        closing(LogRelay(redis_log)) as relay,
        logs.copy_lines_to(relay.add),
    ):
        yield


def _make_dashboard(
    settings: Settings, redis_url: str, database_url: str, read_collector: StatusReader
) -> "Dashboard":
    # A collector alone starts in two thirds of the time without them, and in less memory.
    from conductor_actors.dashboard.scores.upstreams import Upstreams  # noqa: PLC0415
    from conductor_actors.dashboard.server import Dashboard  # noqa: PLC0415

    upstreams = Upstreams(
        RedisUpdateSubscriber(redis_url),
        PostgresHistoryReader(database_url),
        PostgresAnomalyStore(database_url),
        PostgresInterventionStore(database_url),
        RedisCommandWriter(redis_url),
        make_history_ports(database_url, settings.report_rules(), settings.max_queries_per_tenant),
    )
    return Dashboard(settings.dashboard(), upstreams, read_collector)


def _has_failed(dashboard: "Dashboard") -> bool:
    if not dashboard.wait(0):
        return False
    emit(DashboardFailed())
    return True
