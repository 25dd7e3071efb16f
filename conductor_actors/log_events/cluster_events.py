"""Log events of a cluster's coordinator: hosts, moves of partitions, autoscaling."""

from typing import ClassVar, TypeAlias

from conductor_actors.log_events.log_event import Count, Level, LogEvent, Name, Number


class HostStarted(LogEvent):
    """A host has started in this process."""

    host: Name
    node: Name
    pid: Count


class HostLost(LogEvent):
    """A host has died, or did not answer and was killed. Others start its partitions."""

    level: ClassVar[Level] = "warning"
    host: Name
    partitions: Count


class PartitionMoved(LogEvent):
    """A partition runs on another host than before. `source` is empty if its host had died."""

    source: Name
    target: Name
    duration_s: Number


class HostsRequested(LogEvent):
    """Autoscaling requests nodes for another number of hosts."""

    hosts: Count
    before: Count


ClusterEvent: TypeAlias = HostStarted | HostLost | PartitionMoved | HostsRequested
