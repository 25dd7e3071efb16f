"""The nodes of a Redis Cluster, by the slots that they own.

A URL names one node, and each node knows which owns a slot. A server that is in no cluster owns
every slot, so callers need not know which of both they have.
"""

from collections import Counter
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final, NamedTuple, TypeAlias

import redis
from redis.cluster import parse_cluster_slots
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.adapters.redis.connections.sentinels import Address
from conductor_actors.log_events import PrimaryChanged, emit

Owners: TypeAlias = Mapping[tuple[int, int], Address]  # of the first and last slot of each range

ALL_SLOTS: Final = (0, REDIS_CLUSTER_HASH_SLOTS - 1)
REDIS_PORT: Final = 6379


class ClusterNodes:
    """The nodes of the cluster that a server is in, or that server alone. Threads share it.

    `options` are those of a connection to that server: every node is reached by them.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.is_cluster = False
        self._options = dict(options)
        self._first = (options.get("host", "localhost"), int(options.get("port", REDIS_PORT)))
        self._addresses = [self._first]
        self._owners: Owners = {}  # empty: to be asked for
        self._found: dict[int, Address] = {}
        self._lock = Lock()

    def owner(self, slot: int) -> Address:
        """Return the address of a slot's owner.

        Raise a redis `ConnectionError` or `TimeoutError` if no node responds, or none owns it.
        """
        with self._lock:
            if not self._owners:
                self._owners = self._ask()
                self._report_changes()
            found = _find(self._owners, slot)
            if found is None:
                self._owners = {}
                raise redis.ConnectionError(f"no node of the cluster owns slot {slot}")
            self._found[slot] = found
            return found

    def forget(self, address: Address, slot: int | None = None) -> None:
        """Ask for owners before the next use, if this one owns a slot by what is known now."""
        with self._lock:
            owners = [_find(self._owners, slot)] if slot is not None else self._owners.values()
            if address in owners:
                self._owners = {}

    def _ask(self) -> Owners:
        """Return the owners by the first node that responds.

        Each time another node is asked first: one that is cut off does not know the new owners.
        """
        failure: redis.RedisError = redis.ConnectionError("no node of the cluster is known")
        for address in list(self._addresses):
            self._addresses.remove(address)
            self._addresses.append(address)
            try:
                return self._read(*address)
            except (redis.ConnectionError, redis.TimeoutError) as error:
                failure = error
        raise failure

    def _read(self, host: str, port: int) -> Owners:
        pool = redis.ConnectionPool(**(self._options | {"host": host, "port": port}))
        with redis.Redis.from_pool(pool) as client:
            if not _is_in_cluster(client):
                if self.is_cluster:
                    raise redis.ConnectionError(f"{host}:{port} is in no cluster any more")
                return {ALL_SLOTS: (host, port)}
            self.is_cluster = True
            [reply] = pipeline(client, [("CLUSTER", "SLOTS")])
        ranges = parse_cluster_slots(reply, current_host=host)
        self._learn({each for it in ranges.values() for each in (it["primary"], *it["replicas"])})
        return {slots: each["primary"] for slots, each in ranges.items()}

    def _learn(self, nodes: set[Address]) -> None:
        """Ask new nodes first, then the others in the same order, and none that has gone."""
        kept = [each for each in self._addresses if each in nodes or each == self._first]
        self._addresses = [*nodes.difference(kept), *kept]

    def _report_changes(self) -> None:
        """Report each new owner of slots that had another one when they were used."""
        owners = {slot: _find(self._owners, slot) for slot in self._found}
        moved = Counter(owner for slot, owner in owners.items() if owner != self._found[slot])
        for owner, count in moved.items():
            if owner is not None:
                self._found |= {slot: owner for slot in owners if owners[slot] == owner}
                emit(PrimaryChanged(primary=f"{count} slots", address=f"{owner[0]}:{owner[1]}"))


class SlotOwner(NamedTuple):
    """The node that owns a slot: at each call the one that is known then."""

    nodes: ClusterNodes
    slot: int

    @classmethod
    def of(cls, nodes: ClusterNodes, key: str) -> "SlotOwner":
        """Return the owner of a key's slot, which is that of its hash tag if it has one."""
        return cls(nodes, key_slot(key.encode()))

    def address(self) -> Address:
        """Return its address; raise what `ClusterNodes.owner` raises."""
        return self.nodes.owner(self.slot)


class NodeAddress(NamedTuple):
    """One node, whatever it owns."""

    nodes: ClusterNodes
    own: Address
    slot: int | None = None

    def address(self) -> Address:
        """Return its address."""
        return self.own


def _find(owners: Owners, slot: int) -> Address | None:
    return next((owners[each] for each in owners if each[0] <= slot <= each[1]), None)


def _is_in_cluster(client: redis.Redis) -> bool:
    """Return whether a server is in a cluster, by its reply to HELLO, which needs no permission."""
    try:
        [reply] = pipeline(client, [("HELLO",)])
    except redis.ResponseError:  # a proxy that does not know the command
        return False
    fields = dict(zip(reply[::2], reply[1::2], strict=True))
    return fields.get(b"mode") == b"cluster"
