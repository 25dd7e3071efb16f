"""What the running service does when it, or what it needs, dies: it goes on, and loses nothing."""

import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.embedded.servers import EmbeddedServers
from tests.support.hostile import REACTION
from tests.support.programs import QUICK, Program, replayed, running, stored, until

REACTED = b'{"sessionId":"room","userId":"ada"}'


class Pair:
    """A Valkey and a PostgreSQL, each on a port of its own for life, to be stopped and started."""

    def __init__(self, folder: Path) -> None:
        ports = free_port(), free_port()
        self._valkey = EmbeddedServers(folder / "valkey", lambda: ports[0])
        self._postgres = EmbeddedServers(folder / "postgres", lambda: ports[1])
        self.settings = QUICK | {
            "REDIS_URL": f"redis://127.0.0.1:{ports[0]}",
            "DATABASE_URL": f"postgresql://conductor@127.0.0.1:{ports[1]}/conductor",
        }
        self.ports = {"redis": ports[0], "database": ports[1]}

    def start(self, service: str) -> None:
        if service == "redis":
            self._valkey.start_valkey()
        else:
            self._postgres.start_postgres()

    def stop(self, service: str) -> None:
        (self._valkey if service == "redis" else self._postgres).stop()

    def react(self) -> None:
        with redis.Redis(port=self.ports["redis"]) as client:
            client.xadd(REACTION, {"data": REACTED})


@pytest.fixture
def pair() -> Iterator[Pair]:
    # Not pytest's own folder: it shuts out the account that runs PostgreSQL when we are root.
    with TemporaryDirectory() as folder:
        pair = Pair(Path(folder))
        yield pair
        pair.stop("redis")
        pair.stop("database")


def refuse(port: int, attempts: int) -> None:
    """Stand in for a server that hangs up, until so many attempts were made."""
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(20)
        for _ in range(attempts):
            with closing(server.accept()[0]):
                pass


def test_it_waits_for_servers_that_are_down_at_its_start_and_says_so_once(
    pair: Pair, tmp_path: Path
) -> None:
    with running(cwd=tmp_path, **pair.settings) as program:
        for service in ("database", "redis"):
            program.wait_for("outage_began", service=service)
            refuse(pair.ports[service], attempts=2)
            pair.start(service)
            program.wait_for("outage_ended", service=service)
        program.wait_for("service_started")
        assert [len(program.all("outage_began", service=each)) for each in pair.ports] == [1, 1]
        assert program.all("outage_continues") == []
        program.signal(signal.SIGTERM)
        assert program.finish().exit_code == 0


def test_a_restart_of_redis_costs_no_row(pair: Pair, tmp_path: Path) -> None:
    with scoring(pair, tmp_path) as program:
        pair.stop("redis")
        program.wait_for("outage_began", service="redis events")
        pair.start("redis")
        program.wait_for("outage_ended", service="redis events")


def test_a_restart_of_the_database_costs_no_row(pair: Pair, tmp_path: Path) -> None:
    with scoring(pair, tmp_path) as program:
        pair.stop("database")
        program.wait_for("outage_began", service="database")
        pair.react()
        program.wait_for("tick_completed")
        pair.start("database")
        program.wait_for("outage_ended", service="database")


@contextmanager
def scoring(pair: Pair, cwd: Path) -> Iterator[Program]:
    """Run the service; after the block it must go on, and have every row from before and since."""
    pair.start("redis")
    pair.start("database")
    with running(cwd=cwd, **pair.settings) as program:
        program.wait_for("service_started")
        pair.react()
        program.wait_for("batch_written")
        yield program
        pair.react()
        program.wait_for("tick_completed")
        last = program.wait_for("tick_completed")
        program.signal(signal.SIGTERM)
        assert program.finish().exit_code == 0
    rows = stored(pair.settings["DATABASE_URL"])
    again = replayed(pair.settings["REDIS_URL"], cwd, **pair.settings)
    assert until(again[-1][0], rows) == again
    ticks = [int(datetime.fromisoformat(row[0]).timestamp() * 1000) for row in rows]
    assert ticks == list(range(ticks[0], max(ticks[-1], last["tick_at_ms"]) + 1, 1000))
