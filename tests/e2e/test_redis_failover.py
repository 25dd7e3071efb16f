"""After a failover of Redis under load no row is missing, and each equals a replay or is marked."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final

import psycopg
import pytest
import redis

from conductor_actors.adapters.redis.client import open_client
from conductor_actors.adapters.redis.pipelines import pipeline
from conductor_actors.simulate import bulk
from tests.e2e.deployment import terminate
from tests.support.databases import temporary_database
from tests.support.programs import (
    QUICK,
    Program,
    Row,
    assert_refused,
    replay_rows,
    rows_until,
    run_to_end,
    running,
    select_rows,
)
from tests.support.replicated_valkeys import ReplicatedValkeys, replicated_valkeys
from tests.support.sentinels import WatchedValkeys, watched_valkeys

SESSIONS: Final = 20
INTERVAL_S: Final = 0.02
EVENTS_PER_INTERVAL: Final = 10
MAX_MOVE_S: Final = 5.0

Failover = Callable[[Program], None]


@contextmanager
def planned_failover() -> Iterator[tuple[str, Failover]]:
    with replicated_valkeys() as valkeys:
        yield valkeys.url, lambda _: valkeys.fail_over()


@contextmanager
def killed_primary() -> Iterator[tuple[str, Failover]]:
    with replicated_valkeys() as valkeys:
        yield valkeys.url, lambda _: valkeys.replace_killed_primary()


@contextmanager
def killed_primary_that_loses_entries() -> Iterator[tuple[str, Failover]]:
    with replicated_valkeys() as valkeys:
        yield valkeys.url, lambda program: _lose_entries(valkeys, program)


def _lose_entries(valkeys: ReplicatedValkeys, program: Program) -> None:
    program.wait_for("tick_completed")
    valkeys.cut_replication()
    threading.Event().wait(0.3)  # less than a tick: rows of earlier ticks can't be marked any more
    valkeys.replace_killed_primary()


@contextmanager
def planned_failover_by_sentinels() -> Iterator[tuple[str, Failover]]:
    with watched_valkeys() as valkeys:
        yield valkeys.url, lambda _: valkeys.fail_over()


@contextmanager
def primary_killed_under_sentinels() -> Iterator[tuple[str, Failover]]:
    with watched_valkeys() as valkeys:
        yield valkeys.url, lambda _: _kill_and_start_again(valkeys)


def _kill_and_start_again(valkeys: WatchedValkeys) -> None:
    primary = valkeys.primary
    primary.kill()
    valkeys.wait_for_failover_from(primary)
    primary.start()  # as an empty primary, until the Sentinels make it a replica


@contextmanager
def primary_paused_under_sentinels() -> Iterator[tuple[str, Failover]]:
    with watched_valkeys() as valkeys:
        yield valkeys.url, lambda _: _pause(valkeys)


def _pause(valkeys: WatchedValkeys) -> None:
    primary = valkeys.primary
    primary.pause()
    valkeys.wait_for_failover_from(primary)
    primary.resume()  # it takes itself for the primary until the Sentinels tell it otherwise


@contextmanager
def patient_event_load(url: str) -> Iterator[None]:
    """Add 500 events a second, across failovers, until the block ends."""
    stop = threading.Event()
    events = bulk(1_000_000, sessions=SESSIONS)

    def add() -> None:
        with closing(open_client(url, 1.0)) as client:
            while not stop.wait(INTERVAL_S):
                with suppress(redis.RedisError):
                    batch = islice(events, EVENTS_PER_INTERVAL)
                    pipeline(client, [("XADD", name, "*", "data", body) for name, body in batch])

    thread = threading.Thread(target=add)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("transport", ["streams", "both"])
@pytest.mark.parametrize(
    "deploy",
    [
        planned_failover,
        killed_primary,
        killed_primary_that_loses_entries,
        planned_failover_by_sentinels,
        primary_killed_under_sentinels,
        primary_paused_under_sentinels,
    ],
    ids=lambda deploy: deploy.__name__,
)
def test_rows_are_those_of_a_replay_or_marked(
    deploy: Callable[[], Iterator[tuple[str, Failover]]],
    transport: str,
    postgres_url: str,
    tmp_path: Path,
) -> None:
    with (
        contextmanager(deploy.__wrapped__)() as (url, fail_over),
        temporary_database(  # type: ignore[attr-defined]
            postgres_url
        ) as database_url,
    ):
        settings = QUICK | {
            "REDIS_URL": url,
            "DATABASE_URL": database_url,
            "CONDUCTOR_TRANSPORT": transport,
        }
        with running(cwd=tmp_path, **settings) as program:
            program.wait_for("service_started")
            with patient_event_load(url):
                for _ in range(4):
                    program.wait_for("tick_completed", sessions=SESSIONS)
                fail_over(program)
                for _ in range(4):
                    program.wait_for("tick_completed", 20, sessions=SESSIONS)
            for _ in range(3):
                program.wait_for("tick_completed")
            terminate(program)
            assert program.all("actor_failed") == []
        again = replay_rows(url, tmp_path, **settings)
        rows = select_rows(database_url)
        marked = marked_rows(database_url)
    last = min(rows[-1][0], again[-1][0])
    stored = {row[:3]: row for row in rows_until(last, rows)}
    replayed = {row[:3]: row for row in rows_until(last, again)}
    missing = [key for key in replayed if key not in stored]
    different = [key for key in stored if stored[key] != replayed.get(key) and key not in marked]
    print(
        f"{len(stored)} rows, {len(marked)} marked, {len(missing)} missing, "
        f"{len(different)} different unmarked, "
        f"{sum(stored[key] != replayed.get(key) for key in stored)} different"
    )
    assert (missing, different) == ([], [])


def marked_rows(url: str) -> set[Row]:
    """Return time, tenant and session of the rows that are marked with a gap."""
    query = "SELECT * FROM engagement_metrics WHERE metadata ? 'gap'"
    del query
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"'), "
            "tenant_id, session_id FROM engagement_metrics WHERE metadata ? 'gap'"
        )
        return {tuple(map(str, record)) for record in found}


def test_a_replica_is_refused_at_the_start(tmp_path: Path, postgres_url: str) -> None:
    with replicated_valkeys() as valkeys, temporary_database(postgres_url) as database_url:
        urls = {"REDIS_URL": valkeys.replica.url, "DATABASE_URL": database_url}
        assert_refused(run_to_end(cwd=tmp_path, **QUICK, **urls), "REDIS_URL: ", "is a replica")
