"""The composition root: connect adapters to ports, and run the service from start to drain."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from conductor_actors.actors.supervisor import EXIT_FAILED, EXIT_OK
from conductor_actors.adapters.redis.access_check import report_shared_names
from conductor_actors.adapters.redis.command_writer import RedisCommandWriter
from conductor_actors.adapters.redis.events.event_source import RedisSource
from conductor_actors.adapters.redis.log_stream import RedisLog
from conductor_actors.adapters.redis.ownership.checkpoint_store import RedisCheckpointStore
from conductor_actors.adapters.redis.ownership.lease import RedisLease
from conductor_actors.adapters.redis.updates.update_subscriber import RedisUpdateSubscriber
from conductor_actors.app.collector_run import FAILURE_POLL_S, CollectorRun, Surroundings
from conductor_actors.app.dashboard_stores import open_histories, open_stores
from conductor_actors.app.opened_ports import (
    CollectorConfig,
    OwnerPorts,
    Servers,
    open_ports,
)
from conductor_actors.app.partition_owners import PartitionOwners
from conductor_actors.app.preparation import prepare_servers
from conductor_actors.app.source_options import source_options
from conductor_actors.compiled import IS_COMPILED
from conductor_actors.errors import Unavailable
from conductor_actors.log_events import (
    VERSION,
    DashboardFailed,
    ServiceStarted,
    ServiceStopped,
    emit,
    observed_by,
)
from conductor_actors.observability import logs
from conductor_actors.observability.collector_progress import CollectorProgress
from conductor_actors.observability.collector_status import StatusReader
from conductor_actors.observability.log_relay import LogRelay
from conductor_actors.settings import Settings

if TYPE_CHECKING:
    from conductor_actors.dashboard.server import Dashboard

# Live scores have no cycles; with the default of 700, looking for some costs a third of receiving
# updates. Connections that end leave some, so it must not be as many as in a collector.
DASHBOARD_GC_THRESHOLDS: Final = (50_000, 10, 10)


class DashboardService:
    """The dashboard without a collector: shows what any collector publishes to its Redis."""

    def __init__(self, settings: Settings, redis_url: str, database_url: str) -> None:
        self._redis_url = redis_url
        self._owners = PartitionOwners(settings, redis_url)
        self._dashboard = _make_dashboard(settings, redis_url, database_url, self._owners.status)
        self._stop = threading.Event()

    def stop(self) -> None:
        """Request the end; any thread may call this, more than once."""
        self._stop.set()

    def run(self) -> int:
        """Run until `stop`, or until it fails; return the exit code."""
        report_shared_names(self._redis_url)
        gc.set_threshold(*DASHBOARD_GC_THRESHOLDS)
        with self._owners.polled():
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
        self, settings: Settings, redis_url: str, database_url: str, *, with_dashboard: bool = True
    ) -> None:
        self._settings = settings
        self._servers = Servers(redis_url, redis_url, database_url)
        self._progress = CollectorProgress()
        self._stop = threading.Event()
        self._drain_began_s: float | None = None
        self._dashboard: Dashboard | None = None
        if with_dashboard:  # of a collector that writes all rows to one database
            settings = settings.model_copy(update={"partition_database_urls": ()})
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
            relay_logs(self._servers.redis) if self._settings.log_stream else nullcontext(),
            observed_by(self._progress.observe),
        ):
            report_shared_names(self._servers.redis)
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
        redis_url, _, database_url = self._servers
        lease = RedisLease(redis_url)
        cleanup.callback(lease.close)
        ownership = OwnerPorts(
            RedisSource(redis_url, source_options(self._settings)),
            RedisCheckpointStore(redis_url, lease.fence),
            lease,
            lease.fence,
        )
        config = CollectorConfig(self._settings, self._servers)
        ports = open_ports(config, ownership, self._progress, cleanup)
        try:
            prepare_servers(self._settings, redis_url, database_url, self._stop)
        except Unavailable:  # stopped while waiting for a server
            return EXIT_OK
        surroundings = Surroundings(self._report_start, self._has_failed, self._begin_drain)
        run = CollectorRun(config, lease, self._progress, self._stop, surroundings)
        return run.run(ports)

    def _has_failed(self) -> bool:
        return self._dashboard is not None and _has_failed(self._dashboard)

    def _begin_drain(self) -> None:
        self._drain_began_s = time.monotonic()
        if self._dashboard is not None:
            self._dashboard.drain()

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
        *open_stores(settings, database_url),
        RedisCommandWriter(redis_url),
        open_histories(settings, database_url),
    )
    return Dashboard(settings.dashboard(), upstreams, read_collector)


def _has_failed(dashboard: "Dashboard") -> bool:
    if not dashboard.wait(0):
        return False
    emit(DashboardFailed())
    return True
