"""The composition root: which adapter is behind which port, and a run from start to drain."""

import threading
import time
from contextlib import ExitStack
from importlib.metadata import version
from typing import Final

import structlog

from conductor_actors.actors.outage import Patience
from conductor_actors.actors.supervisor import EXIT_FAILED, EXIT_OK
from conductor_actors.adapters import migrations
from conductor_actors.adapters.redis_feed import RedisFeed
from conductor_actors.adapters.redis_lease import EXPIRES_AFTER_S, RedisLease
from conductor_actors.adapters.redis_outbox import RedisOutbox
from conductor_actors.adapters.redis_source import RedisSource, SourceOptions
from conductor_actors.adapters.timescale import TimescaleStore
from conductor_actors.collector import DATABASE_WAIT_S, Collector, Ports
from conductor_actors.dashboard.app import Urls
from conductor_actors.dashboard.server import Dashboard
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.ports import EventSource, Read
from conductor_actors.progress import Progress, WatchedFeed, WatchedSource
from conductor_actors.settings import Settings

log = structlog.get_logger()

REDIS_WAIT_S: Final = 2.0
LEASE_LOOK_EVERY_S: Final = 0.5
LOOK_EVERY_S: Final = 0.1


class DashboardAlone:
    """The dashboard on real servers, fed by whatever collector announces in that Redis."""

    def __init__(self, settings: Settings, redis_url: str, database_url: str) -> None:
        self._dashboard = Dashboard(settings.dashboard(), Urls(redis_url, database_url))
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask for an end; may be called by a signal handler, and more than once."""
        self._stop.set()

    def run(self) -> int:
        """Run until `stop`, or until it fails; return the exit code."""
        self._dashboard.start()
        while not self._stop.wait(LOOK_EVERY_S):
            if _has_failed(self._dashboard):
                return EXIT_FAILED
        self._dashboard.drain()
        self._dashboard.stop()
        return EXIT_OK


class Service:
    """The collector on real servers, and a dashboard of it, from first connection to drain."""

    def __init__(
        self, settings: Settings, redis_url: str, database_url: str, *, with_dashboard: bool = True
    ) -> None:
        self._settings = settings
        self._redis_url = redis_url
        self._database_url = database_url
        self._lease = RedisLease(redis_url)
        self._progress = Progress()
        self._stop = threading.Event()
        self._stopping_s: float | None = None
        self._dashboard: Dashboard | None = None
        if with_dashboard:
            urls = Urls(redis_url, database_url)
            self._dashboard = Dashboard(settings.dashboard(), urls, self._progress)

    def stop(self) -> None:
        """Ask for a drain; may be called by any thread, and more than once."""
        self._stop.set()

    def run(self) -> int:
        """Run until `stop`, or until something fails too often; return the exit code.

        Raises `ConfigError` if it can't start, with a line that says what to set or grant.
        """
        with ExitStack() as at_the_end:
            exit_code = self._run(at_the_end)
        if self._stopping_s is not None:
            duration_s = round(time.monotonic() - self._stopping_s, 2)
            log.info("service_stopped", duration_s=duration_s, exit_code=exit_code)
        return exit_code

    def _run(self, at_the_end: ExitStack) -> int:
        if self._dashboard is not None:  # first, because it says why there are no scores yet
            self._dashboard.start()
            at_the_end.callback(self._dashboard.stop)
        ports = self._ports(at_the_end)
        try:
            first = self._prepare(ports.source)
        except Unavailable:  # asked to stop while it was waiting for a server
            return EXIT_OK
        source = _Begun(ports.source, first)
        return self._collect(Collector(self._settings, ports._replace(source=source)))

    def _collect(self, collector: Collector) -> int:
        collector.start()
        self._progress.begins()
        self._log_start()
        exit_code = self._watch(collector)
        self._stopping_s = time.monotonic()
        self._progress.ends()
        if self._dashboard is not None:
            self._dashboard.drain()
        return collector.drain() or exit_code

    def _watch(self, collector: Collector) -> int:
        while not self._stop.is_set():
            failure = collector.wait(LOOK_EVERY_S)
            if failure is not None:
                return failure
            if self._dashboard is not None and _has_failed(self._dashboard):
                return EXIT_FAILED
        return EXIT_OK

    def _prepare(self, source: EventSource) -> Read:
        """Wait for both servers, bring the tables up to date, begin to read, become the owner.

        What can't be granted later is found out now. Reading begins before the last owner's lease
        has expired, so that no pub/sub message is missed meanwhile.
        """
        database = Patience("database", DATABASE_WAIT_S, self._stop)
        database.call(lambda: migrations.migrate(self._database_url))
        database.call(self._require_tables)
        redis = Patience("redis", REDIS_WAIT_S, self._stop)
        redis.call(self._lease.owner)  # fails at once; a first read would wait for a subscription
        first = redis.call(source.read)
        redis.call(self._become_owner)
        return first

    def _require_tables(self) -> None:
        """Find out now, not at the first row, that a grant is missing."""
        connected, *others = TimescaleStore(self._database_url).check()
        if not connected.ok:  # migrating has just worked, so it went away since
            raise Unavailable(connected.line)
        obstacles = [finding.line for finding in others if not finding.ok]
        if obstacles:
            raise ConfigError(f"DATABASE_URL: {'; '.join(obstacles)}")

    def _become_owner(self) -> None:
        """Take the lease, or find out within its lifetime that its owner is alive, and refuse."""
        until_s = time.monotonic() + EXPIRES_AFTER_S + 1
        expires_in_s: float | None = None
        while True:
            try:
                self._lease.hold()
            except OwnershipLost as lost:
                before_s, expires_in_s = expires_in_s, self._lease.expires_in_s()
                if before_s is None:
                    log.warning("lease_awaited", owner=self._lease.owner(), up_to_s=EXPIRES_AFTER_S)
                elif expires_in_s > before_s or time.monotonic() > until_s:
                    raise ConfigError(f"{lost}; stop it first, or set another REDIS_URL") from None
            else:
                return
            if self._stop.wait(LEASE_LOOK_EVERY_S):
                raise Unavailable("asked to stop")

    def _ports(self, to_close: ExitStack) -> Ports:
        source = RedisSource(self._redis_url, self._source_options())
        feed = RedisFeed(self._redis_url)
        store, old_rows = TimescaleStore(self._database_url), TimescaleStore(self._database_url)
        outbox = RedisOutbox(self._redis_url)
        for port in (source, feed, store, old_rows, self._lease, outbox):
            to_close.callback(port.close)
        watched = WatchedSource(source, self._progress), WatchedFeed(feed, self._progress)
        return Ports(watched[0], store, watched[1], feed, old_rows, self._lease, outbox)

    def _source_options(self) -> SourceOptions:
        settings = self._settings
        return SourceOptions(
            settings.transport,
            settings.tenants,
            settings.start,
            settings.window_s,
            settings.mailbox_limit,
        )

    def _log_start(self) -> None:
        log.info(
            "service_started",
            version=version("conductor-actors"),
            tenants=["default", *self._settings.tenants],
            transport=self._settings.transport,
        )


class _Begun:
    """An `EventSource` whose first read is done already."""

    def __init__(self, source: EventSource, first: Read) -> None:
        self._source = source
        self._first: Read | None = first

    def read(self) -> Read:
        first, self._first = self._first, None
        return self._source.read() if first is None else first

    def close(self) -> None:
        self._source.close()


def _has_failed(dashboard: Dashboard) -> bool:
    if not dashboard.wait(0):
        return False
    log.error("dashboard_failed")
    return True
