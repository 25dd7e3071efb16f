"""A process that runs the collectors of some partitions, and says on stdout how far it is.

Run by `partitions`: `python -m tests.benchmarks.partition_host COUNT NUMBER…`.
"""

import sys
import threading
import time
from typing import Final

import msgspec

from conductor_actors.app.partition_collector import HostServices, PartitionCollector
from conductor_actors.app.startup import ServerUrls
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.observability import logs
from conductor_actors.settings.loading import load_settings

INTERVAL_S: Final = 0.05


class Progress(msgspec.Struct):
    """How many of its collectors run, and how many sessions and entries they have."""

    running: int
    sessions: int
    entries: int


def main(count: int, *numbers: int) -> None:
    logs.configure("error", "json", sys.stderr)
    settings = load_settings()
    urls = ServerUrls(settings.redis_url or "", settings.database_url or "")
    services = HostServices(settings, urls)
    services.prepare(threading.Event())
    collectors = [
        PartitionCollector(services, Partition(number, count), "host", lambda _: False)
        for number in numbers
    ]
    for collector in collectors:
        collector.start()
    while True:
        found = [collector.status() for collector in collectors]
        running = sum(each.state == "running" for each in found)
        sessions, entries = (sum(each.sessions for each in found), sum(e.entries for e in found))
        progress = Progress(running, sessions, entries)
        sys.stdout.write(msgspec.json.encode(progress).decode() + "\n")
        sys.stdout.flush()
        time.sleep(INTERVAL_S)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
