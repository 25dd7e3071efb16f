"""What the running service does when it, or what it needs, dies: it goes on, and loses nothing."""

import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis

from conductor_actors.instants import from_iso, to_ms
from tests.support.event_samples import REACTION
from tests.support.programs import QUICK, Program, replay_rows, rows_until, running, select_rows
from tests.support.servers import ServerName, ServerPair, server_pair

REACTED = b'{"sessionId":"room","userId":"ada"}'


@pytest.fixture
def pair() -> Iterator[ServerPair]:
    with server_pair() as pair:
        yield pair


def react(pair: ServerPair) -> None:
    with redis.Redis(port=pair.ports["redis"]) as client:
        client.xadd(REACTION, {"data": REACTED})


def refuse(port: int, attempts: int) -> None:
    """Stand in for a server that hangs up, until so many attempts were made."""
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(20)
        for _ in range(attempts):
            with closing(server.accept()[0]):
                pass


def test_it_waits_for_servers_that_are_down_at_its_start_and_says_so_once(
    pair: ServerPair, tmp_path: Path
) -> None:
    with running(cwd=tmp_path, **QUICK, **pair.urls) as program:
        services: tuple[ServerName, ...] = ("database", "redis")
        for service in services:
            program.wait_for("outage_began", service=service)
            refuse(pair.ports[service], attempts=2)
            pair.start(service)
            program.wait_for("outage_ended", service=service)
        program.wait_for("service_started")
        assert [len(program.all("outage_began", service=each)) for each in pair.ports] == [1, 1]
        assert program.all("outage_continues") == []
        program.signal(signal.SIGTERM)
        assert program.finish().exit_code == 0


def test_a_restart_of_redis_costs_no_row(pair: ServerPair, tmp_path: Path) -> None:
    with scoring(pair, tmp_path) as program:
        pair.stop("redis")
        program.wait_for("outage_began", service="redis events")
        pair.start("redis")
        program.wait_for("outage_ended", service="redis events")


def test_a_restart_of_the_database_costs_no_row(pair: ServerPair, tmp_path: Path) -> None:
    with scoring(pair, tmp_path) as program:
        pair.stop("database")
        program.wait_for("outage_began", service="database")
        react(pair)
        program.wait_for("tick_completed")
        pair.start("database")
        program.wait_for("outage_ended", service="database")


@contextmanager
def scoring(pair: ServerPair, cwd: Path) -> Iterator[Program]:
    """Run the service; after the block it must go on, and have every row from before and since."""
    pair.start("redis")
    pair.start("database")
    with running(cwd=cwd, **QUICK, **pair.urls) as program:
        program.wait_for("service_started")
        react(pair)
        program.wait_for("batch_written")
        yield program
        react(pair)
        program.wait_for("tick_completed")
        last = program.wait_for("tick_completed")
        program.signal(signal.SIGTERM)
        assert program.finish().exit_code == 0
    rows = select_rows(pair.database_url)
    again = replay_rows(pair.redis_url, cwd, **QUICK, **pair.urls)
    assert rows_until(again[-1][0], rows) == again
    ticks = [to_ms(from_iso(row[0])) for row in rows]
    assert ticks == list(range(ticks[0], max(ticks[-1], last["tick_at_ms"]) + 1, 1000))
