"""Stores the status of the cluster in Redis, on a thread, so that its coordinator never waits."""

import threading
from contextlib import closing

from conductor_actors.adapters.redis.cluster_status_store import RedisClusterStatus
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.outages import Outage
from conductor_actors.wire.cluster_status import ClusterStatus


class StatusPublisher:
    """Stores the newest status; those that came while an earlier one was stored are skipped."""

    def __init__(self, url: str) -> None:
        self._store = RedisClusterStatus(url)
        self._outage = Outage("redis cluster status")
        self._newest: ClusterStatus | None = None
        self._came = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cluster-status", daemon=True)
        self._thread.start()

    def publish(self, status: ClusterStatus) -> None:
        """Store a status soon."""
        self._newest = status
        self._came.set()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._came.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        with closing(self._store):
            while True:
                self._came.wait()
                self._came.clear()
                if self._closed.is_set():
                    return
                self._store_newest()

    def _store_newest(self) -> None:
        if self._newest is None:
            return
        try:
            self._store.store(self._newest)
        except (Unavailable, ConfigError) as error:
            self._outage.record_failure(error)
        else:
            self._outage.record_success()
