"""The Redis servers that store the partitions: none that is away delays the others.

Of n URLs, partition p is on number p modulo n. A URL can name a cluster: then each partition is on
the node that owns its keys.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

from conductor_actors.adapters.redis.connections.client import (
    PROBE_TIMEOUT_S,
    REDIS_TIMEOUT_S,
    cluster_nodes,
    open_client,
    open_node_client,
)
from conductor_actors.adapters.redis.connections.cluster_nodes import SlotOwner
from conductor_actors.adapters.redis.connections.pipelines import Command, pipeline, transaction
from conductor_actors.adapters.redis.connections.redis_errors import mapped_errors
from conductor_actors.adapters.redis.connections.sentinels import Address
from conductor_actors.domain.partitions.partition import Partition, all_partitions
from conductor_actors.errors import ConfigError, Unavailable
from conductor_actors.outages import Backoff
from conductor_actors.ports import Clock

# The commands, or replies, of each partition, by its number.
CommandsOf: TypeAlias = Mapping[int, Sequence[Command]]
RepliesOf: TypeAlias = Mapping[int, Sequence[Any]]

PARTITIONS_MAX_BACKOFF_S: Final = 2.0
SERVER_TIMEOUTS_S: Final = (REDIS_TIMEOUT_S, PROBE_TIMEOUT_S)  # the second once it was away


class PartitionServers:
    """The servers of all partitions. `service` names them in outages."""

    def __init__(
        self, urls: Sequence[str], count: int, service: str, clock: Clock = time.monotonic
    ) -> None:
        self._groups = [
            _ServerGroup(url, all_partitions(count), _Backoffs(f"{service} {number}", clock))
            for number, url in enumerate(urls)
        ]

    def run(self, commands: CommandsOf) -> RepliesOf:
        """Run commands; return the replies to those of each partition whose server has run them.

        Those of a server are one transaction. On a node of a cluster each is run by itself, so some
        can have been run though they have no replies: running them again must do no harm.

        A server that did not answer is called again after a pause, and must answer soon then.
        """
        replies: dict[int, Sequence[Any]] = {}
        for number, group in enumerate(self._groups):
            own = {each: commands[each] for each in commands if each % len(self._groups) == number}
            if own:
                replies |= group.run(own)
        return replies

    def close(self) -> None:
        """Close every connection."""
        for group in self._groups:
            group.close()


class _Backoffs:
    """Makes the pauses between calls of servers that are away."""

    def __init__(self, service: str, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    def new(self, address: Address | None) -> Backoff:
        name = self._service if address is None else f"{self._service} {address[0]}:{address[1]}"
        return Backoff(name, PARTITIONS_MAX_BACKOFF_S, self._clock)


class _ServerGroup:
    """The servers of one URL: the one that it names, or the nodes of a cluster."""

    def __init__(self, url: str, partitions: Sequence[Partition], backoffs: _Backoffs) -> None:
        self._url = url
        self._backoffs = backoffs
        self._search = backoffs.new(None)
        self._nodes = nodes = cluster_nodes(url)
        self._owners = [SlotOwner.of(nodes, each.tag) for each in partitions] if nodes else []
        self._servers: dict[Address | None, _Server] = {}

    def run(self, commands: CommandsOf) -> RepliesOf:
        replies: dict[int, Sequence[Any]] = {}
        for address, own in self._by_node(commands).items():
            if address not in self._servers:
                self._servers[address] = _Server(self._url, address, self._backoffs.new(address))
            replies |= self._servers[address].run(own)
        return replies

    def close(self) -> None:
        for server in self._servers.values():
            server.close()

    def _by_node(self, commands: CommandsOf) -> Mapping[Address | None, CommandsOf]:
        """Return the commands of each node; none at all while no node answers."""
        if not self._search.is_over():
            return {}
        with suppress(Unavailable, ConfigError), self._search.attempt(), mapped_errors():
            return self._find_nodes(commands)
        return {}

    def _find_nodes(self, commands: CommandsOf) -> Mapping[Address | None, CommandsOf]:
        """Return the commands of each address; it is None for what is in no cluster."""
        if self._nodes is None:
            return {None: commands}
        found: dict[Address | None, dict[int, Sequence[Command]]] = {}
        for number, each in commands.items():
            address = self._owners[number].address()
            if not self._nodes.is_cluster:
                return {None: commands}
            found.setdefault(address, {})[number] = each
        return found


class _Server:
    """A Redis, or a node of a cluster."""

    def __init__(self, url: str, address: Address | None, backoff: Backoff) -> None:
        if address is None:
            self._clients = [open_client(url, each) for each in SERVER_TIMEOUTS_S]
        else:
            self._clients = [open_node_client(url, address, each) for each in SERVER_TIMEOUTS_S]
        self._run = transaction if address is None else pipeline
        self._backoff = backoff
        self._is_away = False

    def run(self, commands: CommandsOf) -> RepliesOf:
        if not self._backoff.is_over():
            return {}
        client = self._clients[self._is_away]
        self._is_away = True
        with suppress(Unavailable, ConfigError), self._backoff.attempt(), mapped_errors():
            replies = iter(self._run(client, [it for each in commands.values() for it in each]))
            self._is_away = False
            return dict(_split(replies, commands))
        return {}

    def close(self) -> None:
        for client in self._clients:
            client.close()


def _split(replies: Iterator[Any], commands: CommandsOf) -> Iterator[tuple[int, Sequence[Any]]]:
    for number, own in commands.items():
        yield number, [next(replies) for _ in own]
