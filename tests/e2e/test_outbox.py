"""The running service while its database is away: rows wait in Redis, and none is lost."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from conductor_actors.adapters.redis.key_names import OUTBOX_KEY
from conductor_actors.adapters.redis.outbox import RedisOutbox
from conductor_actors.instants import to_iso
from tests.e2e.test_shutdown import load
from tests.support.programs import QUICK, Program, replay_rows, rows_until, running, select_rows
from tests.support.servers import ServerPair, server_pair

# Fifty rows a second: the outbox is in use two seconds after the database has gone.
SMALL = QUICK | {
    "CONDUCTOR_OUTBOX_AFTER_ROWS": "80",
    "CONDUCTOR_BATCH_ROWS": "40",
}


@pytest.fixture
def servers() -> Iterator[ServerPair]:
    with server_pair() as pair:
        pair.start("redis")
        pair.start("database")
        yield pair


def lose_database(servers: ServerPair, program: Program) -> None:
    """Stop it, and wait until rows had to be set aside more than once."""
    program.wait_for("tick_completed", sessions=50)
    program.wait_for("batch_written")
    servers.stop("database")
    program.wait_for("outage_began", service="database")
    for _ in range(3):
        program.wait_for("rows_set_aside", reason="memory")


def test_an_outage_that_fills_the_outbox_costs_no_row(servers: ServerPair, tmp_path: Path) -> None:
    url = servers.redis_url
    with running(cwd=tmp_path, **SMALL, **servers.urls) as program:
        program.wait_for("service_started")
        with load(url):
            lose_database(servers, program)
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
    assert rows == rows_until(rows[-1][0], replay_rows(url, tmp_path, **SMALL, **servers.urls))
    ticks = program.all("tick_completed")
    assert len(rows) == sum(tick["sessions"] for tick in ticks)
    assert program.all("drain_incomplete") == []


def test_a_signal_during_an_outage_leaves_every_row_in_the_outbox(
    servers: ServerPair, tmp_path: Path
) -> None:
    url = servers.redis_url
    with running(cwd=tmp_path, **SMALL, **servers.urls) as program:
        program.wait_for("service_started")
        with load(url):
            lose_database(servers, program)
            program.signal(signal.SIGTERM)
            ended = program.finish()
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert program.all("drain_incomplete") == []
    servers.start("database")
    rows = sorted({*select_rows(servers.database_url), *set_aside(url)})
    assert len(rows) == sum(tick["sessions"] for tick in program.all("tick_completed"))


def test_after_kill_9_the_next_start_drains_the_outbox(servers: ServerPair, tmp_path: Path) -> None:
    url = servers.redis_url
    with running(cwd=tmp_path, **SMALL, **servers.urls) as program:
        program.wait_for("service_started")
        with load(url):
            lose_database(servers, program)
            program.kill()
    servers.start("database")
    waiting = set_aside(url)
    assert len(waiting) >= 3 * 40
    with redis.Redis.from_url(url) as client:
        client.delete("conductor:owner")  # which would expire
    with running(cwd=tmp_path, **SMALL, **servers.urls) as successor:
        successor.wait_for("outbox_found")
        drained = successor.wait_for("outbox_drained")
        successor.signal(signal.SIGTERM)
        assert successor.finish().exit_code == 0
    assert drained["rows"] >= len(waiting)  # some are computed again, and set aside behind these
    assert set_aside(url) == []
    assert set(select_rows(servers.database_url)) >= set(waiting)


def set_aside(url: str) -> list[tuple[str, ...]]:
    """Give the rows of the outbox as `stored` gives those of the database."""
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
