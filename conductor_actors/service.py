"""The composition root: which adapter is behind which port, and a run from start to drain."""

import threading
import time
from importlib.metadata import version
from typing import Final

import structlog

from conductor_actors.actors.outage import Patience
from conductor_actors.adapters import migrations
from conductor_actors.adapters.redis_feed import RedisFeed
from conductor_actors.adapters.redis_lease import EXPIRES_AFTER_S, RedisLease
from conductor_actors.adapters.redis_source import RedisSource, SourceOptions
from conductor_actors.adapters.timescale import TimescaleStore
from conductor_actors.collector import DATABASE_WAIT_S, Collector, Ports
from conductor_actors.errors import ConfigError, OwnershipLost, Unavailable
from conductor_actors.settings import Settings

log = structlog.get_logger()

REDIS_WAIT_S: Final = 2.0
LEASE_LOOK_EVERY_S: Final = 0.5
LOOK_EVERY_S: Final = 0.5


class Service:
    """The collector on real servers, from its first connection to its drain."""

    def __init__(self, settings: Settings, redis_url: str, database_url: str) -> None:
        self._settings = settings
        self._redis_url = redis_url
        self._database_url = database_url
        self._lease = RedisLease(redis_url)
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask for a drain; may be called by a signal handler, and more than once."""
        self._stop.set()

    def run(self) -> int:
        """Run until `stop`, or until an actor fails too often; return the exit code.

        Raises `ConfigError` if it can't start, with a line that says what to set or grant.
        """
        try:
            self._prepare()
        except Unavailable:  # asked to stop while it was waiting for a server
            return 0
        ports = self._ports()
        collector = Collector(self._settings, ports)
        collector.start()
        self._log_start()
        exit_code = self._watch(collector)
        began_s = time.monotonic()
        exit_code = collector.drain() or exit_code
        for port in (ports.source, ports.store, ports.feed, self._lease):
            port.close()
        duration_s = round(time.monotonic() - began_s, 2)
        log.info("service_stopped", duration_s=duration_s, exit_code=exit_code)
        return exit_code

    def _watch(self, collector: Collector) -> int:
        while not self._stop.is_set():
            failure = collector.wait(LOOK_EVERY_S)
            if failure is not None:
                return failure
        return 0

    def _prepare(self) -> None:
        """Wait for both servers, bring the tables up to date, become the owner."""
        database = Patience("database", DATABASE_WAIT_S, self._stop)
        database.call(lambda: migrations.migrate(self._database_url))
        redis = Patience("redis", REDIS_WAIT_S, self._stop)
        redis.call(self._become_owner)

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

    def _ports(self) -> Ports:
        settings = self._settings
        options = SourceOptions(
            settings.transport,
            settings.tenants,
            settings.start,
            settings.window_s,
            settings.mailbox_limit,
        )
        feed = RedisFeed(self._redis_url)
        return Ports(
            RedisSource(self._redis_url, options),
            TimescaleStore(self._database_url),
            feed,
            feed,
            TimescaleStore(self._database_url),
            self._lease,
        )

    def _log_start(self) -> None:
        log.info(
            "service_started",
            version=version("conductor-actors"),
            tenants=["default", *self._settings.tenants],
            transport=self._settings.transport,
        )
