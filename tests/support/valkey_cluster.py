"""A Valkey Cluster: three primaries, of which each may have a replica."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from conductor_actors.adapters.embedded.server_process import free_port
from tests.support.valkey_servers import ValkeyServer, valkey_server
from tests.support.waiting import wait_until

PRIMARIES: Final = 3
NODE_TIMEOUT_MS: Final = 2000  # after which a replica takes over


class ValkeyCluster:
    """Running nodes, which have all slots. `url` names the first of them."""

    def __init__(self, primaries: Sequence[ValkeyServer], replicas: Sequence[ValkeyServer]) -> None:
        self.primaries = primaries
        self.replicas = replicas
        self.url = primaries[0].url

    def owner(self, key: str) -> ValkeyServer:
        """Return the node that owns a key's slot, by what the first that responds knows."""
        slot = key_slot(key.encode())
        for node in (*self.primaries, *self.replicas):
            with suppress(redis.ConnectionError):
                for first, last, (_, port, *_), *_ in call(node, "CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        return self._node(port)
        raise LookupError(key)

    def begin_move(self, key: str, target: ValkeyServer) -> None:
        """Begin to move a key's slot: keys that are not there any more are at the target."""
        slot, source = key_slot(key.encode()), self.owner(key)
        call(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source))
        call(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(target))

    def move_keys(self, key: str, target: ValkeyServer) -> None:
        """Move the keys of a key's slot."""
        slot, source = key_slot(key.encode()), self.owner(key)
        while keys := call(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            call(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)

    def end_move(self, key: str, target: ValkeyServer) -> None:
        """Make the target the owner of a key's slot."""
        slot = key_slot(key.encode())
        for node in (target, *(node for node in self.primaries if node is not target)):
            call(node, "CLUSTER", "SETSLOT", slot, "NODE", node_id(target))

    def move_slot(self, key: str, target: ValkeyServer) -> None:
        """Move a key's slot with all of its keys to another primary."""
        self.begin_move(key, target)
        self.move_keys(key, target)
        self.end_move(key, target)

    def another_primary(self, key: str) -> ValkeyServer:
        """Return a primary that does not own a key's slot."""
        return next(node for node in self.primaries if node is not self.owner(key))

    def fail_over(self, primary: ValkeyServer) -> None:
        """Replace a primary by its replica, as planned."""
        replica = self.replicas[self.primaries.index(primary)]
        call(replica, "CLUSTER", "FAILOVER")
        wait_until(lambda: call(replica, "ROLE")[0] == b"master")

    def wait_until_replicated(self, primary: ValkeyServer) -> None:
        """Wait until the replica of a primary has all that it has."""
        replica = self.replicas[self.primaries.index(primary)]
        wait_until(lambda: offset(primary) == offset(replica))

    def wait_until_whole(self) -> None:
        """Wait until each node that responds sees an owner of every slot."""
        wait_until(lambda: all(map(_is_whole, (*self.primaries, *self.replicas))))

    def _node(self, port: int) -> ValkeyServer:
        return next(node for node in (*self.primaries, *self.replicas) if node.port == port)


def call(node: ValkeyServer, *command: Any) -> Any:
    """Run a command on a node, and return its reply as the server sends it."""
    with redis.Redis("127.0.0.1", node.port, protocol=2) as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)


def offset(node: ValkeyServer) -> int:
    """Return how much of the replication stream a node has."""
    role, *details = call(node, "ROLE")
    return int(details[0] if role == b"master" else details[3])


def node_id(node: ValkeyServer) -> str:
    return str(call(node, "CLUSTER", "MYID"), "ascii")


@contextmanager
def valkey_cluster(*options: str, has_replicas: bool = False) -> Iterator[ValkeyCluster]:
    """Run a cluster until the block ends. Without options its nodes save nothing."""
    with ExitStack() as stack:
        count = 2 * PRIMARIES if has_replicas else PRIMARIES
        nodes = [stack.enter_context(_node(*options)) for _ in range(count)]
        primaries, replicas = nodes[:PRIMARIES], nodes[PRIMARIES:]
        slots = range(0, REDIS_CLUSTER_HASH_SLOTS + 1, -(-REDIS_CLUSTER_HASH_SLOTS // PRIMARIES))
        ends = (*slots[1:PRIMARIES], REDIS_CLUSTER_HASH_SLOTS)
        for epoch, node in enumerate(nodes, 1):
            call(node, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for node, first, end in zip(primaries, slots, ends, strict=False):
            call(node, "CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for node in nodes[1:]:
            meet = ("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, _bus_port(nodes[0]))
            call(node, *meet)
        cluster = ValkeyCluster(primaries, replicas)
        wait_until(lambda: all(_knows(node, count) for node in nodes))
        for primary, replica in zip(primaries, replicas, strict=False):
            call(replica, "CLUSTER", "REPLICATE", node_id(primary))
        cluster.wait_until_whole()
        wait_until(lambda: all(b"connected" in call(node, "ROLE") for node in replicas))
        yield cluster


@contextmanager
def _node(*options: str) -> Iterator[ValkeyServer]:
    own = [
        *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
        *("--cluster-node-timeout", str(NODE_TIMEOUT_MS), "--repl-diskless-sync-delay", "0"),
        *("--cluster-require-full-coverage", "no"),  # a node that is away delays no other
    ]
    with valkey_server(*(options or ("--save", "")), *own) as node:
        yield node


def _bus_port(node: ValkeyServer) -> int:
    return int(call(node, "CONFIG", "GET", "cluster-port")[1])


def _knows(node: ValkeyServer, count: int) -> bool:
    lines = call(node, "CLUSTER", "NODES").decode().splitlines()
    return len(lines) == count and not any("handshake" in line for line in lines)


def _is_whole(node: ValkeyServer) -> bool:
    with suppress(redis.ConnectionError):
        return b"cluster_state:ok" in call(node, "CLUSTER", "INFO")
    return True  # it is down
