"""One tenant floods the running program: what becomes of the others, and of every event."""

import json
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest
import redis

from conductor_actors.domain.entries import Entry
from conductor_actors.simulate import Simulation
from tests.support.databases import temporary_database
from tests.support.event_samples import REACTION
from tests.support.programs import QUICK, Line, Row, replay_rows, rows_until, running, select_rows

FLOODING: Final = "acme"
OTHERS: Final = ("default", "globex")
FLOOD: Final = 20_000
TICK_MS: Final = 1000
LENGTH_S: Final = 4
LIMITS: Final = {
    "CONDUCTOR_TENANTS": f"{FLOODING},globex",
    "CONDUCTOR_TRANSPORT": "streams",
    "CONDUCTOR_TENANT_EVENTS_PER_S": "400",
    "CONDUCTOR_TENANT_BURST_S": "2",
    "CONDUCTOR_TENANT_SESSIONS": "12",
    "CONDUCTOR_SESSION_EVENTS_PER_S": "40",
}

pytestmark = pytest.mark.xdist_group("isolation")


class Played(NamedTuple):
    rows: list[Row]
    log: list[Line]


class Both(NamedTuple):
    """The same events of the others, once alone and once beside a flood."""

    alone: Played
    flooded: Played
    replayed: list[Row]
    sent: int


@pytest.fixture(scope="module")
def both(
    shared_valkey_url: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    cwd = tmp_path_factory.mktemp("isolation")
    begin_ms = round(time.time()) * 1000 - 2 * LENGTH_S * 1000
    others, flood = of_others(begin_ms), of_flood(begin_ms)
    with redis.Redis.from_url(shared_valkey_url) as client:
        alone = played(client, others, shared_valkey_url, postgres_url, cwd)
        entries = sorted(others + flood)
        flooded = played(client, entries, shared_valkey_url, postgres_url, cwd)
        again = replay_rows(shared_valkey_url, cwd, **QUICK, **LIMITS)
        yield Both(alone, flooded, again, len(entries))


def of_others(begin_ms: int) -> list[Entry]:
    simulation = Simulation(sessions=8, seed=3, tenants=OTHERS)
    return [
        (begin_ms + step * 250, number, *sent)
        for step in range(4 * LENGTH_S)
        for number, sent in enumerate(simulation.step(begin_ms / 1000 + step / 4, 0.25))
    ]


def of_flood(begin_ms: int) -> list[Entry]:
    """Make a flood over all limits: in all, by single sessions, and by their number."""
    entries, chance = [], Random(5)
    for number in range(FLOOD):
        session = f"s-{chance.randrange(5 if number < FLOOD / 2 else 20)}"
        body = json.dumps({"sessionId": session, "userId": f"user-{number}"}).encode()
        at_ms = begin_ms + number * LENGTH_S * 1000 // FLOOD
        entries.append((at_ms, number, f"{FLOODING}:{REACTION}", body))
    return entries


def played(
    client: redis.Redis, entries: Sequence[Entry], valkey_url: str, server_url: str, cwd: Path
) -> Played:
    """Have the program read the entries, until it has stored the tick behind the last."""
    client.flushall()
    with client.pipeline(transaction=False) as pipeline:
        for ms, sequence, name, body in entries:
            pipeline.xadd(name, {"data": body}, id=f"{ms}-{sequence}")
        pipeline.execute()
    end_ms = entries[-1][0] // TICK_MS * TICK_MS + TICK_MS
    with temporary_database(server_url) as url:
        settings = QUICK | LIMITS | {"REDIS_URL": valkey_url, "DATABASE_URL": url}
        with running("collect", cwd=cwd, **settings) as program:
            program.wait_for("tick_completed", tick_at_ms=end_ms)
            program.signal(signal.SIGTERM)
            assert program.finish().exit_code == 0
        return Played(select_rows(url), program.lines)


def of(rows: Sequence[Row], tenants: Sequence[str]) -> list[Row]:
    return [row for row in rows if row[1] in tenants]


def total(log: Sequence[Line], event: str) -> int:
    return sum(line["events"] for line in log if line["event"] == event)


def test_the_others_rows_are_those_of_a_run_without_the_flood(both: Both) -> None:
    alone, beside = (of(each.rows, OTHERS) for each in (both.alone, both.flooded))
    last = min(alone[-1][0], beside[-1][0])
    assert len(rows_until(last, alone)) > 20
    assert rows_until(last, beside) == rows_until(last, alone)
    assert {row[1] for row in beside} == set(OTHERS)


def test_what_is_refused_is_refused_by_a_replay_too(both: Both) -> None:
    rows = both.flooded.rows
    last = both.replayed[-1][0]
    assert of(rows, [FLOODING])
    assert rows_until(last, rows) == both.replayed


def test_every_event_of_a_flood_is_counted_or_refused_and_only_its_own(both: Both) -> None:
    log = both.flooded.log
    refusals = [line for line in log if line["event"] == "events_refused"]
    assert {line["tenant"] for line in refusals} == {FLOODING}
    assert {line["reason"] for line in refusals} == {
        *("tenant_events", "tenant_sessions", "session_events")
    }
    skipped = sum(line["skipped"] for line in log if line["event"] == "events_routed")
    routed, refused = total(log, "events_routed"), total(log, "events_refused")
    assert routed + skipped + refused + total(log, "events_invalid") == both.sent
    alone = total(both.alone.log, "events_routed")
    assert (routed - alone) + refused == FLOOD
    assert 400 <= routed - alone <= 400 * (LENGTH_S + 2)
