"""The splitter and the collectors of all partitions as one program, without Ray.

A collector that fails is started again, as a host does it.
"""

import os
import sys
import threading
from contextlib import ExitStack
from typing import Final

from conductor_actors.app.partition_collector import HostServices, PartitionCollector
from conductor_actors.app.signals import run_until_stopped
from conductor_actors.app.splitter import SplitterService
from conductor_actors.app.startup import ServerUrls, configure, open_servers
from conductor_actors.domain.partitions.partition import Partition, all_partitions
from conductor_actors.errors import ConfigError
from conductor_actors.settings import Settings

POLL_S: Final = 0.1
DRAIN_WITHIN_S: Final = 15.0


class PartitionsService:
    """All parts, until one fails for good."""

    def __init__(self, settings: Settings, urls: ServerUrls) -> None:
        self._settings = settings
        self._services = HostServices(settings, urls)
        self._splitter = SplitterService(settings, urls, f"splitter:{os.getpid()}")
        self._collectors: dict[Partition, PartitionCollector] = {}
        self._stop = threading.Event()

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> int:
        splitting = threading.Thread(target=self._splitter.run)
        splitting.start()
        with ExitStack() as cleanup:
            cleanup.callback(splitting.join)
            cleanup.callback(self._splitter.stop)
            cleanup.callback(self._services.close)
            self._services.prepare(self._stop)
            self._collect()
        return 0

    def _collect(self) -> None:
        while not self._stop.wait(POLL_S):
            for partition in all_partitions(self._settings.partitions):
                collector = self._collectors.get(partition)
                if collector is None or collector.status().state == "ended":
                    self._collectors[partition] = self._new_collector(partition)
        for collector in self._collectors.values():
            collector.stop()
        for collector in self._collectors.values():
            collector.wait(DRAIN_WITHIN_S)

    def _new_collector(self, partition: Partition) -> PartitionCollector:
        owner = f"host:{os.getpid()}"
        collector = PartitionCollector(self._services, partition, owner, lambda name: name == owner)
        collector.start()
        return collector


def main() -> int:
    settings = configure(sys.stdout)
    with open_servers(settings) as urls:
        try:
            return run_until_stopped(PartitionsService(settings, urls))
        except ConfigError as error:
            print(f"conductor_actors: {error}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
