"""A primary and a replica behind one address, which fail over."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import redis

from tests.faults.proxy import Proxy
from tests.support.valkey_servers import ValkeyServer, valkey_server
from tests.support.waiting import wait_until


class ReplicatedValkeys:
    """`url` leads to the primary: new connections after a failover reach the new one."""

    def __init__(self, primary: ValkeyServer, replica: ValkeyServer, proxy: Proxy) -> None:
        self.primary, self.replica = primary, replica
        self.proxy = proxy
        self.url = f"redis://127.0.0.1:{proxy.port}/0"

    def fail_over(self) -> None:
        """Swap primary and replica, as planned: no entry is lost, and no connection is closed."""
        primary, replica = self.primary, self.replica
        primary.client.execute_command("FAILOVER")  # type: ignore[no-untyped-call]
        wait_until(lambda: is_primary(replica))
        self.primary, self.replica = replica, primary
        self.proxy.switch_to(replica.port)

    def cut_replication(self) -> None:
        """Leave the replica as it is, like a network that has failed between the two."""
        self.replica.client.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]

    def replace_killed_primary(self) -> None:
        """Kill the primary and promote the replica."""
        self.primary.kill()
        self.replica.client.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]
        self.primary, self.replica = self.replica, self.primary
        self.proxy.switch_to(self.primary.port)

    def connections_to_replica(self) -> int:
        """Count the connections through the address that have stayed with the former primary."""
        with suppress(redis.ConnectionError):
            ports = {
                int(each["addr"].rpartition(":")[2]) for each in self.replica.client.client_list()
            }
            return len(ports & self.proxy.ports_out)
        return 0


def is_primary(server: ValkeyServer) -> bool:
    return str(server.client.info("replication")["role"]) == "master"


@contextmanager
def replicated_valkeys() -> Iterator[ReplicatedValkeys]:
    """Run both servers, in sync, until the block ends."""
    with ExitStack() as stack:
        primary = stack.enter_context(
            valkey_server("--save", "", "--repl-diskless-sync-delay", "0")
        )
        replica = stack.enter_context(
            valkey_server("--save", "", "--replicaof", f"127.0.0.1 {primary.port}")
        )
        wait_until(lambda: replica.client.info("replication")["master_link_status"] == "up")
        proxy = stack.enter_context(Proxy(primary.port))
        yield ReplicatedValkeys(primary, replica, proxy)
