"""Redis or the database is down or restarts: the service goes on, and loses no row."""

import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest
import redis

from conductor_actors.adapters.redis.key_names import (
    OUTBOX_KEY,
)
from conductor_actors.adapters.redis.outbox import RedisOutbox
from conductor_actors.instants import from_iso, to_iso, to_ms
from tests.e2e.deployment import REACTION_BODY
from tests.support.event_load import event_load
from tests.support.event_samples import REACTION
from tests.support.programs import QUICK, Program, replay_rows, rows_until, running, select_rows
from tests.support.servers import ServerName, ServerPair, server_pair

# With fifty rows a second, the outbox is in use two seconds after an outage began.
SMALL_BATCHES: Final = QUICK | {
    "CONDUCTOR_OUTBOX_AFTER_ROWS": "80",
    "CONDUCTOR_BATCH_ROWS": "40",
}


@pytest.fixture
def pair() -> Iterator[ServerPair]:
    with server_pair() as pair:
        yield pair


def test_it_waits_for_servers_that_are_down_at_its_start_and_reports_each_once(
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


def refuse(port: int, attempts: int) -> None:
    """Accept and close this many connections in place of a server."""
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(20)
        for _ in range(attempts):
            with closing(server.accept()[0]):
                pass


def test_a_restart_of_redis_costs_no_row(pair: ServerPair, tmp_path: Path) -> None:
    with running_across_an_outage(pair, tmp_path) as program:
        pair.stop("redis")
        program.wait_for("outage_began", service="redis events")
        pair.start("redis")
        program.wait_for("outage_ended", service="redis events")


def test_a_restart_of_the_database_costs_no_row(pair: ServerPair, tmp_path: Path) -> None:
    with running_across_an_outage(pair, tmp_path) as program:
        pair.stop("database")
        program.wait_for("outage_began", service="database")
        add_reaction(pair)
        program.wait_for("tick_completed")
        pair.start("database")
        program.wait_for("outage_ended", service="database")


@contextmanager
def running_across_an_outage(pair: ServerPair, cwd: Path) -> Iterator[Program]:
    """Run the service across an outage; afterwards every row must be there."""
    pair.start("redis")
    pair.start("database")
    with running(cwd=cwd, **QUICK, **pair.urls) as program:
        program.wait_for("service_started")
        add_reaction(pair)
        program.wait_for("batch_written")
        yield program
        add_reaction(pair)
        program.wait_for("tick_completed")
        last = program.wait_for("tick_completed")
        program.signal(signal.SIGTERM)
        assert program.finish().exit_code == 0
    rows = select_rows(pair.database_url)
    again = replay_rows(pair.redis_url, cwd, **QUICK, **pair.urls)
    assert rows_until(again[-1][0], rows) == again
    ticks = [to_ms(from_iso(row[0])) for row in rows]
    assert ticks == list(range(ticks[0], max(ticks[-1], last["tick_at_ms"]) + 1, 1000))


def add_reaction(pair: ServerPair) -> None:
    with redis.Redis(port=pair.ports["redis"]) as client:
        client.xadd(REACTION, {"data": REACTION_BODY})


@pytest.fixture
def servers() -> Iterator[ServerPair]:
    with server_pair() as pair:
        pair.start("redis")
        pair.start("database")
        yield pair


def test_an_outage_that_fills_the_outbox_costs_no_row(servers: ServerPair, tmp_path: Path) -> None:
    url = servers.redis_url
    with running(cwd=tmp_path, **SMALL_BATCHES, **servers.urls) as program:
        program.wait_for("service_started")
        with event_load(url):
            stop_database(servers, program)
            servers.start("database")
            drained = program.wait_for("outbox_drained")
            program.wait_for("tick_completed", sessions=50)
            program.wait_for("batch_written")
        program.signal(signal.SIGTERM)
        ended = program.finish()
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert drained["rows"] >= 3 * 40
    with redis.Redis.from_url(url) as client:
        assert client.xlen(OUTBOX_KEY) == 0
    rows = select_rows(servers.database_url)
    assert rows == rows_until(
        rows[-1][0], replay_rows(url, tmp_path, **SMALL_BATCHES, **servers.urls)
    )
    ticks = program.all("tick_completed")
    assert len(rows) == sum(tick["sessions"] for tick in ticks)
    assert program.all("drain_incomplete") == []


def test_a_signal_during_an_outage_leaves_every_row_in_the_outbox(
    servers: ServerPair, tmp_path: Path
) -> None:
    url = servers.redis_url
    with running(cwd=tmp_path, **SMALL_BATCHES, **servers.urls) as program:
        program.wait_for("service_started")
        with event_load(url):
            stop_database(servers, program)
            program.signal(signal.SIGTERM)
            ended = program.finish()
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert program.all("drain_incomplete") == []
    servers.start("database")
    rows = sorted({*select_rows(servers.database_url), *outbox_rows(url)})
    assert len(rows) == sum(tick["sessions"] for tick in program.all("tick_completed"))


def test_after_kill_9_the_next_start_drains_the_outbox(servers: ServerPair, tmp_path: Path) -> None:
    url = servers.redis_url
    with running(cwd=tmp_path, **SMALL_BATCHES, **servers.urls) as program:
        program.wait_for("service_started")
        with event_load(url):
            stop_database(servers, program)
            program.kill()
    servers.start("database")
    waiting = outbox_rows(url)
    assert len(waiting) >= 3 * 40
    with redis.Redis.from_url(url) as client:
        client.delete("conductor:owner")  # which would expire
    with running(cwd=tmp_path, **SMALL_BATCHES, **servers.urls) as successor:
        successor.wait_for("outbox_found")
        drained = successor.wait_for("outbox_drained")
        successor.signal(signal.SIGTERM)
        assert successor.finish().exit_code == 0
    assert drained["rows"] >= len(waiting)  # some are computed again, and set aside behind these
    assert outbox_rows(url) == []
    assert set(select_rows(servers.database_url)) >= set(waiting)


def stop_database(servers: ServerPair, program: Program) -> None:
    """Stop the database, and wait until the outbox has several batches."""
    program.wait_for("tick_completed", sessions=50)
    program.wait_for("batch_written")
    servers.stop("database")
    program.wait_for("outage_began", service="database")
    for _ in range(3):
        program.wait_for("rows_set_aside", reason="memory")


def outbox_rows(url: str) -> list[tuple[str, ...]]:
    """Return the rows of the outbox as `select_rows` returns those of the database."""
    with closing(RedisOutbox(url)) as outbox:
        rows = outbox.read_oldest(1_000_000).rows
    return [
        (
            to_iso(row.at_ms, utc="+00:00"),
            *(row.tenant_id, row.session_id, row.event_id, str(row.score), row.category),
            *(str(getattr(row.signals, name)) for name in row.signals.__struct_fields__),
        )
        for row in rows
    ]
