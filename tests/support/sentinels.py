"""Three Sentinels that watch a primary and its replica."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import redis

from conductor_actors.adapters.embedded.server_process import free_port
from tests.support.replicated_valkeys import is_primary
from tests.support.valkey_servers import VALKEY, ServerKind, ValkeyServer, valkey_server
from tests.support.waiting import wait_until

NAME = "mymaster"
PASSWORD, SENTINEL_PASSWORD = "secret", "other"
DOWN_AFTER_MS = 2000  # longer than a busy machine makes a healthy server wait
SENTINELS = 3


class WatchedValkeys:
    """A primary and a replica; `url` names the Sentinels."""

    def __init__(self, servers: list[ValkeyServer], sentinels: list[ValkeyServer]) -> None:
        self.servers, self.sentinels = servers, sentinels
        self._hosts = ",".join(f"127.0.0.1:{each.port}" for each in sentinels)
        self.url = f"redis+sentinel://{self._hosts}/{NAME}/0"

    def tls_url(self, **options: str) -> str:
        """Return the URL of servers with certificates and passwords."""
        query = urlencode({"sentinel_password": SENTINEL_PASSWORD, **options})
        return f"rediss+sentinel://:{PASSWORD}@{self._hosts}/{NAME}/0?{query}"

    @property
    def primary(self) -> ValkeyServer:
        """The server that the Sentinels take for the primary."""
        _, port = self._ask("GET-MASTER-ADDR-BY-NAME", NAME)
        return next(each for each in self.servers if each.port == int(port))

    def fail_over(self) -> None:
        """Have the Sentinels swap primary and replica, and wait until they did."""
        former = self.primary
        self.begin_failover()
        wait_until(lambda: self.primary is not former and is_primary(self.primary))

    def begin_failover(self) -> None:
        wait_until(self._accepts_failover)

    def wait_for_failover_from(self, former: ValkeyServer) -> None:
        wait_until(lambda: self.primary is not former and is_primary(self.primary))

    def _accepts_failover(self) -> bool:
        try:
            self._ask("FAILOVER", NAME)
        except redis.ResponseError:  # NOGOODSLAVE: the replica was not seen yet
            return False
        return True

    def _ask(self, *command: str) -> list[bytes]:
        client = self.sentinels[0].client
        return client.execute_command("SENTINEL", *command)  # type: ignore[no-untyped-call, no-any-return]


@contextmanager
def watched_valkeys(kind: ServerKind = VALKEY) -> Iterator[WatchedValkeys]:
    """Run all five servers until the block ends."""
    with ExitStack() as stack:
        enter = stack.enter_context
        options = ["--save", "", "--repl-diskless-sync-delay", "0"]
        if kind.password:
            options += ["--masterauth", kind.password]
        primary = enter(valkey_server(*options, kind=kind))
        replicaof = ("--replicaof", f"127.0.0.1 {primary.port}")
        replica = enter(valkey_server(*options, *replicaof, kind=kind))
        wait_until(lambda: replica.client.info("replication")["master_link_status"] == "up")
        sentinels = [enter(_sentinel(primary.port, kind)) for _ in range(SENTINELS)]
        watched = WatchedValkeys([primary, replica], sentinels)
        wait_until(lambda: all(map(_knows_all, sentinels)))
        yield watched


@contextmanager
def _sentinel(primary_port: int, watched: ServerKind) -> Iterator[ValkeyServer]:
    kind = watched._replace(password=watched.password and SENTINEL_PASSWORD)
    with TemporaryDirectory() as directory:
        file = Path(directory) / "sentinel.conf"
        file.write_text(
            f"sentinel monitor {NAME} 127.0.0.1 {primary_port} 2\n"
            f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {NAME} 10000\n"
            + (f"sentinel auth-pass {NAME} {watched.password}\n" if watched.password else ""),
            encoding="utf-8",
        )
        server = ValkeyServer(Path(directory), free_port(), str(file), "--sentinel", kind=kind)
        try:
            yield server
        finally:
            server.client.close()
            server.kill()


def _knows_all(sentinel: ValkeyServer) -> bool:
    states: Any = sentinel.client.sentinel_masters()
    state = states[NAME]
    return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == SENTINELS - 1)
