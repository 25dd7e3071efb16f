"""After a failover of Redis under load no row is missing, and each equals a replay or is marked."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

import psycopg
import pytest
import redis

from conductor_actors.adapters.redis.connections.client import open_client
from conductor_actors.adapters.redis.connections.pipelines import pipeline
from conductor_actors.simulate import bulk
from tests.e2e.deployment import terminate
from tests.support.certificates import self_signed_certificate
from tests.support.databases import temporary_database
from tests.support.oldest_redis import redis_7_0
from tests.support.programs import (
    QUICK,
    Row,
    assert_refused,
    replay_rows,
    rows_until,
    run_to_end,
    running,
    select_rows,
)
from tests.support.replicated_valkeys import replicated_valkeys
from tests.support.sentinels import PASSWORD, watched_valkeys
from tests.support.valkey_servers import ServerKind
from tests.support.waiting import wait_until

SESSIONS: Final = 20
INTERVAL_S: Final = 0.02
EVENTS_PER_INTERVAL: Final = 10

Failover: TypeAlias = Callable[[], None]


def planned_failover(stack: ExitStack) -> tuple[str, Failover]:
    valkeys = stack.enter_context(replicated_valkeys())
    return valkeys.url, valkeys.fail_over


def killed_primary(stack: ExitStack) -> tuple[str, Failover]:
    valkeys = stack.enter_context(replicated_valkeys())
    return valkeys.url, valkeys.replace_killed_primary


def killed_primary_that_loses_entries(stack: ExitStack) -> tuple[str, Failover]:
    valkeys = stack.enter_context(replicated_valkeys())

    def lose_entries() -> None:
        wait_until(lambda: 0.2 < time.time() % 1 < 0.5)  # rows of earlier ticks can't be marked
        valkeys.cut_replication()
        threading.Event().wait(0.3)
        valkeys.replace_killed_primary()

    return valkeys.url, lose_entries


def planned_failover_by_sentinels(stack: ExitStack) -> tuple[str, Failover]:
    valkeys = stack.enter_context(watched_valkeys())
    return valkeys.url, valkeys.fail_over


def primary_killed_under_sentinels(stack: ExitStack) -> tuple[str, Failover]:
    valkeys = stack.enter_context(watched_valkeys())

    def kill_and_start_again() -> None:
        primary = valkeys.primary
        primary.kill()
        valkeys.wait_for_failover_from(primary)
        primary.start()  # as an empty primary, until the Sentinels make it a replica

    return valkeys.url, kill_and_start_again


def primary_killed_under_sentinels_with_tls(stack: ExitStack) -> tuple[str, Failover]:
    directory = Path(stack.enter_context(TemporaryDirectory()))
    certificate = self_signed_certificate(directory)
    kind = ServerKind(redis_7_0(), certificate, PASSWORD)
    servers = stack.enter_context(watched_valkeys(kind))

    def kill() -> None:
        primary = servers.primary
        primary.kill()
        servers.wait_for_failover_from(primary)

    return servers.tls_url(**certificate.client_options()), kill


def primary_paused_under_sentinels(stack: ExitStack) -> tuple[str, Failover]:
    valkeys = stack.enter_context(watched_valkeys())

    def pause() -> None:
        primary = valkeys.primary
        primary.pause()
        valkeys.wait_for_failover_from(primary)
        primary.resume()  # still a primary, as far as it knows

    return valkeys.url, pause


# Sentinels promote a replica before they demote its primary, which accepts entries until then.
LOSES_ENTRIES: Final = {killed_primary_that_loses_entries, planned_failover_by_sentinels}


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
        primary_killed_under_sentinels_with_tls,
        primary_paused_under_sentinels,
    ],
)
def test_no_row_is_missing_and_each_is_that_of_a_replay_or_marked(
    deploy: Callable[[ExitStack], tuple[str, Failover]],
    transport: str,
    postgres_url: str,
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        url, fail_over = deploy(stack)
        database_url = stack.enter_context(temporary_database(postgres_url))
        urls = {"REDIS_URL": url, "DATABASE_URL": database_url}
        settings = QUICK | urls | {"CONDUCTOR_TRANSPORT": transport}
        run_across_failover(tmp_path, settings, fail_over)
        rows, marked = select_rows(database_url), marked_rows(database_url)
        again = replay_rows(url, tmp_path, **settings)
    last = min(rows[-1][0], again[-1][0])
    stored = {row[:3]: row for row in rows_until(last, rows)}
    replayed = {row[:3]: row for row in rows_until(last, again)}
    missing = replayed.keys() - stored.keys()
    different = {key for key in stored if stored[key] != replayed.get(key)}
    print(f"rows {len(stored)}, missing {len(missing)}, different {len(different)}, ", end="")
    print(f"different and not marked {len(different - marked)}, marked {len(marked)}")
    assert (missing, different - marked) == (set(), set())
    if transport == "streams" and deploy not in LOSES_ENTRIES:
        assert len(different) == 0


def run_across_failover(cwd: Path, settings: dict[str, str], fail_over: Failover) -> None:
    with running(cwd=cwd, **settings) as program:
        program.wait_for("service_started")
        with patient_event_load(settings["REDIS_URL"]):
            for _ in range(4):
                program.wait_for("tick_completed", sessions=SESSIONS)
            fail_over()
            for _ in range(4):
                program.wait_for("tick_completed", 20, sessions=SESSIONS)
        for _ in range(3):
            program.wait_for("tick_completed")
        terminate(program)
        assert program.all("actor_failed") == []


def marked_rows(url: str) -> set[Row]:
    """Return time, tenant and session of the rows that are marked with a gap."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT time, tenant_id, session_id FROM engagement_metrics WHERE metadata ? 'gap'"
        )
        return {(at.astimezone(UTC).isoformat(), tenant, key) for at, tenant, key in found}


def test_a_replica_is_refused_at_the_start(tmp_path: Path, postgres_url: str) -> None:
    with replicated_valkeys() as valkeys, temporary_database(postgres_url) as database_url:
        urls = {"REDIS_URL": valkeys.replica.url, "DATABASE_URL": database_url}
        assert_refused(run_to_end(cwd=tmp_path, **QUICK, **urls), "REDIS_URL: ", "is a replica")
