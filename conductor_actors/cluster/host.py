"""The host: an actor of Ray that runs its share of the partitions in its process."""

import os
import threading
import time
from contextlib import ExitStack
from typing import Final

from conductor_actors.app.partition_collector import HostServices, PartitionCollector
from conductor_actors.cluster.actor_names import owner_name
from conductor_actors.cluster.actor_process import actor_process, served_metrics
from conductor_actors.cluster.host_messages import (
    HostCommand,
    HostReport,
    LeaveReason,
    MayBreakOwner,
    PartitionFigures,
    ServiceParameters,
)
from conductor_actors.cluster.hosted_partitions import HostedPartitions, RunningPartition
from conductor_actors.cluster.living_actors import LivingActors
from conductor_actors.cluster.process_figures import Rate, memory_bytes
from conductor_actors.cluster.ray_view import cluster_address, node_id, read_view
from conductor_actors.domain.partitions.partition import Partition
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.log_events import emit
from conductor_actors.log_events.cluster_events import HostStarted
from conductor_actors.observability.partition_digest import digest_partitions

HOST_THREADS: Final = 2  # of Ray, for calls: one at a time, and one more while that ends


class Host:
    """Answers each command with a report, at once: partitions start and drain on their threads."""

    def __init__(self, name: str, parameters: ServiceParameters) -> None:
        self._cleanup = ExitStack()
        self._cleanup.enter_context(actor_process(parameters))
        self._cleanup.enter_context(served_metrics(parameters))
        self._cleanup.enter_context(digest_partitions(name))
        self._parameters = parameters
        self._node = node_id()
        self._owner = owner_name(cluster_address(), name)
        self._living = LivingActors(cluster_address(), read_view)
        self._services = HostServices(parameters.settings, parameters.urls)
        self._partitions = HostedPartitions(self._open_partition)
        self._leaving: LeaveReason = ""
        self._cpu, self._events = Rate(), Rate()
        emit(HostStarted(host=name, node=self._node, pid=os.getpid()))
        threading.Thread(target=self._prepare, name="preparation", daemon=True).start()

    def exchange(self, command: HostCommand) -> HostReport:
        """Carry out a command; return the state after it."""
        self._leaving = self._leaving or command.leaving or ""
        if command.leaving == "node":
            self._leaving = "node"
        self._partitions.command(command.starts, command.drains)
        return HostReport(
            self._node,
            os.getpid(),
            self._partitions.report(),
            self._leaving,
            self._cpu.measure(time.process_time()),
            memory_bytes(),
            self._events.measure(self._partitions.entries()),
        )

    def _prepare(self) -> None:
        try:
            self._services.prepare(threading.Event())
        except (ConfigError, Unavailable) as error:
            self._partitions.fail(str(error))
        else:
            self._partitions.prepared()

    def _open_partition(self, number: int) -> RunningPartition:
        count = self._parameters.settings.partitions
        partition = Partition(number, count)
        return _HostedCollector(self._services, partition, self._owner, self._living.may_break)


class _HostedCollector:
    """A `RunningPartition`."""

    def __init__(
        self,
        services: HostServices,
        partition: Partition,
        owner: str,
        may_break: MayBreakOwner,
    ) -> None:
        self._collector = PartitionCollector(services, partition, owner, may_break)
        self.start = self._collector.start
        self.stop = self._collector.stop
        self.wait = self._collector.wait

    def figures(self) -> PartitionFigures:
        number, state, sessions, _, lag_s, obstacles, exit_code = self._collector.status()
        return PartitionFigures(number, state, sessions, lag_s, obstacles, exit_code)

    def entries(self) -> int:
        return self._collector.status().entries
